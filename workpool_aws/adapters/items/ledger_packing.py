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

Format 4 is written while some slots lie in pages, and says 04 at its head. The number of pages follows,
then for each the length of its token, the token, the number of its slots, and which of them are gone:
00 and a bit for each slot, or else their number plus one and the distance of each from the one before.
The rest is as in format 3, with 0 for no runs. A loop that does not know pages cannot read it either.
The item of a page has its slots in format 2.

The random bits of an id are what no difference makes smaller, so a slot takes about 14 bytes. Ids
that were made together differ in their last bits only, and take about 5.

Format 1 was a list of texts, `id:start:deadline[:c]` with the deadline in base 36. It is still
read, so that a loop takes over what one of the version before has in flight; its first commit
writes format 2.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from ulid import ULID

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, WorkId, is_ulid, time_of
from workpool_aws.model.loop import Entry, EntryKey
from workpool_aws.model.pages import PAGE_TOKEN, NamedPage, Slots

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["pack", "pack_page", "unpack", "unpack_page"]

_FORMAT: Final = 2
_RUNS_FORMAT: Final = 3
_PAGES_FORMAT: Final = 4
_ID_BYTES: Final = 16
_DEADLINE_BYTES: Final = (1, 2, 3, 7)
"""The longest takes the difference of any two moments, with its sign."""
_LENGTH_MASK: Final = 0b1111
_CONFIRMED: Final = 1 << 4
_START_FOLLOWS: Final = 1 << 5
_DEADLINE_SHIFT: Final = 6
_VARINT_BYTES_MAX: Final = 5
_TEXT: Final = re.compile(r"([0-9A-Z]{26}):([0-9]{1,10}):([0-9a-z]{1,12})(:c)?", re.ASCII)


def pack(slots: Slots) -> bytes:
    """Return the slots as one value.

    Raises:
        ValueError: a slot could not be read back. It would make the whole ledger unreadable.
    """
    runs = sorted({entry.run for entry in slots.head.values() if entry.run is not None})
    writer = _Writer(runs, slots.pages)
    for key, entry in sorted(slots.head.items()):
        _check_key(key)
        _check_numbers(key.start, entry.deadline)
        writer.add(int(ULID.from_str(key.work_id)), key.start, entry)
    return bytes(writer.packed)


def pack_page(entries: Mapping[EntryKey, Entry]) -> bytes:
    """Return the slots of a page as one value. Raises as `pack`, and ValueError for one of a run."""
    if any(entry.run is not None for entry in entries.values()):
        raise ValueError("a page has no slots of runs")
    return pack(Slots(entries))


class _Writer:
    """Packs slots, each as its difference from the one before."""

    def __init__(self, runs: Sequence[EntryKey], pages: Sequence[NamedPage]) -> None:
        self._id = 0
        self._deadline = 0
        self._places = {run: place for place, run in enumerate(runs, 1)}
        self.packed = bytearray()
        if pages:
            self.packed.append(_PAGES_FORMAT)
            self._add_pages(pages)
        else:
            self.packed.append(_RUNS_FORMAT if runs else _FORMAT)
        if pages or runs:
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

    def _add_pages(self, pages: Sequence[NamedPage]) -> None:
        self._add_varint(len(pages))
        for page in pages:
            token = page.token.encode()
            self._add_varint(len(token))
            self.packed += token
            self._add_varint(page.count)
            gone = [place for place in range(page.count) if page.gone >> place & 1]
            if 2 * len(gone) >= -(-page.count // 8):
                self._add_varint(0)
                self.packed += page.gone.to_bytes(-(-page.count // 8), "little")
            else:
                self._add_varint(len(gone) + 1)
                for before, place in pairwise((-1, *gone)):
                    self._add_varint(place - before)

    def _add_varint(self, number: int) -> None:
        while number >= 1 << 7:
            self.packed.append(number & 0x7F | 0x80)
            number >>= 7
        self.packed.append(number)


def unpack(value: object) -> Slots:
    """Return the slots of a value of any format. Raises ValueError for anything else."""
    if isinstance(value, list):
        return Slots(_checked([_read_text(text) for text in value]))
    head = value[0] if isinstance(value, bytes) and value else None
    if not isinstance(value, bytes) or head not in {_FORMAT, _RUNS_FORMAT, _PAGES_FORMAT}:
        raise ValueError("slots of no known format")
    reader = _Reader(value, at=1)
    pages = reader.pages() if head == _PAGES_FORMAT else ()
    pairs = list(reader.slots() if head == _FORMAT else reader.slots_of_runs(some=not pages))
    return Slots(_checked(pairs), pages)


def unpack_page(value: object) -> dict[EntryKey, Entry]:
    """Return the slots of a page. Raises ValueError for anything else."""
    if not isinstance(value, bytes) or value[:1] != bytes((_FORMAT,)):
        raise ValueError("slots of no format of a page")
    return _checked(list(_Reader(value, at=1).slots()))


def _checked(pairs: Sequence[tuple[EntryKey, Entry]]) -> dict[EntryKey, Entry]:
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

    def pages(self) -> tuple[NamedPage, ...]:
        """Return the table of pages. Raises ValueError for what `pack` never wrote."""
        count = self._take_varint()
        if not 1 <= count <= limits.LEDGER_PAGES_STORED_MAX:
            raise ValueError("a number of pages out of bounds")
        pages = tuple(self._take_page() for _ in range(count))
        if len({page.token for page in pages}) != count:
            raise ValueError("one page stands twice")
        return pages

    def _take_page(self) -> NamedPage:
        token = self._take_bytes(self._take_varint()).decode()
        if PAGE_TOKEN.fullmatch(token) is None:
            raise ValueError("a page whose name is none")
        count, form = self._take_varint(), self._take_varint()
        if not 1 <= count <= limits.STORED_SLOTS_MAX or form > count + 1:
            raise ValueError("a page of so many slots cannot be")
        gone = 0
        if form == 0:
            gone = int.from_bytes(self._take_bytes(-(-count // 8)), "little")
        place = -1
        for _ in range(form - 1):
            place += self._take_varint()
            if place < 0 or place >= count:
                break
            gone |= 1 << place
        if gone >> count or place >= count or gone.bit_count() < form - 1:
            raise ValueError("a page without that slot")
        return NamedPage(token, count, gone)

    def slots_of_runs(self, *, some: bool) -> Iterator[tuple[EntryKey, Entry]]:
        """Yield the slots after a table of runs. Raises as `slots`. `some`: it has any."""
        count = self._take_varint()
        if not some <= count <= limits.STORED_SLOTS_MAX:
            raise ValueError("a number of runs out of bounds")
        runs: list[EntryKey | None] = [None]
        for _ in range(count):
            number, start = self._take(_ID_BYTES), self._take_varint()
            _check_numbers(start, 0)
            runs.append(EntryKey(_id_of(number), start))
        if len(set(runs)) != len(runs):
            raise ValueError("one run stands twice")
        yield from self.slots(runs if count else ())

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
        """Return the next bytes as a number. Raises as `_take_bytes`."""
        return int.from_bytes(self._take_bytes(length), "big")

    def _take_bytes(self, length: int) -> bytes:
        """Return the next bytes. Raises ValueError when there are not so many."""
        start, self._at = self._at, self._at + length
        if self._at > len(self._data):
            raise ValueError("the slots are cut off")
        return self._data[start : self._at]

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
