"""Lists work items by range reads in key order, with a bounded number of rows a page.

Each state has its source, so history is read only where it is asked for:

* running: the entries of the ledger
* pending: the range from the loop's cursor on, since no pending work item lies before it
* dead: the index of dead letters
* finished, and all: the whole range, with its history
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import merge
from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.views.listing import ListedWork, Listing, Page, admits, cursor_of, listed
from workpool_aws.flow.reading import pages, resolved
from workpool_aws.flow.shards import ledger_of, marks_of
from workpool_aws.flow.views.status import as_shown
from workpool_aws.model.ids import id_floor, time_of
from workpool_aws.model.refs import Collection, KeyRange, WorkRef, readable
from workpool_aws.model.work import State, WorkItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from workpool_aws.model.loop import Ledger
    from workpool_aws.ports import Ports

__all__ = ["list_works"]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A row that was read, by its key in the list. `None` means that it is no row of the list."""

    key: str
    work: WorkItem | None


def list_works(ports: Ports, pool: str, listing: Listing) -> Page:
    """Returns one page. Raises StoreUnavailable."""
    ledger = ledger_of(ports.store, pool)
    match listing.state:
        case "running":
            rows = _running(ports, pool, ledger, listing)
        case "pending":
            rows = _pending(ports, pool, ledger, listing)
        case "dead" | "finished" | None:
            shelf = Collection.DEAD if listing.state == "dead" else Collection.WORK
            rows = _in_order(
                listing,
                [
                    _shelved(ports, pool, shard, shelf, listing)
                    for shard in range(len(marks_of(ledger)))
                ],
            )
        case _:
            assert_never(listing.state)
    return _page(ports, pool, listing, rows)


def _page(ports: Ports, pool: str, listing: Listing, rows: Iterable[_Seen]) -> Page:
    """Returns the first work items that belong on the page.

    A further one, or the bound on rows, makes a next page.
    """
    now = ports.clock.now()
    items: dict[str, WorkItem] = {}
    last = ""
    for count, row in enumerate(rows):
        wanted = row.work is not None and admits(listing, row.work, now=now)
        if count == limits.LIST_ROWS_MAX or (wanted and len(items) == listing.limit):
            return Page(_listed(ports, pool, items), cursor_of(listing, last))
        last = row.key
        if row.work is not None and wanted:
            items.setdefault(row.work.id, row.work)
    return Page(_listed(ports, pool, items), None)


def _listed(ports: Ports, pool: str, works: Mapping[str, WorkItem]) -> tuple[ListedWork, ...]:
    return tuple(
        listed(work) for work in as_shown(ports, pool, list(works.values())) if work is not None
    )


def _in_order(listing: Listing, shards: list[Iterator[_Seen]]) -> Iterator[_Seen]:
    return merge(*shards, key=lambda row: row.key, reverse=listing.newest)


def _span(pool: str, shard: int, shelf: Collection, listing: Listing, low: str) -> KeyRange:
    page = max(limits.QUERY_LIMIT_MIN, min(listing.limit + 1, limits.LIST_QUERY_MAX))
    return KeyRange(
        shelf=shelf,
        pool=pool,
        shard=shard,
        low=max(low, listing.low),
        high=listing.high,
        limit=page,
        reverse=listing.newest,
    )


def _shelved(
    ports: Ports, pool: str, shard: int, shelf: Collection, listing: Listing
) -> Iterator[_Seen]:
    for page in pages(ports.store, ports.telemetry, _span(pool, shard, shelf, listing, "")):
        for row in page:
            yield _Seen(row.sort, row.record if isinstance(row.record, WorkItem) else None)


def _running(ports: Ports, pool: str, ledger: Ledger | None, listing: Listing) -> Iterator[_Seen]:
    """Yields the work items that the ledger names, since only these can be running."""
    ids = sorted(
        {key.work_id for key in ledger.entries} if ledger is not None else set(),
        reverse=listing.newest,
    )
    wanted = [
        WorkRef(pool, each)
        for each in ids
        if each >= listing.low and (listing.high is None or each <= listing.high)
    ]
    for first in range(0, len(wanted), limits.LIST_QUERY_MAX):
        some = wanted[first : first + limits.LIST_QUERY_MAX]
        found = ports.store.get_many(some)
        yield from (_Seen(ref.id, readable(found.get(ref))) for ref in some)


def _pending(ports: Ports, pool: str, ledger: Ledger | None, listing: Listing) -> Iterator[_Seen]:
    # Committed to start, and not started yet: the cursor has passed them.
    entries = {} if ledger is None else ledger.entries
    unconfirmed = [
        WorkRef(pool, key.work_id) for key, entry in entries.items() if not entry.confirmed
    ]
    behind = [
        work.id
        for work in ports.store.get_many(unconfirmed).values()
        if isinstance(work, WorkItem) and work.state is State.PENDING
    ]
    lows = [min([deep_low(mark.work_cursor), *behind]) for mark in marks_of(ledger)]
    return _in_order(
        listing, [_due_from(ports, pool, shard, low, listing) for shard, low in enumerate(lows)]
    )


def _due_from(ports: Ports, pool: str, shard: int, low: str, listing: Listing) -> Iterator[_Seen]:
    for row, work in resolved(
        ports.store, ports.telemetry, pool, _span(pool, shard, Collection.WORK, listing, low)
    ):
        yield _Seen(
            row.sort,
            work if isinstance(work, WorkItem) and _is_place(row.sort, work, low) else None,
        )


def _is_place(key: str, work: WorkItem, low: str) -> bool:
    """True if the work item is listed at this row.

    A work item that was moved or pointed at again has several rows. It is listed at the one that
    has its due time. If that row lies out of the range, because the work item was late, its
    pointers replace it.
    """
    home = time_of(work.id) == work.due_at
    if key == work.id:
        return home
    if time_of(key) == work.due_at:
        return not home or work.id < low
    return id_floor(work.due_at) < low
