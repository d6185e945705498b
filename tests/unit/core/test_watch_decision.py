"""The ranges that a tick of the watchdog reads."""

from __future__ import annotations

import pytest

from workpool_aws.core import limits
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.watchdog.watch import audit_due, looks_back, works_from
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import LoopState, LoopStatus, ShardCursors

HOUR = EpochMs(1_767_225_600_000)
"""A tick at which the hourly look is due."""
TICK = EpochMs(HOUR + 30 * limits.WATCHDOG_MS)


def rested(
    before_ms: int, *, state: LoopState = LoopState.IDLE, saturated: bool = False
) -> LoopStatus:
    return LoopStatus(
        pool="email",
        state=state,
        generation=3,
        lease_until=EpochMs(TICK - before_ms),
        saturated=saturated,
    )


@pytest.mark.parametrize("state", [LoopState.IDLE, LoopState.WAITING])
def test_burst_is_not_read_again_for_ever(state: LoopState) -> None:
    assert looks_back(rested(limits.WATCHDOG_BACK_MS, state=state), TICK)
    assert not looks_back(rested(limits.WATCHDOG_BACK_MS + 1, state=state), TICK)


def test_hourly_look_is_due_once_hour() -> None:
    assert audit_due(HOUR)
    assert looks_back(rested(24 * 3_600_000), HOUR)


def test_loop_that_rested_without_free_slot_has_not_looked() -> None:
    assert looks_back(rested(24 * 3_600_000, state=LoopState.WAITING, saturated=True), TICK)


def test_tick_looks_for_due_work_few_minutes_back_and_never_before_cursor() -> None:
    recent = id_floor(EpochMs(TICK - limits.WATCHDOG_BACK_MS))
    old, young = (
        ShardCursors(work_cursor=id_floor(EpochMs(TICK - ms)), deep_at=EpochMs(TICK - ms))
        for ms in (86_400_000, 10_000)
    )

    assert works_from(old, back=False, now=TICK) == recent
    assert works_from(young, back=False, now=TICK) == young.work_cursor
    assert works_from(old, back=False, now=None) == old.work_cursor
    assert [works_from(mark, back=True, now=TICK) for mark in (old, young)] == [
        deep_low(mark.work_cursor, mark.deep_at) for mark in (old, young)
    ]
