"""The rest of a loop that has nothing to do now."""

from __future__ import annotations

import pytest

from tests.kit.records import NOW, a_work, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.classify import Look, Taken, classify
from workpool_aws.core.loop.rest import Rest, decide_rest
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, LoopState
from workpool_aws.model.work import State

NEAR, FAR = EpochMs(NOW + limits.NEAR_MS), EpochMs(NOW + limits.NEAR_MS + 1)
RUNNING = {EntryKey(an_id(), 1): Entry(EpochMs(NOW + 60_000))}
RECOVER_AT = EpochMs(NOW + 60_000 + limits.RECOVERY_MARGIN_MS + 1)
NOTHING = Taken((), ())


@pytest.mark.peer("LP15", "OL01")
def test_loop_with_nothing_left_is_idle() -> None:
    """[WP-22]"""
    assert decide_rest({}, None, free=1, now=NOW) == Rest(
        LoopState.IDLE, None, saturated=False, timer_at=None
    )


@pytest.mark.peer("LP17")
def test_work_due_soon_keeps_loop_up() -> None:
    assert decide_rest({}, NEAR, free=1, now=NOW) is None


def test_work_due_later_is_waited_for_with_wake_minute_early() -> None:
    assert decide_rest({}, FAR, free=1, now=NOW) == Rest(
        LoopState.WAITING, FAR, saturated=False, timer_at=EpochMs(FAR - 60_000)
    )


@pytest.mark.peer("LP20")
def test_start_in_flight_is_waited_for_until_it_must_be_recovered() -> None:
    assert decide_rest(RUNNING, None, free=1, now=NOW) == Rest(
        LoopState.WAITING, RECOVER_AT, saturated=False, timer_at=None
    )
    later = decide_rest(RUNNING, FAR, free=1, now=NOW)
    assert later == Rest(
        LoopState.WAITING, RECOVER_AT, saturated=False, timer_at=EpochMs(FAR - 60_000)
    )


@pytest.mark.peer("LP16", "OL04")
def test_due_work_without_free_slot_does_not_keep_loop_up() -> None:
    assert decide_rest(RUNNING, NOW, free=0, now=NOW) == Rest(
        LoopState.WAITING, RECOVER_AT, saturated=True, timer_at=None
    )
    assert decide_rest({}, NOW, free=0, now=NOW) == Rest(
        LoopState.WAITING, None, saturated=True, timer_at=None
    )


def test_row_is_due_later_or_nothing_to_this_pass() -> None:
    work = a_work()
    assert classify(work.id, work, taken=NOTHING, now=NOW) is Look.DUE
    future = a_work(due_at=EpochMs(NOW + 1))
    assert classify(future.id, future, taken=NOTHING, now=NOW) is Look.LATER
    assert classify(an_id(EpochMs(NOW + 1)), work, taken=NOTHING, now=NOW) is Look.LATER, (
        "no key counts before its time"
    )


def test_rows_that_pass_cannot_start_are_skipped() -> None:
    work = a_work()
    assert classify(work.id, work, taken=Taken({EntryKey(work.id, 1)}, ()), now=NOW) is Look.SKIP
    assert classify(work.id, work, taken=Taken((), {work.id}), now=NOW) is Look.SKIP
    moved = a_work(id=work.id, due_at=EpochMs(NOW + 5_000))
    assert classify(work.id, moved, taken=NOTHING, now=NOW) is Look.SKIP, (
        "a stale key: its pointer stands at the new time"
    )
    for state in (State.RUNNING, State.FINISHED):
        assert classify(work.id, a_work(state=state), taken=NOTHING, now=NOW) is Look.SKIP


def test_recovery_due_soon_keeps_loop_up() -> None:
    soon = EpochMs(NOW + limits.RECOVER_NEAR_MS - limits.RECOVERY_MARGIN_MS - 1)

    assert decide_rest({EntryKey(an_id(), 1): Entry(soon)}, None, free=1, now=NOW) is None
    assert (
        decide_rest({EntryKey(an_id(), 1): Entry(EpochMs(soon + 1))}, None, free=1, now=NOW)
        is not None
    )
