"""Decides if the watchdog must start the loop of a pool.

Only the watchdog finds a loop that died between writing that it rests and its last read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.admit import limit_of
from workpool_aws.core.loop.rate import tokens_of
from workpool_aws.core.loop.rate_left import counted_elsewhere
from workpool_aws.core.loop.settle import deep_low, slots_taken
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.work import CallbackState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.model.loop import Config, Ledger, LoopStatus, Notice, ShardCursors

__all__ = [
    "audit_due",
    "beats",
    "callback_is_overdue",
    "looks_back",
    "may_start",
    "works_from",
]


def may_start(
    config: Config | None, ledger: Ledger | None, status: LoopStatus | None, now: EpochMs
) -> bool:
    """True if a due work item could start.

    Computed from config and ledger; the status's `saturated` is not trusted. `status` has the
    tokens of a rate limit that a resting loop has counted.
    """
    spent = counted_elsewhere(ledger, status)
    tokens = tokens_of(None if config is None else config.rate, spent, now)
    if tokens is not None and tokens.free == 0:
        return False
    return limit_of(config) > (0 if ledger is None else slots_taken(ledger.entries))


def looks_back(status: LoopStatus, now: EpochMs) -> bool:
    """True if a tick also reads the seconds before the cursors of a resting pool.

    The loop read them after it had written that it rests, and a later writer has its own kick
    acknowledged. Only the remains of a dead loop are there, and a few ticks find them. If every
    tick read them, each would read the last burst again. They are read once an hour in any case,
    and always where the loop rested for want of a slot, since it had not read them.
    """
    return status.saturated or now <= status.lease_until + limits.WATCHDOG_BACK_MS or audit_due(now)


def works_from(mark: ShardCursors, *, back: bool, now: EpochMs | None) -> str:
    """Returns the key from which a tick at `now` reads due work items.

    With `back`, or if `now` is `None`, a tick reads all that a loop would find.

    A resting loop has seen every work item that was due, and waits for the others. One of the ticks
    after its due time finds a later one that was not kicked for. Earlier rows are over: after
    thousands of canceled work items each tick would read all of them again.
    """
    if back:
        return deep_low(mark.work_cursor, mark.deep_at)
    return (
        mark.work_cursor
        if now is None
        else max(mark.work_cursor, id_floor(EpochMs(now - limits.WATCHDOG_BACK_MS)))
    )


def callback_is_overdue(ledger: Ledger | None, records: Sequence[Notice], now: EpochMs) -> bool:
    """True if a callback is owed that no loop handles.

    Its time in the ledger has passed, or a notice owes one and the ledger has room.
    """
    held = () if ledger is None else ledger.callbacks
    if any(owed.at + limits.CALLBACK_LATE_MS < now for owed in held):
        return True
    return len(held) < limits.CALLBACKS_OWED_MAX and any(
        record.callback is CallbackState.PENDING for record in records
    )


def audit_due(now: EpochMs) -> bool:
    """True if this minute's tick also audits: once an hour, without a memory of its own."""
    return (now // limits.WATCHDOG_MS) % (limits.WATCHDOG_DEEP_MS // limits.WATCHDOG_MS) == 0


def beats(now: EpochMs) -> bool:
    """True if this minute's tick leaves a heartbeat."""
    return (now // limits.WATCHDOG_MS) % (limits.HEARTBEAT_MS // limits.WATCHDOG_MS) == 0
