"""Reads ranges and sets of records, and sets damaged items aside [WP-12]."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from workpool_aws.core.loop.settle import Notices
from workpool_aws.core.reading import page_limit_after
from workpool_aws.model import events
from workpool_aws.model.ids import WorkId, is_ulid
from workpool_aws.model.loop import Notice
from workpool_aws.model.names import POOL
from workpool_aws.model.refs import (
    Collection,
    KeyRange,
    Row,
    Unreadable,
    WorkRef,
)
from workpool_aws.model.schedule import ScheduleItem, Tick
from workpool_aws.model.work import Pointer, WorkItem
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from workpool_aws.model.loop import EntryKey
    from workpool_aws.ports import Ports, Store, Telemetry

__all__ = [
    "ResolvedRow",
    "load_works",
    "pages",
    "read_notices",
    "registered_pools",
    "resolved",
    "schedules_of",
    "work_range",
    "works_of",
]


ResolvedRow: TypeAlias = tuple[Row, WorkItem | Tick | Unreadable | None]
"""A row of a work range, and the work item or tick to which it leads; `None` means that it is gone."""


def read_notices(store: Store, telemetry: Telemetry, pool: str, shard: int, low: str) -> Notices:
    """Returns every notice of a shard from `low` on."""
    key_range = KeyRange(collection=Collection.DONE, pool=pool, shard=shard, low=low)
    rows = [row for page in pages(store, telemetry, key_range) for row in page]
    return Notices(
        tuple(
            notice for row in rows if isinstance(row.record, Notice) for notice in row.record.each()
        ),
        tuple(row.sort for row in rows),
    )


def works_of(store: Store, pool: str, keys: Iterable[EntryKey]) -> Mapping[WorkId, WorkItem]:
    """Returns the work items of entries, without those that are gone or damaged.

    Raises StoreUnavailable.
    """
    refs = list(dict.fromkeys(WorkRef(pool, key.work_id) for key in keys))
    found = store.get_many(refs) if refs else {}
    return {record.id: record for record in found.values() if isinstance(record, WorkItem)}


def work_range(
    pool: str,
    shard: int,
    low: str,
    *,
    high: str | None = None,
    limit: int | None = None,
    pending_only: bool = False,
) -> KeyRange:
    """Returns the range of a shard's work items and pointers from `low` on, up to `high`.

    `limit`: rows of its first page; `None` means as many as an answer holds. `pending_only`: work
    items that run or are over are left out.
    """
    return KeyRange(
        collection=Collection.WORK,
        pool=pool,
        shard=shard,
        low=low,
        high=high,
        limit=limit,
        pending_only=pending_only,
    )


def resolved(store: Store, telemetry: Telemetry, key_range: KeyRange) -> Iterator[ResolvedRow]:
    """Yields each row with the work item that it is or points at, or with its tick.

    The pointers of a page take one request. `None` means that the work item is gone.
    """
    for page in _pages(store, telemetry, key_range, grow=page_limit_after, readable=True):
        pointed = [
            WorkRef(key_range.pool, row.record.work_id)
            for row in page
            if isinstance(row.record, Pointer)
        ]
        found = store.get_many(list(dict.fromkeys(pointed))) if pointed else {}
        for row in page:
            if isinstance(row.record, WorkItem | Tick):
                yield row, row.record
            elif isinstance(row.record, Pointer):
                yield row, found.get(WorkRef(key_range.pool, row.record.work_id))


def pages(
    store: Store, telemetry: Telemetry, key_range: KeyRange, *, readable: bool = True
) -> Iterator[list[Row]]:
    """Yields pages of rows.

    A damaged or foreign item is logged, and left out of the `readable` ones. It affects nothing
    else [WP-12].
    """
    return _pages(store, telemetry, key_range, grow=lambda limit: limit, readable=readable)


def schedules_of(store: Store, telemetry: Telemetry, pool: str) -> Iterator[ScheduleItem]:
    """Yields the schedules of a pool by name, without damaged ones."""
    for page in pages(store, telemetry, KeyRange(collection=Collection.SCHEDULES, pool=pool)):
        yield from (row.record for row in page if isinstance(row.record, ScheduleItem))


def registered_pools(store: Store, telemetry: Telemetry) -> Iterator[str]:
    """Yields every pool of the table that ever had a work item.

    It reads the keys of the rows, since the rest of a row may be damaged.
    """
    for page in pages(store, telemetry, KeyRange(collection=Collection.REGISTRY), readable=False):
        yield from (row.sort for row in page if POOL.fullmatch(row.sort))


def _pages(
    store: Store,
    telemetry: Telemetry,
    key_range: KeyRange,
    *,
    grow: Callable[[int | None], int | None],
    readable: bool,
) -> Iterator[list[Row]]:
    while True:
        page = store.query(key_range)
        for row in page.rows:
            if isinstance(row.record, Unreadable):
                bad = row.record
                telemetry.emit(
                    events.SetAside(
                        pool=key_range.pool,
                        partition=bad.partition,
                        sort=bad.sort,
                        reason=bad.reason,
                    )
                )
        yield [row for row in page.rows if not readable or not isinstance(row.record, Unreadable)]
        if page.next_low is not None:
            key_range = replace(key_range, low=page.next_low, limit=grow(key_range.limit))
        elif page.next_high is not None:
            key_range = replace(key_range, high=page.next_high, limit=grow(key_range.limit))
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
