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

Format 3 is written while some starts share a slot, as a run, and says 03 at its head. The number of runs
follows, then the first start of each: 16 bytes of its id, and its start. After each entry stands the place
of its run among these, from 1, or 0 for none. All numbers have seven bits a byte. A loop that does not
know runs cannot read it, and so does not start too much.

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
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["pack", "unpack"]

_FORMAT: Final = 2
_RUNS_FORMAT: Final = 3
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
    runs = sorted({entry.run for entry in entries.values() if entry.run is not None})
    writer = _Writer(runs)
    for key, entry in sorted(entries.items()):
        _check_key(key)
        _check_numbers(key.start, entry.deadline)
        writer.add(int(ULID.from_str(key.work_id)), key.start, entry)
    return bytes(writer.packed)


class _Writer:
    """Packs slots, each as its difference from the one before."""

    def __init__(self, runs: Sequence[EntryKey]) -> None:
        self.packed = bytearray((_RUNS_FORMAT if runs else _FORMAT,))
        self._id = 0
        self._deadline = 0
        self._places = {run: place for place, run in enumerate(runs, 1)}
        if runs:
            self._add_varint(len(runs))
        for run in runs:
            _check_key(run)
            _check_numbers(run.start, 0)
            self.packed += int(ULID.from_str(run.work_id)).to_bytes(_ID_BYTES, "big")
            self._add_varint(run.start)

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
        if self._places:
            self._add_varint(0 if entry.run is None else self._places[entry.run])

    def _add_varint(self, number: int) -> None:
        while number >= 1 << 7:
            self.packed.append(number & 0x7F | 0x80)
            number >>= 7
        self.packed.append(number)


def unpack(value: object) -> dict[EntryKey, Entry]:
    """Return the slots of a value of any format. Raises ValueError for anything else."""
    if isinstance(value, list):
        pairs = [_read_text(text) for text in value]
    elif isinstance(value, bytes) and value[:1] in {bytes((_FORMAT,)), bytes((_RUNS_FORMAT,))}:
        reader = _Reader(value, at=1)
        pairs = list(reader.slots() if value[0] == _FORMAT else reader.slots_of_runs())
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

    def slots_of_runs(self) -> Iterator[tuple[EntryKey, Entry]]:
        """Yield the slots after a table of runs. Raises as `slots`."""
        count = self._take_varint()
        if not 1 <= count <= limits.STORED_SLOTS_MAX:
            raise ValueError("a number of runs out of bounds")
        runs: list[EntryKey | None] = [None]
        for _ in range(count):
            number, start = self._take(_ID_BYTES), self._take_varint()
            _check_numbers(start, 0)
            runs.append(EntryKey(_id_of(number), start))
        if len(set(runs)) != len(runs):
            raise ValueError("one run stands twice")
        yield from self.slots(runs)

    def slots(self, runs: Sequence[EntryKey | None] = ()) -> Iterator[tuple[EntryKey, Entry]]:
        """Yield the slots. Raises ValueError for what `pack` never wrote.

        `runs`: the runs by their places. Without any, no place follows an entry.
        """
        number, deadline = 0, 0
        while self._at < len(self._data):
            head = self._take(1)
            id_length = head & _LENGTH_MASK
            number += self._take(_ID_BYTES if id_length == _LENGTH_MASK else id_length)
            start = self._take_varint() if head & _START_FOLLOWS else 1
            unsigned = self._take(_DEADLINE_BYTES[head >> _DEADLINE_SHIFT])
            deadline += -((unsigned + 1) >> 1) if unsigned & 1 else unsigned >> 1
            work_id = _id_of(number)
            _check_numbers(start, deadline)
            run = self._take_run(runs) if runs else None
            entry = Entry(EpochMs(deadline), confirmed=bool(head & _CONFIRMED), run=run)
            yield EntryKey(work_id, start), entry

    def _take_run(self, runs: Sequence[EntryKey | None]) -> EntryKey | None:
        place = self._take_varint()
        if place >= len(runs):
            raise ValueError("a slot of no run")
        return runs[place]

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
        raise ValueError("a number is too long")


def _check_key(key: EntryKey) -> None:
    if not is_ulid(key.work_id):
        raise ValueError("a slot of no id")


def _id_of(number: int) -> WorkId:
    if number >= 1 << 8 * _ID_BYTES:
        raise ValueError("a slot of no id")
    return WorkId(str(ULID.from_bytes(number.to_bytes(_ID_BYTES, "big"))))


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
