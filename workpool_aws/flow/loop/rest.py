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


def rest(session: LoopSession, done: PassResult) -> bool:
    """Rests after a pass that left nothing to do, then looks again.

    True means that there is something to do after all. The loop goes on then, under the next
    generation if the status already said that it rests. Raises Fenced, StoreUnavailable.
    """
    now = session.ports.clock.now()
    next_due = _next_due(session, now) if done.cut else done.next_due
    callback_at = next_at(session.memory.callbacks)
    decision = decide_rest(
        session.entries, next_due, free=done.free, now=now, callback_at=callback_at
    )
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
        _order_timer(session, wake_at=decision.timer_at)
        changes["timer_at"] = decision.timer_at
    status = session.write_status(changes, expected=LoopState.RUNNING)
    if decision.state is LoopState.IDLE and status.timer_at is not None and status.timer_at > now:
        _order_timer(session, wake_at=None)
    if not _something_there(session, decision, done.config_version):
        _report_rest(session, decision)
        return False
    _take_back(session, decision)
    return True


def _next_due(session: LoopSession, now: EpochMs) -> EpochMs | None:
    """Returns the next due time, however many rows of canceled work items lie before it.

    No pass has looked that far, and a pool must not wake for those [WP-22].
    """
    taken = Taken(
        session.entries,
        frozenset(key.work_id for key in session.memory.unconfirmed),
        session.memory.config,
    )
    earliest: list[EpochMs | None] = []
    for shard, mark in enumerate(session.ledger.shards):
        key_range = work_range(session.pool, shard, deep_low(mark.work_cursor, mark.deep_at))
        store, telemetry = session.ports.store, session.ports.telemetry
        read = read_works(store, telemetry, key_range, free=0, taken=taken, now=now, lookahead=None)
        earliest.append(now if read.is_something else read.next_due)
    return min((at for at in earliest if at is not None), default=None)


def _order_timer(session: LoopSession, *, wake_at: EpochMs | None) -> None:
    """Orders the far wake; `None` means that none is wanted any more. Only latency depends on it."""
    timer = session.ports.timer
    try:
        timer.forget(session.pool) if wake_at is None else timer.wake_at(session.pool, wake_at)
    except TimerUnavailable as error:
        session.ports.telemetry.emit(events.TimerFailed(pool=session.pool, error=str(error)))


def _something_there(session: LoopSession, decision: Rest, config_version: int) -> bool:
    """True if a pass would act on anything.

    It looks at just what a pass looks at, or the loop would spin [WP-23]: config (a resume),
    notices, and work items up to the wake-up. Work due only now is not enough, since a delayed one
    may have been enqueued.
    """
    config = configure.in_force(session.ports.store, session.ports.telemetry, session.pool)
    if (0 if config is None else config.version) != config_version:
        return True
    now = session.ports.clock.now()
    doubtful = frozenset(key.work_id for key in session.memory.unconfirmed)
    taken = Taken(session.entries, doubtful, config)
    return any(
        _notices_there(session, shard, now)
        or (not decision.saturated and _works_there(session, shard, decision.wake_at, taken, now))
        for shard in range(len(session.ledger.shards))
    )


def _notices_there(session: LoopSession, shard: int, now: EpochMs) -> bool:
    """True if a notice of this shard frees a slot, asks for a check, or owes a callback."""
    mark, memory = session.ledger.shards[shard], session.memory
    low = deep_low(mark.done_cursor)
    notices = read_notices(session.ports.store, session.ports.telemetry, session.pool, shard, low)
    settled = settle(session.entries, notices.records)
    if settled.gone or any(memory.checked.get(key) != at for key, at in settled.asked.items()):
        return True
    held = {owed.work_id: owed for owed in memory.callbacks}
    room = limits.CALLBACKS_OWED_MAX - len(held)
    owed = newly_owed(notices.records, held, (), cursor=mark.done_cursor, room=room, now=now)
    return owed.is_something


def _works_there(
    session: LoopSession, shard: int, wake_at: EpochMs | None, taken: Taken, now: EpochMs
) -> bool:
    """True if a work item of this shard is to start before the wake-up; `None` means ever."""
    mark = session.ledger.shards[shard]
    low = deep_low(mark.work_cursor, mark.deep_at)
    high = None if wake_at is None else id_floor(wake_at)
    key_range = work_range(session.pool, shard, low, high=high)
    return live_in(session.ports.store, session.ports.telemetry, key_range, taken=taken, now=now)


def _take_back(session: LoopSession, decision: Rest) -> None:
    lease_until = EpochMs(session.ports.clock.now() + limits.LEASE_MS)
    changes: dict[str, object] = {
        "state": LoopState.RUNNING,
        "generation": session.generation + 1,
        "lease_until": lease_until,
    }
    session.write_status(changes, expected=decision.state)
    session.lease_until = lease_until
    session.next_generation()


def _report_rest(session: LoopSession, decision: Rest) -> None:
    wake_in_ms = None if decision.wake_at is None else decision.wake_at - session.ports.clock.now()
    event = events.LoopRested(
        pool=session.pool,
        generation=session.generation,
        state=decision.state,
        wake_in_ms=wake_in_ms,
        saturated=decision.saturated,
        passes=session.passes,
        set_aside=session.damage.set_aside,
    )
    session.ports.telemetry.emit(event)


def hand_over(session: LoopSession) -> None:
    """Hands over to a fresh invocation of the next generation, before Lambda ends this one.

    Raises Fenced if another one runs already.
    """
    generation = session.generation + 1
    lease_until = EpochMs(session.ports.clock.now() + limits.LEASE_MS)
    session.write_status(
        {"generation": generation, "lease_until": lease_until}, expected=LoopState.RUNNING
    )
    session.ports.telemetry.emit(events.HandedOver(pool=session.pool, generation=generation))
    invoke_loop(session.ports, session.pool, generation, reason="hand_over")
