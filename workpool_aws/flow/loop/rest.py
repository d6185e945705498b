"""Puts the loop to rest, and hands over before its Lambda's end.

Going to rest is a race with every producer. A producer writes its work item and then reads the
status. The loop writes its status and then reads the work items, so one of the two sees the other.
The loop must therefore write that it rests, *then* read again [WP-22, WP-24].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.callbacks import newly_owed, next_at
from workpool_aws.core.loop.classify import Taken
from workpool_aws.core.loop.groups import end_is_uncounted
from workpool_aws.core.loop.rest import Rest, decide_rest
from workpool_aws.core.loop.settle import deep_low, settle
from workpool_aws.flow.loop.choose import live_in, read_works
from workpool_aws.flow.loop.session import change_status
from workpool_aws.flow.loop.shards import read_fewer_at_rest
from workpool_aws.flow.pool import configure
from workpool_aws.flow.pool.kick import invoke_loop
from workpool_aws.flow.reading import read_notices, work_range
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import LoopState
from workpool_aws.ports import TimerUnavailable
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.core.loop.pace import PassResult
    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.model.loop import Config
    from workpool_aws.ports import Ports

__all__ = ["hand_over", "rest", "write_next"]


def rest(session: LoopSession, done: PassResult) -> bool:
    """Rests after a pass that left nothing to do, then looks again.

    True means that there is something to do after all. The loop goes on then, under the next
    generation if the status already said that it rests. Raises Fenced, StoreUnavailable.
    """
    return _Resting(session, done).rest(session.ports.clock.now())


@dataclass(frozen=True, slots=True)
class _Resting:
    """One attempt of a session to rest after a pass."""

    session: LoopSession
    done: PassResult

    def rest(self, now: EpochMs) -> bool:
        """Rests, unless there is something to do. True means that there is."""
        session, done = self.session, self.done
        decision = decide_rest(
            session.entries,
            self._next_due(now) if done.cut else done.next_start,
            free=done.free,
            now=now,
            callback_at=next_at(session.memory.callbacks),
            starved=done.token_at is not None,
        )
        if decision is None:
            return True
        changes: dict[str, object] = {
            "state": decision.state,
            "wake_at": decision.wake_at,
            "saturated": decision.saturated,
            **session.left_behind(),
        }
        if session.memory.shards > 1:
            changes["shards"] = 1
        if decision.timer_at is not None:
            # Ordered before the status says so. A crash between leaves a wake too many, never one
            # too few.
            self._order_timer(wake_at=decision.timer_at)
            changes["timer_at"] = decision.timer_at
        status = session.write_status(changes, expected=LoopState.RUNNING)
        session.memory = replace(session.memory, shards=status.shards)
        ordered = status.timer_at is not None and status.timer_at > now
        if decision.state is LoopState.IDLE and ordered:
            self._order_timer(wake_at=None)
        if self._something_there(decision):
            self._take_back(decision)
            return True
        read_fewer_at_rest(session, decision.state, now)
        self._report(decision)
        return False

    def _next_due(self, now: EpochMs) -> EpochMs | None:
        """Returns the next due time, however many rows of canceled work items lie before it.

        No pass has looked that far, and a pool must not wake for those [WP-22].
        """
        session = self.session
        taken = self._taken(session.memory.config)
        store, telemetry = session.ports.store, session.ports.telemetry
        earliest: list[EpochMs | None] = []
        for shard, mark in enumerate(session.memory.marks):
            low = deep_low(mark.work_cursor, mark.deep_at)
            key_range = work_range(session.pool, shard, low)
            read = read_works(
                store, telemetry, key_range, free=0, taken=taken, now=now, lookahead=None
            )
            earliest.append(now if read.is_something else read.next_due)
        return min((at for at in earliest if at is not None), default=None)

    def _taken(self, config: Config | None) -> Taken:
        doubtful = frozenset(key.work_id for key in self.session.memory.unconfirmed)
        return Taken(self.session.entries, doubtful, config)

    def _order_timer(self, *, wake_at: EpochMs | None) -> None:
        """Orders the far wake; `None` means that none is wanted. Only latency depends on it."""
        pool, ports = self.session.pool, self.session.ports
        try:
            ports.timer.forget(pool) if wake_at is None else ports.timer.wake_at(pool, wake_at)
        except TimerUnavailable as error:
            ports.telemetry.emit(events.TimerFailed(pool=pool, error=str(error)))

    def _something_there(self, decision: Rest) -> bool:
        """True if a pass would act on anything.

        It looks at just what a pass looks at, or the loop would spin [WP-23]: config (a resume),
        notices, and work items up to the wake-up. Work due only now is not enough, since a delayed
        one may have been enqueued.
        """
        ports, pool = self.session.ports, self.session.pool
        config = configure.in_force(ports.store, ports.telemetry, pool)
        if (0 if config is None else config.version) != self.done.config_version:
            return True
        now, taken = ports.clock.now(), self._taken(config)
        return any(
            self._notices_there(shard, now)
            or (not decision.saturated and self._works_there(shard, decision.wake_at, taken, now))
            for shard in range(self.session.memory.shards_read)
        )

    def _notices_there(self, shard: int, now: EpochMs) -> bool:
        """True if a notice of this shard frees a slot, asks for a check, or awaits the loop."""
        ports, memory, pool = self.session.ports, self.session.memory, self.session.pool
        mark = self.session.memory.marks[shard]
        low = deep_low(mark.done_cursor)
        notices = read_notices(ports.store, ports.telemetry, pool, shard, low)
        settled = settle(self.session.entries, notices.records)
        if settled.gone or any(memory.checked.get(key) != at for key, at in settled.asked.items()):
            return True
        if end_is_uncounted(notices.records):
            return True
        held = {owed.work_id: owed for owed in memory.callbacks}
        room = limits.CALLBACKS_OWED_MAX - len(held)
        owed = newly_owed(notices.records, held, (), cursor=mark.done_cursor, room=room, now=now)
        return owed.is_something

    def _works_there(self, shard: int, wake_at: EpochMs | None, taken: Taken, now: EpochMs) -> bool:
        """True if a work item of this shard is to start before the wake-up; `None` means ever."""
        ports, mark = self.session.ports, self.session.memory.marks[shard]
        low = deep_low(mark.work_cursor, mark.deep_at)
        high = None if wake_at is None else id_floor(wake_at)
        key_range = work_range(self.session.pool, shard, low, high=high)
        return live_in(ports.store, ports.telemetry, key_range, taken=taken, now=now)

    def _take_back(self, decision: Rest) -> None:
        session = self.session
        lease_until = EpochMs(session.ports.clock.now() + limits.LEASE_MS)
        changes: dict[str, object] = {
            "state": LoopState.RUNNING,
            "generation": session.generation + 1,
            "lease_until": lease_until,
        }
        session.write_status(changes, expected=decision.state)
        session.lease_until = lease_until
        session.next_generation()

    def _report(self, decision: Rest) -> None:
        session, wake_at = self.session, decision.wake_at
        event = events.LoopRested(
            pool=session.pool,
            generation=session.generation,
            state=decision.state,
            wake_in_ms=None if wake_at is None else wake_at - session.ports.clock.now(),
            saturated=decision.saturated,
            passes=session.passes,
            set_aside=session.damage.set_aside,
        )
        session.ports.telemetry.emit(event)


def hand_over(session: LoopSession) -> None:
    """Hands over to a fresh invocation of the next generation, before Lambda ends this one.

    Raises Fenced if another one runs already.
    """
    ports, pool = session.ports, session.pool
    generation = write_next(ports, pool, session.generation, session.left_behind())
    invoke_loop(ports, pool, generation, reason="hand_over")


def write_next(ports: Ports, pool: str, generation: int, left_behind: Mapping[str, object]) -> int:
    """Gives the lease to the next generation, and returns that. Its loop is to be invoked.

    Raises Fenced, StoreUnavailable.
    """
    following = generation + 1
    lease_until = EpochMs(ports.clock.now() + limits.LEASE_MS)
    changes = {"generation": following, "lease_until": lease_until, **left_behind}
    change_status(ports, pool, generation, changes, expected=LoopState.RUNNING)
    ports.telemetry.emit(events.HandedOver(pool=pool, generation=following))
    return following
