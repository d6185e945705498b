"""A table in memory that fails exactly where a test wants it to, and notes what was asked, in order.

A fault is planned for the next write that matches, or for every such write. What two processes do
at the same time is a fault, too: a call in the middle of a request (`first`, `then`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.actions import Action, GuestItem, GuestPlace
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import (
    Collection,
    KeyRange,
    LedgerRef,
    RowPage,
    StatusRef,
    Unreadable,
    WorkRef,
)
from workpool_aws.model.writes import Put, Update, Write, Written

R = TypeVar("R", bound=Record)

Apply = Callable[[], Written]
Fault = Callable[[Apply], Written]
Match = Callable[[Write], bool]


class Died(BaseException):
    """The process is gone: nothing of its code runs any more."""


def lost_before(apply: Apply) -> Written:
    """Not applied, and not answered."""
    raise StoreUnavailable("no answer")


def lost_after(apply: Apply) -> Written:
    """Applied, but the answer is lost."""
    apply()
    raise StoreUnavailable("no answer")


def repeated(apply: Apply) -> Written:
    """Applied, the answer is lost, and the SDK writes it again."""
    apply()
    return apply()


def dies_before(apply: Apply) -> Written:
    """Its process is killed before the request."""
    raise Died


def dies_after(apply: Apply) -> Written:
    """Its process is killed when the request was applied."""
    apply()
    raise Died


def first(deed: Callable[[], object]) -> Fault:
    """Another process does this just before the request is applied."""

    def fault(apply: Apply) -> Written:
        deed()
        return apply()

    return fault


def then(deed: Callable[[], object]) -> Fault:
    """Another process does this when the request is applied and not yet answered."""

    def fault(apply: Apply) -> Written:
        written = apply()
        deed()
        return written

    return fault


def puts(kind: type[Record]) -> Match:
    return lambda write: isinstance(write, Put) and isinstance(write.record, kind)


def updates(kind: type[Ref], *fields: str, **values: object) -> Match:
    """Updates of such an item that set these fields, or set them to these values."""

    def match(write: Write) -> bool:
        if not isinstance(write, Update) or not isinstance(write.ref, kind):
            return False
        return all(name in write.set for name in fields) and all(
            write.set.get(name) == value for name, value in values.items()
        )

    return match


def bumps(write: Write) -> bool:
    """`configure` fences off a loop that read the old config."""
    return isinstance(write, Update) and isinstance(write.ref, LedgerRef) and not write.set


def every(_: Write) -> bool:
    """Match all writes."""
    return True


@dataclass(eq=False)
class _Planned:
    match: Match
    fault: Fault
    times: int | None


@dataclass
class FaultyStore:
    """The table in memory, with the faults that a test planned, and notes of what was asked in which order."""

    memory: MemoryStore
    notes: list[str]
    dateless: bool = False
    _faults: list[_Planned] = field(default_factory=list)
    _before_get: dict[type[Ref], Callable[[], object]] = field(default_factory=dict)
    _before_query: dict[Collection, Callable[[], object]] = field(default_factory=dict)

    def plan(self, match: Match, fault: Fault, *, times: int | None = 1) -> None:
        """Let the next `times` such writes meet this fault. `None` means every one until `heal`."""
        self._faults.append(_Planned(match, fault, times))

    def heal(self) -> None:
        """Drop every planned fault of writes."""
        self._faults.clear()

    def before_get(self, kind: type[Ref], deed: Callable[[], object]) -> None:
        """Once, just before such an item is read."""
        self._before_get[kind] = deed

    def before_query(self, collection: Collection, deed: Callable[[], object]) -> None:
        """Once, just before such a range is read."""
        self._before_query[collection] = deed

    def get(self, ref: Ref[R]) -> R | Unreadable | None:
        self._before_get.pop(type(ref), _nothing)()
        self.notes.append(f"get {type(ref).__name__}")
        return self.memory.get(ref)

    def get_many(self, refs: Sequence[Ref[R]]) -> Mapping[Ref[R], R | Unreadable]:
        self._before_get.pop(type(refs[0]) if refs else None, _nothing)()
        self.notes.append("get many")
        return self.memory.get_many(refs)

    def query(self, key_range: KeyRange) -> RowPage:
        self._before_query.pop(key_range.collection, _nothing)()
        self.notes.append(f"query {key_range.collection}")
        return self.memory.query(key_range)

    def write(self, write: Write) -> Written:
        return self._met([write], lambda: self._written(write))

    def transact(self, writes: Sequence[Action], token: str | None = None) -> Written:
        return self._met(writes, lambda: self.memory.transact(writes, token))

    def read_guests(self, places: Sequence[GuestPlace]) -> tuple[GuestItem | None, ...]:
        return self.memory.read_guests(places)

    def delete(self, ref: Ref[Record]) -> None:
        self.notes.append(f"delete {type(ref).__name__}")
        self.memory.delete(ref)

    def _written(self, write: Write) -> Written:
        written = self.memory.write(write)
        self.notes.append(_name_of(write))
        return replace(written, server_time=None) if self.dateless else written

    def _met(self, writes: Sequence[Write], apply: Apply) -> Written:
        for planned in self._faults:
            if any(planned.match(write) for write in writes):
                if planned.times is not None:
                    planned.times -= 1
                if planned.times == 0:
                    self._faults.remove(planned)
                return planned.fault(apply)
        return apply()


def _nothing() -> None:
    pass


def _name_of(write: Write) -> str:
    if isinstance(write, Put):
        return f"put {type(write.record).__name__}"
    if isinstance(write.ref, StatusRef):
        return f"status {write.set.get('state', 'renewed')}"
    if isinstance(write.ref, LedgerRef) and "entries" in write.set:
        return "commit"
    if isinstance(write.ref, WorkRef) and "starts" in write.set:
        return "start"
    return f"update {type(write.ref).__name__}"


def unanswered() -> None:
    """Fail a read as the store does that gets no answer."""
    raise StoreUnavailable("no answer")
