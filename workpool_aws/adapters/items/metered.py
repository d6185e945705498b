"""Counts the read units of a store's answers, by the documented rules and the sizes of its items."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from workpool_aws.adapters.items import capacity
from workpool_aws.adapters.items.capacity import Meter, item_size
from workpool_aws.adapters.items.codec import encode
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import Collection, Unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.model.actions import Action, GuestItem, GuestPlace
    from workpool_aws.model.refs import KeyRange, RowPage
    from workpool_aws.model.writes import Write, Written
    from workpool_aws.ports import Store

__all__ = ["MeteredStore"]

R = TypeVar("R", bound=Record)


class MeteredStore:
    """A store whose reads are counted. Its writes pass uncounted.

    A damaged item outside of a page counts as a small one, since its size is not known.
    """

    def __init__(self, store: Store, meter: Meter) -> None:
        self._store = store
        self._meter = meter

    def get(self, ref: Ref[R]) -> R | Unreadable | None:
        """See Store."""
        found = self._store.get(ref)
        self._meter.count("get", read_units=capacity.get_units(_size_of(found)))
        return found

    def get_many(self, refs: Sequence[Ref[R]]) -> Mapping[Ref[R], R | Unreadable]:
        """See Store."""
        found = self._store.get_many(refs)
        wanted = dict.fromkeys(refs)
        self._meter.count(
            "get_many",
            read_units=capacity.batch_get_units(_size_of(found.get(ref)) for ref in wanted),
            requests=-(-len(wanted) // capacity.BATCH_GET_KEYS_MAX),
        )
        return found

    def query(self, key_range: KeyRange) -> RowPage:
        """See Store."""
        page = self._store.query(key_range)
        # A page of thousands of rows is dear to encode again only for its size.
        sizes = [_size_of(row.record) for row in page.rows] if page.size is None else [page.size()]
        is_index = key_range.collection is Collection.DEAD
        units = capacity.index_query_units(sizes) if is_index else capacity.query_units(sizes)
        self._meter.count("query", read_units=units)
        return page

    def write(self, write: Write) -> Written:
        """See Store."""
        return self._store.write(write)

    def transact(self, writes: Sequence[Action], token: str | None = None) -> Written:
        """See Store."""
        return self._store.transact(writes, token)

    def read_guests(self, places: Sequence[GuestPlace]) -> tuple[GuestItem | None, ...]:
        """See Store."""
        return self._store.read_guests(places)

    def delete(self, ref: Ref[Record]) -> None:
        """See Store."""
        self._store.delete(ref)


def _size_of(found: Record | Unreadable | None) -> int:
    return 0 if found is None or isinstance(found, Unreadable) else item_size(encode(found))
