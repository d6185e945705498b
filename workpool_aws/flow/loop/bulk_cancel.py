"""Drains: cancels what `cancel_all` called off, a page a pass, due or not, with or without a free slot.

Each work item is canceled as a caller would cancel it (`flow/work/cancel.py`), so nothing here
needs the ledger: a loop that dies in the middle leaves less to do to the next one, which begins
anew.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.work.bulk_cancel import (
    BulkCancel,
    after_read,
    drain_to_make,
    is_bulk_canceled,
)
from workpool_aws.flow.loop.recover import works_of
from workpool_aws.flow.reading import resolved
from workpool_aws.flow.work.cancel import cancel_called_off
from workpool_aws.model import events
from workpool_aws.model.refs import Collection, KeyRange, PointerRef, key_after
from workpool_aws.model.work import Pointer, State, WorkItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.loop import Config

__all__ = ["cancel_works", "drain"]


def drain(hold: LoopSession, config: Config | None) -> BulkCancel | None:
    """Cancel the next page of what is called off; how far that came, `None` means nothing is.

    Raises StoreUnavailable: to be tried again.
    """
    under_way = drain_to_make(hold.memory.bulk_cancel, config, hold.ledger)
    hold.memory = replace(hold.memory, bulk_cancel=under_way)
    if under_way is None:
        return None
    # Each step is remembered at once. A pass that fails further on does not make it again.
    if not under_way.seen_running:
        in_flight = works_of(hold.ports.store, hold.pool, hold.entries).values()
        off = [work for work in in_flight if is_bulk_canceled(work, config)]
        cancel_works(hold, off, config)
        under_way = replace(under_way, seen_running=True)
        hold.memory = replace(hold.memory, bulk_cancel=under_way)
    shard = under_way.next_shard
    if shard is not None:
        under_way = _drain_page(hold, under_way, shard, config)
        hold.memory = replace(hold.memory, bulk_cancel=under_way)
    return under_way


def _drain_page(
    hold: LoopSession, under_way: BulkCancel, shard: int, config: Config | None
) -> BulkCancel:
    ports = hold.ports
    rows_max = limits.DRAIN_ROWS
    span = KeyRange(
        shelf=Collection.WORK,
        pool=hold.pool,
        shard=shard,
        low=under_way.lows[shard] or "",
        limit=rows_max,
    )
    rows = list(islice(resolved(ports.store, ports.telemetry, hold.pool, span), rows_max))
    found = {
        work.id: work
        for _, work in rows
        if isinstance(work, WorkItem) and is_bulk_canceled(work, config)
    }
    pending = [work for work in found.values() if work.state is State.PENDING]
    canceled = cancel_works(hold, pending, config)
    # Their pointers lead nowhere now, and have no time to live: a far one would lie there for as
    # long as the pool has nothing else to do.
    over = canceled | {
        work.id for _, work in rows if isinstance(work, WorkItem) and work.state is State.FINISHED
    }
    spent = [
        row.record
        for row, _ in rows
        if isinstance(row.record, Pointer) and row.record.work_id in over
    ]
    ports.fan_out(lambda pointer: ports.store.delete(PointerRef(pointer.pool, pointer.at)), spent)
    return after_read(
        under_way, shard, key_after(rows[-1][0].sort) if len(rows) == rows_max else None
    )


def cancel_works(
    hold: LoopSession, works: Sequence[WorkItem], config: Config | None
) -> frozenset[WorkId]:
    """Cancel these, or ask those that run; those that this ended.

    Raises StoreUnavailable: some may not be.
    """
    if not works or config is None:
        return frozenset()
    answers = hold.ports.fan_out(lambda work: cancel_called_off(hold.ports, work, config), works)
    hold.ports.telemetry.emit(
        events.Drained(
            pool=hold.pool, generation=hold.generation, canceled=sum(answers), met=len(works)
        )
    )
    return frozenset(work.id for work, ended in zip(works, answers, strict=True) if ended)
