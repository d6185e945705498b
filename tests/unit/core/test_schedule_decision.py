"""Decisions about schedules: what a fire enqueues and counts, and what a change leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.kit.records import NOW, a_running_work, a_work
from workpool_aws.core.schedule.change import as_read, dropped_by, paused, resumed
from workpool_aws.core.schedule.fire import decide_fire
from workpool_aws.core.schedule.timing import count_until, due_until, first_after, spelled
from workpool_aws.model.ids import EpochMs, make_id
from workpool_aws.model.schedule import CatchUp, Overlap, ScheduleItem, Timing
from workpool_aws.model.writes import All, Is

MINUTE = 60_000
ITEM = ScheduleItem(
    pool="email",
    name="s",
    spec=a_work().spec,
    timing=Timing(every_ms=MINUTE, anchor=NOW),
    born="b",
    next_at=EpochMs(NOW + MINUTE),
)


def at(minutes: float) -> EpochMs:
    return EpochMs(round(NOW + minutes * MINUTE))


def fired(item: ScheduleItem, minutes: float, last: Any = None) -> Any:
    return decide_fire(item, last, now=at(minutes), epoch=0)


def test_fire_names_occurrence_that_it_has_read() -> None:
    """[WP-18]"""
    fire = fired(ITEM, 1)

    assert fire.update.condition == All(
        (
            Is("next_at", at(1)),
            Is("version", 1),
            Is("paused", value=False),
            Is("waiting", None),
        )
    )
    assert (fire.update.set["next_at"], fire.tick_at) == (at(2), at(2))
    assert [work.due_at for work in fire.works] == [at(1)]
    assert fired(ITEM, 0.9) is None
    assert fired(replace(ITEM, paused=True), 5) is None


def test_same_occurrence_has_same_id_and_another_birth_another() -> None:
    """[WP-18]"""
    again = fired(ITEM, 1.5).works[0].id
    other = fired(replace(ITEM, born="c"), 1).works[0].id

    assert fired(ITEM, 1).works[0].id == again
    assert other != again


@pytest.mark.parametrize(
    ("catch_up", "minutes", "due", "missed"),
    [
        (CatchUp.LATEST, 10, [7, 8, 9, 10], 6),
        (CatchUp.NONE, 10, [7, 8, 9, 10], 6),
        (CatchUp.ALL, 10, list(range(1, 11)), 0),
        (CatchUp.ALL, 200, list(range(107, 152)), 106),
        (CatchUp.LATEST, 1_500, [1_497, 1_498, 1_499, 1_500], 1_496),
    ],
)
def test_late_occurrences_are_caught_up_within_bounds(
    catch_up: CatchUp, minutes: int, due: list[int], missed: int
) -> None:
    """[WP-18]"""
    fire = fired(replace(ITEM, catch_up=catch_up), minutes)

    assert [work.due_at for work in fire.works] == [at(n) for n in due]
    assert fire.missed == missed


def test_so_many_of_expression_are_counted_that_last_ones_stay() -> None:
    """[WP-18] A step of them is looked at, and any of its last ones may be worth a catch-up."""
    item = replace(ITEM, timing=Timing(cron="* * * * *"), catch_up=CatchUp.ALL)
    first, second = fired(item, 1_005), fired(replace(item, next_at=at(911)), 1_005)

    assert (first.works, first.missed, first.tick_at) == ((), 910, at(911))
    assert (second.missed, second.works[0].due_at) == (1, at(912))


def test_interval_is_counted_without_steps_also_where_first_is_not_on_it() -> None:
    """[WP-18]"""
    timing = Timing(every_ms=MINUTE, anchor=NOW, ends_at=at(2_000))
    found = due_until(timing, at(0.5), at(3_000))

    assert count_until(timing, at(0.5), at(3_000)) == 2_001
    assert (found.earlier, found.times[0], found.times[-1]) == (1_001, at(1_001), at(2_000))
    assert (found.following, found.complete) == (None, True)
    assert count_until(timing, at(5), at(4)) == 0


def test_latest_missed_one_is_enqueued_where_none_is_in_time() -> None:
    hourly = replace(ITEM, timing=Timing(every_ms=60 * MINUTE, anchor=NOW), next_at=at(60))
    fire = fired(hourly, 310)

    assert ([work.due_at for work in fire.works], fire.missed) == ([at(300)], 4)


def test_waiting_occurrence_follows_end_of_one_before() -> None:
    item = replace(ITEM, overlap=Overlap.QUEUE_ONE, last_due=NOW)
    running, over = a_running_work(), None
    waits = fired(item, 1, running)
    held = replace(item, next_at=at(2), waiting=at(1))

    assert (waits.works, waits.update.set["waiting"]) == ((), at(1))
    assert fired(held, 1.5, running) is None
    follows = fired(held, 1.5, over)
    assert [work.due_at for work in follows.works] == [at(1.5)]
    assert follows.update.set["waiting"] is None
    assert follows.tick_at == at(2)


def test_pause_counts_what_is_due_and_resume_goes_on_from_now() -> None:
    """[WP-18]"""
    stopped = paused(ITEM, at(3.5))
    again = resumed(stopped, at(9.5))

    assert (stopped.missed, stopped.paused, stopped.version) == (3, True, 2)
    assert (again.next_at, again.paused, again.missed) == (at(10), False, 3)
    assert paused(stopped, at(9)) == stopped


def test_what_fell_due_before_change_landed_is_counted() -> None:
    """[WP-18]"""
    changed = replace(ITEM, version=2, next_at=at(30))
    late = dropped_by(ITEM, changed, decided_at=NOW, landed_at=at(2.5))

    assert late is not None
    assert late.add == {"missed": 2}
    stopped = dropped_by(ITEM, paused(ITEM, at(2.5)), decided_at=at(2.5), landed_at=at(3.5))
    assert stopped is not None
    assert stopped.add == {"missed": 1}
    assert dropped_by(ITEM, changed, decided_at=NOW, landed_at=at(0.5)) is None
    assert dropped_by(ITEM, replace(ITEM, version=2), decided_at=NOW, landed_at=at(5)) is None
    hourly = replace(ITEM, version=2, timing=Timing(every_ms=60 * MINUTE, anchor=at(1)))
    slow = dropped_by(ITEM, hourly, decided_at=NOW, landed_at=at(3.5))
    assert slow is not None
    assert slow.add == {"missed": 2}  # the one of the first minute stays
    assert dropped_by(ITEM, hourly, decided_at=NOW, landed_at=at(1.5)) is None
    assert Is("next_at", at(1)) in getattr(as_read(ITEM), "parts", ())


@pytest.mark.parametrize(
    ("zone", "cron", "day", "hours"),
    [
        ("Europe/London", "30 1 * * *", (2026, 3, 29), [1.0]),
        ("Europe/London", "30 1 * * *", (2026, 10, 25), [0.5]),
        ("Europe/London", "*/30 1 * * *", (2026, 3, 29), []),
        ("Europe/London", "*/30 1 * * *", (2026, 10, 25), [0, 0.5, 1, 1.5]),
        ("America/New_York", "30 2 * * *", (2026, 3, 8), [7.0]),
        ("America/New_York", "30 1 * * *", (2026, 11, 1), [5.5]),
        ("Australia/Lord_Howe", "15 2 * * *", (2026, 10, 3), [15.5]),
        ("Africa/Cairo", "30 0 * * *", (2026, 4, 23), [22.0]),
    ],
)
def test_clock_changes_are_those_of_debians_cron(
    zone: str, cron: str, day: tuple[int, int, int], hours: list[float]
) -> None:
    """[WP-18] Expected instants in UTC, hours of the day that is named."""
    began = EpochMs(round(datetime(*day, tzinfo=UTC).timestamp() * 1000) - 1)
    timing = Timing(cron=cron, timezone=zone)
    first = first_after(timing, began)
    assert first is not None
    found = due_until(timing, first, EpochMs(began + 86_400_000)).times

    assert [(each - began - 1) / 3_600_000 for each in found] == hours


@pytest.mark.parametrize(
    "cron", ["0 0 31 2 *", "* * * *", "", "0 0 1 1 MON#6", "@every 5m", "1" * 300, "a b c d e"]
)
def test_expression_that_is_none_is_refused(cron: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        spelled(cron)


def test_occurrence_is_found_by_its_due_time() -> None:
    assert fired(ITEM, 1).works[0].id[:10] == make_id(at(1), random_bits=0)[:10]
