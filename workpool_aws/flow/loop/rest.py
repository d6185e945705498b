"""Puts the loop to rest, and hands over before its Lambda's end.

Rest is a race with every producer: it writes its work item and then reads the status, the loop
writes the status and then reads the work item, so one of them sees the other. Hence the order here:
say that the loop rests, *then* look again [WP-22, WP-24].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.callbacks import newly_owed, next_at
from workpool_aws.core.loop.rest import Rest, decide_rest
from workpool_aws.core.loop.settle import deep_low, settle
from workpool_aws.core.loop.start import Taken
from workpool_aws.flow.pool import configure
from workpool_aws.flow.pool.kick import invoke_loop
from workpool_aws.flow.reading import live_in, read_notices, read_works
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import LoopState
from workpool_aws.ports import TimerUnavailable

if TYPE_CHECKING:
    from workpool_aws.flow.loop.session import LoopSession

__all__ = ["hand_over", "rest"]


def rest(
    hold: LoopSession, free: int, next_due: EpochMs | None, *, config_version: int, cut: bool
) -> bool:
    """Rest, then look again.

    True: there is something to do after all, and this loop has taken the next generation for it.

    `cut`: no pass has looked far enough to know that anything is due at `next_due`. Raises Fenced
    when somebody else took over meanwhile.
    """
    now = hold.ports.clock.now()
    if cut:
        next_due = _next_due(hold, now)
    decision = decide_rest(
        hold.entries, next_due, free=free, now=now, callback_at=next_at(hold.memory.callbacks)
    )
    if decision is None:
        return True
    changes: dict[str, object] = {
        "state": decision.state,
        "wake_at": decision.wake_at,
        "saturated": decision.saturated,
    }
    if decision.timer_at is not None:
        # Ordered before the status says so: a crash between leaves a wake too many, never one too
        # few.
        _order_wake(hold, decision.timer_at)
        changes["timer_at"] = decision.timer_at
    status = hold.write_status(changes, expected=LoopState.RUNNING)
    if decision.state is LoopState.IDLE and status.timer_at is not None and status.timer_at > now:
        _forget_wake(hold)
    if not _something_there(hold, decision, config_version):
        _tell_rest(hold, decision)
        return False
    _take_back(hold, decision)
    return True


def _next_due(hold: LoopSession, now: EpochMs) -> EpochMs | None:
    """When the next work is due, however many rows of canceled ones lie before it.

    A pool must not wake for those [WP-22].
    """
    taken = Taken(
        hold.entries,
        frozenset(key.work_id for key in hold.memory.unconfirmed),
        hold.memory.config,
    )
    earliest: list[EpochMs] = []
    for shard, mark in enumerate(hold.ledger.shards):
        low = deep_low(mark.work_cursor, mark.deep_at)
        read = read_works(
            hold.ports.store,
            hold.ports.telemetry,
            hold.pool,
            shard,
            low,
            free=0,
            taken=taken,
            now=now,
            lookahead=None,
        )
        earliest += (
            [now]
            if read.due or read.bulk_canceled
            else []
            if read.next_due is None
            else [read.next_due]
        )
    return min(earliest, default=None)


def _order_wake(hold: LoopSession, at: EpochMs) -> None:
    try:
        hold.ports.timer.wake_at(hold.pool, at)
    except TimerUnavailable as error:
        hold.ports.telemetry.emit(events.TimerFailed(pool=hold.pool, error=str(error)))


def _forget_wake(hold: LoopSession) -> None:
    try:
        hold.ports.timer.forget(hold.pool)
    except TimerUnavailable as error:
        hold.ports.telemetry.emit(events.TimerFailed(pool=hold.pool, error=str(error)))


def _something_there(hold: LoopSession, decision: Rest, config_version: int) -> bool:
    """True if a pass would act on anything.

    It looks at just what a pass looks at, or the loop would spin [WP-23].

    Config (a resume), done records, and work items up to the wake-up: work due only now is not
    enough, a delayed one may have been enqueued.
    """
    ports = hold.ports
    config = configure.in_force(ports.store, ports.telemetry, hold.pool)
    if (0 if config is None else config.version) != config_version:
        return True
    now = ports.clock.now()
    high = None if decision.wake_at is None else id_floor(decision.wake_at)
    taken = Taken(hold.entries, frozenset(key.work_id for key in hold.memory.unconfirmed), config)
    for shard, mark in enumerate(hold.ledger.shards):
        reports = read_notices(
            ports.store, ports.telemetry, hold.pool, shard, deep_low(mark.done_cursor)
        )
        settled = settle(hold.entries, reports.records)
        if settled.gone or any(
            hold.memory.checked.get(key) != at for key, at in settled.asked.items()
        ):
            return True
        held = {owed.work_id: owed for owed in hold.memory.callbacks}
        room = limits.CALLBACKS_OWED_MAX - len(held)
        if newly_owed(
            reports.records, held, (), cursor=mark.done_cursor, room=room, now=now
        ).is_something:
            return True
        if decision.saturated:
            continue
        low = deep_low(mark.work_cursor, mark.deep_at)
        if live_in(
            ports.store, ports.telemetry, hold.pool, shard, low, high=high, taken=taken, now=now
        ):
            return True
    return False


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
    """Pass on to a fresh invocation under the next generation, before Lambda ends this one.

    Raises Fenced: another one runs already.
    """
    generation = hold.generation + 1
    lease_until = EpochMs(hold.ports.clock.now() + limits.LEASE_MS)
    hold.write_status(
        {"generation": generation, "lease_until": lease_until}, expected=LoopState.RUNNING
    )
    hold.ports.telemetry.emit(events.HandedOver(pool=hold.pool, generation=generation))
    invoke_loop(hold.ports, hold.pool, generation, reason="hand_over")
