"""Keeps the late rule.

A producer proves by the server's clock that its key was visible in time, or writes it again nearer
to now. The loop's cursors depend on it: every acknowledged write lies inside the buffer of a deep
read, whatever its producer's retries, freezes or clock (docs/protocol.md, "Why a time cursor is
safe") [WP-3].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, WorkId, make_id, shard_of
from workpool_aws.model.schedule import Tick
from workpool_aws.model.work import Pointer, State, WorkItem
from workpool_aws.model.writes import Put, Written

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.ports import Ports

__all__ = [
    "ensure_visible",
    "make_pointer",
    "make_tick",
    "notify_schedule",
    "prove_tick_in_time",
    "prove_work_in_time",
    "put_pointer",
    "put_tick",
]


def ensure_visible(
    ports: Ports, written: Written, key_time: EpochMs, again: Callable[[EpochMs], Written]
) -> None:
    """Writes again at the server's time while the answer is too late for the key."""
    while True:
        # No Date in the answer: this process's own clock is the next best witness.
        server_time = written.server_time if written.server_time is not None else ports.clock.now()
        if server_time - key_time <= limits.LATE_MS:
            return
        key_time = server_time
        written = again(key_time)


def prove_work_in_time(
    ports: Ports, written: Written, pool: str, work_id: WorkId, key_time: EpochMs
) -> None:
    """Applies the late rule to a work item, by a further pointer at the server's time."""
    ensure_visible(ports, written, key_time, lambda at: _write_pointer(ports, pool, work_id, at))


def put_pointer(ports: Ports, pool: str, work_id: WorkId, at: EpochMs) -> None:
    """Has the loop read this work item again at this time, in the shard that every loop reads."""
    prove_work_in_time(ports, _write_pointer(ports, pool, work_id, at), pool, work_id, at)


def _write_pointer(ports: Ports, pool: str, work_id: WorkId, at: EpochMs) -> Written:
    at_key = make_id(at, random_bits=ports.entropy.bits(75))
    return ports.store.write(Put(Pointer(pool=pool, at=at_key, work_id=work_id)))


def put_tick(ports: Ports, pool: str, name: str, at: EpochMs) -> None:
    """Has the loop look at a schedule at this time."""
    prove_tick_in_time(ports, _write_tick(ports, pool, name, at), pool, name, at)


def prove_tick_in_time(
    ports: Ports, written: Written, pool: str, name: str, key_time: EpochMs
) -> None:
    """Applies the late rule to a tick, by a further one at the server's time."""
    ensure_visible(ports, written, key_time, lambda at: _write_tick(ports, pool, name, at))


def notify_schedule(ports: Ports, work: WorkItem) -> None:
    """Has the loop look at the schedule that may await the end of this work item, if it is over."""
    if work.spec.awaited and work.spec.schedule is not None and work.state is State.FINISHED:
        put_tick(ports, work.pool, work.spec.schedule, ports.clock.now())


def make_tick(ports: Ports, pool: str, name: str, at: EpochMs) -> Tick:
    """Returns a tick of a schedule at this time, under a key of its own."""
    return Tick(pool=pool, at=make_id(at, random_bits=ports.entropy.bits(75)), name=name)


def _write_tick(ports: Ports, pool: str, name: str, at: EpochMs) -> Written:
    return ports.store.write(Put(make_tick(ports, pool, name, at)))


def make_pointer(pool: str, work_id: WorkId, at: EpochMs, *, random_bits: int) -> Pointer:
    """Returns a pointer to this work item at this time, on the work item's own shard.

    The loop must read that shard, as it does while a start of the work item is in flight.
    """
    return Pointer(
        pool=pool, at=make_id(at, random_bits=random_bits, shard=shard_of(work_id)), work_id=work_id
    )
