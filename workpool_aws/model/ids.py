"""Ids are ULIDs whose time part is a due time and whose last character is the logical shard.

An id alone locates its record (partition by shard, position by time), so a point read needs no
index.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NewType

from ulid import base32

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ID_LENGTH",
    "SHARDS_MAX",
    "TIME_LENGTH",
    "EpochMs",
    "WorkId",
    "id_floor",
    "is_ulid",
    "make_id",
    "make_ids",
    "place_after",
    "shard_of",
    "time_of",
]

EpochMs = NewType("EpochMs", int)
"""Milliseconds since 1970-01-01 UTC."""

WorkId = NewType("WorkId", str)
"""The id of one work item: 26 characters of Crockford base 32, safe in URLs and logs."""

ID_LENGTH: Final = 26
TIME_LENGTH: Final = 10
"""Characters of an id's time part."""
SHARDS_MAX: Final = 32
"""Logical shards that an id can name: one base-32 character."""

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID: Final = re.compile(rf"[0-7][{_ALPHABET}]{{{ID_LENGTH - 1}}}")
_TO_DIGITS: Final = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
"""Maps Crockford's digits to those of `int`."""
_LOWEST_TAIL: Final = "0" * (ID_LENGTH - TIME_LENGTH)
_SHARD_BITS: Final = 5
_NUMBER_BITS: Final = 80 - _SHARD_BITS
_STEP_SHIFT: Final = 20
_STEP_MIN: Final = 1 << 40
"""Numbers that must be left of one time. With fewer, the next id starts over: out of order, but
never equal."""


def make_id(at: EpochMs, *, random_bits: int, shard: int = 0) -> str:
    """Returns one ULID for the time `at`.

    `random_bits` is any non-negative int, of which 74 bits are used.
    """
    return next(make_ids(at, random_bits=random_bits, shard=shard))


def make_ids(
    at: EpochMs, *, random_bits: int, shard: int = 0, shards: int = 1, after: str | None = None
) -> Iterator[str]:
    """Yields ever larger ULIDs for one time, so that a batch keeps its order.

    This is ULID's monotonic rule. With `after`, an id of the same time, they begin beyond it, at a
    distance that `random_bits` decides. Two copies of a process that share an `after` therefore
    diverge at once: the chance that one of their ids is equal is about one in 2 ** 54.

    The ids go round the `shards` from `shard` on, from a random one of them.
    """
    if not 0 <= shard <= shard + shards - 1 < SHARDS_MAX:
        raise ValueError(f"shard {shard} is not in 0..{SHARDS_MAX - 1}")
    # The top bit stays clear, so that counting up cannot overflow.
    number = random_bits % (1 << (_NUMBER_BITS - 1))
    if after is not None:
        last = _number_of(after)
        # A fixed share of what is left, which therefore never runs out: after ten million steps, one
        # part in 150 is still there.
        longest = ((1 << _NUMBER_BITS) - last) >> _STEP_SHIFT
        number = number if longest < _STEP_MIN else last + 1 + random_bits % longest
    while True:
        tail = (number << _SHARD_BITS) | (shard + number % shards)
        yield base32.encode(max(0, at).to_bytes(6, "big") + tail.to_bytes(10, "big"))
        number += 1


def place_after(first: str, ulid: str) -> int | None:
    """Returns the place of an id among those that `make_ids` yields from `first` on, counted from 0.

    `None` means that it is none of them: of another time, of another shard, or an earlier one.
    """
    if first[:TIME_LENGTH] != ulid[:TIME_LENGTH] or first[-1] != ulid[-1]:
        return None
    place = _number_of(ulid) - _number_of(first)
    return place if place >= 0 else None


def _number_of(ulid: str) -> int:
    return int(ulid[TIME_LENGTH:].translate(_TO_DIGITS), 32) >> _SHARD_BITS


@lru_cache(maxsize=256)
def id_floor(at: EpochMs) -> str:
    """Returns the smallest id of a time. Every id of `at` or later sorts at or after it."""
    return base32.encode_timestamp(max(0, at).to_bytes(6, "big")) + _LOWEST_TAIL


def is_ulid(text: str) -> bool:
    """True if `text` has the form of an id, in its one canonical spelling."""
    return _ULID.fullmatch(text) is not None


def time_of(ulid: str) -> EpochMs:
    """Returns the time of an id: for a work item, its due time when it was enqueued."""
    return EpochMs(int(ulid[:TIME_LENGTH].translate(_TO_DIGITS), 32))


def shard_of(ulid: str) -> int:
    """Returns the logical shard of an id, from its last character."""
    return _ALPHABET.index(ulid[-1])
