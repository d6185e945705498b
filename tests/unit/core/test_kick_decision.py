"""When a kick starts a loop, and when none is needed [WP-24]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, an_id
from workpool_aws.core import limits
from workpool_aws.core.pool.kick import (
    KickReason,
    NotNeeded,
    StartLoop,
    decide_kick,
    wake_wait_ms,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Ledger, LoopState, LoopStatus, PendingCallback

LATER = EpochMs(NOW + 60_000)
BEFORE = EpochMs(NOW - 1)


def status(
    state: LoopState,
    *,
    lease_until: EpochMs = BEFORE,
    wake_at: EpochMs | None = None,
    saturated: bool = False,
) -> LoopStatus:
    return LoopStatus(
        pool="email",
        state=state,
        generation=4,
        lease_until=lease_until,
        wake_at=wake_at,
        saturated=saturated,
    )


def decide(
    of: LoopStatus | None, reason: KickReason = KickReason.ENQUEUE, due: EpochMs | None = NOW
) -> StartLoop | NotNeeded:
    return decide_kick(of, "email", reason, due=due, now=NOW, token="k", ledger=None, epoch=0)


@pytest.mark.parametrize("reason", list(KickReason))
@pytest.mark.parametrize(
    "resting",
    [
        status(LoopState.IDLE),
        status(LoopState.WAITING, wake_at=LATER),
        status(LoopState.RUNNING, lease_until=NOW),
    ],
)
def test_every_kick_starts_next_generation_of_resting_or_dead_loop(
    resting: LoopStatus, reason: KickReason
) -> None:
    decision = decide(resting, reason, due=None if reason is KickReason.CANCEL else NOW)

    assert isinstance(decision, StartLoop)
    assert decision.generation == 5


@pytest.mark.parametrize(
    ("resting", "due", "starts"),
    [
        (status(LoopState.WAITING, wake_at=LATER), LATER, True),
        (status(LoopState.WAITING, wake_at=LATER), EpochMs(LATER + 1), False),
        (status(LoopState.WAITING), LATER, False),
        (status(LoopState.IDLE), LATER, False),
        (status(LoopState.RUNNING), LATER, False),
    ],
)
def test_cancel_that_owes_nothing_kicks_loop_that_waits_for_work(
    resting: LoopStatus, due: EpochMs, starts: bool
) -> None:
    """[WP-22]"""
    assert isinstance(decide(resting, KickReason.CANCEL, due=due), StartLoop) is starts


def test_first_kick_of_pool_starts_generation_one() -> None:
    decision = decide(None)

    assert isinstance(decision, StartLoop)
    assert decision.generation == 1


@pytest.mark.parametrize("reason", list(KickReason))
@pytest.mark.peer("BW03", "BW13", "OK02")
def test_kick_starts_no_second_loop_beside_live_one(reason: KickReason) -> None:
    assert isinstance(decide(status(LoopState.RUNNING, lease_until=LATER), reason), NotNeeded)


@pytest.mark.peer("CP07", "KK02", "OK05", "OL06")
def test_enqueue_leaves_saturated_loop_alone_and_completion_does_not() -> None:
    full = status(LoopState.WAITING, saturated=True)

    assert isinstance(decide(full, KickReason.ENQUEUE), NotNeeded)
    assert isinstance(decide(full, KickReason.COMPLETE), StartLoop)
    assert isinstance(decide(full, KickReason.CONFIGURE), StartLoop)


FAR = EpochMs(NOW + 600_000)


@pytest.mark.parametrize(
    ("timer_at", "due", "starts"),
    [
        (None, EpochMs(FAR + 1), True),
        (EpochMs(FAR - 60_000), EpochMs(FAR - 1), True),
        (EpochMs(FAR - 60_000), FAR, False),
        (EpochMs(FAR - 60_000), EpochMs(FAR + 1), False),
        (NOW, FAR, True),
    ],
)
def test_enqueue_leaves_waiting_loop_alone_only_if_far_wake_comes_in_time(
    timer_at: EpochMs | None, due: EpochMs, *, starts: bool
) -> None:
    """[WP-20] A wake-up for a deadline orders no far wake, and the watchdog may be a minute late for it."""
    waiting = replace(status(LoopState.WAITING, wake_at=LATER), timer_at=timer_at)

    assert isinstance(decide(waiting, KickReason.ENQUEUE, due), StartLoop) is starts


SLEEPING = status(LoopState.WAITING, wake_at=LATER)
QUIET = Ledger(pool="email", holder="h", generation=4, version=1)
OWING = replace(QUIET, callbacks=(PendingCallback(an_id(NOW, 1), EpochMs(NOW + 20_000)),))


@pytest.mark.parametrize(
    ("resting", "ledger", "life_ms", "wait_ms"),
    [
        (SLEEPING, QUIET, 900_000, 59_000),
        (SLEEPING, QUIET, 118_000, 59_000),
        (SLEEPING, QUIET, 117_999, 0),
        (SLEEPING, OWING, 900_000, 19_000),
        (SLEEPING, None, 900_000, 0),
        (status(LoopState.WAITING), QUIET, 900_000, 0),
        (status(LoopState.WAITING, wake_at=BEFORE), QUIET, 900_000, 0),
        (status(LoopState.RUNNING, wake_at=LATER), QUIET, 900_000, 0),
        (status(LoopState.IDLE, wake_at=LATER), QUIET, 900_000, 0),
        (status(LoopState.WAITING, wake_at=FAR), QUIET, 9_000_000, 0),
    ],
)
def test_far_wake_sleeps_until_second_before_first_thing_to_do(
    resting: LoopStatus, ledger: Ledger | None, life_ms: int, wait_ms: int
) -> None:
    """[WP-20] What a stale wake meets, or a pool in doubt, is looked at at once."""
    assert limits.WAKE_AHEAD_MS == 1_000
    assert wake_wait_ms(resting, ledger, NOW, life_ms=life_ms) == wait_ms
