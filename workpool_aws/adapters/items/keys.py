"""Spelling of keys: where each record lies in the table.

Nothing else in the package builds or reads a key.

Names of pools match `[A-Za-z0-9_-]{1,40}`, so the separator `#` never occurs in them, and no pool
can collide with `#pools`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol, assert_never

from workpool_aws.adapters.items import forms
from workpool_aws.adapters.items.attributes import DEAD_KEY, SORT_KEY
from workpool_aws.model.ids import SHARDS_MAX, WorkId, is_ulid, shard_of
from workpool_aws.model.names import POOL
from workpool_aws.model.pages import PAGE_TOKEN
from workpool_aws.model.payload import Part
from workpool_aws.model.refs import Collection, KeyRange, key_after, key_before
from workpool_aws.values import dataclass

__all__ = [
    "ByMinute",
    "ByName",
    "InRegistry",
    "InShard",
    "Key",
    "KeySpelling",
    "OfName",
    "OfPage",
    "OfPool",
    "OfTable",
    "OfWork",
    "PartitionKind",
    "Place",
    "is_empty",
    "leading_key",
    "next_high",
    "next_low",
    "partition_of",
    "place_of",
    "sort_attribute",
]

_REGISTRY: Final = "#pools"
_DEPLOYMENT: Final = "#deployment"
_NAME_BYTES_MAX: Final = 1024
_SHARD: Final = re.compile(r"0|[1-9][0-9]?")
_PAGE: Final = "page/"
_CHUNK: Final = re.compile(rf"({'|'.join(Part)})/(0|[1-9][0-9]{{0,3}})")


class Key(NamedTuple):
    """The full primary key of an item."""

    pk: str
    sk: str


class PartitionKind(StrEnum):
    """Kind of a partition, from its key alone."""

    WORK = "work"
    DONE = "done"
    PAYLOAD = "payload"
    CONTROL = "control"
    REPORTS = "reports"
    RECEIPT = "receipt"
    UNIQUE = "unique"
    REQUEST = "request"
    SCHEDULES = "schedules"
    GROUPS = "groups"
    REGISTRY = "registry"
    DEPLOYMENT = "deployment"


_OF_POOLS: Final = (
    PartitionKind.CONTROL.value,
    PartitionKind.REPORTS.value,
    PartitionKind.SCHEDULES.value,
    PartitionKind.GROUPS.value,
)
"""Kinds of which each pool has one partition."""
_NAMED: Final = (
    PartitionKind.RECEIPT.value,
    PartitionKind.UNIQUE.value,
    PartitionKind.REQUEST.value,
)
"""Kinds of which each name has one partition."""


@dataclass(frozen=True, slots=True)
class Place:
    """A partition key, read.

    `pool` is "" in the partitions of the table; `shard` is 0 and `work_id` None where a kind has none.
    """

    partition_kind: PartitionKind
    pool: str = ""
    shard: int = 0
    work_id: WorkId | None = None
    name: str = ""


class KeySpelling(Protocol):
    """Spelling of one kind of record's names as a key: the fields of its `Ref`, in order."""

    @property
    def partition_kind(self) -> PartitionKind:
        """The partitions it lies in."""

    @property
    def sort(self) -> str | None:
        """Its one sort key. `None` means that names are spelled in it."""

    def key(self, *names: Any) -> Key:
        """Return the key. Raises ValueError: a name cannot be part of one."""

    def names(self, place: Place, sort: str) -> tuple[object, ...]:
        """Return the names that a key of this kind spells. Raises ValueError: it spells none."""


@dataclass(frozen=True, slots=True)
class InShard:
    """By pool and id, in the partition of the id's shard."""

    partition_kind: PartitionKind
    sort: None = None

    def key(self, pool: str, ulid: str) -> Key:
        """Return the key, whose shard follows from the id alone."""
        return Key(_shard_partition(pool, self.partition_kind, shard_of(_checked_ulid(ulid))), ulid)

    def names(self, place: Place, sort: str) -> tuple[str, WorkId]:
        """Return pool and id. Raises ValueError for an id of another shard, too."""
        ulid = _ulid_in(sort)
        if shard_of(ulid) != place.shard:
            raise ValueError("the id belongs to another shard")
        return place.pool, ulid


@dataclass(frozen=True, slots=True)
class OfWork:
    """By pool, work item, part and number: the chunks of one work item lie together."""

    partition_kind: PartitionKind
    sort: None = None

    def key(self, pool: str, work_id: WorkId, part: Part, number: int) -> Key:
        """Return the key, whose sort key is made of part and number."""
        sort = f"{part}/{number}"
        _chunk_in(sort)
        return Key(f"{_checked(pool)}#{self.partition_kind.value}#{_checked_ulid(work_id)}", sort)

    def names(self, place: Place, sort: str) -> tuple[str, WorkId, Part, int]:
        """Return pool, work item, part and number."""
        return place.pool, forms.work_id(place.work_id), *_chunk_in(sort)


@dataclass(frozen=True, slots=True)
class OfPool:
    """By pool: it has one."""

    partition_kind: PartitionKind
    sort: str

    def key(self, pool: str) -> Key:
        """Return the key, whose sort key is a fixed one."""
        return Key(_pool_partition(pool, self.partition_kind), self.sort)

    def names(self, place: Place, sort: str) -> tuple[str]:
        """Return the pool."""
        return (place.pool,)


@dataclass(frozen=True, slots=True)
class ByMinute:
    """By pool and time, spelled as an id."""

    partition_kind: PartitionKind
    sort: None = None

    def key(self, pool: str, at: str) -> Key:
        """Return the key, in the one partition of the pool."""
        return Key(_pool_partition(pool, self.partition_kind), _checked_ulid(at))

    def names(self, place: Place, sort: str) -> tuple[str, WorkId]:
        """Return pool and time."""
        return place.pool, _ulid_in(sort)


@dataclass(frozen=True, slots=True)
class ByName:
    """By pool and a name, each in a partition of its own."""

    partition_kind: PartitionKind
    sort: str

    def key(self, pool: str, name: str) -> Key:
        """Return the key, with the name in the partition key and a fixed sort key."""
        if not 1 <= len(name.encode()) <= _NAME_BYTES_MAX:
            raise ValueError(f"a name of 1 to {_NAME_BYTES_MAX} bytes is expected")
        return Key(f"{_checked(pool)}#{self.partition_kind.value}#{name}", self.sort)

    def names(self, place: Place, sort: str) -> tuple[str, str]:
        """Return pool and name."""
        return place.pool, place.name


@dataclass(frozen=True, slots=True)
class OfName:
    """By pool and name, all of a pool in one partition."""

    partition_kind: PartitionKind
    pattern: re.Pattern[str]
    """Matches the names that there can be."""
    what: str
    """Description of such a name, for messages."""
    sort: None = None

    def key(self, pool: str, name: str) -> Key:
        """Return the key, whose sort key is the name."""
        return Key(_pool_partition(pool, self.partition_kind), self._checked(name))

    def names(self, place: Place, sort: str) -> tuple[str, str]:
        """Return pool and name."""
        return place.pool, self._checked(sort)

    def _checked(self, name: str) -> str:
        if self.pattern.fullmatch(name) is None:
            raise ValueError(f"the key is not {self.what}")
        return name


@dataclass(frozen=True, slots=True)
class OfPage:
    """By pool and token, beside the ledger whose page it is."""

    partition_kind: PartitionKind
    sort: None = None

    def key(self, pool: str, token: str) -> Key:
        """Return the key, with the token in the sort key."""
        sort = f"{_PAGE}{token}"
        self.names(Place(self.partition_kind, pool), sort)
        return Key(_pool_partition(pool, self.partition_kind), sort)

    def names(self, place: Place, sort: str) -> tuple[str, str]:
        """Return pool and token."""
        token = sort.removeprefix(_PAGE)
        if token == sort or PAGE_TOKEN.fullmatch(token) is None:
            raise ValueError("no item of this package has this key")
        return place.pool, token


@dataclass(frozen=True, slots=True)
class InRegistry:
    """By pool, all in one partition of the table."""

    partition_kind: PartitionKind
    sort: None = None

    def key(self, pool: str) -> Key:
        """Return the key, whose sort key is the pool's name."""
        return Key(_REGISTRY, _checked(pool))

    def names(self, place: Place, sort: str) -> tuple[str]:
        """Return the pool."""
        return (_checked(sort),)


@dataclass(frozen=True, slots=True)
class OfTable:
    """By nothing: the table has one."""

    partition_kind: PartitionKind
    sort: str

    def key(self) -> Key:
        """Return the key, which is a fixed one."""
        return Key(_DEPLOYMENT, self.sort)

    def names(self, place: Place, sort: str) -> tuple[()]:
        """Return nothing, since there are no names."""
        return ()


def leading_key(partition_kind: PartitionKind, pool: str) -> str:
    """Return the partition keys of a kind as an IAM policy names them, with `*` for open parts.

    `pool` is its name, or "*".

    Raises:
        ValueError: the pool's name cannot be part of a key.
    """
    name = pool if pool == "*" else _checked(pool)
    match partition_kind:
        case (
            PartitionKind.WORK
            | PartitionKind.DONE
            | PartitionKind.PAYLOAD
            | PartitionKind.RECEIPT
            | PartitionKind.UNIQUE
            | PartitionKind.REQUEST
        ):
            return f"{name}#{partition_kind.value}#*"
        case (
            PartitionKind.CONTROL
            | PartitionKind.REPORTS
            | PartitionKind.SCHEDULES
            | PartitionKind.GROUPS
        ):
            return f"{name}#{partition_kind.value}"
        case PartitionKind.REGISTRY:
            return _REGISTRY
        case PartitionKind.DEPLOYMENT:
            return _DEPLOYMENT
        case _:
            assert_never(partition_kind)


def partition_of(key_range: KeyRange) -> str:
    """Return the partition that a range lies in: a range never crosses one.

    Raises:
        ValueError: the pool's name or the shard cannot be part of a key.
    """
    match key_range.collection:
        case Collection.WORK | Collection.DEAD:
            return _shard_partition(key_range.pool, PartitionKind.WORK, key_range.shard)
        case Collection.DONE:
            return _shard_partition(key_range.pool, PartitionKind.DONE, key_range.shard)
        case Collection.REPORTS:
            return _pool_partition(key_range.pool, PartitionKind.REPORTS)
        case Collection.SCHEDULES:
            return _pool_partition(key_range.pool, PartitionKind.SCHEDULES)
        case Collection.GROUPS:
            return _pool_partition(key_range.pool, PartitionKind.GROUPS)
        case Collection.REGISTRY:
            return _REGISTRY
        case _:
            assert_never(key_range.collection)


@lru_cache(maxsize=4096)
def place_of(partition: str) -> Place:
    """Parse a partition key.

    Raises:
        ValueError: it is none of this package's.
    """
    if partition == _REGISTRY:
        return Place(PartitionKind.REGISTRY)
    if partition == _DEPLOYMENT:
        return Place(PartitionKind.DEPLOYMENT)
    pool, _, rest = partition.partition("#")
    partition_kind, _, shard = rest.partition("#")
    if POOL.fullmatch(pool):
        if rest in _OF_POOLS:
            return Place(PartitionKind(rest), pool)
        if (
            partition_kind in (PartitionKind.WORK.value, PartitionKind.DONE.value)
            and _SHARD.fullmatch(shard)
            and int(shard) < SHARDS_MAX
        ):
            return Place(PartitionKind(partition_kind), pool, int(shard))
        if partition_kind == PartitionKind.PAYLOAD.value and is_ulid(shard):
            return Place(PartitionKind.PAYLOAD, pool, work_id=WorkId(shard))
        if partition_kind in _NAMED and 1 <= len(shard.encode()) <= _NAME_BYTES_MAX:
            return Place(PartitionKind(partition_kind), pool, name=shard)
    raise ValueError("no partition of this package")


def is_empty(key_range: KeyRange) -> bool:
    """True if no key can lie in a range (DynamoDB refuses such a range instead of answering with nothing).

    Raises:
        ValueError: the range asks for pages of less than one item.
    """
    if key_range.limit is not None and key_range.limit < 1:
        raise ValueError(f"limit: {key_range.limit} is not allowed; at least 1 item a page")
    return key_range.high is not None and (key_range.high == "" or key_range.high < key_range.low)


def next_low(last: str, high: str | None) -> str | None:
    """Return the start of the page after the one that ended at `last`.

    `None` when the range is used up.

    The very next string in the order of keys, so that no key, however odd, is skipped or read
    twice.
    """
    low = key_after(last)
    return None if high is not None and low > high else low


def next_high(last: str, low: str) -> str | None:
    """Return the start of the page after the one that went down to `last`.

    `None` when the range is used up.
    """
    high = key_before(last) if last else ""
    return None if not high or high < low else high


def sort_attribute(key_range: KeyRange) -> str:
    """Return the attribute by which the range is ordered."""
    return DEAD_KEY if key_range.collection is Collection.DEAD else SORT_KEY


def _checked_ulid(ulid: str) -> str:
    if not is_ulid(ulid):
        raise ValueError(
            f"{ulid[:40]!r} is not an id: 26 characters of Crockford base 32 are expected"
        )
    return ulid


def _ulid_in(sort: str) -> WorkId:
    try:
        return forms.work_id(sort)
    except ValueError:
        raise ValueError("the key is not an id") from None


def _chunk_in(sort: str) -> tuple[Part, int]:
    found = _CHUNK.fullmatch(sort)
    if found is None:
        raise ValueError("the key is not a chunk's")
    return Part(found[1]), int(found[2])


@lru_cache(maxsize=4096)
def _shard_partition(pool: str, partition_kind: PartitionKind, shard: int) -> str:
    if not 0 <= shard < SHARDS_MAX:
        raise ValueError(f"shard {shard} is not in 0..{SHARDS_MAX - 1}")
    return f"{_checked(pool)}#{partition_kind.value}#{shard}"


@lru_cache(maxsize=4096)
def _pool_partition(pool: str, partition_kind: PartitionKind) -> str:
    return f"{_checked(pool)}#{partition_kind.value}"


def _checked(pool: str) -> str:
    if not POOL.fullmatch(pool):
        raise ValueError(
            f"pool: {pool[:60]!r} is not allowed; 1 to 40 letters, digits, hyphens and underscores"
        )
    return pool
