"""The length of a pass, the polls of a loop, its slowing down, and its rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.records import NOW, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.memory import Memory
from workpool_aws.core.loop.pace import (
    Pace,
    PassResult,
    Pause,
    after_failure,
    commit_units,
    decide_pause,
    next_poll_ms,
    pass_length_ms,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, Ledger, PendingCallback

FRESH = Pace(active_at=NOW, changed_at=NOW)
QUIET = Pace(active_at=EpochMs(NOW - 60_000), changed_at=EpochMs(NOW - 60_000))


def slots(count: int) -> dict[EntryKey, Entry]:
    return {
        EntryKey(an_id(n=n), 1): Entry(EpochMs(NOW + 600_000), confirmed=True) for n in range(count)
    }


def done(**changes: object) -> PassResult:
    """A pass that found nothing, with five slots free."""
    fields: dict[str, object] = {
        "free": 5,
        "next_due": None,
        "progress": False,
        "busy": False,
        "config_version": 1,
        **changes,
    }
    return PassResult(**fields)  # type: ignore[arg-type]


def moved(changes: int, **more: object) -> PassResult:
    return done(progress=True, busy=True, changes=changes, **more)


def decide(
    pace: Pace,
    passed: PassResult,
    *,
    entries: Mapping[EntryKey, Entry] | None = None,
    took_ms: int = 0,
    callback_at: int | None = None,
) -> Pause:
    ledger = Ledger(pool="email", holder="h", generation=1, version=1, entries=dict(entries or {}))
    owed = () if callback_at is None else (PendingCallback(an_id(), EpochMs(callback_at)),)
    memory = replace(Memory.of(ledger), callbacks=owed)
    return decide_pause(pace, passed, memory, began=NOW, now=EpochMs(NOW + took_ms))


def test_pass_that_achieved_something_is_followed_by_next_at_floor() -> None:
    pause = decide(QUIET, moved(3), entries=slots(10), took_ms=30)

    gap_ms = (3 * limits.POLL_MAX_MS + limits.POLL_MAX_MS // 3) // 4
    assert pause == Pause(replace(FRESH, gap_ms=gap_ms), limits.PASS_FLOOR_MS - 30)


def test_pass_longer_than_its_length_is_followed_at_once() -> None:
    assert decide(QUIET, moved(3), entries=slots(10), took_ms=5_000).wait_ms == 1


@pytest.mark.parametrize(
    ("entries", "a_second", "length_ms"),
    [
        (10, 10, 100),  # one unit: there is nothing to save
        (300, 10, 667),  # five units for 6.7 actions
        (300, 5, 800),  # would be worth more, but due work items may not wait
        (300, 100, 100),
        (500, 10, 800),
        (500, 60, 195),
    ],
)
def test_commit_waits_until_it_is_worth_its_size(
    entries: int, a_second: int, length_ms: int
) -> None:
    """At a steady rate of actions, each of them two changes, the length of a pass settles here."""
    units, length = commit_units(entries, 0), limits.PASS_FLOOR_MS
    for _ in range(50):
        length = pass_length_ms(units, max(1, round(2 * a_second * length / 1000)), since_ms=length)

    assert abs(length - length_ms) <= length_ms * 0.15


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 30), st.integers(1, 1_000), st.integers(0, 10**9))
def test_ledger_of_any_length_keeps_no_due_work_waiting(
    units: int, changes: int, since_ms: int
) -> None:
    """[WP-20]"""
    length = pass_length_ms(units, changes, since_ms=since_ms)

    assert limits.PASS_FLOOR_MS <= length <= limits.PASS_LENGTH_MS_MAX < limits.DUE_TO_START_MS
    assert (
        pass_length_ms(units + 1, changes, since_ms=since_ms)
        >= length
        >= pass_length_ms(units, changes + 1, since_ms=since_ms)
    )


def test_burst_after_quiet_hour_is_not_taken_for_trickle() -> None:
    assert pass_length_ms(commit_units(300, 0), 200, since_ms=3_600_000) <= 2 * limits.PASS_FLOOR_MS


def test_commit_without_change_of_slots_pays_for_its_size_too() -> None:
    """A callback moved: of 300 slots, that is five units."""
    assert decide(FRESH, moved(1), entries=slots(300)).wait_ms == limits.PASS_LENGTH_MS_MAX


def test_owed_callbacks_are_part_of_size() -> None:
    assert [
        commit_units(0, 0),
        commit_units(50, 0),
        commit_units(300, 0),
        commit_units(500, 0),
        commit_units(300, 500),
    ] == [1, 2, 5, 8, 27]


def test_pass_that_wrote_nothing_keeps_floor() -> None:
    assert decide(FRESH, done(busy=True), entries=slots(500)).wait_ms == limits.PASS_FLOOR_MS


def test_rate_counts_from_what_was_written_last() -> None:
    pace = decide(FRESH, moved(1), entries=slots(300)).pace

    assert pace.changed_at == NOW
    assert decide(QUIET, done(), entries=slots(300)).pace.changed_at == QUIET.changed_at


def test_poll_after_commit_waits_until_that_was_worth_its_size() -> None:
    """From the beginning of the pass."""
    assert (
        decide(FRESH, done(changes=1), entries=slots(300), took_ms=30).wait_ms
        == limits.PASS_LENGTH_MS_MAX - 30
    )


@pytest.mark.parametrize("what", ["next_due", "callback_at"])
@pytest.mark.parametrize(
    ("in_ms", "wait_ms"),
    [(-5, 1), (0, 1), (40, 40), (90, 90), (150, 150), (5_000, limits.POLL_MIN_MS)],
)
def test_poll_ends_in_time_for_what_comes_and_is_no_longer_for_what_is_far(
    what: str, in_ms: int, wait_ms: int
) -> None:
    """[WP-20]"""
    at = EpochMs(NOW + 500 + in_ms)
    passed, more = (done(next_due=at), {}) if what == "next_due" else (done(), {"callback_at": at})

    assert decide(FRESH, passed, entries=slots(3), took_ms=500, **more).wait_ms == wait_ms


@pytest.mark.parametrize(("in_ms", "wait_ms"), [(299, 299), (301, 201), (399, 299), (400, 300)])
def test_poll_before_due_time_is_over_a_pass_ahead_of_it(in_ms: int, wait_ms: int) -> None:
    """[WP-20] A pass just before it would put off the one at its time."""
    pace = replace(FRESH, poll_ms=300)
    passed = done(next_due=EpochMs(NOW + 500 + in_ms))

    assert decide(pace, passed, took_ms=500).wait_ms == wait_ms


@pytest.mark.parametrize(
    ("active_ms_ago", "polls"),
    [
        (limits.ACTIVE_FOR_MS, [100, 160, 256, 400, 400, 400, 400]),
        (limits.ACTIVE_FOR_MS + 1, [100, 160, 256, 410, 656, 1000, 1000]),
    ],
)
def test_polls_grow_to_second_once_nothing_has_moved_for_while(
    active_ms_ago: int, polls: list[int]
) -> None:
    """[WP-20] [WP-23]"""
    waits = []
    soon = EpochMs(NOW + 60_000)
    pace = replace(FRESH, active_at=EpochMs(NOW - active_ms_ago))
    for _ in range(7):
        pause = decide(pace, done(next_due=soon), entries=slots(3))
        pace = pause.pace
        waits.append(pause.wait_ms)

    assert waits == polls
    assert next_poll_ms(limits.POLL_MAX_MS) == limits.POLL_MAX_MS


def test_pass_that_found_something_begins_polls_anew() -> None:
    pace = Pace(active_at=NOW, changed_at=NOW, poll_ms=1_000)

    assert decide(pace, moved(1)).pace.poll_ms == limits.POLL_MIN_MS


@pytest.mark.parametrize(
    ("passed", "more", "wait_ms"),
    [
        (done(next_due=EpochMs(NOW + 130)), {}, 130),
        (done(next_due=EpochMs(NOW + 130), free=0), {}, limits.POLL_SATURATED_MS),
        (done(), {"callback_at": NOW + 140}, 140),
        (done(), {"callback_at": NOW - 5}, limits.PASS_FLOOR_MS),
    ],
)
def test_poll_is_awake_for_what_comes(
    passed: PassResult, more: dict[str, int], wait_ms: int
) -> None:
    """[WP-20] Without a free slot, what is due next does not matter."""
    pace = Pace(active_at=NOW, changed_at=NOW, poll_ms=1_000)

    assert decide(pace, passed, **more).wait_ms == wait_ms


def test_loop_with_nothing_left_rests_after_it_lingered() -> None:
    """[WP-22]"""
    assert decide(FRESH, done(), took_ms=limits.LINGER_MS - 1).wait_ms is not None
    assert decide(FRESH, done(), took_ms=limits.LINGER_MS).wait_ms is None


def test_promise_keeps_loop_up() -> None:
    promised = decide(QUIET, moved(1, promise_until=EpochMs(NOW + 5_000))).pace

    assert promised.promise_until == NOW + 5_000
    assert decide(promised, done(), took_ms=4_999).wait_ms is not None
    assert decide(promised, done(), took_ms=5_000).wait_ms is None


def test_passes_that_achieve_nothing_slow_down() -> None:
    """[WP-23]"""
    pace, waits = FRESH, []
    for _ in range(limits.STALLED_PASSES):
        pause = decide(pace, done(busy=True))
        pace = pause.pace
        waits.append((pause.wait_ms, pause.slowed))

    assert waits == [(limits.PASS_FLOOR_MS, False)] * (limits.STALLED_PASSES - 1) + [
        (limits.STALLED_SLEEP_MS, True)
    ]
    assert pace.stalled == limits.STALLED_PASSES
    assert decide(pace, moved(1)).pace.stalled == 0


def test_pass_with_nothing_to_do_neither_adds_to_stalled_ones_nor_ends_them() -> None:
    """[WP-23]"""
    pace = Pace(active_at=NOW, changed_at=NOW, stalled=4)

    assert decide(pace, done(), entries=slots(1)).pace.stalled == 4


def test_passes_without_answer_wait_longer_and_then_give_up() -> None:
    pace, waits = FRESH, []
    for _ in range(limits.FAILED_PASSES_MAX):
        pause = after_failure(pace)
        pace = pause.pace
        waits.append(pause.wait_ms)

    assert waits == [200, 400, 800, 1600, 3200, None]
    assert decide(pace, done()).pace.failures == 0


BRISK = replace(FRESH, gap_ms=limits.BRISK_MS)


def test_brisk_pool_with_free_slots_polls_eagerly_for_while() -> None:
    """[WP-20] Its next work item may come at any time; what that costs has an end."""
    over = replace(BRISK, active_at=EpochMs(NOW - 2 * limits.BRISK_MS - 1))

    assert decide(BRISK, done()) == Pause(BRISK, limits.PASS_EAGER_MS)
    assert decide(BRISK, moved(2), took_ms=20).wait_ms == limits.PASS_EAGER_MS - 20
    assert decide(over, done(next_due=EpochMs(NOW + 60_000))).wait_ms == limits.POLL_MIN_MS
    assert decide(BRISK, done(free=0)).wait_ms == limits.POLL_MIN_MS
    assert decide(replace(BRISK, gap_ms=limits.BRISK_MS + 1), done()).wait_ms == limits.POLL_MIN_MS


def test_pool_with_more_changes_than_eager_passes_commits_several_at_once() -> None:
    """Its actions share what a pass costs."""
    dense = replace(BRISK, gap_ms=limits.PASS_EAGER_MS - 1)
    pace = replace(BRISK, active_at=EpochMs(NOW - 100))

    assert decide(dense, done()).wait_ms == limits.POLL_MIN_MS
    assert decide(dense, moved(2)).wait_ms == limits.PASS_FLOOR_MS
    assert pace.after(moved(10), NOW).gap_ms == (3 * limits.BRISK_MS + 10) // 4


def test_pool_is_brisk_once_several_actions_followed_each_other() -> None:
    pace, brisk = replace(FRESH, active_at=EpochMs(NOW - 100)), []
    for _ in range(6):
        pace = replace(pace.after(moved(1), NOW), active_at=EpochMs(NOW - 100))
        brisk.append(pace.gap_ms <= limits.BRISK_MS)

    assert brisk == [False, False, False, True, True, True]


def test_ends_of_runs_are_awaited_eagerly() -> None:
    """[WP-20] The slots of a saturated pool are free again soon."""
    for interval in (limits.PASS_EAGER_MS, limits.RUN_END_POLL_MS):
        assert decide(FRESH, done(free=0, turnover_ms=interval)).wait_ms == interval
        assert decide(FRESH, moved(9, free=0, turnover_ms=interval)).wait_ms == interval


def test_run_of_which_nothing_ends_is_awaited_as_any_start() -> None:
    """[WP-23] Its event may wait for hours, and the loop looks every few seconds if it has begun."""
    waits = replace(FRESH, active_at=EpochMs(NOW - limits.ACTIVE_FOR_MS - 1))
    unreached = {EntryKey(an_id(), 1): Entry(NOW)}

    pause = decide(waits, done(free=0, turnover_ms=limits.PASS_EAGER_MS), entries=unreached)
    assert pause.wait_ms == limits.POLL_MIN_MS


def test_eager_passes_end_where_ledger_costs_more_than_unit() -> None:
    large = slots(100)

    assert commit_units(len(large), 0) > 1
    assert decide(BRISK, moved(9), entries=large).wait_ms == limits.PASS_FLOOR_MS
