"""Gathers the due work items of a shard from its rows, and stops where it has seen enough."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.choose import Found, WorkRead
from workpool_aws.core.loop.classify import Look, Taken, classify, is_to_point
from workpool_aws.model.ids import EpochMs, time_of
from workpool_aws.model.refs import PointerRef, Row, Unreadable
from workpool_aws.model.schedule import Tick
from workpool_aws.model.work import Pointer, State, WorkItem
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workpool_aws.model.ids import WorkId

__all__ = ["gather"]


def gather(
    rows: Iterable[tuple[Row, WorkItem | Tick | Unreadable | None]],
    taken: Taken,
    *,
    free: int,
    now: EpochMs,
    lookahead: int | None,
) -> WorkRead:
    """Returns the due work items of these rows, in order of key, each row with its work item.

    Takes no further row once it has one more than `free`, the first that is due later, or as many
    to cancel or to expire, or ticks, as one pass serves. `lookahead`: number of rows of later time
    that may be over before it gives up; `None` means any number.
    """
    seen = _Seen()
    for row, found in rows:
        seen.note_pointer(row, found, now)
        seen.note_postponed(row, found, now)
        if isinstance(found, Tick):
            if not seen.takes_tick(found, now):
                return seen.as_read(time_of(row.sort))
            continue
        look = Look.SKIP
        if isinstance(found, WorkItem):
            look = classify(row.sort, found, taken=taken, now=now)
        if not isinstance(found, WorkItem) or look is Look.SKIP:
            seen.ahead += time_of(row.sort) > now
            if time_of(row.sort) > now and seen.ahead == lookahead:
                return seen.as_read(time_of(row.sort), cut=True)
        elif look is Look.LATER:
            # Of one that is postponed this row comes first, at which its pointer is put.
            due_at = time_of(row.sort) if found.postponed else found.due_at
            return seen.as_read(EpochMs(max(time_of(row.sort), due_at)))
        elif not seen.takes_work(row, found, look, free=free):
            return seen.as_read(None, more=True)
    return seen.as_read(None)


@dataclass(slots=True)
class _Seen:
    """Findings so far."""

    due: dict[WorkId, Found] = field(default_factory=dict)
    off: dict[WorkId, Found] = field(default_factory=dict)
    expired: dict[WorkId, Found] = field(default_factory=dict)
    stale: list[PointerRef] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    postponed: dict[WorkId, WorkItem] = field(default_factory=dict)
    ahead: int = 0
    """Rows of later time that are over."""

    def note_pointer(
        self, row: Row, found: WorkItem | Tick | Unreadable | None, now: EpochMs
    ) -> None:
        """Adds a pointer that is spent.

        It leads to nothing, or to a work item that is over or runs. One that runs was read after its
        pointer, and gets another one if it is to start again.
        """
        spent = found is None
        if isinstance(found, WorkItem):
            runs = found.state is State.RUNNING and time_of(row.sort) <= now
            spent = runs or found.state is State.FINISHED
        if isinstance(row.record, Pointer) and spent:
            self.stale.append(PointerRef(row.record.pool, row.sort))

    def note_postponed(
        self, row: Row, found: WorkItem | Tick | Unreadable | None, now: EpochMs
    ) -> None:
        """Adds a work item whose due time a replacement has moved beyond this row."""
        if isinstance(found, WorkItem) and is_to_point(row.sort, found, now):
            self.postponed[found.id] = found

    def takes_tick(self, tick: Tick, now: EpochMs) -> bool:
        """Adds a tick that is due. False means that it is due later, or that there are enough."""
        if time_of(tick.at) > now or len(self.ticks) >= limits.FIRES_A_PASS:
            return False
        self.ticks.append(tick)
        return True

    def takes_work(self, row: Row, work: WorkItem, look: Look, *, free: int) -> bool:
        """Adds a work item that is due. False means that there are enough of its kind."""
        if look is Look.DUE:
            self.due[work.id] = _led_to(self.due.get(work.id), row, work)
            return len(self.due) <= free
        ended = self.off if look is Look.CALLED_OFF else self.expired
        ended.setdefault(work.id, Found(row.sort, work))
        return len(ended) < limits.BULK_CANCEL_ROWS

    def as_read(
        self, next_due: EpochMs | None, *, cut: bool = False, more: bool = False
    ) -> WorkRead:
        """Returns them as the result of a read."""
        return WorkRead(
            tuple(self.due.values()),
            next_due,
            tuple(self.stale),
            tuple(self.off.values()),
            tuple(self.expired.values()),
            tuple(self.ticks),
            tuple(self.postponed.values()),
            cut=cut,
            more=more,
        )


def _led_to(known: Found | None, row: Row, work: WorkItem) -> Found:
    if known is None:
        return Found(row.sort, work)
    # Never the work item's own row: what is named here is deleted once the work item has started.
    return (
        replace(known, also=(*known.also, PointerRef(work.pool, row.sort)))
        if isinstance(row.record, Pointer)
        else known
    )
