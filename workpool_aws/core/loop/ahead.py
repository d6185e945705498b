"""Decides when due work items are read ahead of a free slot, and which of them may still start.

Between two runs a slot would wait for that read. A holder with a backlog makes it while the run is at
its last starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.admit import Headroom, Reason, Refusal
from workpool_aws.core.loop.classify import Look, Taken, classify
from workpool_aws.core.loop.runs import runs_ending
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.core.loop.choose import Choice, Found
    from workpool_aws.core.loop.memory import Memory
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Entry, EntryKey

__all__ = ["Ahead", "ahead_after", "room_ahead"]


@dataclass(frozen=True, slots=True)
class Ahead:
    """Due work items that a holder has read, and that found no slot.

    No other ledger names a start of one while it holds this. What else may have changed since, the start
    write refuses, as after any read [WP-2].
    """

    at: EpochMs
    found: tuple[Found, ...]
    more: bool
    """True if further due work items may follow them."""

    def still_due(self, taken: Taken, wanted: int, now: EpochMs) -> Ahead | None:
        """Returns it with those that may start now; `None` means that a read is needed.

        `wanted`: number of work items that the free slots can use. Half of them are enough, since a slot
        that waits for a read stands empty. Fewer are enough only if they were all a moment ago.
        """
        age_ms = now - self.at
        if not 0 <= age_ms <= limits.AHEAD_KEPT_MS:
            return None
        due = tuple(
            each
            for each in self.found
            if classify(each.key, each.work, taken=taken, now=now) is Look.DUE
        )
        are_all = not self.more and age_ms <= limits.AHEAD_ALL_MS
        is_enough = bool(due) and (are_all or 2 * len(due) >= wanted)
        return replace(self, found=due) if is_enough else None


def room_ahead(
    memory: Memory, entries: Mapping[EntryKey, Entry], room: Headroom | Refusal, now: EpochMs
) -> Headroom | None:
    """Returns the headroom for which a full pool reads ahead: a slot for each run that ends soon.

    `None` means that it does not: another reason keeps the work items, or it has just read them.
    """
    if not isinstance(room, Refusal) or room.reason is not Reason.SLOTS_TAKEN:
        return None
    if memory.ahead is not None and 0 <= now - memory.ahead.at <= limits.AHEAD_KEPT_MS:
        return None
    slots = runs_ending(memory, entries, now)
    return Headroom(slots) if slots else None


def ahead_after(memory: Memory, choice: Choice, now: EpochMs) -> Ahead | None:
    """Returns the due work items that a holder has read and not started, after a pass.

    While it has runs in flight, it also knows that none was left. One that work items which were not read
    may precede is left out [WP-1]: of those due together, first attempts come first.
    """
    if choice.ahead is not None:
        return replace(choice.ahead, found=choice.left)
    if not any(choice.reads):
        return memory.ahead
    last = choice.read_up_to
    left = tuple(
        each
        for each in choice.left
        if last is None or (each.work.due_at, each.work.starts) <= (last, 0)
    )
    return Ahead(now, left, choice.more) if left or memory.runs else None
