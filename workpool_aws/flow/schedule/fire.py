"""Enqueues the occurrences of schedules that are due, in a pass of the loop.

The commit point is one transaction for each schedule: its next occurrence, the work items and the
next tick. A crash before it leaves the tick, and one after it leaves a tick that finds nothing due.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.proof import start_permit
from workpool_aws.core.schedule.fire import Fire, decide_fire
from workpool_aws.flow.pool.configure import in_force
from workpool_aws.flow.visibility import (
    make_pointer,
    make_tick,
    prove_tick_in_time,
    prove_work_in_time,
)
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, time_of
from workpool_aws.model.refs import ScheduleRef, TickRef, Unreadable, WorkRef, readable
from workpool_aws.model.writes import IsAbsent, Put
from workpool_aws.ports import TransactionFailed
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workpool_aws.flow.work.arrange import KeyTaken
    from workpool_aws.model.actions import Action
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.schedule import ScheduleItem, Tick
    from workpool_aws.model.work import Pointer, WorkItem
    from workpool_aws.model.writes import Written
    from workpool_aws.ports import Ports

    TakeKey = Callable[[Ports, WorkItem, int], KeyTaken | WorkId | None]

__all__ = ["fire_schedules"]


def fire_schedules(ports: Ports, pool: str, ticks: Sequence[Tick], take_key: TakeKey) -> None:
    """Looks at the schedule of each tick, and removes the ticks of those that were looked at [WP-26].

    `take_key`: as that of `flow/work/arrange.py`. Several ticks of one schedule are one look. Raises
    StoreUnavailable: a tick that is left is met again by the next pass.
    """
    if not ticks:
        return
    config = in_force(ports.store, ports.telemetry, pool)
    epoch = 0 if config is None else config.epoch
    earliest: dict[str, Tick] = {}
    for tick in ticks:
        earliest.setdefault(tick.name, tick)
    looked = ports.fan_out(
        lambda tick: _look(ports, tick, epoch, take_key), list(earliest.values())
    )
    over = {name for name, done in zip(earliest, looked, strict=True) if done}
    spent = [TickRef(pool, tick.at) for tick in ticks if tick.name in over]
    ports.fan_out(ports.store.delete, spent)


def _look(ports: Ports, tick: Tick, epoch: int, take_key: TakeKey) -> bool:
    """Enqueues what is due of a schedule. False means that another look must follow."""
    found = ports.store.get(ScheduleRef(tick.pool, tick.name))
    if isinstance(found, Unreadable):
        bad = events.SetAside(
            pool=tick.pool, partition=found.partition, sort=found.sort, reason=found.reason
        )
        ports.telemetry.emit(bad)
    item = readable(found)
    if item is None:
        return True  # removed; or damaged, and the hourly audit looks again once it is repaired
    last = None
    if item.last_work is not None:
        last = readable(ports.store.get(WorkRef(item.pool, item.last_work)))
    now = ports.clock.now()
    at_most = None if item.spec.unique is None else 1
    fire = decide_fire(item, last, now=now, epoch=epoch, at_most=at_most)
    key = take_key(ports, fire.works[0], epoch) if fire is not None and fire.works else None
    if isinstance(key, str):  # a work item holds the key of the schedule
        fire, key = decide_fire(item, last, now=now, epoch=epoch, at_most=0), None
    return fire is None or _Firing(ports, item, time_of(tick.at), now, key).carry_out(fire)


@dataclass(frozen=True, slots=True)
class _Firing:
    """The fire of a schedule, judged at `now`. `seen_from`: time from which the next pass reads.

    `key`: by which the occurrence takes its unique key; `None` means that it has none to take.
    """

    ports: Ports
    item: ScheduleItem
    seen_from: EpochMs
    now: EpochMs
    key: KeyTaken | None

    def carry_out(self, fire: Fire) -> bool:
        """Writes the transaction. False means that the schedule, or an occurrence, is not as read.

        An occurrence that is there already is left out of a second try.
        """
        try:
            self._transact(fire)
        except TransactionFailed as met:
            there = met.failed[1 : 1 + len(fire.works)]
            if met.failed[0] or not any(there):
                return False
            works = tuple(
                work for work, is_there in zip(fire.works, there, strict=True) if not is_there
            )
            with suppress(TransactionFailed):
                self._transact(replace(fire, works=works))
                return True
            return False
        return True

    def _transact(self, fire: Fire) -> None:
        ports, item, now = self.ports, self.item, self.now
        in_sight = max(self.seen_from, now - limits.SKEW_MS)
        pointers = [
            make_pointer(item.pool, work.id, now, random_bits=ports.entropy.bits(75))
            for work in fire.works
            if work.due_at < in_sight
        ]
        tick = (
            None
            if fire.tick_at is None
            else make_tick(ports, item.pool, item.name, EpochMs(max(fire.tick_at, now)))
        )
        actions: list[Action] = [fire.update]
        actions += [
            Put(replace(work, permit=start_permit(ports.entropy.token())), IsAbsent())
            for work in fire.works
        ]
        actions += [Put(pointer) for pointer in pointers]
        if tick is not None:
            actions.append(Put(tick))
        key = self.key if fire.works else None
        actions += () if key is None else key.actions
        written = ports.store.transact(actions)
        self._prove(written, fire, pointers, tick)
        if key is not None:
            key.follow_up(written)
        self._report(fire)

    def _prove(
        self, written: Written, fire: Fire, pointers: Sequence[Pointer], tick: Tick | None
    ) -> None:
        """Applies the late rule to everything that the loop must find."""
        ports = self.ports
        if tick is not None:
            prove_tick_in_time(ports, written, tick.pool, tick.name, time_of(tick.at))
        for pointer in pointers:
            prove_work_in_time(ports, written, pointer.pool, pointer.work_id, time_of(pointer.at))
        pointed = {pointer.work_id for pointer in pointers}
        for work in fire.works:
            if work.id not in pointed:
                prove_work_in_time(ports, written, work.pool, work.id, time_of(work.id))

    def _report(self, fire: Fire) -> None:
        item, now = self.item, self.now
        for work in fire.works:
            enqueued = events.Enqueued(
                pool=work.pool,
                work_id=work.id,
                target=work.spec.target,
                kind=work.spec.kind,
                delay_ms=max(0, work.due_at - now),
            )
            self.ports.telemetry.emit(enqueued)
        fired = events.ScheduleFired(
            pool=item.pool,
            schedule=item.name,
            enqueued=len(fire.works),
            missed=fire.missed,
            skipped=fire.skipped,
            lag_ms=max(0, now - (item.next_at or now)),
        )
        self.ports.telemetry.emit(fired)
