"""Effects of a pass, as values, and the results of those that have some.

A pass makes some before its commit and the others after it. The order is a rule of safety. An
effect before the commit must be right even if the pass is never committed. An effect after it is
right only because the committed ledger names it.

| effect | made | repaired, if it is lost, by |
|---|---|---|
| `Point`, `Expire`, `ShowSpawned` | before the commit | the next pass: the entry or callback is still in the ledger |
| `Start` | after | the next holder, which checks entries that are not confirmed |
| `core.loop.recover.Recover` | after | a later pass, since the entry stays and its deadline has passed |
| `Send`, `GiveUp` | after | a later pass, at the time that the ledger names for the next try |
| `Forget` | after | a later pass, which meets the notice again and deletes it |
| `Tidy` | after | nothing, and nothing needs to: the pointer leads nowhere |
| `Cancel`, `EndExpired` | after | the next pass: the cursor stays before the work item |
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from workpool_aws.model.loop import Entry
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.loop import EntryKey, PendingCallback
    from workpool_aws.model.refs import NoticeRef, PointerRef
    from workpool_aws.model.work import WorkItem

__all__ = [
    "Begun",
    "Cancel",
    "EndExpired",
    "Expire",
    "Forget",
    "GiveUp",
    "Point",
    "Results",
    "Send",
    "ShowSpawned",
    "Start",
    "Tidy",
    "after_end",
]


@dataclass(frozen=True, slots=True)
class Point:
    """Write a fresh pointer to a pending work item, at whose old one no pass may look any more.

    The entry of its start is dropped by the commit that follows. Repaired by the next pass, which
    finds the entry in the ledger and points again.
    """

    pool: str
    work_id: WorkId
    at: EpochMs


@dataclass(frozen=True, slots=True)
class Expire:
    """Let the chunks of a finished work item expire together with it, and its schedule go on.

    The process that finished it, or delivered its callback, may have died before it did so.
    Repaired by the next pass, which finds the entry or the callback in the ledger and judges again.
    """

    work: WorkItem


@dataclass(frozen=True, slots=True)
class ShowSpawned:
    """Have loops find what was stored with the end of a work item, or with its delivery [WP-20].

    The process that committed it may have died before the late rule. Repaired by the next pass,
    which finds the entry or the callback in the ledger and judges again.
    """

    work: WorkItem


@dataclass(frozen=True, slots=True)
class Start:
    """Start a work item: the start write, then the invoke.

    Repaired by the next pass or holder, which reads the work item of each entry that is not
    confirmed.
    """

    key: EntryKey
    work: WorkItem
    """The work item as last read."""
    loop_until: EpochMs | None
    """Time until which the worker may rely on the loop; `None` means that it must kick."""
    run: EntryKey | None = None
    """First start of the run with which it is sent; `None` means that it is sent alone."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Result of a start.

    `deadline`: of the running start; `None` means that it was not seen to run. `sent`: Lambda has
    the event, or may have it, so it is not sent again.
    """

    key: EntryKey
    deadline: EpochMs | None
    sent: bool


@dataclass(frozen=True, slots=True)
class Send:
    """Send a callback that is due. Repaired by a later pass, at the time that `owed` names."""

    owed: PendingCallback
    work: WorkItem


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Put a callback among the dead letters after its last try.

    Repaired by a later pass, at the time that `owed` names.
    """

    owed: PendingCallback
    work: WorkItem


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete a notice whose callback the committed ledger holds, or whose end is counted.

    Repaired by a later pass, which meets the notice again. The callback may be sent twice then.
    """

    ref: NoticeRef


@dataclass(frozen=True, slots=True)
class Tidy:
    """Delete a pointer that leads to nothing.

    Needs no repair. One that stays is met again, or lies behind the cursor for good.
    """

    ref: PointerRef


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a work item that a bulk cancel covers, when it comes due.

    Repaired by the next pass: the cursor does not pass a work item that is to be canceled.
    """

    work: WorkItem


@dataclass(frozen=True, slots=True)
class EndExpired:
    """End a work item whose time to start is over, when it is met.

    Repaired by the next pass: the cursor does not pass a work item that is to be ended.
    """

    work: WorkItem


@dataclass(frozen=True, slots=True)
class Results:
    """Results of the effects after a commit, for the holder's memory."""

    begun: tuple[Begun, ...] = ()
    recovered: Mapping[EntryKey, Entry] = field(default_factory=dict)
    """Entries of starts that were to be recovered, each with the time of the next check."""
    callbacks: Mapping[WorkId, PendingCallback | None] = field(default_factory=dict)
    """Callbacks that were tried; `None` means that nothing more is to be done for it."""

    @property
    def are_none(self) -> bool:
        """True if no effect was made that a holder remembers."""
        return not (self.begun or self.recovered or self.callbacks)

    @property
    def sent(self) -> frozenset[EntryKey]:
        """Starts whose event Lambda has, or may have."""
        return frozenset(each.key for each in self.begun if each.sent)

    @property
    def unsent(self) -> frozenset[EntryKey]:
        """Starts that were not seen to run."""
        return frozenset(each.key for each in self.begun if not each.sent)

    def doubted(self, entries: Mapping[EntryKey, Entry]) -> Mapping[EntryKey, Entry]:
        """Returns those of these entries that were confirmed, and whose starts were not seen to run.

        The work item was replaced after its worker was sent the same start.
        """
        return {
            key: replace(entries[key], confirmed=False)
            for key in self.unsent
            if key in entries and entries[key].confirmed
        }

    @property
    def running(self) -> Mapping[EntryKey, Entry]:
        """Entries of starts that were seen to run, with the deadlines of their work items."""
        return {
            each.key: Entry(each.deadline, confirmed=True)
            for each in self.begun
            if each.sent and each.deadline is not None
        }


def after_end(work: WorkItem) -> list[Expire | ShowSpawned]:
    """Returns the effects that must come before the ledger forgets the end of a work item."""
    return [*([ShowSpawned(work)] if work.spawned else []), Expire(work)]
