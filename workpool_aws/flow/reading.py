"""Reads what a pass decides on: notices, and due work items."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.choose import WorkRead, page_limit_after
from workpool_aws.core.loop.gather import gather
from workpool_aws.core.loop.settle import Notices
from workpool_aws.core.loop.start import Look, Taken, classify
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, WorkId, is_ulid
from workpool_aws.model.loop import Notice
from workpool_aws.model.names import POOL
from workpool_aws.model.refs import (
    Collection,
    KeyRange,
    Row,
    Unreadable,
    WorkRef,
)
from workpool_aws.model.work import Pointer, WorkItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from workpool_aws.model.loop import EntryKey
    from workpool_aws.ports import Ports, Store, Telemetry

__all__ = [
    "due_in",
    "live_in",
    "load_works",
    "pages",
    "read_notices",
    "read_works",
    "registered_pools",
    "resolved",
    "work_range",
    "works_of",
]


def read_notices(store: Store, telemetry: Telemetry, pool: str, shard: int, low: str) -> Notices:
    """Returns every notice of a shard from `low` on."""
    rows = list(
        _rows(store, telemetry, KeyRange(shelf=Collection.DONE, pool=pool, shard=shard, low=low))
    )
    return Notices(
        tuple(row.record for row in rows if isinstance(row.record, Notice)),
        tuple(row.sort for row in rows),
    )


def read_works(
    store: Store,
    telemetry: Telemetry,
    span: KeyRange,
    *,
    free: int,
    taken: Taken,
    now: EpochMs,
    lookahead: int | None = limits.LOOKAHEAD_ROWS_MAX,
) -> WorkRead:
    """Reads due work items from the beginning of a work range, as `gather` needs them."""
    page = replace(span, limit=max(limits.QUERY_LIMIT_MIN, free + 1))
    rows = resolved(store, telemetry, page)
    return gather(rows, taken, free=free, now=now, lookahead=lookahead)


def works_of(store: Store, pool: str, keys: Iterable[EntryKey]) -> Mapping[WorkId, WorkItem]:
    """Returns the work items of entries, without those that are gone or damaged.

    Raises StoreUnavailable.
    """
    refs = list(dict.fromkeys(WorkRef(pool, key.work_id) for key in keys))
    found = store.get_many(refs) if refs else {}
    return {record.id: record for record in found.values() if isinstance(record, WorkItem)}


def live_in(
    store: Store, telemetry: Telemetry, span: KeyRange, *, taken: Taken, now: EpochMs
) -> bool:
    """True if a pass would start a work item of the range, now or later.

    The range ends before `span.high`: a loop that rests until then would find the row that it waits
    for.
    """
    return any(
        isinstance(work, WorkItem)
        and row.sort != span.high
        and classify(row.sort, work, taken=taken, now=now) is not Look.SKIP
        for row, work in resolved(store, telemetry, span)
    )


def due_in(
    store: Store, telemetry: Telemetry, span: KeyRange, *, taken: Taken, now: EpochMs
) -> bool:
    """True if a pass would start or cancel a work item of the range now."""
    read = read_works(store, telemetry, span, free=0, taken=taken, now=now)
    return bool(read.due or read.bulk_canceled)


def work_range(pool: str, shard: int, low: str, *, high: str | None = None) -> KeyRange:
    """Returns the range of a shard's work items and pointers from `low` on, up to `high`."""
    return KeyRange(shelf=Collection.WORK, pool=pool, shard=shard, low=low, high=high)


def resolved(
    store: Store, telemetry: Telemetry, span: KeyRange
) -> Iterator[tuple[Row, WorkItem | Unreadable | None]]:
    """Yields each row with the work item that it is or points at.

    The pointers of a page take one request. `None` means that the work item is gone.
    """
    for page in _growing_pages(store, telemetry, span):
        pointed = [
            WorkRef(span.pool, row.record.work_id)
            for row in page
            if isinstance(row.record, Pointer)
        ]
        found = store.get_many(list(dict.fromkeys(pointed))) if pointed else {}
        for row in page:
            if isinstance(row.record, WorkItem):
                yield row, row.record
            elif isinstance(row.record, Pointer):
                yield row, found.get(WorkRef(span.pool, row.record.work_id))


def _rows(store: Store, telemetry: Telemetry, span: KeyRange) -> Iterator[Row]:
    for page in pages(store, telemetry, span):
        yield from page


def pages(
    store: Store, telemetry: Telemetry, span: KeyRange, *, readable: bool = True
) -> Iterator[list[Row]]:
    """Yields pages of rows.

    A damaged or foreign item is logged, and left out of the `readable` ones. It affects nothing
    else [WP-12].
    """
    return _pages(store, telemetry, span, grow=_same, readable=readable)


def registered_pools(store: Store, telemetry: Telemetry) -> Iterator[str]:
    """Yields every pool of the table that ever had a work item.

    It reads the keys of the rows, since the rest of a row may be damaged.
    """
    for page in pages(store, telemetry, KeyRange(shelf=Collection.REGISTRY), readable=False):
        yield from (row.sort for row in page if POOL.fullmatch(row.sort))


def _growing_pages(store: Store, telemetry: Telemetry, span: KeyRange) -> Iterator[list[Row]]:
    return _pages(store, telemetry, span, grow=page_limit_after, readable=True)


def _same(limit: int | None) -> int | None:
    return limit


def _pages(
    store: Store,
    telemetry: Telemetry,
    span: KeyRange,
    *,
    grow: Callable[[int | None], int | None],
    readable: bool,
) -> Iterator[list[Row]]:
    while True:
        page = store.query(span)
        for row in page.rows:
            if isinstance(row.record, Unreadable):
                bad = row.record
                telemetry.emit(
                    events.SetAside(
                        pool=span.pool, partition=bad.partition, sort=bad.sort, reason=bad.reason
                    )
                )
        yield [row for row in page.rows if not readable or not isinstance(row.record, Unreadable)]
        if page.next_low is not None:
            span = replace(span, low=page.next_low, limit=grow(span.limit))
        elif page.next_high is not None:
            span = replace(span, high=page.next_high, limit=grow(span.limit))
        else:
            return


def load_works(ports: Ports, pool: str, ids: Sequence[str]) -> list[WorkItem | None]:
    """Returns the work items of these ids, in order.

    `None` stands for one that is unknown, past its retention, or damaged. DynamoDB deletes expired
    items days later, so expired ones are filtered here by time.
    """
    refs = list(
        dict.fromkeys(WorkRef(pool, WorkId(work_id)) for work_id in ids if is_ulid(work_id))
    )
    if not refs:
        return [None] * len(ids)
    found = {refs[0]: ports.store.get(refs[0])} if len(refs) == 1 else ports.store.get_many(refs)
    now_s = ports.clock.now() / 1000
    kept: dict[str, WorkItem] = {}
    for ref in refs:
        record = found.get(ref)
        if isinstance(record, Unreadable):
            ports.telemetry.emit(
                events.SetAside(
                    pool=pool, partition=record.partition, sort=record.sort, reason=record.reason
                )
            )
        elif record is not None and (record.expires_at is None or record.expires_at > now_s):
            kept[ref.id] = record
    return [kept.get(work_id) for work_id in ids]
