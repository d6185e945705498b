"""Decides which slots the notices free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, id_floor, time_of
from workpool_aws.model.loop import Entry, EntryKey, Notice, NoticeKind
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Notices", "Settled", "deep_low", "done_cursor_after", "settle", "slots_taken"]


@dataclass(frozen=True, slots=True)
class Notices:
    """Notices of one shard, and the keys of all rows that were read."""

    records: tuple[Notice, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """Entries after their notices were read.

    `back_to`: the earliest pointer to which the cursor must go back; `None` means none. `asked`:
    keys of the notices that ask for a check, by entry.
    """

    entries: dict[EntryKey, Entry]
    gone: tuple[EntryKey, ...]
    back_to: str | None
    asked: Mapping[EntryKey, str]
    records: tuple[Notice, ...] = ()
    """The notices of the entries that went, one each."""

    @property
    def slots(self) -> int:
        """Slots that are still taken."""
        return slots_taken(self.entries)


def settle(entries: Mapping[EntryKey, Entry], records: Sequence[Notice]) -> Settled:
    """Frees the slot of each reported start, by id *and* start number.

    A duplicate must not free the slot of a later start [WP-1].
    """
    left = dict(entries)
    gone: list[EntryKey] = []
    pointers: list[str] = []
    used: list[Notice] = []
    asked: dict[EntryKey, str] = {}
    for record in records:
        key = EntryKey(record.work_id, record.start)
        if record.kind is NoticeKind.CHECK:
            asked[key] = record.at
            continue
        if left.pop(key, None) is None:
            continue
        gone.append(key)
        used.append(record)
        if record.pointer is not None:
            # The pointer of a retry may lie behind the cursor already (a short backoff, a slow
            # writer).
            pointers.append(record.pointer)
    still_asked = {key: at for key, at in asked.items() if key in left}
    return Settled(left, tuple(gone), min(pointers, default=None), still_asked, tuple(used))


def slots_taken(entries: Mapping[EntryKey, Entry]) -> int:
    """Returns the slots that these starts take: one each, and one for all of a run [WP-1]."""
    if not entries:
        return 0
    in_runs = [entry.run for entry in entries.values() if entry.run is not None]
    alone = len(entries) - len(in_runs)
    # Asked several times a pass, of ten thousand starts where few are in runs.
    return alone + len({*in_runs})


def done_cursor_after(cursor: str, keys: Sequence[str], now: EpochMs) -> str:
    """Returns the last key seen, never past now.

    A notice may still arrive with an earlier time than one that a fast clock wrote.
    """
    if not keys:
        return cursor
    return max(cursor, min(keys[-1], id_floor(now)))


def deep_low(cursor: str, deep_at: EpochMs | None = None) -> str:
    """Returns the key from which a deep read begins [WP-3].

    That is 15 s before the last deep read (`None` means that none is known, so 15 s before the
    cursor), or the cursor if that is earlier. Counted from the cursor alone, a work item that
    landed late while the pool was saturated would be lost.
    """
    if cursor == "":
        return ""
    times = [time_of(cursor)] if deep_at is None else [deep_at]
    return min(cursor, id_floor(EpochMs(min(times) - limits.BUFFER_MS)))
