"""A store that shows a judge each write when it is applied, and cuts ranges into small pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.simulation.coverage import Coverage
from workpool_aws.adapters.items.records import ref_of
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.model.actions import Action, Guest, GuestItem, GuestPlace
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import KeyRange, RowPage, Unreadable
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Put, Update, Write, Written
from workpool_aws.ports import ConditionFailed, TransactionFailed

__all__ = ["Seen", "WatchedStore"]

R = TypeVar("R", bound=Record)

Seen = Callable[[Record | None, Record | None], None]
"""Called with each applied write: the records before and after; `None` means none."""


class WatchedStore:
    """A table in memory. `page_items` bounds a page of a range; `None` means as the table does."""

    def __init__(
        self, store: MemoryStore, seen: Seen, page_items: int | None, coverage: Coverage
    ) -> None:
        self._store = store
        self._coverage = coverage
        self._seen = seen
        self._page_items = page_items

    def get(self, ref: Ref[R]) -> R | Unreadable | None:
        return self._store.get(ref)

    def get_many(self, refs: Sequence[Ref[R]]) -> Mapping[Ref[R], R | Unreadable]:
        return self._store.get_many(refs)

    def query(self, key_range: KeyRange) -> RowPage:
        if self._page_items is not None and (
            key_range.limit is None or key_range.limit > self._page_items
        ):
            key_range = replace(key_range, limit=self._page_items)
        return self._store.query(key_range)

    def write(self, write: Write) -> Written:
        before = self._look([write])
        try:
            written = self._store.write(write)
        except ConditionFailed:
            self._coverage.saw(write, applied=False, store=self._store)
            raise
        self._coverage.saw(write, applied=True, store=self._store)
        self._tell([write], before)
        return written

    def transact(self, writes: Sequence[Action], token: str | None = None) -> Written:
        own = [write for write in writes if not isinstance(write, Guest)]
        before = self._look(own)
        try:
            written = self._store.transact(writes, token)
        except TransactionFailed as met:
            for write, failed in zip(writes, met.failed, strict=True):
                if failed:
                    self._saw(write, applied=False)
            raise
        for write in own:
            self._saw(write, applied=True)
        self._tell(own, before)
        return written

    def read_guests(self, places: Sequence[GuestPlace]) -> tuple[GuestItem | None, ...]:
        return self._store.read_guests(places)

    def _saw(self, write: Action, *, applied: bool) -> None:
        if isinstance(write, Put | Update):
            self._coverage.saw(write, applied=applied, store=self._store)

    def delete(self, ref: Ref[Record]) -> None:
        before = self._stands(ref)
        self._store.delete(ref)
        self._seen(before, None)

    def _look(self, writes: Sequence[Action]) -> list[Record | None]:
        return [self._stands(_ref(write)) for write in writes]

    def _tell(self, writes: Sequence[Action], before: Sequence[Record | None]) -> None:
        changes = [
            (old, self._stands(_ref(write))) for write, old in zip(writes, before, strict=True)
        ]
        for old, new in sorted(changes, key=_place):
            self._seen(old, new)

    def _stands(self, ref: Ref[Record]) -> Record | None:
        found = self._store.peek(ref)
        # An unreadable item was no record. A repair puts the first one there.
        return None if isinstance(found, Unreadable) else found


def _ref(write: Action) -> Ref[Record]:
    assert not isinstance(write, Guest)
    return ref_of(write.record) if isinstance(write, Put) else write.ref


def _place(change: tuple[Record | None, Record | None]) -> int:
    """The place among changes that were written at once: the work first, by which other records are judged.

    Of that, what ends comes first: its key is free for a work item that is put beside.
    """
    new = change[1]
    return 2 if not isinstance(new, WorkItem) else new.state is not State.FINISHED
