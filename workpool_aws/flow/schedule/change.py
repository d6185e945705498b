"""Makes, changes, pauses, resumes and removes schedules.

The commit point is one transaction: the schedule as a whole, if neither a change nor an occurrence
came since it was read, and a tick at its next occurrence. A caller that dies after it leaves a
resting loop that was not kicked, which the watchdog finds when the tick is due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.schedule.change import (
    Definition,
    as_read,
    defined,
    dropped_by,
    paused,
    resumed,
)
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.pool.kick import kick
from workpool_aws.flow.reading import schedules_of
from workpool_aws.flow.visibility import make_tick, prove_tick_in_time
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, time_of
from workpool_aws.model.refs import ScheduleRef, readable
from workpool_aws.model.writes import IsAbsent, Put
from workpool_aws.ports import ConditionFailed, TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.model.actions import Action
    from workpool_aws.model.schedule import ScheduleItem
    from workpool_aws.model.writes import Written
    from workpool_aws.ports import Ports

__all__ = ["define", "load_schedule", "pause", "remove", "resume", "sync"]

_TRIES = 8
"""A schedule can change while it is changed. Each time it is judged again."""


def load_schedule(ports: Ports, pool: str, name: str) -> ScheduleItem | None:
    """Returns a schedule; `None` means that there is none, or a damaged one."""
    return readable(ports.store.get(ScheduleRef(pool, name)))


def define(ports: Ports, pool: str, name: str, asked: Definition, *, by: str) -> ScheduleItem:
    """Makes a schedule, or changes the one of its name, and returns it as it is then.

    Nothing is written if it is as asked for. Raises StoreUnavailable if it may or may not be
    changed; repeating the call is safe.
    """
    born = ports.entropy.token()

    def decide(old: ScheduleItem | None, now: EpochMs) -> ScheduleItem:
        if old is not None and old.owner != asked.owner:
            ports.telemetry.emit(
                events.ScheduleAlternates(
                    pool=pool, schedule=name, owner=asked.owner, other=old.owner
                )
            )
        return defined(old, asked, pool=pool, name=name, born=born, now=now)

    item = _change(ports, pool, name, decide, change="defined", by=by)
    if item is None:
        raise StoreUnavailable(f"schedule {name!r} kept changing")
    return item


def pause(ports: Ports, pool: str, name: str, *, by: str) -> ScheduleItem | None:
    """Pauses a schedule: when this returns, no further occurrence of it is enqueued.

    `None` means that there is no such schedule. Raises StoreUnavailable, as `define`.
    """
    return _change(
        ports,
        pool,
        name,
        lambda old, now: None if old is None else paused(old, now),
        change="paused",
        by=by,
    )


def resume(ports: Ports, pool: str, name: str, *, by: str) -> ScheduleItem | None:
    """Resumes a schedule from now on. Returns and raises as `pause`."""
    return _change(
        ports,
        pool,
        name,
        lambda old, now: None if old is None else resumed(old, now),
        change="resumed",
        by=by,
    )


def remove(ports: Ports, pool: str, name: str, *, by: str) -> ScheduleItem | None:
    """Removes a schedule, and returns it as it was; `None` means that there was none.

    No late occurrence brings it back, since an update never creates an item.
    """
    old = load_schedule(ports, pool, name)
    ports.store.delete(ScheduleRef(pool, name))
    if old is not None:
        _report(ports, pool, name, "removed", by)
    return old


def sync(
    ports: Ports, pool: str, asked: Mapping[str, Definition], *, owner: str, by: str
) -> list[ScheduleItem]:
    """Makes the schedules of an owner those that are asked for, and removes its others.

    Schedules of other owners stay as they are. Raises StoreUnavailable: some may be as asked for;
    repeating the call is safe.
    """
    found = [define(ports, pool, name, each, by=by) for name, each in asked.items()]
    for item in list(schedules_of(ports.store, ports.telemetry, pool)):
        if item.owner == owner and item.name not in asked:
            remove(ports, pool, item.name, by=by)
    return found


def _change(
    ports: Ports,
    pool: str,
    name: str,
    decide: Callable[[ScheduleItem | None, EpochMs], ScheduleItem | None],
    *,
    change: str,
    by: str,
) -> ScheduleItem | None:
    for _ in range(_TRIES):
        now, found = ports.clock.now(), ports.store.get(ScheduleRef(pool, name))
        old = readable(found)
        new = decide(old, now)
        if new is None or new == old:
            return new
        # One that is damaged has no fields to compare: it is replaced as a whole.
        condition = as_read(old) if old is not None else IsAbsent() if found is None else None
        if not _commit(ports, Put(new, condition), old, new, now):
            continue
        _report(ports, pool, name, change, by)
        if new.next_at is not None and not new.paused:
            kick(ports, pool, KickReason.ENQUEUE, due=new.next_at)
        return new
    raise StoreUnavailable(f"schedule {name!r} kept changing")


def _commit(
    ports: Ports, put: Put, old: ScheduleItem | None, new: ScheduleItem, now: EpochMs
) -> bool:
    actions: list[Action] = [put]
    tick = None
    if new.next_at is not None and not new.paused:
        tick = make_tick(ports, new.pool, new.name, EpochMs(max(new.next_at, now)))
        actions.append(Put(tick))
    try:
        written = ports.store.transact(actions)
    except TransactionFailed:
        return False
    if tick is not None:
        prove_tick_in_time(ports, written, tick.pool, tick.name, time_of(tick.at))
    if old is not None:
        _count_dropped(ports, old, new, written, now)
    return True


def _count_dropped(
    ports: Ports, old: ScheduleItem, new: ScheduleItem, written: Written, decided_at: EpochMs
) -> None:
    known = written.server_time is not None
    answered = written.server_time if written.server_time is not None else ports.clock.now()
    landed_at = EpochMs(answered + (limits.DATE_RESOLUTION_MS if known else 0))
    dropped = dropped_by(old, new, decided_at=decided_at, landed_at=landed_at)
    if dropped is None:
        return
    try:
        ports.store.write(dropped)
    except ConditionFailed:
        return  # removed meanwhile, with its counts


def _report(ports: Ports, pool: str, name: str, change: str, by: str) -> None:
    changed = events.ScheduleChanged(pool=pool, schedule=name, change=change, by=by)
    ports.telemetry.emit(changed)
