"""Collects what a pass decides on: done records, and work items that are due. Reads only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.choose import Found, WorkRead, page_limit_after
from workpool_aws.core.loop.settle import Notices
from workpool_aws.core.loop.start import Look, Taken, classify
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, WorkId, is_ulid, time_of
from workpool_aws.model.loop import Notice
from workpool_aws.model.names import POOL
from workpool_aws.model.refs import (
    Collection,
    KeyRange,
    PointerRef,
    Ref,
    Row,
    Unreadable,
    WorkRef,
    readable,
)
from workpool_aws.model.work import Pointer, State, WorkItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

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


def read_works(  # noqa: PLR0913 - where, from when, and how much to read
    store: Store,
    telemetry: Telemetry,
    pool: str,
    shard: int,
    low: str,
    *,
    free: int,
    taken: Taken,
    now: EpochMs,
    lookahead: int | None = limits.LOOKAHEAD_ROWS_MAX,
) -> WorkRead:
    """Due works from `low` on, until one more than `free` was found, or the first that is due later.

    `lookahead`: how many rows of later time may be over before it gives up; `None` means any
    number.
    """
    due: dict[WorkId, Found] = {}
    off: dict[WorkId, Found] = {}
    stale: list[PointerRef] = []
    ahead = 0
    page_limit = max(limits.QUERY_LIMIT_MIN, free + 1)
    for row, found in resolved(
        store,
        telemetry,
        pool,
        KeyRange(shelf=Collection.WORK, pool=pool, shard=shard, low=low, limit=page_limit),
    ):
        work = readable(found)
        if isinstance(row.record, Pointer) and (
            found is None or (work is not None and work.state is State.FINISHED)
        ):
            stale.append(PointerRef(pool, row.sort))
        look = Look.SKIP if work is None else classify(row.sort, work, taken=taken, now=now)
        if work is not None and look is Look.LATER:
            return WorkRead(
                tuple(due.values()),
                EpochMs(max(time_of(row.sort), work.due_at)),
                tuple(stale),
                tuple(off.values()),
            )
        if work is not None and look is Look.DUE:
            due[work.id] = _led_to(due.get(work.id), row, work)
            if len(due) > free:
                break
        elif work is not None and look is Look.CALLED_OFF:
            off.setdefault(work.id, Found(row.sort, work))
            if len(off) >= limits.DRAIN_ROWS:
                break
        elif time_of(row.sort) > now:
            ahead += 1
            if ahead == lookahead:
                return WorkRead(
                    tuple(due.values()),
                    time_of(row.sort),
                    tuple(stale),
                    tuple(off.values()),
                    cut=True,
                )
    return WorkRead(tuple(due.values()), None, tuple(stale), tuple(off.values()))


def _led_to(known: Found | None, row: Row, work: WorkItem) -> Found:
    if known is None:
        return Found(row.sort, work)
    # Never the work item's own row: what is named here is deleted once the work item has started.
    return (
        replace(known, also=(*known.also, PointerRef(work.pool, row.sort)))
        if isinstance(row.record, Pointer)
        else known
    )


def live_in(
    store: Store,
    telemetry: Telemetry,
    pool: str,
    shard: int,
    low: str,
    *,
    high: str | None,
    taken: Taken,
    now: EpochMs,
) -> bool:
    """Say that a pass would start a work item of the range, now or later.

    The range ends before `high`: a loop that rests until then would find the row that it waits for.
    """
    span = KeyRange(shelf=Collection.WORK, pool=pool, shard=shard, low=low, high=high)
    rows = ((row, work) for row, work in resolved(store, telemetry, pool, span) if row.sort != high)
    return any(
        isinstance(work, WorkItem)
        and classify(row.sort, work, taken=taken, now=now) is not Look.SKIP
        for row, work in rows
    )


def due_in(
    store: Store,
    telemetry: Telemetry,
    pool: str,
    shard: int,
    low: str,
    *,
    taken: Taken,
    now: EpochMs,
) -> bool:
    """True if there is work from `low` on that a pass would start, or cancel, now."""
    read = read_works(store, telemetry, pool, shard, low, free=0, taken=taken, now=now)
    return bool(read.due or read.bulk_canceled)


def resolved(
    store: Store, telemetry: Telemetry, pool: str, span: KeyRange
) -> Iterator[tuple[Row, WorkItem | Unreadable | None]]:
    """Each row with the work item that it is or points at, a page's pointers in one request.

    `None` means the work item is gone.
    """
    for page in _growing_pages(store, telemetry, span):
        pointed = [
            WorkRef(pool, row.record.work_id) for row in page if isinstance(row.record, Pointer)
        ]
        found = _get(store, pointed)
        for row in page:
            if isinstance(row.record, WorkItem):
                yield row, row.record
            elif isinstance(row.record, Pointer):
                yield row, found.get(WorkRef(pool, row.record.work_id))


def _get(store: Store, refs: list[WorkRef]) -> Mapping[Ref[WorkItem], WorkItem | Unreadable]:
    return store.get_many(list(dict.fromkeys(refs))) if refs else {}


def _rows(store: Store, telemetry: Telemetry, span: KeyRange) -> Iterator[Row]:
    for page in pages(store, telemetry, span):
        yield from page


def pages(
    store: Store, telemetry: Telemetry, span: KeyRange, *, readable: bool = True
) -> Iterator[list[Row]]:
    """Pages of rows.

    A damaged or foreign item is told, and left out of the `readable` ones: it affects nothing else
    [WP-12].
    """
    return _pages(store, telemetry, span, grow=_same, readable=readable)


def registered_pools(store: Store, telemetry: Telemetry) -> Iterator[str]:
    """Every pool of the table that ever had work, by the keys of the rows, since the rest of a row may be damaged."""
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
    """The work items of these ids, in order.

    `None` stands for one that is unknown, past its retention, or damaged.

    DynamoDB deletes expired items days late, so what has expired is filtered here by time.
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
