"""Table in memory.

The oracle behind `ports.Store`, as strict as DynamoDB, and the meter of what its requests would
cost.

Items are kept as they would be stored, so that what cannot be stored and read back fails here, too.
Requests that DynamoDB would refuse as malformed raise ValueError and change nothing; everything
else is an answer. Safe to share between threads: each request is one step.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import field
from threading import RLock
from typing import TYPE_CHECKING, Final, TypeVar, assert_never

from workpool_aws.adapters.items import capacity
from workpool_aws.adapters.items.attributes import DEAD_KEY, PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE
from workpool_aws.adapters.items.capacity import Meter, item_size
from workpool_aws.adapters.items.codec import Item, change_of, decode, encode
from workpool_aws.adapters.items.keys import Key, is_empty, next_high, next_low, partition_of
from workpool_aws.adapters.items.records import found_for, key_of, record_type, ref_of, step_name
from workpool_aws.adapters.items.row_filters import NOT_STARTED
from workpool_aws.adapters.memory.evaluate import applied, holds
from workpool_aws.model.actions import Action, Check, Delete, Guest, GuestItem, GuestPlace
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import Collection, KeyRange, Row, RowPage, Unreadable, readable
from workpool_aws.model.work import WorkItem
from workpool_aws.model.writes import Put, Update, Write, Written
from workpool_aws.ports import ConditionFailed, TransactionFailed
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from workpool_aws.adapters.items.forms import Value
    from workpool_aws.ports import Store

__all__ = ["MemoryStore"]

R = TypeVar("R", bound=Record)

_DATE_MS: Final = 1_000
"""An HTTP `Date` is whole seconds."""


@dataclass(slots=True)
class _Partition:
    """The items of one partition key.

    Stored items are never changed in place, so they may be read outside the lock.
    """

    sorts: list[str] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    records: dict[str, tuple[Item, Record | Unreadable]] = field(default_factory=dict)
    """Record that was read from an item, beside that item. A stored one is decoded once, however
    often it is asked for."""
    dead: list[tuple[str, str]] = field(default_factory=list)
    """Index of dead letters: (key in the index, sort key), in order."""

    def place(self, sort: str, item: Item, size: int) -> None:
        if sort not in self.items:
            insort(self.sorts, sort)
        self._reindex(sort, item)
        self.items[sort] = item
        self.sizes[sort] = size

    def drop(self, sort: str) -> None:
        if sort in self.items:
            self._reindex(sort, {})
            del self.items[sort]
            del self.sizes[sort]
            self.records.pop(sort, None)
            del self.sorts[bisect_left(self.sorts, sort)]

    def _reindex(self, sort: str, item: Item) -> None:
        before, after = self.items.get(sort, {}).get(DEAD_KEY), item.get(DEAD_KEY)
        if before == after:
            return
        if isinstance(before, str):
            del self.dead[bisect_left(self.dead, (before, sort))]
        if isinstance(after, str):
            insort(self.dead, (after, sort))

    def record(self, sort: str, item: Item) -> Record | Unreadable:
        """Return the record of an item that stands, or stood, at this sort key."""
        known = self.records.get(sort)
        if known is not None and known[0] is item:
            return known[1]
        record = decode(item)
        if self.items.get(sort) is item:
            self.records[sort] = (item, record)
        return record

    def page(self, key_range: KeyRange, page_bytes: int) -> tuple[list[tuple[str, str]], bool]:
        """Return (key in the range, sort key) of one answer, and True if it was cut off.

        As in DynamoDB a page at its limit counts as cut off.
        """
        keys = (
            [key for key, _ in self.dead] if key_range.collection is Collection.DEAD else self.sorts
        )
        first = bisect_left(keys, key_range.low)
        end = len(keys) if key_range.high is None else bisect_right(keys, key_range.high)
        chosen: list[tuple[str, str]] = []
        size = 0
        for index in range(end - 1, first - 1, -1) if key_range.reverse else range(first, end):
            row = (
                self.dead[index]
                if key_range.collection is Collection.DEAD
                else (keys[index], keys[index])
            )
            size += self.sizes[row[1]]
            if chosen and size > page_bytes:
                return chosen, True
            chosen.append(row)
            if len(chosen) == key_range.limit:
                return chosen, True
        return chosen, False


@dataclass(frozen=True, slots=True)
class _Step:
    """One write, worked out against the item as it stands. Nothing is stored yet."""

    key: Key
    before: Item | None
    old_bytes: int
    after: Item | None
    """`None` means that there is none afterwards."""
    new_bytes: int
    allowed: bool
    """True if the condition holds."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    """An applied transaction, by its token."""

    at: EpochMs
    writes: tuple[Action, ...]
    answer: Written


class MemoryStore:
    """A table in memory, behind `ports.Store`."""

    def __init__(
        self,
        server_clock: Callable[[], EpochMs],
        meter: Meter | None = None,
        *,
        page_bytes: int = capacity.PAGE_BYTES_MAX,
        guests: Callable[[], Store] | None = None,
    ) -> None:
        """Make an empty table whose answers carry `server_clock`, rounded down to seconds.

        `page_bytes` bounds one page of a range. `guests` returns the tables of users, which
        transactions span. `None` means that there are none.
        """
        self.meter = meter or Meter()
        self._server_clock = server_clock
        self._page_bytes = page_bytes
        self._partitions: dict[str, _Partition] = {}
        self._lock = RLock()
        self._guests = guests
        self._remembered: dict[str, _Remembered] = {}

    def get(self, ref: Ref[R]) -> R | Unreadable | None:
        """Return the record, or `None`. Raises ValueError for a name that no key can carry."""
        key = key_of(ref)
        with self._lock:
            item, size = self._find(key)
        self.meter.count(f"{step_name(record_type(ref))}.get", read_units=capacity.get_units(size))
        return self._found(ref, key, item)

    def get_many(self, refs: Sequence[Ref[R]]) -> Mapping[Ref[R], R | Unreadable]:
        """Return those that exist. A place asked for twice is read once."""
        wanted = {ref: key_of(ref) for ref in refs}
        with self._lock:
            found = {key: self._find(key) for key in wanted.values()}
        if found:
            self.meter.count(
                f"{step_name(record_type(refs[0]))}.get_many",
                read_units=capacity.batch_get_units(size for _, size in found.values()),
                requests=-(-len(found) // capacity.BATCH_GET_KEYS_MAX),
            )
        records = {ref: self._found(ref, key, found[key][0]) for ref, key in wanted.items()}
        return {ref: record for ref, record in records.items() if record is not None}

    def query(self, key_range: KeyRange) -> RowPage:
        """Return one page of a range, in key order. `next_low` may lead to an empty page."""
        partition_key = partition_of(key_range)
        if is_empty(key_range):
            return RowPage((), None)
        with self._lock:
            partition = self._partitions.get(partition_key)
            if partition is None:
                partition = _Partition()
            places, cut = partition.page(key_range, self._page_bytes)
            items = [partition.items[sort] for _, sort in places]
            sizes = [partition.sizes[sort] for _, sort in places]
        units = (
            capacity.index_query_units(sizes)
            if key_range.collection is Collection.DEAD
            else capacity.query_units(sizes)
        )
        self.meter.count(f"{key_range.collection}.query", read_units=units)
        rows = tuple(
            Row(key, partition.record(sort, item))
            for (key, sort), item in zip(places, items, strict=True)
            if not key_range.pending_only or holds(NOT_STARTED, WorkItem, item)
        )
        low = high = None
        if cut:
            last = places[-1][0]
            if key_range.reverse:
                high = next_high(last, key_range.low)
            else:
                low = next_low(last, key_range.high)
        return RowPage(rows, low, high, lambda: sum(sizes))

    def write(self, write: Write) -> Written:
        """Do one conditional write.

        Raises ConditionFailed or ValueError; in both cases nothing was written.
        """
        kind, verb = (
            (type(write.record), "put")
            if isinstance(write, Put)
            else (record_type(write.ref), "update")
        )
        with self._lock:
            step = self._worked_out(write)
            label = f"{step_name(kind)}.{verb}"
            if step.after is None or not step.allowed:
                self.meter.count(label, write_units=capacity.failed_write_units(step.old_bytes))
                raise ConditionFailed(
                    None if step.before is None else self._record(step.key, step.before)
                )
            units = capacity.write_units(step.old_bytes, step.new_bytes)
            units += capacity.index_units(step.before, step.after)
            self.meter.count(label, write_units=units)
            self._place(step.key, step.after, step.new_bytes)
        after = step.after
        return Written(
            self._date(),
            write.record
            if isinstance(write, Put)
            else lambda: readable(self._record(step.key, after)),
        )

    def transact(self, writes: Sequence[Action], token: str | None = None) -> Written:
        """Do all of these actions, or none.

        An applied transaction is remembered by its token for ten minutes.

        Raises TransactionFailed or ValueError; in both cases nothing was written.
        """
        own = [write for write in writes if not isinstance(write, Guest)]
        keys = [key_of(_ref(write)) for write in own]
        capacity.check_transaction(keys, guests=len(writes) - len(own))
        with self._lock:
            known = self._known(writes, token)
            return known or self._carry_out(writes, own, token)

    def read_guests(self, places: Sequence[GuestPlace]) -> tuple[GuestItem | None, ...]:
        """Return items of users' tables, as one snapshot."""
        with self._lock:
            return self._guest_tables().read_guests(places)

    def delete(self, ref: Ref[Record]) -> None:
        """Remove an item, if it exists."""
        key = key_of(ref)
        with self._lock:
            item, size = self._find(key)
            self._drop(key)
        units = capacity.write_units(size, 0) + capacity.index_units(item, None)
        self.meter.count(f"{step_name(record_type(ref))}.delete", write_units=units)

    def peek(self, ref: Ref[R]) -> R | Unreadable | None:
        """Return the answer of `get`, outside the meter: for tests."""
        key = key_of(ref)
        with self._lock:
            item, _ = self._find(key)
        return self._found(ref, key, item)

    def items(self, partition_prefix: str = "") -> Iterator[Item]:
        """Return copies of the items, as stored, of every partition whose key begins so, in key order.

        Writes made meanwhile are not seen.
        """
        with self._lock:
            chosen = [
                self._partitions[key]
                for key in sorted(self._partitions)
                if key.startswith(partition_prefix)
            ]
            found = [partition.items[sort] for partition in chosen for sort in partition.sorts]
        return (dict(item) for item in found)

    def scan(self) -> Iterator[Item]:
        """Return copies of all items, as stored."""
        return self.items()

    def inject(self, pk: str, sk: str, item: Mapping[str, Value]) -> None:
        """Store any item under any key, unchecked and unmetered: for tests of damaged tables."""
        planted: Item = {**item, PARTITION_KEY: pk, SORT_KEY: sk}
        with self._lock:
            self._place(Key(pk, sk), planted, item_size(planted))

    def expire(self, now: EpochMs) -> int:
        """Remove items whose TTL has passed by now, as DynamoDB does some day and for free.

        Return the number of removed items.
        """
        with self._lock:
            due = [
                item
                for item in self.items()
                if isinstance(expires_at := item.get(TTL_ATTRIBUTE), int)
                and not isinstance(expires_at, bool)
                and expires_at * 1_000 <= now
            ]
            for item in due:
                self._drop(Key(str(item[PARTITION_KEY]), str(item[SORT_KEY])))
        return len(due)

    def _known(self, writes: Sequence[Action], token: str | None) -> Written | None:
        """Return the answer of an applied transaction with this token; `None` means there is none.

        Raises ValueError for a token of another transaction.
        """
        for old, each in list(self._remembered.items()):
            if self._server_clock() - each.at > capacity.TOKEN_MS:
                del self._remembered[old]
        known = None if token is None else self._remembered.get(token)
        if known is None:
            return None
        if known.writes != tuple(writes):
            raise ValueError("a token must not be used for two transactions")
        return replace(known.answer, server_time=self._date())

    def _carry_out(
        self,
        writes: Sequence[Action],
        own: Sequence[Put | Update | Check | Delete],
        token: str | None,
    ) -> Written:
        steps = [self._worked_out(write) for write in own]
        if sum(step.new_bytes for step in steps) > capacity.TRANSACTION_BYTES_MAX:
            raise ValueError(
                f"a transaction of more than {capacity.TRANSACTION_BYTES_MAX} bytes is not allowed"
            )
        sizes = ((step.old_bytes, step.new_bytes) for step in steps)
        self.meter.count("tx", write_units=capacity.transaction_units(sizes))
        if not all(step.allowed for step in steps):
            raise _refused(writes, steps)
        self._apply_guests(writes)
        units = sum(capacity.index_units(step.before, step.after) for step in steps)
        self.meter.count("tx", write_units=units, requests=0)
        for step in steps:
            if step.after is None:
                self._drop(step.key)
            elif step.after is not step.before:
                self._place(step.key, step.after, step.new_bytes)
        answer = Written(self._date(), None)
        if token is not None:
            self._remembered[token] = _Remembered(self._server_clock(), tuple(writes), answer)
        return answer

    def _guest_tables(self) -> Store:
        if self._guests is None:
            raise ValueError("this table in memory has no tables of users beside it")
        return self._guests()

    def _apply_guests(self, writes: Sequence[Action]) -> None:
        """Do the actions on users' tables, all or none."""
        guests = [write for write in writes if isinstance(write, Guest)]
        if not guests:
            return
        try:
            self._guest_tables().transact(guests)
        except TransactionFailed as met:
            places = [place for place, write in enumerate(writes) if isinstance(write, Guest)]
            refused = {places[nth] for nth, failed in enumerate(met.failed) if failed}
            found = {places[nth]: item for nth, item in met.guests.items()}
            raise TransactionFailed(
                (None,) * len(writes),
                tuple(place in refused for place in range(len(writes))),
                guests=found,
            ) from None

    def _find(self, key: Key) -> tuple[Item | None, int]:
        partition = self._partitions.get(key.pk)
        if partition is None:
            return None, 0
        return partition.items.get(key.sk), partition.sizes.get(key.sk, 0)

    def _found(self, ref: Ref[R], key: Key, item: Item | None) -> R | Unreadable | None:
        return found_for(ref, None if item is None else self._record(key, item))

    def _record(self, key: Key, item: Item) -> Record | Unreadable:
        partition = self._partitions.get(key.pk)
        return decode(item) if partition is None else partition.record(key.sk, item)

    def _worked_out(self, write: Put | Update | Check | Delete) -> _Step:
        key = key_of(_ref(write))
        before, old_bytes = self._find(key)
        kind = type(write.record) if isinstance(write, Put) else record_type(write.ref)
        allowed = holds(write.condition, kind, before)
        after: Item | None
        match write:
            case Put():
                after = encode(write.record)
            case Update():
                change = change_of(write)
                allowed = allowed and before is not None
                after = applied(change, before) if allowed and before is not None else None
            case Check():
                after = before
            case Delete():
                after = None
            case _:
                assert_never(write)
        new_bytes = 0 if after is None else item_size(after)
        if new_bytes > capacity.ITEM_BYTES_MAX:
            raise ValueError(
                f"an item of {new_bytes} bytes is not allowed; at most {capacity.ITEM_BYTES_MAX}"
            )
        return _Step(key, before, old_bytes, after, new_bytes, allowed)

    def _place(self, key: Key, item: Item, size: int) -> None:
        self._partitions.setdefault(key.pk, _Partition()).place(key.sk, item, size)

    def _drop(self, key: Key) -> None:
        partition = self._partitions.get(key.pk)
        if partition is not None:
            partition.drop(key.sk)

    def _date(self) -> EpochMs:
        return EpochMs(self._server_clock() // _DATE_MS * _DATE_MS)


def _ref(write: Put | Update | Check | Delete) -> Ref[Record]:
    return ref_of(write.record) if isinstance(write, Put) else write.ref


def _refused(writes: Sequence[Action], steps: Sequence[_Step]) -> TransactionFailed:
    """Return the refusal of a transaction by conditions on items of this table."""
    own = iter(steps)
    met = [None if isinstance(write, Guest) else next(own) for write in writes]
    refused = [None if step is None or step.allowed else step for step in met]
    return TransactionFailed(
        tuple(
            None if step is None or step.before is None else decode(step.before) for step in refused
        ),
        tuple(step is not None for step in refused),
    )
