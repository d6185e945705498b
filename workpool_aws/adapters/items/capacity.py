"""Limits [WP-11] and prices of DynamoDB: sizes, bounds and units of an on-demand table, and the meter that adds them up.

All figures are AWS's documented rules; no emulator gets both reads and writes right.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Final

from workpool_aws.adapters.items.attributes import DEAD_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from workpool_aws.adapters.items.forms import Value
    from workpool_aws.adapters.items.keys import Key

__all__ = [
    "BATCH_GET_KEYS_MAX",
    "ITEM_BYTES_MAX",
    "PAGE_BYTES_MAX",
    "TOKEN_MS",
    "TRANSACTION_BYTES_MAX",
    "TRANSACTION_ITEMS_MAX",
    "Capacity",
    "Meter",
    "Units",
    "batch_get_units",
    "check_transaction",
    "failed_write_units",
    "get_units",
    "index_query_units",
    "index_units",
    "item_size",
    "query_units",
    "transaction_units",
    "write_units",
]

ITEM_BYTES_MAX: Final = 400 * 1024
PAGE_BYTES_MAX: Final = 1024 * 1024
TRANSACTION_ITEMS_MAX: Final = 100
TRANSACTION_BYTES_MAX: Final = 4 * 1024 * 1024
BATCH_GET_KEYS_MAX: Final = 100
TOKEN_MS: Final = 10 * 60_000
"""Time for which DynamoDB remembers the token of a transaction."""

_WRITE_UNIT_BYTES: Final = 1024
_READ_UNIT_BYTES: Final = 4096
_TRANSACTION_FACTOR: Final = 2
"""Prepare and commit: each costs as much as a plain write."""


def item_size(item: Mapping[str, object]) -> int:
    """Return the bytes of an item as DynamoDB counts them: names and values, both in UTF-8."""
    texts, size = [*item], 0
    for value in item.values():
        if isinstance(value, str):
            texts.append(value)
        else:
            size += _value_size(value)
    return size + _text_size("".join(texts))


def _value_size(value: object) -> int:
    match value:
        case str():
            return _text_size(value)
        case bool():
            return 1
        case int():
            return _number_size(value)
        case bytes():
            return len(value)
        case list():
            return 3 + sum(1 + _value_size(each) for each in value)
        case _:
            # Of a kind that this package never writes: the cost of reading it is no more than a
            # guess.
            return len(repr(value))


def _text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


@lru_cache(maxsize=1024)  # items hold the same small numbers and times again and again
def _number_size(number: int) -> int:
    # One byte per pair of significant digits, one for the exponent, one for a minus sign. Pairs are
    # counted from the decimal point, so a single zero at the end (120 is 01 20) stays in the last
    # one. AWS says "approximately", and this is the larger reading.
    if number == 0:
        return 1
    digits = str(abs(number))
    zeros = len(digits) - len(digits.rstrip("0"))
    return (len(digits) - zeros // 2 * 2 + 1) // 2 + 1 + (number < 0)


def write_units(old_bytes: int, new_bytes: int) -> int:
    """Return the units of a put, update or delete, by the larger of the item before and after.

    An absent item has 0 bytes.
    """
    return max(1, _ceiling(max(old_bytes, new_bytes), _WRITE_UNIT_BYTES))


def index_units(old: Mapping[str, Value] | None, new: Mapping[str, Value] | None) -> int:
    """Return the units that a change of an item costs in the index of dead letters.

    They are 0 unless the item is in it, or was.
    """
    before, after = (item if item is not None and DEAD_KEY in item else None for item in (old, new))
    if before == after:
        return 0
    moved = before is not None and after is not None and before[DEAD_KEY] != after[DEAD_KEY]
    sizes = [0 if item is None else item_size(item) for item in (before, after)]
    return write_units(sizes[0], 0) + write_units(0, sizes[1]) if moved else write_units(*sizes)


def failed_write_units(old_bytes: int) -> int:
    """Return the units of a write whose condition did not hold, by the item that stood there."""
    return write_units(old_bytes, 0)


def transaction_units(sizes: Iterable[tuple[int, int]]) -> int:
    """Return the units of a transaction of writes, each with its item's bytes before and after.

    The same when it is cancelled.
    """
    return _TRANSACTION_FACTOR * sum(write_units(old, new) for old, new in sizes)


def get_units(size_bytes: int) -> int:
    """Return the units of one strongly consistent point read. An absent item costs one, too."""
    return max(1, _ceiling(size_bytes, _READ_UNIT_BYTES))


def query_units(sizes_bytes: Iterable[int]) -> int:
    """Return the units of one strongly consistent page, whose items are added up before rounding.

    An empty page costs one.
    """
    return max(1, _ceiling(sum(sizes_bytes), _READ_UNIT_BYTES))


def index_query_units(sizes_bytes: Iterable[int]) -> int:
    """Return the units of one page of an index: half of a strongly consistent one, rounded up."""
    return _ceiling(query_units(sizes_bytes), 2)


def batch_get_units(sizes_bytes: Iterable[int]) -> int:
    """Return the units of strongly consistent point reads in a batch, each rounded by itself."""
    return sum(get_units(size) for size in sizes_bytes)


def check_transaction(keys: Sequence[Key], *, guests: int = 0) -> None:
    """Raises ValueError unless DynamoDB takes actions on these items in one transaction.

    `guests`: the number of actions on items of other tables.
    """
    count = len(keys) + guests
    if not 1 <= count <= TRANSACTION_ITEMS_MAX:
        raise ValueError(
            f"a transaction of {count} writes is not allowed; 1 to {TRANSACTION_ITEMS_MAX}"
        )
    if len(set(keys)) != len(keys):
        raise ValueError("a transaction must not write one item twice")


def _ceiling(size_bytes: int, unit_bytes: int) -> int:
    return -(-size_bytes // unit_bytes)


@dataclass(frozen=True, slots=True)
class Units:
    """Cost of some requests. One request may carry many items."""

    write_units: int = 0
    read_units: int = 0
    requests: int = 0

    def __add__(self, other: Units) -> Units:
        """Return both together."""
        return Units(
            self.write_units + other.write_units,
            self.read_units + other.read_units,
            self.requests + other.requests,
        )


@dataclass(frozen=True, slots=True)
class Capacity:
    """Counts of a meter since it was made or reset: in all, and by kind of step ("work.put", "ledger.update", "tx")."""

    write_units: int
    read_units: int
    requests: int
    by_label: Mapping[str, Units] = field(default_factory=dict)


class Meter:
    """Adds up units and requests. Safe to share between threads."""

    def __init__(self) -> None:
        """A meter that has counted nothing."""
        self._lock = Lock()
        self._by_label: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        """Write units, read units, requests."""

    def count(
        self, label: str, *, write_units: int = 0, read_units: int = 0, requests: int = 1
    ) -> None:
        """Add what a step of this kind cost."""
        with self._lock:
            counted = self._by_label[label]
            counted[0] += write_units
            counted[1] += read_units
            counted[2] += requests

    def snapshot(self) -> Capacity:
        """Return the counts so far; later ones do not change them."""
        with self._lock:
            by_label = {label: Units(*counted) for label, counted in self._by_label.items()}
        total = sum(by_label.values(), Units())
        return Capacity(total.write_units, total.read_units, total.requests, by_label)

    def reset(self) -> None:
        """Forget everything counted so far."""
        with self._lock:
            self._by_label.clear()
