"""Raises and lowers the number of shards of a pool [WP-42].

The status has two numbers: the shards into which producers put new work items, and those that the
loop and the watchdog read. A producer may go by an old number. It reads the status after its put,
as the late rule has it, and points from shard 0 at a work item that it put beyond the first number.

| step | order | a crash in between |
|---|---|---|
| more shards | their cursors in the ledger, then both numbers in the status | cursors that no one needs |
| fewer for producers | the first number, alone | the others are read on |
| fewer to read | a look at what is left there, after the write of the first number | they are read on |
| a start beyond | the second number, then the commit that has the start | a shard is read that is empty |
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from workpool_aws.core.loop.classify import Taken
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.loop.shards import shards_named, shards_wanted
from workpool_aws.flow.loop.choose import live_in
from workpool_aws.flow.loop.session import Fenced
from workpool_aws.flow.reading import read_notices, work_range
from workpool_aws.model import events
from workpool_aws.model.loop import LoopState
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.core.loop.choose import Choice, Found
    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.model.ids import EpochMs

__all__ = ["read_fewer_at_rest", "read_shards_of", "tend_shards"]


def read_shards_of(session: LoopSession, choice: Choice) -> bool:
    """Has every loop read the shards of these starts, before the ledger has them.

    Their notices and the pointers of their retries lie there. False means that the pass must be made
    again: it was to take the ledger with its commit, and has taken it instead. Two deliveries of one
    generation may be in their first pass, and only the holder may change the shards [WP-42].

    Raises Fenced, StoreUnavailable.
    """
    named = shards_named(found.work.id for found in choice.chosen)
    if named <= session.memory.shards_read:
        return True
    if not session.held:
        session.take()
        return False
    _write(session, session.memory.shards, named)
    return True


def tend_shards(session: LoopSession, chosen: Sequence[Found], now: EpochMs) -> None:
    """Counts the starts of a pass, and changes the number of shards when their rate asks for it.

    Raises Fenced, StoreUnavailable: the shards are as they were, or as they are to be.
    """
    memory = session.memory
    counted = memory.load.having_started([found.work for found in chosen], now)
    load, wanted = shards_wanted(counted, memory.shards, now)
    is_over = load.since != memory.load.since
    if load is not memory.load:
        session.memory = replace(memory, load=load)
    if wanted > memory.shards:
        session.memory = replace(session.memory, shards_read=max(wanted, memory.shards_read))
        marks, before = session.memory.marks, session.ledger.shards
        # Shards at rest beyond these keep their cursors, by which all else finds what lies there.
        if session.commit(replace(session.ledger, shards=(*marks, *before[len(marks) :]))):
            _write(session, wanted, session.memory.shards_read)
        else:
            session.memory = replace(session.memory, shards_read=memory.shards_read)
    elif wanted < memory.shards:
        _write(session, wanted, memory.shards_read)
    elif is_over and _may_read_fewer(session, now):
        _write(session, wanted, wanted)


def read_fewer_at_rest(session: LoopSession, state: LoopState, now: EpochMs) -> None:
    """Lowers the number of shards that are read, if the others have nothing left.

    A producer that has kicked since keeps it as it is.
    """
    if _may_read_fewer(session, now):
        with suppress(Fenced):
            _write(session, session.memory.shards, session.memory.shards, expected=state)


def _may_read_fewer(session: LoopSession, now: EpochMs) -> bool:
    """True if shards that are read have nothing for a loop, now or later, and get nothing new.

    The status has said for some time that producers leave them alone.
    """
    memory, ports, pool = session.memory, session.ports, session.pool
    if memory.shards_read <= memory.shards or memory.bulk_cancel is not None:
        return False
    named = [*(key.work_id for key in memory.entries), *(owed.work_id for owed in memory.callbacks)]
    if shards_named(named) > memory.shards:
        return False
    taken = Taken((), (), memory.config)
    for shard in range(memory.shards, memory.shards_read):
        mark = memory.marks[shard]
        works = work_range(pool, shard, deep_low(mark.work_cursor, mark.deep_at))
        if live_in(ports.store, ports.telemetry, works, taken=taken, now=now):
            return False
        low = deep_low(mark.done_cursor)
        notices = read_notices(ports.store, ports.telemetry, pool, shard, low).records
        if any(notice.callback is not None for notice in notices):
            return False
    return True


def _write(
    session: LoopSession, shards: int, read: int, *, expected: LoopState = LoopState.RUNNING
) -> None:
    session.write_status({"shards": shards, "shards_read": read}, expected=expected)
    session.memory = replace(session.memory, shards=shards, shards_read=read)
    session.ports.telemetry.emit(
        events.ShardsChanged(
            pool=session.pool, generation=session.generation, shards=shards, read=read
        )
    )
