"""Names of stored records, and the ranges that can be read, apart from how a table spells them."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from workpool_aws.model.record import Record, Ref
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.model.error_marks import ErrorMarks
    from workpool_aws.model.group import GroupItem
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.loop import (
        Config,
        Deployment,
        Heartbeat,
        Ledger,
        LoopStatus,
        MinuteReport,
        Notice,
        Registration,
    )
    from workpool_aws.model.pages import LedgerPage
    from workpool_aws.model.payload import Chunk, Part
    from workpool_aws.model.receipt import Receipt, Void
    from workpool_aws.model.schedule import ScheduleItem, Tick
    from workpool_aws.model.unique import RequestMark, UniqueLock
    from workpool_aws.model.work import Pointer, WorkItem

__all__ = [
    "ChunkRef",
    "Collection",
    "ConfigRef",
    "DeploymentRef",
    "ErrorMarksRef",
    "GroupRef",
    "HeartbeatRef",
    "KeyRange",
    "LedgerPageRef",
    "LedgerRef",
    "MinuteReportRef",
    "NoticeRef",
    "PointerRef",
    "ReceiptRef",
    "RegistrationRef",
    "RequestRef",
    "Row",
    "RowPage",
    "ScheduleRef",
    "StatusRef",
    "TickRef",
    "UniqueRef",
    "Unreadable",
    "VoidRef",
    "WorkRef",
    "key_after",
    "key_before",
    "readable",
]

_HIGHEST: Final = "\U0010ffff"
_AFTER_SURROGATES: Final = 0xE000

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class WorkRef(Ref["WorkItem"]):
    """A work item, by pool and id."""

    pool: str
    id: WorkId


@dataclass(frozen=True, slots=True)
class VoidRef(Ref["Void"]):
    """A void, by the pool and id of the work item that it prevents."""

    pool: str
    id: WorkId


@dataclass(frozen=True, slots=True)
class ReceiptRef(Ref["Receipt"]):
    """A receipt, by the pool and token of its transaction."""

    pool: str
    token: str


@dataclass(frozen=True, slots=True)
class UniqueRef(Ref["UniqueLock"]):
    """The lock of a unique key, by pool and key."""

    pool: str
    key: str


@dataclass(frozen=True, slots=True)
class RequestRef(Ref["RequestMark"]):
    """The mark of a request, by pool and the request's id."""

    pool: str
    request_id: str


@dataclass(frozen=True, slots=True)
class ChunkRef(Ref["Chunk"]):
    """A chunk, by the work item and the part it belongs to, and its number there."""

    pool: str
    work_id: WorkId
    part: Part
    number: int


@dataclass(frozen=True, slots=True)
class PointerRef(Ref["Pointer"]):
    """A pointer, by pool and its own key."""

    pool: str
    at: str


@dataclass(frozen=True, slots=True)
class NoticeRef(Ref["Notice"]):
    """A notice, by pool and its own key."""

    pool: str
    at: str


@dataclass(frozen=True, slots=True)
class ScheduleRef(Ref["ScheduleItem"]):
    """A schedule, by pool and name."""

    pool: str
    name: str


@dataclass(frozen=True, slots=True)
class TickRef(Ref["Tick"]):
    """A tick, by pool and its own key."""

    pool: str
    at: str


@dataclass(frozen=True, slots=True)
class GroupRef(Ref["GroupItem"]):
    """A group, by pool and id."""

    pool: str
    id: str


@dataclass(frozen=True, slots=True)
class StatusRef(Ref["LoopStatus"]):
    """The status of a pool."""

    pool: str


@dataclass(frozen=True, slots=True)
class LedgerRef(Ref["Ledger"]):
    """The ledger of a pool."""

    pool: str


@dataclass(frozen=True, slots=True)
class LedgerPageRef(Ref["LedgerPage"]):
    """A page of the ledger, by pool and token."""

    pool: str
    token: str


@dataclass(frozen=True, slots=True)
class ConfigRef(Ref["Config"]):
    """The config of a pool."""

    pool: str


@dataclass(frozen=True, slots=True)
class ErrorMarksRef(Ref["ErrorMarks"]):
    """The marks of a pool's errors."""

    pool: str


@dataclass(frozen=True, slots=True)
class MinuteReportRef(Ref["MinuteReport"]):
    """A minute report, by pool and its own key."""

    pool: str
    at: str


@dataclass(frozen=True, slots=True)
class RegistrationRef(Ref["Registration"]):
    """The registration of a pool."""

    pool: str


@dataclass(frozen=True, slots=True)
class DeploymentRef(Ref["Deployment"]):
    """The deployment item of the table."""


@dataclass(frozen=True, slots=True)
class HeartbeatRef(Ref["Heartbeat"]):
    """The table's heartbeat of the watchdog."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A damaged or foreign item in the library's table.

    It is quarantined and affects nothing but itself [WP-12].
    """

    partition: str
    sort: str
    reason: str


def readable(found: R | Unreadable | None) -> R | None:
    """Returns the record, or `None` if there is none or a damaged one."""
    return None if isinstance(found, Unreadable) else found


class Collection(StrEnum):
    """The ranges that can be read in key order."""

    WORK = "work"
    """Work items, pointers and ticks, by due time."""
    DONE = "done"
    """Notices, by time of writing."""
    DEAD = "dead"
    """Work items that failed for good and were not redriven, or whose callback is dead, by
    `WorkItem.dead`. Its reads may lag behind writes."""
    REPORTS = "reports"
    """Minute reports, by time; shard is ignored."""
    SCHEDULES = "schedules"
    """Schedules, by name; shard is ignored."""
    GROUPS = "groups"
    """Groups, by id; shard is ignored."""
    REGISTRY = "registry"
    """Registrations, by pool name; pool and shard are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRange:
    """A range of one collection, from `low` to `high`, both included.

    A `high` of `None` means without end. `limit` is the most items that one page reads; `None`
    means as many as fit in one answer (1 MB). Unreadable items count, too. `reverse`: from `high`
    down to `low`. `pending_only`: the store leaves out work items that run or are over, and bills
    them; an answer may then have fewer rows than it read.
    """

    collection: Collection
    pool: str = ""
    shard: int = 0
    low: str = ""
    high: str | None = None
    limit: int | None = None
    reverse: bool = False
    pending_only: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One item of a range, in key order."""

    sort: str
    record: Record | Unreadable


@dataclass(frozen=True, slots=True)
class RowPage:
    """One answer of a range read.

    `next_low` is the beginning of the next page (to be used as `KeyRange.low`); `None` means that
    this was the last one. Of a reverse read, `next_high` is (to be used as `KeyRange.high`), and
    `next_low` is `None`. Pages are not one snapshot: a record written meanwhile may or may not
    appear.
    """

    rows: tuple[Row, ...]
    next_low: str | None
    next_high: str | None = None
    size: Callable[[], int] | None = field(default=None, compare=False, repr=False)
    """Returns the bytes of its items, as the store counts them. `None` means that it did not."""


def key_after(key: str) -> str:
    """Returns the very next string in the order of keys."""
    return f"{key}\x00"


def key_before(key: str) -> str:
    """Returns a string before `key` (not empty) and after every other smaller key.

    A read in reverse order continues from it.
    """
    last = ord(key[-1])
    if last == 0:
        return key[:-1]
    lower = "\ud7ff" if last == _AFTER_SURROGATES else chr(last - 1)
    return f"{key[:-1]}{lower}{_HIGHEST}"
