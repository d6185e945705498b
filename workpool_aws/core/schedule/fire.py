"""Decides what becomes of the occurrences of a schedule that have fallen due.

One transaction enqueues them, counts the others, and moves the schedule on to the next one. Its
condition names the occurrence that was next, so two loops, frozen loops and late copies of a request
enqueue each at most once [WP-18].
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.schedule.timing import due_until
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.refs import ScheduleRef
from workpool_aws.model.schedule import CatchUp, Overlap, PastRun, ScheduleItem
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import All, Is, Update
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Fire", "decide_fire", "occurrence_of", "run_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """Write these in one transaction, with a tick at `tick_at`.

    Afterwards: the late rule for each of them.
    """

    update: Update
    works: tuple[WorkItem, ...]
    tick_at: EpochMs | None
    """`None` means that nothing follows."""
    missed: int
    skipped: int


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Occurrences to enqueue with their due times, and those that are only counted."""

    taken: tuple[tuple[EpochMs, EpochMs], ...]
    missed: int
    following: EpochMs | None
    skipped: int = 0
    waiting: EpochMs | None = None


def decide_fire(
    item: ScheduleItem,
    last: WorkItem | None,
    *,
    now: EpochMs,
    epoch: int,
    at_most: int | None = None,
) -> Fire | None:
    """Returns what becomes of the occurrences that are due; `None` means that none is.

    `last`: the work item of the latest occurrence; `None` means that it is gone, or that there is
    none. `epoch`: of the pool, for work items that a later `cancel_all` covers.
    `at_most`: occurrences that their unique key allows, of which the latest are enqueued and the
    others skipped; `None` means any number.
    """
    if item.paused:
        return None
    over = last is None or last.state is State.FINISHED
    is_due = item.next_at is not None and item.next_at <= now
    if not is_due and (item.waiting is None or not over):
        return None
    return _Occurrences(item, last, now).fire(epoch, at_most)


@dataclass(frozen=True, slots=True)
class _Occurrences:
    """The occurrences of a schedule that have fallen due, and the work item of the latest."""

    item: ScheduleItem
    last: WorkItem | None
    now: EpochMs

    def fire(self, epoch: int, at_most: int | None) -> Fire:
        """Returns what becomes of them."""
        item, now = self.item, self.now
        chosen = _Chosen((), 0, item.next_at)
        if item.next_at is not None and item.next_at <= now:
            chosen = self._caught_up(item.next_at)
        if item.overlap is not Overlap.ALLOW:
            chosen = self._without_overlap(chosen)
        if at_most is not None:
            over = max(0, len(chosen.taken) - at_most)
            chosen = replace(chosen, taken=chosen.taken[over:], skipped=chosen.skipped + over)
        pairs = chosen.taken
        works = tuple(occurrence_of(item, at, due, now=now, epoch=epoch) for at, due in pairs)
        return Fire(
            update=self._moved_on(chosen, works),
            works=works,
            tick_at=chosen.following,
            missed=chosen.missed,
            skipped=chosen.skipped,
        )

    def _caught_up(self, first: EpochMs) -> _Chosen:
        """Returns the due occurrences that are in time, and late ones as `catch_up` asks for."""
        item = self.item
        due = due_until(item.timing, first, self.now)
        late = [at for at in due.times if at < self.now - limits.GRACE_MS]
        if not due.complete:
            # So many that the last ones are not known yet. The next look judges those of these
            # that may be among them.
            over = min(len(late), len(due.times) - limits.CATCH_UP_MAX)
            return _Chosen((), over, due.times[over])
        in_time = due.times[len(late) :]
        kept = self._kept(late, in_time)
        missed = due.earlier + len(late) - len(kept)
        overlaps = item.overlap is Overlap.ALLOW
        if item.catch_up is CatchUp.SPREAD and overlaps and len(kept) > 1:
            # In one transaction, since the places of the others follow from the number of all.
            step = item.spread_ms // len(kept)
            spread = tuple((at, EpochMs(self.now + n * step)) for n, at in enumerate(kept))
            return _Chosen(spread, missed, in_time[0] if in_time else due.following)
        taken = [*kept, *in_time]
        # Only the latest is enqueued of those that may not overlap: all are judged together.
        most = limits.OCCURRENCES_A_FIRE if overlaps else len(taken)
        now_taken, left = taken[:most], taken[most:]
        pairs = tuple((at, EpochMs(at + self._jitter_ms(at))) for at in now_taken)
        return _Chosen(pairs, missed, left[0] if left else due.following)

    def _kept(self, late: Sequence[EpochMs], in_time: Sequence[EpochMs]) -> Sequence[EpochMs]:
        match self.item.catch_up:
            case CatchUp.NONE:
                return ()
            case CatchUp.LATEST:
                return () if in_time else late[-1:]
            case CatchUp.ALL | CatchUp.SPREAD:
                return late[-limits.CATCH_UP_MAX :]
            case _:
                assert_never(self.item.catch_up)

    def _jitter_ms(self, at: EpochMs) -> int:
        """Returns the delay of an occurrence, which is always the same for it."""
        item = self.item
        if not item.jitter_ms:
            return 0
        return int.from_bytes(_digest(item, at)[10:18], "big") % (item.jitter_ms + 1)

    def _without_overlap(self, chosen: _Chosen) -> _Chosen:
        """Returns at most one occurrence, since the work items may not run together."""
        item, last = self.item, self.last
        # A catch-up enqueues one at most: the latest.
        missed = chosen.missed + max(0, len(chosen.taken) - 1)
        latest = chosen.taken[-1:]
        if item.waiting is not None:
            waited = ((item.waiting, EpochMs(max(self.now, item.waiting))),)
            latest = (*waited, *latest)
        free = last is None or last.state is State.FINISHED
        taken, rest = (latest[:1], latest[1:]) if free else ((), latest)
        # One that is pending has not begun to use what this occurrence would.
        runs = last is not None and last.state is State.RUNNING
        waiting = None
        if item.overlap is Overlap.QUEUE_ONE and rest and not free and (runs or item.waiting):
            waiting, rest = rest[0][0], rest[1:]
        return replace(chosen, taken=taken, missed=missed, skipped=len(rest), waiting=waiting)

    def _moved_on(self, chosen: _Chosen, works: Sequence[WorkItem]) -> Update:
        item = self.item
        changes: dict[str, object] = {"next_at": chosen.following, "waiting": chosen.waiting}
        if chosen.missed:
            changes["missed"] = item.missed + chosen.missed
        if chosen.skipped:
            changes["skipped"] = item.skipped + chosen.skipped
        if works:
            changes["last_due"], changes["last_work"] = chosen.taken[-1][0], works[-1].id
            if item.last_due is not None:
                run = run_of(item.last_due, self.last)
                changes["past"] = (*item.past, run)[-limits.SCHEDULE_PAST_KEPT :]
        as_read = All(
            (
                Is("next_at", item.next_at),
                Is("version", item.version),
                Is("paused", value=False),
                Is("waiting", item.waiting),
            )
        )
        return Update(ref=ScheduleRef(item.pool, item.name), set=changes, condition=as_read)


def run_of(due: EpochMs, work: WorkItem | None) -> PastRun:
    """Returns an occurrence as its work item shows it; `None` means that the work item is gone."""
    if work is None:
        return PastRun(due, None, None)
    return PastRun(due, work.lag_ms if work.starts == 1 else None, work.outcome)


def occurrence_of(
    item: ScheduleItem, at: EpochMs, due: EpochMs, *, now: EpochMs, epoch: int
) -> WorkItem:
    """Returns the work item of an occurrence. The same occurrence always has the same id."""
    bits = int.from_bytes(_digest(item, at)[:10], "big")
    return WorkItem(
        pool=item.pool,
        id=WorkId(make_id(due, random_bits=bits)),
        spec=item.spec,
        state=State.PENDING,
        due_at=due,
        enqueued_at=now,
        epoch=epoch,
    )


def _digest(item: ScheduleItem, at: EpochMs) -> bytes:
    return hashlib.sha256(f"{item.pool}/{item.name}/{item.born}/{at}".encode()).digest()
