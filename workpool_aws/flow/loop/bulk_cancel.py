"""Cancels the work items that a `cancel_all` covers, a page a pass, due or not.

It needs no free slot. Each work item is canceled as a caller would cancel it
(`flow/work/cancel.py`), so nothing here needs the ledger. A loop that dies in the middle leaves
less to do to the next one, which starts over.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.bulk_cancel import (
    BulkCancel,
    after_read,
    bulk_cancel_to_make,
    pending_among,
    pointers_to_ended,
)
from workpool_aws.core.work.bulk_cancel import is_bulk_canceled
from workpool_aws.flow.reading import resolved, works_of
from workpool_aws.flow.work.cancel import cancel_called_off
from workpool_aws.model import events
from workpool_aws.model.refs import Collection, KeyRange, key_after
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.loop import Config
    from workpool_aws.model.work import WorkItem

__all__ = ["cancel_next_page", "cancel_works"]


def cancel_next_page(session: LoopSession, config: Config | None) -> BulkCancel | None:
    """Cancels the next page of a bulk cancel, and returns its progress; `None` means there is none.

    Raises StoreUnavailable: some are canceled, and the next pass goes on from there.
    """
    under_way = bulk_cancel_to_make(session.memory.bulk_cancel, config, session.ledger)
    if under_way is not session.memory.bulk_cancel:
        session.memory = replace(session.memory, bulk_cancel=under_way)
    if under_way is None:
        return None
    # Each step is remembered at once. A pass that fails further on does not make it again.
    if not under_way.seen_running:
        in_flight = works_of(session.ports.store, session.pool, session.entries).values()
        off = [work for work in in_flight if is_bulk_canceled(work, config)]
        ended = cancel_works(session, off, config)
        under_way = replace(under_way, seen_running=True)
        # Those that no worker had begun: their entries go when they are checked.
        over = {key for key in session.entries if key.work_id in ended}
        session.memory = replace(
            session.memory, bulk_cancel=under_way, unconfirmed=session.memory.unconfirmed | over
        )
    shard = under_way.next_shard
    if shard is not None:
        under_way = _cancel_page(session, under_way, shard, config)
        session.memory = replace(session.memory, bulk_cancel=under_way)
    return under_way


def _cancel_page(
    session: LoopSession, under_way: BulkCancel, shard: int, config: Config | None
) -> BulkCancel:
    ports = session.ports
    key_range = KeyRange(
        collection=Collection.WORK,
        pool=session.pool,
        shard=shard,
        low=under_way.lows[shard] or "",
        limit=limits.BULK_CANCEL_ROWS,
    )
    rows = list(islice(resolved(ports.store, ports.telemetry, key_range), limits.BULK_CANCEL_ROWS))
    canceled = cancel_works(session, pending_among(rows, config), config)
    ports.fan_out(ports.store.delete, pointers_to_ended(rows, canceled))
    more = len(rows) == limits.BULK_CANCEL_ROWS
    return after_read(under_way, shard, key_after(rows[-1][0].sort) if more else None)


def cancel_works(
    session: LoopSession, works: Sequence[WorkItem], config: Config | None
) -> frozenset[WorkId]:
    """Cancels pending work items, and asks running ones to stop; returns those that it ended.

    Raises StoreUnavailable: some may not be canceled.
    """
    if not works or config is None:
        return frozenset()
    answers = session.ports.fan_out(
        lambda work: cancel_called_off(session.ports, work, config), works
    )
    session.ports.telemetry.emit(
        events.Drained(
            pool=session.pool, generation=session.generation, canceled=sum(answers), met=len(works)
        )
    )
    return frozenset(work.id for work, ended in zip(works, answers, strict=True) if ended)
