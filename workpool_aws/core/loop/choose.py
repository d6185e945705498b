"""Decides which of the found due work items start now, and where the next pass begins to read.

A cursor never passes a pending work item that was not chosen. Only deep reads see what lies before
it, and those go back 15 s [WP-3].
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.admit import Headroom, Refusal
from workpool_aws.core.loop.runs import fill_runs
from workpool_aws.core.loop.settle import deep_low, done_cursor_after
from workpool_aws.model.ids import EpochMs, id_floor, time_of
from workpool_aws.model.loop import EntryKey, ShardCursors
from workpool_aws.model.refs import PointerRef
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workpool_aws.core.loop.ahead import Ahead
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.schedule import Tick
    from workpool_aws.model.work import WorkItem

__all__ = [
    "Choice",
    "Found",
    "WorkRead",
    "choose",
    "cursor_after",
    "found_in",
    "marks_after",
    "more_in",
    "read_from",
]


@dataclass(frozen=True, slots=True)
class Found:
    """A due work item, and the key of the first row that led to it (its own or a pointer's)."""

    key: str
    work: WorkItem
    also: tuple[PointerRef, ...] = ()
    """Further rows of the same read that lead to it."""

    @property
    def start(self) -> EntryKey:
        """The start that it would be."""
        return EntryKey(self.work.id, self.work.starts + 1)

    def joined_with(self, other: Found) -> Found:
        """Returns it with the pointers by which another shard led to the same work item."""
        return replace(self, also=(*self.also, *other.pointers))

    @property
    def pointers(self) -> tuple[PointerRef, ...]:
        """All pointers that led here, which are spent once it has started."""
        return (
            self.also
            if self.key == self.work.id
            else (PointerRef(self.work.pool, self.key), *self.also)
        )


@dataclass(frozen=True, slots=True)
class WorkRead:
    """One read of a range of work items.

    `due` has one more than asked for if there are more. `next_due`: the due time of the first later
    one; `None` means that there is none.
    """

    due: tuple[Found, ...]
    next_due: EpochMs | None
    stale: tuple[PointerRef, ...]
    """Spent pointers, to work items that run, are over or gone. One to a damaged work item stays,
    since people may repair that."""
    bulk_canceled: tuple[Found, ...] = ()
    """Due work items to cancel instead."""
    expired: tuple[Found, ...] = ()
    """Due work items whose time to start is over."""
    ticks: tuple[Tick, ...] = ()
    """Due ticks of schedules."""
    postponed: tuple[WorkItem, ...] = ()
    """Work items whose due time a replacement has moved beyond the row that was read."""
    cut: bool = False
    """True if `next_due` only marks the end of the read: later rows may all be over."""
    more: bool = False
    """True if it stopped with enough: further due work items may follow."""

    @property
    def is_something(self) -> bool:
        """True if a pass would start, end or point at a work item of this read now."""
        ended = self.bulk_canceled or self.expired
        return bool(self.due or ended or self.ticks or self.postponed)

    def blocked_at(self, left: Sequence[Found]) -> str | None:
        """Returns the first key of this read that the cursor may not pass; `None` means none.

        `left`: due work items of all shards that were not chosen.
        """
        # By the rows of this read: the pointer of another shard may have led to the same work item.
        own = {found.work.id: found.key for found in self.due}
        waiting = [own[found.work.id] for found in left if found.work.id in own]
        ended = [found.key for found in (*self.bulk_canceled, *self.expired)]
        # All of the tick's millisecond, since the occurrence may lie there before it.
        ticks = [id_floor(time_of(tick.at)) for tick in self.ticks]
        return min([*waiting, *ended, *ticks], default=None)


@dataclass(frozen=True, slots=True)
class Choice:
    """The work items to start, those that must wait, and the read of each shard.

    A read of `None` means that the shard was not read: no slot is free, or work items were read ahead.
    """

    chosen: tuple[Found, ...]
    left: tuple[Found, ...]
    reads: tuple[WorkRead | None, ...]
    starved: bool = False
    """True if those that wait have a free slot, and no token of the rate limit."""
    runs: Mapping[EntryKey, EntryKey] = field(default_factory=dict)
    """The first start of its run, for each chosen work item that shares one."""
    ahead: Ahead | None = None
    """The work items that were read ahead, if it is of them; `None` means of these reads."""

    def with_runs(self, runs: Sequence[Sequence[Found]]) -> Choice:
        """Returns the choice with the work items that runs take of those that were left.

        The first start of a run is the one of the least key, which every holder knows.
        """
        if not runs:
            return self
        first_of = {found.start: min(each.start for each in run) for run in runs for found in run}
        joined = tuple(found for found in self.left if found.start in first_of)
        left = tuple(found for found in self.left if found.start not in first_of)
        return replace(self, chosen=(*self.chosen, *joined), left=left, runs=first_of)

    def newest_in_run(self, read: WorkRead, now: EpochMs) -> str | None:
        """Returns the key of the last work item of this read that a run takes just after its enqueue.

        The others of its batch follow in the order of their keys, and may be on their way to the
        table: a cursor beyond it would leave them to the next deep read. `None` means that there is
        none.
        """
        fresh = [
            found.key
            for found in read.due
            if found.start in self.runs and now - found.work.enqueued_at < limits.RUN_FRESH_MS
        ]
        return max(fresh, default=None)

    @property
    def cut(self) -> bool:
        """True if later rows were not all read."""
        return any(read is not None and read.cut for read in self.reads)

    @property
    def more(self) -> bool:
        """True if further due work items may follow those that were read."""
        return more_in(self.reads, self.ahead)

    @property
    def read_up_to(self) -> EpochMs | None:
        """Time from which work items may be due that were not read; `None` means that all were."""
        stopped = (read for read in self.reads if read is not None and read.more)
        return min((time_of(read.due[-1].key) for read in stopped if read.due), default=None)

    @property
    def has_read(self) -> bool:
        """True if it is of due work items that were read, now or ahead."""
        return self.ahead is not None or any(self.reads)

    @property
    def bulk_canceled(self) -> list[WorkItem]:
        """Due work items to cancel instead."""
        return [
            found.work for read in self.reads if read is not None for found in read.bulk_canceled
        ]

    @property
    def expired(self) -> list[WorkItem]:
        """Due work items whose time to start is over."""
        return [found.work for read in self.reads if read is not None for found in read.expired]

    @property
    def ticks(self) -> list[Tick]:
        """Due ticks of schedules."""
        return [tick for read in self.reads if read is not None for tick in read.ticks]

    @property
    def postponed(self) -> list[WorkItem]:
        """Work items to put a pointer at, before the cursor passes the rows that led to them."""
        return [work for read in self.reads if read is not None for work in read.postponed]

    @property
    def next_due(self) -> EpochMs | None:
        """The earliest later due time that was seen."""
        return min(
            (
                read.next_due
                for read in self.reads
                if read is not None and read.next_due is not None
            ),
            default=None,
        )

    @property
    def stale(self) -> list[PointerRef]:
        """Spent pointers."""
        return [pointer for read in self.reads if read is not None for pointer in read.stale]


def choose(
    reads: Sequence[WorkRead | None],
    room: Headroom | Refusal,
    *,
    ahead: Ahead | None = None,
    most_of: Callable[[WorkItem], int] = lambda _work: 1,
    spare: int = 0,
) -> Choice:
    """Returns the earliest due work items of all shards, as many as are admitted [WP-1].

    Of those due together, first attempts come first. What finds no slot may share one that is filled
    now, as a run: `most_of` and `spare` as `fill_runs` takes them. `ahead`: as `Choice` has it.
    """
    due: dict[WorkId, Found] = {}
    for found in found_in(reads, ahead):
        # The pointer of one shard may lead to a work item of another.
        known = due.get(found.work.id)
        due[found.work.id] = found if known is None else known.joined_with(found)
    if not due:
        return Choice((), (), tuple(reads), ahead=ahead)
    chosen: list[Found] = []
    left: list[Found] = []
    # Not by key: a pointer that was written late lies behind work items that are due later.
    for found in sorted(due.values(), key=lambda one: (one.work.due_at, one.work.starts, one.key)):
        after = room.admit(found.work)
        if isinstance(after, Refusal):
            left.append(found)
        else:
            chosen.append(found)
            room = after
    starved = isinstance(room, Headroom) and room.starved and bool(left)
    runs = fill_runs(chosen, left, most_of=most_of, spare=spare)
    choice = Choice(tuple(chosen), tuple(left), tuple(reads), starved, ahead=ahead)
    return choice.with_runs(runs)


def found_in(reads: Sequence[WorkRead | None], ahead: Ahead | None) -> list[Found]:
    """Returns the due work items of these reads, and those that were read ahead."""
    found = [each for read in reads if read is not None for each in read.due]
    return found if ahead is None else [*found, *ahead.found]


def more_in(reads: Sequence[WorkRead | None], ahead: Ahead | None) -> bool:
    """True if further due work items may follow those of these reads, and those that were read ahead."""
    known = ahead is not None and ahead.more
    return known or any(read is not None and read.more for read in reads)


def read_from(mark: ShardCursors, *, back_to: str | None, deep: bool) -> str:
    """Returns the key from which a pass reads due work items.

    That is the cursor, or the earliest pointer of a retry (`None` means that there is none). A deep
    pass reads back over the buffer.
    """
    cursor = _cursor_back(mark, back_to)
    return deep_low(cursor, mark.deep_at) if deep else cursor


def marks_after(
    marks: Sequence[ShardCursors],
    choice: Choice,
    *,
    back_to: str | None,
    done_keys: Sequence[Sequence[str]],
    no_room_at: Sequence[str | None],
    deep: bool,
    now: EpochMs,
) -> tuple[ShardCursors, ...]:
    """Returns the cursors of each shard when this pass is committed.

    `done_keys`: the notices that were read, by shard. `no_room_at`: the first of them whose
    callback found no room in the ledger. `deep`: the work items were read from back over the
    buffer; a shard that was not read at all counts as not read deep.
    """
    after = []
    for mark, read, keys, no_room in zip(marks, choice.reads, done_keys, no_room_at, strict=True):
        done_cursor = done_cursor_after(mark.done_cursor, keys, now)
        if no_room is not None:
            done_cursor = min(done_cursor, id_floor(EpochMs(time_of(no_room) - 1)))
        cursor, deep_at = _cursor_back(mark, back_to), mark.deep_at
        if read is not None:
            stops = (read.blocked_at(choice.left), choice.newest_in_run(read, now))
            blocked_at = min((stop for stop in stops if stop is not None), default=None)
            cursor = cursor_after(cursor, blocked_at, now)
            deep_at = now if deep else deep_at
        after.append(ShardCursors(work_cursor=cursor, done_cursor=done_cursor, deep_at=deep_at))
    return tuple(after)


def cursor_after(cursor: str, blocked_at: str | None, now: EpochMs) -> str:
    """Returns the key from which the next pass reads, a little before now.

    It is never past a pending work item that was not chosen; `None` means that all were.
    """
    ahead = max(cursor, id_floor(EpochMs(now - limits.CURSOR_OVERLAP_MS)))
    return ahead if blocked_at is None else min(ahead, blocked_at)


def _cursor_back(mark: ShardCursors, back_to: str | None) -> str:
    return mark.work_cursor if back_to is None else min(mark.work_cursor, back_to)
