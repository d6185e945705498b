"""A schedule as people see it: its next occurrences, and its last ones in figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.kit.records import NOW, a_running_work, a_work
from workpool_aws.core.views.schedules import CatchUpPreview, Schedule, schedule_view
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.schedule import CatchUp, PastRun, ScheduleItem, Timing

MINUTE = timedelta(minutes=1)
BEGAN = datetime.fromtimestamp(NOW / 1000, UTC)


def at(minutes: float) -> EpochMs:
    return EpochMs(round(NOW + minutes * 60_000))


ITEM = ScheduleItem(
    pool="email",
    name="s",
    spec=a_work().spec,
    timing=Timing(every_ms=60_000, anchor=NOW),
    born="b",
    next_at=at(1),
)


def seen(item: ScheduleItem, minutes: float) -> Schedule:
    return schedule_view(item, None, now=at(minutes))


@pytest.mark.parametrize(
    ("minutes", "due", "upcoming"),
    [(0, None, [1, 2, 3]), (0.99, None, [1, 2, 3]), (1, 1, [2, 3, 4]), (1.5, 1, [2, 3, 4])],
)
def test_view_has_three_occurrences_that_are_not_due_yet(
    minutes: float, due: int | None, upcoming: list[int]
) -> None:
    found = seen(ITEM, minutes)

    assert found.upcoming == tuple(BEGAN + each * MINUTE for each in upcoming)
    assert found.next_due == BEGAN + MINUTE
    assert found.catch_up == (due and CatchUpPreview(enqueues=due, missed=0, skipped=0))


def test_view_of_paused_schedule_has_those_that_would_follow() -> None:
    found = seen(replace(ITEM, paused=True, next_at=None), 5.5)

    assert (found.next_due, found.catch_up, found.paused) == (None, None, True)
    assert found.upcoming[0] == BEGAN + 6 * MINUTE


def test_view_of_schedule_that_has_ended_has_none() -> None:
    timing = replace(ITEM.timing, ends_at=at(2))

    assert seen(replace(ITEM, timing=timing), 1).upcoming == (BEGAN + 2 * MINUTE,)
    assert seen(replace(ITEM, timing=timing, next_at=None), 3).upcoming == ()


def test_view_tells_what_would_be_caught_up() -> None:
    found = seen(replace(ITEM, catch_up=CatchUp.LATEST), 10)

    assert found.catch_up == CatchUpPreview(enqueues=4, missed=6, skipped=0)


def test_view_says_how_late_last_ten_began() -> None:
    lags = [99_000, *range(9_000, 0, -1_000)]
    past = tuple(PastRun(at(n), lag, None) for n, lag in enumerate(lags))
    last = a_running_work(starts=1, due_at=at(11), started_at=EpochMs(at(11) + 2_500))
    again = replace(ITEM, past=past, last_due=at(11), missed=3, skipped=4, waiting=at(12))

    found = schedule_view(again, last, now=at(11))
    without = schedule_view(replace(again, past=()), None, now=at(11))

    assert (found.lateness_p50, found.lateness_max) == (
        timedelta(seconds=4),
        timedelta(seconds=9),
    )
    assert (without.lateness_p50, without.lateness_max) == (None, None)
    assert (found.missed, found.skipped, found.waiting) == (3, 4, BEGAN + 12 * MINUTE)
    assert (found.last_due, found.last_outcome) == (BEGAN + 11 * MINUTE, None)


def test_view_names_cron_or_interval() -> None:
    cron = replace(ITEM.timing, cron="0 9 * * *", every_ms=None, timezone="Asia/Tokyo")

    assert (seen(ITEM, 0).every, seen(ITEM, 0).cron) == (MINUTE, None)
    found = seen(replace(ITEM, timing=cron), 0)
    assert (found.every, found.cron, found.timezone) == (None, "0 9 * * *", "Asia/Tokyo")
