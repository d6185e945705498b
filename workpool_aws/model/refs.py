"""Owns the names of stored records: what to read or write, without saying how a table spells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from workpool_aws.model.ids import WorkId
from workpool_aws.model.loop import Config, Deployment, Done, Ledger, MinuteReport, Registration, Status
from workpool_aws.model.work import Chunk, Part, Pointer, Work

__all__ = [
    "ChunkRef",
    "ConfigRef",
    "DeploymentRef",
    "DoneRef",
    "LedgerRef",
    "MinuteReportRef",
    "Page",
    "PointerRef",
    "Record",
    "Ref",
    "RegistrationRef",
    "Row",
    "Shelf",
    "Span",
    "StatusRef",
    "Unreadable",
    "WorkRef",
    "key_after",
    "key_before",
    "ref_of",
]

_HIGHEST: Final = "\U0010ffff"
_AFTER_SURROGATES: Final = 0xE000

Record = Work | Chunk | Pointer | Done | Status | Ledger | Config | MinuteReport | Registration | Deployment


@dataclass(frozen=True, slots=True)
class WorkRef:
    """A work, by pool and id."""

    pool: str
    id: WorkId


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """A chunk, by the work and the part it belongs to, and its number there."""

    pool: str
    work_id: WorkId
    part: Part
    number: int


@dataclass(frozen=True, slots=True)
class PointerRef:
    """A pointer, by pool and its own key."""

    pool: str
    at: str


@dataclass(frozen=True, slots=True)
class DoneRef:
    """A done record, by pool and its own key."""

    pool: str
    at: str


@dataclass(frozen=True, slots=True)
class StatusRef:
    """The status of a pool."""

    pool: str


@dataclass(frozen=True, slots=True)
class LedgerRef:
    """The ledger of a pool."""

    pool: str


@dataclass(frozen=True, slots=True)
class ConfigRef:
    """The config of a pool."""

    pool: str


@dataclass(frozen=True, slots=True)
class MinuteReportRef:
    """A report of a minute, by pool and its own key."""

    pool: str
    at: str


@dataclass(frozen=True, slots=True)
class RegistrationRef:
    """The registration of a pool."""

    pool: str


@dataclass(frozen=True, slots=True)
class DeploymentRef:
    """The deployment item of the table."""


Ref = WorkRef | ChunkRef | PointerRef | DoneRef | StatusRef | LedgerRef | ConfigRef | MinuteReportRef | RegistrationRef | DeploymentRef


def ref_of(record: Record) -> Ref:  # noqa: C901 - one a kind of record
    """The name under which a record is stored."""
    match record:
        case Work():
            return WorkRef(record.pool, record.id)
        case Chunk():
            return ChunkRef(record.pool, record.work_id, record.part, record.number)
        case Pointer():
            return PointerRef(record.pool, record.at)
        case Done():
            return DoneRef(record.pool, record.at)
        case Status():
            return StatusRef(record.pool)
        case Ledger():
            return LedgerRef(record.pool)
        case Config():
            return ConfigRef(record.pool)
        case MinuteReport():
            return MinuteReportRef(record.pool, record.at)
        case Registration():
            return RegistrationRef(record.pool)
        case Deployment():
            return DeploymentRef()
        case _:
            assert_never(record)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A damaged or foreign item in our table. It is set aside: it affects nothing but itself [WP-12]."""

    partition: str
    sort: str
    reason: str


class Shelf(StrEnum):
    """The ranges that can be read in key order."""

    WORK = "work"
    """Works and pointers, by due time."""
    DONE = "done"
    """Done records, by time of writing."""
    DEAD = "dead"
    """Works that failed for good and were not redriven, or whose callback is dead, by `Work.dead`. Its reads may lag behind writes."""
    REPORTS = "reports"
    """Reports of minutes, by time; shard is ignored."""
    REGISTRY = "registry"
    """Registrations, by pool name; pool and shard are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A range of one shelf: keys from `low` (included) to `high` (included; None: without end).

    `limit` is how many items one page reads at most; None: as many as fit in one answer (1 MB). Unreadable items count, too.
    `reverse`: from `high` down to `low`.
    """

    shelf: Shelf
    pool: str = ""
    shard: int = 0
    low: str = ""
    high: str | None = None
    limit: int | None = None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One item of a range, in key order."""

    sort: str
    record: Record | Unreadable


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a range read. `next_low` is where the next page begins (to be used as `Span.low`); None: this was the last one.

    Of a reverse read, `next_high` is (to be used as `Span.high`), and `next_low` is None. Pages are not one snapshot: a record written
    meanwhile may or may not appear.
    """

    rows: tuple[Row, ...]
    next_low: str | None
    next_high: str | None = None


def key_after(key: str) -> str:
    """The very next string in the order of keys."""
    return f"{key}\x00"


def key_before(key: str) -> str:
    """A string before `key` (not empty) and after every other smaller key that anybody would make: reading down goes on from here."""
    last = ord(key[-1])
    if last == 0:
        return key[:-1]
    lower = "\ud7ff" if last == _AFTER_SURROGATES else chr(last - 1)
    return f"{key[:-1]}{lower}{_HIGHEST}"
