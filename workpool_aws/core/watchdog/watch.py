"""Decides whether the watchdog must act: the only thing that finds a loop which died between saying that it rests and looking again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.pool.kick import is_live
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import Config, Ledger, LoopState, LoopStatus, Notice, ShardCursors
from workpool_aws.model.work import CallbackState

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "audit_due",
    "callback_is_overdue",
    "looks_back",
    "loop_is_overdue",
    "may_start",
    "works_from",
]


def loop_is_overdue(status: LoopStatus, now: EpochMs) -> str | None:
    """Why the status alone shows a pool that should be at work; `None` means it does not.

    Never against a live lease.
    """
    if status.state is LoopState.RUNNING and not is_live(status, now):
        return "the loop's lease ran out"
    if status.state is LoopState.WAITING and status.wake_at is not None and status.wake_at <= now:
        return "the loop did not wake in time"
    return None


def may_start(config: Config | None, ledger: Ledger | None) -> bool:
    """True if a due work could start: worked out from config and ledger, never trusting the status's `saturated`."""
    limit = limits.PARALLELISM_DEFAULT if config is None else config.limit
    return limit > (0 if ledger is None else len(ledger.entries))


def looks_back(status: LoopStatus, now: EpochMs) -> bool:
    """True if a tick also reads the seconds before the cursors of a resting pool: what had come in as its loop went to rest.

    The loop looked there after it had said so, and whoever wrote later had that acknowledged by a
    kick of his own. So only what a dead loop left is there, and a few ticks find that; all ticks
    for ever would read the last burst again, each minute. Once an hour it is read in any case.
    Where the loop rested for want of a slot it had not looked, so there it is always read.
    """
    return status.saturated or now <= status.lease_until + limits.WATCHDOG_BACK_MS or audit_due(now)


def works_from(mark: ShardCursors, *, back: bool, now: EpochMs | None) -> str:
    """From where a tick at `now` looks for due work.

    With `back`, or if `now` is None, for any that a loop would find.

    A loop had seen all that was due when it rested, and waits for what was not. What came later,
    and was not kicked for, is found by one of the ticks after it is due. Earlier rows are over:
    after thousands of canceled works each tick would read all of them again.
    """
    if back:
        return deep_low(mark.work_cursor, mark.deep_at)
    return (
        mark.work_cursor
        if now is None
        else max(mark.work_cursor, id_floor(EpochMs(now - limits.WATCHDOG_BACK_MS)))
    )


def callback_is_overdue(ledger: Ledger | None, records: Sequence[Notice], now: EpochMs) -> bool:
    """True if a callback is owed that no loop sees to.

    The ledger's time for it has passed, or a done record lies there that owes one.
    """
    held = () if ledger is None else ledger.callbacks
    if any(owed.at + limits.CALLBACK_LATE_MS < now for owed in held):
        return True
    return len(held) < limits.CALLBACKS_OWED_MAX and any(
        record.callback is CallbackState.PENDING for record in records
    )


def audit_due(now: EpochMs) -> bool:
    """True if this minute's tick also looks deep: once an hour, without a memory of its own."""
    return (now // limits.WATCHDOG_MS) % (limits.WATCHDOG_DEEP_MS // limits.WATCHDOG_MS) == 0
