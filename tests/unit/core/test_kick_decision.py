"""When a kick starts a loop, and when none is needed [WP-24]."""

from __future__ import annotations

import pytest

from builders import NOW
from workpool_aws.core.kick import KickReason, NotNeeded, StartLoop, decide_kick
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import LoopState, Status

LATER = EpochMs(NOW + 60_000)
BEFORE = EpochMs(NOW - 1)


def status(state: LoopState, *, lease_until: EpochMs = BEFORE, wake_at: EpochMs | None = None, saturated: bool = False) -> Status:
    return Status(pool="email", state=state, generation=4, lease_until=lease_until, wake_at=wake_at, saturated=saturated)


def decide(of: Status | None, reason: KickReason = KickReason.ENQUEUE, due: EpochMs | None = NOW) -> StartLoop | NotNeeded:
    return decide_kick(of, "email", reason, due=due, now=NOW, token="k")


@pytest.mark.parametrize("reason", list(KickReason))
@pytest.mark.parametrize(
    "resting",
    [
        status(LoopState.IDLE),
        status(LoopState.WAITING, wake_at=LATER),
        status(LoopState.RUNNING, lease_until=NOW),
    ],
)
def test_every_kick_starts_the_next_generation_of_a_resting_or_dead_loop(resting: Status, reason: KickReason) -> None:
    decision = decide(resting, reason)

    assert isinstance(decision, StartLoop)
    assert decision.generation == 5


def test_the_first_kick_of_a_pool_starts_generation_one() -> None:
    decision = decide(None)

    assert isinstance(decision, StartLoop)
    assert decision.generation == 1


@pytest.mark.parametrize("reason", list(KickReason))
def test_no_kick_starts_a_second_loop_beside_a_live_one(reason: KickReason) -> None:
    assert isinstance(decide(status(LoopState.RUNNING, lease_until=LATER), reason), NotNeeded)


def test_an_enqueue_leaves_a_saturated_loop_alone_and_a_completion_does_not() -> None:
    full = status(LoopState.WAITING, saturated=True)

    assert isinstance(decide(full, KickReason.ENQUEUE), NotNeeded)
    assert isinstance(decide(full, KickReason.COMPLETE), StartLoop)
    assert isinstance(decide(full, KickReason.CONFIGURE), StartLoop)


@pytest.mark.parametrize(("due", "starts"), [(BEFORE, True), (NOW, True), (LATER, True), (EpochMs(LATER + 1), False)])
def test_an_enqueue_wakes_a_waiting_loop_unless_it_wakes_before_the_work_is_due(due: EpochMs, *, starts: bool) -> None:
    waiting = status(LoopState.WAITING, wake_at=LATER)

    assert isinstance(decide(waiting, KickReason.ENQUEUE, due), StartLoop) is starts
