"""Decides what a change by a person or program makes of a schedule.

Nothing is enqueued ahead, so a change has nothing to cancel. An occurrence that is due within two
minutes is left as it is: the change may be written after it, and would drop it unseen [WP-18].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.schedule.timing import count_until, due_until, first_after
from workpool_aws.model.refs import ScheduleRef
from workpool_aws.model.schedule import CatchUp, Overlap, ScheduleItem, Timing
from workpool_aws.model.writes import All, Condition, Is, Update
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.spec import Spec

__all__ = ["Definition", "as_read", "defined", "dropped_by", "paused", "resumed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """Everything that a caller asks for of a schedule."""

    spec: Spec
    timing: Timing
    """Its `anchor` is 0 where no start was given."""
    jitter_ms: int
    catch_up: CatchUp
    spread_ms: int
    overlap: Overlap
    owner: str | None


def defined(
    old: ScheduleItem | None, asked: Definition, *, pool: str, name: str, born: str, now: EpochMs
) -> ScheduleItem:
    """Returns the schedule as asked for, with the progress of the old one; `None` means none.

    The old one itself, if it is as asked for. `born`: of a new one.
    """
    spec = replace(asked.spec, schedule=name, awaited=asked.overlap is Overlap.QUEUE_ONE)
    stays, passed_by = _stays(old, now)
    timing = _anchored(asked.timing, None if old is None else old.timing, stays or now)
    item = ScheduleItem(pool=pool, name=name, spec=spec, timing=timing, born=born)
    if old is not None:
        kept = replace(spec, origin=old.spec.origin, trace=old.spec.trace)
        item = replace(old, spec=kept, timing=timing)
    item = replace(
        item,
        jitter_ms=asked.jitter_ms,
        catch_up=asked.catch_up,
        spread_ms=asked.spread_ms,
        overlap=asked.overlap,
        owner=asked.owner,
    )
    if item == old:
        return old
    if old is None:
        return replace(item, next_at=first_after(timing, now))
    item = replace(item, spec=spec, version=old.version + 1)
    if old.waiting is not None and asked.overlap is not Overlap.QUEUE_ONE:
        # Its place is gone with the queue.
        item = replace(item, waiting=None, skipped=old.skipped + 1)
    if timing == old.timing:
        return item
    if stays is not None:
        return replace(item, next_at=stays, missed=old.missed + passed_by)
    # The new timing says nothing about the time before it.
    missed = old.missed + _due_and_left(old, now)
    return replace(item, missed=missed, next_at=first_after(timing, _since(old, now)))


def _stays(old: ScheduleItem | None, now: EpochMs) -> tuple[EpochMs | None, int]:
    """Returns the occurrence that a change of the timing leaves as it is, and those before it.

    Of several that are due it is the latest, since the new timing goes on from it. `None` means that
    it leaves none.
    """
    if old is None or old.paused or old.next_at is None:
        return None, 0
    near = now - limits.GRACE_MS <= old.next_at <= now + limits.EDIT_MARGIN_MS
    if not near or old.next_at > now:
        return old.next_at if near else None, 0
    due = due_until(old.timing, old.next_at, now)
    return due.times[-1], due.earlier + len(due.times) - 1


def _due_and_left(item: ScheduleItem, by: EpochMs) -> int:
    """Returns the number of occurrences that are due by a time and neither enqueued nor counted."""
    if item.paused or item.next_at is None:
        return 0
    return count_until(item.timing, item.next_at, by)


def _anchored(timing: Timing, old: Timing | None, anchor: EpochMs) -> Timing:
    """Returns the timing with the time from which its intervals are counted.

    That is the start that was given, or that of the old timing with the same interval, or `anchor`.
    """
    if timing.anchor or timing.every_ms is None:
        return timing
    kept = old is not None and old.every_ms == timing.every_ms
    return replace(timing, anchor=old.anchor if old is not None and kept else anchor)


def _since(item: ScheduleItem, now: EpochMs) -> EpochMs:
    return max(now, item.last_due or now)


def paused(item: ScheduleItem, now: EpochMs) -> ScheduleItem:
    """Returns the paused schedule. Occurrences that are due and not enqueued count as missed."""
    if item.paused:
        return item
    return replace(
        item,
        paused=True,
        version=item.version + 1,
        waiting=None,
        missed=item.missed + _due_and_left(item, now),
        skipped=item.skipped + (item.waiting is not None),
    )


def resumed(item: ScheduleItem, now: EpochMs) -> ScheduleItem:
    """Returns the schedule as it goes on. Occurrences of the pause are not made up for."""
    if not item.paused:
        return item
    following = first_after(item.timing, _since(item, now))
    return replace(item, paused=False, version=item.version + 1, next_at=following)


def as_read(item: ScheduleItem) -> Condition:
    """Returns the condition that neither a change nor an occurrence came since it was read."""
    return All(
        (
            Is("version", item.version),
            Is("next_at", item.next_at),
            Is("waiting", item.waiting),
        )
    )


def dropped_by(
    old: ScheduleItem, new: ScheduleItem, *, decided_at: EpochMs, landed_at: EpochMs
) -> Update | None:
    """Returns the write that counts occurrences which fell due between a change and its landing.

    `None` means that the change dropped none. `landed_at`: the latest time by the server's clock.
    """
    changed = new.next_at != old.next_at or new.paused or new.timing != old.timing
    # Those that were due at the decision are in it already.
    dropped = _due_and_left(old, landed_at) - _due_and_left(old, decided_at)
    if not new.paused and old.next_at is not None and new.next_at == old.next_at > decided_at:
        dropped -= 1  # the next occurrence stays
    if not changed or dropped <= 0:
        return None
    return Update(
        ref=ScheduleRef(old.pool, old.name),
        add={"missed": dropped},
        condition=Is("born", old.born),
    )
