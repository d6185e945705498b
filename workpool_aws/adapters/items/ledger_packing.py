"""Packs the ledger's slots.

One Binary value, because every commit of the loop pays for the size of all of them.

    02            the format; then for each slot, in order of id and start:
    head          bits 0-3  length of the id's difference in bytes, 15 for 16
                  bit 4     confirmed
                  bit 5     a start number follows; else it is 1
                  bits 6-7  length of the deadline's difference: 1, 2, 3 or 7 bytes
    difference    from the id before to this one, both as 128-bit numbers
    [start]       seven bits a byte, low ones first
    deadline      difference in ms to the one before; odd for less

The random bits of an id are what no difference makes smaller, so a slot takes about 14 bytes. Ids
that were made together differ in their last bits only, and take about 5.

Format 1 was a list of texts, `id:start:deadline[:c]` with the deadline in base 36. It is still
read, so that a loop takes over what one of the version before has in flight; its first commit
writes format 2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ulid import ULID

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, WorkId, is_ulid, time_of
from workpool_aws.model.loop import Entry, EntryKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["pack", "unpack"]

_FORMAT: Final = 2
_ID_BYTES: Final = 16
_DEADLINE_BYTES: Final = (1, 2, 3, 7)
"""The longest takes the difference of any two moments, with its sign."""
_LENGTH_MASK: Final = 0b1111
_CONFIRMED: Final = 1 << 4
_START_FOLLOWS: Final = 1 << 5
_DEADLINE_SHIFT: Final = 6
_VARINT_BYTES_MAX: Final = 5
_TEXT: Final = re.compile(r"([0-9A-Z]{26}):([0-9]{1,10}):([0-9a-z]{1,12})(:c)?", re.ASCII)


def pack(entries: Mapping[EntryKey, Entry]) -> bytes:
    """Return the slots as one value.

    Raises:
        ValueError: a slot could not be read back. It would make the whole ledger unreadable.
    """
    writer = _Writer()
    for key, entry in sorted(entries.items()):
        if not is_ulid(key.work_id):
            raise ValueError("a slot of no id")
        _check_numbers(key.start, entry.deadline)
        writer.add(int(ULID.from_str(key.work_id)), key.start, entry)
    return bytes(writer.packed)


class _Writer:
    """Packs slots, each as its difference from the one before."""

    def __init__(self) -> None:
        self.packed = bytearray((_FORMAT,))
        self._id = 0
        self._deadline = 0

    def add(self, id_number: int, start: int, entry: Entry) -> None:
        """Append a slot. Its id is not below the one before."""
        id_step, self._id = id_number - self._id, id_number
        step, self._deadline = entry.deadline - self._deadline, entry.deadline
        id_length = -(-id_step.bit_length() // 8)
        if id_length >= _LENGTH_MASK:
            id_length = _ID_BYTES
        unsigned = step << 1 if step >= 0 else (-step << 1) - 1
        deadline_place, deadline_length = next(
            (place, length)
            for place, length in enumerate(_DEADLINE_BYTES)
            if unsigned.bit_length() <= 8 * length
        )
        head = min(id_length, _LENGTH_MASK) | deadline_place << _DEADLINE_SHIFT
        head |= (_CONFIRMED if entry.confirmed else 0) | (_START_FOLLOWS if start != 1 else 0)
        self.packed.append(head)
        self.packed += id_step.to_bytes(id_length, "big")
        if start != 1:
            self._add_varint(start)
        self.packed += unsigned.to_bytes(deadline_length, "big")

    def _add_varint(self, number: int) -> None:
        while number >= 1 << 7:
            self.packed.append(number & 0x7F | 0x80)
            number >>= 7
        self.packed.append(number)


def unpack(value: object) -> dict[EntryKey, Entry]:
    """Return the slots of a value of either format. Raises ValueError for anything else."""
    if isinstance(value, list):
        pairs = [_read_text(text) for text in value]
    elif isinstance(value, bytes) and value[:1] == bytes((_FORMAT,)):
        pairs = list(_Reader(value, at=1).slots())
    else:
        raise ValueError("slots of no known format")
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("one start has two slots")
    if len(entries) > limits.STORED_SLOTS_MAX:
        raise ValueError("more slots than a ledger has")
    for key, entry in pairs:
        if max(time_of(key.work_id), entry.deadline) >= limits.STORED_WORK_MS_BELOW:
            raise ValueError("a slot of a time that cannot be")
    return entries


class _Reader:
    """Reads packed slots from the front."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def slots(self) -> Iterator[tuple[EntryKey, Entry]]:
        """Yield the slots. Raises ValueError for what `pack` never wrote."""
        number, deadline = 0, 0
        while self._at < len(self._data):
            head = self._take(1)
            id_length = head & _LENGTH_MASK
            number += self._take(_ID_BYTES if id_length == _LENGTH_MASK else id_length)
            start = self._take_varint() if head & _START_FOLLOWS else 1
            unsigned = self._take(_DEADLINE_BYTES[head >> _DEADLINE_SHIFT])
            deadline += -((unsigned + 1) >> 1) if unsigned & 1 else unsigned >> 1
            if number >= 1 << 8 * _ID_BYTES:
                raise ValueError("a slot of no id")
            _check_numbers(start, deadline)
            ulid = str(ULID.from_bytes(number.to_bytes(_ID_BYTES, "big")))
            entry = Entry(EpochMs(deadline), confirmed=bool(head & _CONFIRMED))
            yield EntryKey(WorkId(ulid), start), entry

    def _take(self, length: int) -> int:
        """Return the next bytes as a number. Raises ValueError when there are not so many."""
        end = self._at + length
        if end > len(self._data):
            raise ValueError("the slots are cut off")
        number = int.from_bytes(self._data[self._at : end], "big")
        self._at = end
        return number

    def _take_varint(self) -> int:
        """Return the next number of seven bits a byte.

        Raises ValueError as `_take` does, and when it is too long.
        """
        number = 0
        for place in range(_VARINT_BYTES_MAX):
            byte = self._take(1)
            number |= (byte & 0x7F) << 7 * place
            if byte < 1 << 7:
                return number
        raise ValueError("a start number is too long")


def _read_text(value: object) -> tuple[EntryKey, Entry]:
    found = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if found is None or not is_ulid(found[1]):
        raise ValueError("not a slot of format 1")
    start, deadline = int(found[2]), int(found[3], 36)
    _check_numbers(start, deadline)
    return EntryKey(WorkId(found[1]), start), Entry(
        EpochMs(deadline), confirmed=found[4] is not None
    )


def _check_numbers(start: int, deadline: int) -> None:
    if not 0 <= start <= limits.STORED_STARTS_BELOW or not 0 <= deadline < limits.STORED_MS_BELOW:
        raise ValueError("a slot with a number out of bounds")
