"""Owns the spelling of keys: where each record lies in the table. Nothing else in the package builds or reads a key.

Names of pools match `[A-Za-z0-9_-]{1,40}`, so the separator `#` never occurs in them, and no pool can collide with `#pools`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple, assert_never

from workpool_aws.model.ids import SHARDS_MAX, WorkId, is_ulid, shard_of
from workpool_aws.model.names import POOL
from workpool_aws.model.refs import (
    ChunkRef,
    ConfigRef,
    DeploymentRef,
    DoneRef,
    LedgerRef,
    MinuteReportRef,
    PointerRef,
    Ref,
    RegistrationRef,
    Shelf,
    Span,
    StatusRef,
    WorkRef,
    key_after,
    key_before,
)
from workpool_aws.model.work import Part

__all__ = [
    "DEAD_INDEX",
    "DEAD_KEY",
    "PARTITION_KEY",
    "SORT_KEY",
    "TTL_ATTRIBUTE",
    "Key",
    "Place",
    "Room",
    "chunk_in",
    "is_empty",
    "key_of",
    "leading_key",
    "next_high",
    "next_low",
    "partition_of",
    "place_of",
    "sort_attribute",
]

PARTITION_KEY: Final = "pk"
SORT_KEY: Final = "sk"
TTL_ATTRIBUTE: Final = "expires_at"
DEAD_INDEX: Final = "dead_letters"
"""The one index. Its keys are `pk` and `DEAD_KEY`, so that only items which have the latter are in it: dead letters."""
DEAD_KEY: Final = "dead"

CONFIG_SORT: Final = "config"
STATUS_SORT: Final = "status"
LEDGER_SORT: Final = "ledger"
DEPLOYMENT_SORT: Final = "current"

_REGISTRY: Final = "#pools"
_DEPLOYMENT: Final = "#deployment"
_SHARD: Final = re.compile(r"0|[1-9][0-9]?")
_CHUNK: Final = re.compile(rf"({'|'.join(Part)})/(0|[1-9][0-9]{{0,3}})")


class Key(NamedTuple):
    """The full primary key of an item."""

    pk: str
    sk: str


class Room(StrEnum):
    """What a partition holds, told by its key alone."""

    WORK = "work"
    DONE = "done"
    PAYLOAD = "payload"
    CONTROL = "control"
    REPORTS = "reports"
    REGISTRY = "registry"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True)
class Place:
    """A partition key, read. `pool` is "" in the rooms of the table; `shard` is 0 and `work_id` None where a room has none."""

    room: Room
    pool: str = ""
    shard: int = 0
    work_id: WorkId | None = None


def key_of(ref: Ref) -> Key:  # noqa: C901 - one a kind of record
    """Where a record lies.

    Raises:
        ValueError: the pool's name or the id cannot be part of a key.
    """
    match ref:
        case WorkRef():
            return Key(_sharded(ref.pool, Room.WORK, ref.id), ref.id)
        case ChunkRef():
            return Key(f"{_checked(ref.pool)}#{Room.PAYLOAD.value}#{_checked_ulid(ref.work_id)}", _chunk_sort(ref))
        case PointerRef():
            return Key(_sharded(ref.pool, Room.WORK, ref.at), ref.at)
        case DoneRef():
            return Key(_sharded(ref.pool, Room.DONE, ref.at), ref.at)
        case StatusRef():
            return Key(_control(ref.pool), STATUS_SORT)
        case LedgerRef():
            return Key(_control(ref.pool), LEDGER_SORT)
        case ConfigRef():
            return Key(_control(ref.pool), CONFIG_SORT)
        case MinuteReportRef():
            return Key(_reports(ref.pool), _checked_ulid(ref.at))
        case RegistrationRef():
            return Key(_REGISTRY, _checked(ref.pool))
        case DeploymentRef():
            return Key(_DEPLOYMENT, DEPLOYMENT_SORT)
        case _:
            assert_never(ref)


def leading_key(room: Room, pool: str) -> str:
    """The partition keys of a room as an IAM policy names them: with `*` for what is not said. `pool`: its name, or "*".

    Raises:
        ValueError: the pool's name cannot be part of a key.
    """
    name = pool if pool == "*" else _checked(pool)
    match room:
        case Room.WORK | Room.DONE | Room.PAYLOAD:
            return f"{name}#{room.value}#*"
        case Room.CONTROL | Room.REPORTS:
            return f"{name}#{room.value}"
        case Room.REGISTRY:
            return _REGISTRY
        case Room.DEPLOYMENT:
            return _DEPLOYMENT
        case _:
            assert_never(room)


def partition_of(span: Span) -> str:
    """The partition that a range lies in: a range never crosses one.

    Raises:
        ValueError: the pool's name or the shard cannot be part of a key.
    """
    match span.shelf:
        case Shelf.WORK | Shelf.DEAD:
            return _shard_partition(span.pool, Room.WORK, span.shard)
        case Shelf.DONE:
            return _shard_partition(span.pool, Room.DONE, span.shard)
        case Shelf.REPORTS:
            return _reports(span.pool)
        case Shelf.REGISTRY:
            return _REGISTRY
        case _:
            assert_never(span.shelf)


@lru_cache(maxsize=4096)
def place_of(partition: str) -> Place:
    """What a partition key says.

    Raises:
        ValueError: it is none of this package's.
    """
    if partition == _REGISTRY:
        return Place(Room.REGISTRY)
    if partition == _DEPLOYMENT:
        return Place(Room.DEPLOYMENT)
    pool, _, rest = partition.partition("#")
    room, _, shard = rest.partition("#")
    if POOL.fullmatch(pool):
        if rest == Room.CONTROL.value:
            return Place(Room.CONTROL, pool)
        if rest == Room.REPORTS.value:
            return Place(Room.REPORTS, pool)
        if room in (Room.WORK.value, Room.DONE.value) and _SHARD.fullmatch(shard) and int(shard) < SHARDS_MAX:
            return Place(Room(room), pool, int(shard))
        if room == Room.PAYLOAD.value and is_ulid(shard):
            return Place(Room.PAYLOAD, pool, work_id=WorkId(shard))
    raise ValueError("no partition of this package")


def chunk_in(sort: str) -> tuple[Part, int]:
    """The part and the number that the sort key of a chunk says. Raises ValueError: it says none."""
    found = _CHUNK.fullmatch(sort)
    if found is None:
        raise ValueError("the key is not a chunk's")
    return Part(found[1]), int(found[2])


def is_empty(span: Span) -> bool:
    """Whether no key can lie in a range (DynamoDB refuses such a range instead of answering with nothing).

    Raises:
        ValueError: the range asks for pages of less than one item.
    """
    if span.limit is not None and span.limit < 1:
        raise ValueError(f"limit: {span.limit} is not allowed; at least 1 item a page")
    return span.high is not None and (span.high == "" or span.high < span.low)


def next_low(last: str, high: str | None) -> str | None:
    """Where the page after the one that ended at `last` begins; None when the range is used up.

    The very next string in the order of keys, so that no key, however odd, is skipped or read twice.
    """
    low = key_after(last)
    return None if high is not None and low > high else low


def next_high(last: str, low: str) -> str | None:
    """Where the page after the one that went down to `last` begins; None when the range is used up."""
    high = key_before(last) if last else ""
    return None if not high or high < low else high


def sort_attribute(span: Span) -> str:
    """The attribute by which the range is ordered."""
    return DEAD_KEY if span.shelf is Shelf.DEAD else SORT_KEY


def _sharded(pool: str, room: Room, ulid: str) -> str:
    return _shard_partition(pool, room, shard_of(_checked_ulid(ulid)))


def _checked_ulid(ulid: str) -> str:
    if not is_ulid(ulid):
        raise ValueError(f"{ulid[:40]!r} is not an id: 26 characters of Crockford base 32 are expected")
    return ulid


def _chunk_sort(ref: ChunkRef) -> str:
    sort = f"{ref.part}/{ref.number}"
    chunk_in(sort)
    return sort


@lru_cache(maxsize=4096)
def _shard_partition(pool: str, room: Room, shard: int) -> str:
    if not 0 <= shard < SHARDS_MAX:
        raise ValueError(f"shard {shard} is not in 0..{SHARDS_MAX - 1}")
    return f"{_checked(pool)}#{room.value}#{shard}"


@lru_cache(maxsize=4096)
def _control(pool: str) -> str:
    return f"{_checked(pool)}#{Room.CONTROL.value}"


def _reports(pool: str) -> str:
    return f"{_checked(pool)}#{Room.REPORTS.value}"


def _checked(pool: str) -> str:
    if not POOL.fullmatch(pool):
        raise ValueError(f"pool: {pool[:60]!r} is not allowed; 1 to 40 letters, digits, hyphens and underscores")
    return pool
