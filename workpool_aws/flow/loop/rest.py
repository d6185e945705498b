"""Puts the loop to rest, and hands over before its Lambda's end.

Going to rest is a race with every producer. A producer writes its work item and then reads the
status. The loop writes its status and then reads the work items, so one of the two sees the other.
The loop must therefore write that it rests, *then* read again [WP-22, WP-24].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.callbacks import newly_owed, next_at
from workpool_aws.core.loop.rest import Rest, decide_rest
from workpool_aws.core.loop.settle import deep_low, settle
from workpool_aws.core.loop.start import Taken
from workpool_aws.flow.loop.choose import live_in, read_works
from workpool_aws.flow.pool import configure
from workpool_aws.flow.pool.kick import invoke_loop
from workpool_aws.flow.reading import read_notices, work_range
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import LoopState
from workpool_aws.ports import TimerUnavailable

if TYPE_CHECKING:
    from workpool_aws.core.loop.pace import PassResult
    from workpool_aws.flow.loop.session import LoopSession

__all__ = ["hand_over", "rest"]


def rest(hold: LoopSession, done: PassResult) -> bool:
    """Rests after a pass that left nothing to do, then looks again.

    True means that there is something to do after all. The loop goes on then, under the next
    generation if the status already said that it rests. Raises Fenced, StoreUnavailable.
    """
    now = hold.ports.clock.now()
    next_due = _next_due(hold, now) if done.cut else done.next_due
    callback_at = next_at(hold.memory.callbacks)
    decision = decide_rest(hold.entries, next_due, free=done.free, now=now, callback_at=callback_at)
    if decision is None:
        return True
    changes: dict[str, object] = {
        "state": decision.state,
        "wake_at": decision.wake_at,
        "saturated": decision.saturated,
    }
    if decision.timer_at is not None:
        # Ordered before the status says so. A crash between leaves a wake too many, never one too
        # few.
        _order_timer(hold, wake_at=decision.timer_at)
        changes["timer_at"] = decision.timer_at
    status = hold.write_status(changes, expected=LoopState.RUNNING)
    if decision.state is LoopState.IDLE and status.timer_at is not None and status.timer_at > now:
        _order_timer(hold, wake_at=None)
    if not _something_there(hold, decision, done.config_version):
        _tell_rest(hold, decision)
        return False
    _take_back(hold, decision)
    return True


def _next_due(hold: LoopSession, now: EpochMs) -> EpochMs | None:
    """Returns the next due time, however many rows of canceled work items lie before it.

    No pass has looked that far, and a pool must not wake for those [WP-22].
    """
    taken = Taken(
        hold.entries,
        frozenset(key.work_id for key in hold.memory.unconfirmed),
        hold.memory.config,
    )
    earliest: list[EpochMs | None] = []
    for shard, mark in enumerate(hold.ledger.shards):
        span = work_range(hold.pool, shard, deep_low(mark.work_cursor, mark.deep_at))
        store, telemetry = hold.ports.store, hold.ports.telemetry
        read = read_works(store, telemetry, span, free=0, taken=taken, now=now, lookahead=None)
        earliest.append(now if read.due or read.bulk_canceled else read.next_due)
    return min((at for at in earliest if at is not None), default=None)


def _order_timer(hold: LoopSession, *, wake_at: EpochMs | None) -> None:
    """Orders the far wake; `None` means that none is wanted any more. Only latency depends on it."""
    timer = hold.ports.timer
    try:
        timer.forget(hold.pool) if wake_at is None else timer.wake_at(hold.pool, wake_at)
    except TimerUnavailable as error:
        hold.ports.telemetry.emit(events.TimerFailed(pool=hold.pool, error=str(error)))


def _something_there(hold: LoopSession, decision: Rest, config_version: int) -> bool:
    """True if a pass would act on anything.

    It looks at just what a pass looks at, or the loop would spin [WP-23]: config (a resume),
    notices, and work items up to the wake-up. Work due only now is not enough, since a delayed one
    may have been enqueued.
    """
    config = configure.in_force(hold.ports.store, hold.ports.telemetry, hold.pool)
    if (0 if config is None else config.version) != config_version:
        return True
    now = hold.ports.clock.now()
    doubtful = frozenset(key.work_id for key in hold.memory.unconfirmed)
    taken = Taken(hold.entries, doubtful, config)
    return any(
        _notices_there(hold, shard, now)
        or (not decision.saturated and _works_there(hold, shard, decision.wake_at, taken, now))
        for shard in range(len(hold.ledger.shards))
    )


def _notices_there(hold: LoopSession, shard: int, now: EpochMs) -> bool:
    """True if a notice of this shard frees a slot, asks for a check, or owes a callback."""
    mark, memory = hold.ledger.shards[shard], hold.memory
    low = deep_low(mark.done_cursor)
    notices = read_notices(hold.ports.store, hold.ports.telemetry, hold.pool, shard, low)
    settled = settle(hold.entries, notices.records)
    if settled.gone or any(memory.checked.get(key) != at for key, at in settled.asked.items()):
        return True
    held = {owed.work_id: owed for owed in memory.callbacks}
    room = limits.CALLBACKS_OWED_MAX - len(held)
    owed = newly_owed(notices.records, held, (), cursor=mark.done_cursor, room=room, now=now)
    return owed.is_something


def _works_there(
    hold: LoopSession, shard: int, wake_at: EpochMs | None, taken: Taken, now: EpochMs
) -> bool:
    """True if a work item of this shard is to start before the wake-up; `None` means ever."""
    mark = hold.ledger.shards[shard]
    low = deep_low(mark.work_cursor, mark.deep_at)
    high = None if wake_at is None else id_floor(wake_at)
    span = work_range(hold.pool, shard, low, high=high)
    return live_in(hold.ports.store, hold.ports.telemetry, span, taken=taken, now=now)


def _take_back(hold: LoopSession, decision: Rest) -> None:
    lease_until = EpochMs(hold.ports.clock.now() + limits.LEASE_MS)
    changes: dict[str, object] = {
        "state": LoopState.RUNNING,
        "generation": hold.generation + 1,
        "lease_until": lease_until,
    }
    hold.write_status(changes, expected=decision.state)
    hold.lease_until = lease_until
    hold.next_generation()


def _tell_rest(hold: LoopSession, decision: Rest) -> None:
    wake_in_ms = None if decision.wake_at is None else decision.wake_at - hold.ports.clock.now()
    event = events.LoopRested(
        pool=hold.pool,
        generation=hold.generation,
        state=decision.state,
        wake_in_ms=wake_in_ms,
        saturated=decision.saturated,
        passes=hold.passes,
        set_aside=hold.damage.set_aside,
    )
    hold.ports.telemetry.emit(event)


def hand_over(hold: LoopSession) -> None:
    """Hands over to a fresh invocation of the next generation, before Lambda ends this one.

    Raises Fenced if another one runs already.
    """
    generation = hold.generation + 1
    lease_until = EpochMs(hold.ports.clock.now() + limits.LEASE_MS)
    hold.write_status(
        {"generation": generation, "lease_until": lease_until}, expected=LoopState.RUNNING
    )
    hold.ports.telemetry.emit(events.HandedOver(pool=hold.pool, generation=generation))
    invoke_loop(hold.ports, hold.pool, generation, reason="hand_over")
