"""Lists work items by range reads in key order, with a bounded number of rows a page.

Each state has its source, so history is read only where it is asked for:

* running: the entries of the ledger
* pending: the range from the loop's cursor on, and the entries of the ledger, since no other pending
  work item lies before it
* dead: the index of dead letters
* finished, and all: the whole range, with its history
"""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.views.listing import ListedWork, Listing, Page, admits, cursor_of, listed
from workpool_aws.flow.ledger import ledger_of
from workpool_aws.flow.reading import pages, resolved
from workpool_aws.flow.shards import marks_of
from workpool_aws.flow.views.status import as_shown
from workpool_aws.model.ids import id_floor, time_of
from workpool_aws.model.refs import Collection, KeyRange, WorkRef, readable
from workpool_aws.model.work import State, WorkItem
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.loop import Ledger
    from workpool_aws.ports import Ports

__all__ = ["list_works", "unstarted_of"]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A row that was read, by its key in the list. `None` means that it is no row of the list."""

    key: str
    work: WorkItem | None


def list_works(ports: Ports, pool: str, listing: Listing) -> Page:
    """Returns one page. Raises StoreUnavailable."""
    lister = _Lister(ports, pool, listing, ledger_of(ports.store, pool))
    match listing.state:
        case "running":
            rows = lister.committed()
        case "pending":
            rows = lister.pending()
        case "dead":
            rows = lister.whole(Collection.DEAD)
        case "finished" | None:
            rows = lister.whole(Collection.WORK)
        case _:
            assert_never(listing.state)
    return lister.page(rows)


def unstarted_of(ports: Ports, pool: str, schedule: str) -> tuple[WorkId, ...]:
    """Returns the work items of a schedule that wait for their first start.

    Reads everything that is pending in the pool. Raises StoreUnavailable.
    """
    listing = Listing(state="pending", fn=None, newest=False, limit=limits.LIST_MAX, last=None)
    rows = _Lister(ports, pool, listing, ledger_of(ports.store, pool)).pending()
    works = (row.work for row in rows if row.work is not None)
    found = {
        work.id
        for work in works
        if work.spec.schedule == schedule and work.state is State.PENDING and not work.starts
    }
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class _Lister:
    """Reads the rows of one list."""

    ports: Ports
    pool: str
    listing: Listing
    ledger: Ledger | None

    def page(self, rows: Iterable[_Seen]) -> Page:
        """Returns the first work items that belong on the page.

        A further one, or the bound on rows, makes a next page.
        """
        now = self.ports.clock.now()
        items: dict[str, WorkItem] = {}
        last = ""
        for count, row in enumerate(rows):
            wanted = row.work is not None and admits(self.listing, row.work, now=now)
            if count == limits.LIST_ROWS_MAX or (wanted and len(items) == self.listing.limit):
                return Page(self._listed(items), cursor_of(self.listing, last))
            last = row.key
            if row.work is not None and wanted:
                items.setdefault(row.work.id, row.work)
        return Page(self._listed(items), None)

    def committed(self) -> Iterator[_Seen]:
        """Yields the work items that the ledger names, since only these can be running."""
        low, high = self.listing.low, self.listing.high
        ids = {key.work_id for key in self.ledger.entries} if self.ledger is not None else set()
        wanted = [
            WorkRef(self.pool, each)
            for each in sorted(ids, reverse=self.listing.newest)
            if each >= low and (high is None or each <= high)
        ]
        for first in range(0, len(wanted), limits.LIST_QUERY_MAX):
            some = wanted[first : first + limits.LIST_QUERY_MAX]
            found = self.ports.store.get_many(some)
            yield from (_Seen(ref.id, readable(found.get(ref))) for ref in some)

    def pending(self) -> Iterator[_Seen]:
        """Yields the work items that the loop may still find, and those that the ledger names.

        The cursor has passed the latter, though a worker may not have begun them.
        """
        found = (
            self._due_from(shard, deep_low(mark.work_cursor))
            for shard, mark in enumerate(marks_of(self.ledger))
        )
        return self._in_order([self.committed(), *found])

    def whole(self, collection: Collection) -> Iterator[_Seen]:
        """Yields every work item of a collection."""
        return self._in_order(
            self._in_collection(shard, collection) for shard in range(len(marks_of(self.ledger)))
        )

    def _listed(self, works: Mapping[str, WorkItem]) -> tuple[ListedWork, ...]:
        shown = as_shown(self.ports, self.pool, list(works.values()))
        return tuple(listed(work) for work in shown if work is not None)

    def _in_order(self, shards: Iterable[Iterator[_Seen]]) -> Iterator[_Seen]:
        return merge(*shards, key=lambda row: row.key, reverse=self.listing.newest)

    def _in_collection(self, shard: int, collection: Collection) -> Iterator[_Seen]:
        key_range = self._key_range(shard, collection, low="")
        for page in pages(self.ports.store, self.ports.telemetry, key_range):
            for row in page:
                yield _Seen(row.sort, row.record if isinstance(row.record, WorkItem) else None)

    def _due_from(self, shard: int, low: str) -> Iterator[_Seen]:
        key_range = self._key_range(shard, Collection.WORK, low=low)
        for row, work in resolved(self.ports.store, self.ports.telemetry, key_range):
            if isinstance(work, WorkItem) and _is_place(row.sort, work, low):
                yield _Seen(row.sort, work)
            else:
                yield _Seen(row.sort, None)

    def _key_range(self, shard: int, collection: Collection, *, low: str) -> KeyRange:
        page = max(limits.QUERY_LIMIT_MIN, min(self.listing.limit + 1, limits.LIST_QUERY_MAX))
        return KeyRange(
            collection=collection,
            pool=self.pool,
            shard=shard,
            low=max(low, self.listing.low),
            high=self.listing.high,
            limit=page,
            reverse=self.listing.newest,
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
