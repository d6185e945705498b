"""Remembers the time for which each start of a pool had its slot, and since when one was free.

What is known is kept, so a day of starts costs each of them no more than an hour does.
"""

from __future__ import annotations

from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import EntryKey

__all__ = ["Slots"]


class Slots:
    """From when until when each start had its slot, as user code has it."""

    def __init__(self) -> None:
        self._all: dict[EntryKey, tuple[EpochMs, EpochMs | None]] = {}
        self._recent: dict[EntryKey, tuple[EpochMs, EpochMs | None]] = {}
        """Those that are taken, or were after `_examined`."""
        self._examined = EpochMs(0)
        """Until then it is known when every slot was taken last."""
        self._full_at = EpochMs(0)

    def __contains__(self, key: EntryKey) -> bool:
        return key in self._all

    def over_at(self, key: EntryKey) -> EpochMs | None:
        """When it gave its slot back; `None`: not yet, or it never had one."""
        return self._all.get(key, (None, None))[1]

    def begins(self, key: EntryKey, now: EpochMs) -> None:
        """It takes a slot."""
        self._all[key] = self._recent[key] = (now, None)

    def ends(self, key: EntryKey, at: EpochMs, now: EpochMs) -> None:
        """It gives its slot back, now or later."""
        since, before = self._all.get(key, (now, None))
        self._all[key] = (since, at)
        if before is not None and before <= self._examined:
            # It had its slot for longer than was known. When all were taken as known then still counts.
            self._examined = EpochMs(before - 1)
            self._recent = {
                each: times
                for each, times in self._all.items()
                if times[1] is None or times[1] > self._examined
            }
        self._recent[key] = (since, at)

    def free_since(self, limit: int, changed_at: EpochMs, now: EpochMs) -> EpochMs:
        """Since when there was a free slot all the time.

        `changed_at`: when the limit was changed last.
        """
        if sum(until is None for _, until in self._recent.values()) >= limit:
            return now  # its process was killed this instant, and has not noted it yet
        ends = {
            until
            for _, until in self._recent.values()
            if until is not None and self._examined < until <= now
        }
        for full in sorted(ends, reverse=True):
            if self._taken_at(full) >= limit:
                self._full_at = full
                break
        self._examined = EpochMs(now - 1)  # more may end at this very instant
        self._recent = {
            key: times
            for key, times in self._recent.items()
            if times[1] is None or times[1] > self._examined
        }
        return max(self._full_at, changed_at)

    def _taken_at(self, full: EpochMs) -> int:
        return sum(
            since < full and (until is None or until >= full)
            for since, until in self._recent.values()
        )
