"""Finds unfinished work in a cloud.

It is made of work items that run, or are due and allowed to start, and of callbacks that are owed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from workpool_aws.core.callback.ending import is_owed
from workpool_aws.model.refs import Collection, ConfigRef, KeyRange, LedgerRef, readable
from workpool_aws.model.schedule import ScheduleItem
from workpool_aws.model.work import State
from workpool_aws.text import many

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.work import WorkItem
    from workpool_aws.ports import Store

__all__ = ["Unfinished", "described", "next_occurrence", "unfinished_work"]

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A work item that is not over, or whose callback is owed, and should be."""

    work: WorkItem
    why: str

    def __str__(self) -> str:
        work = self.work
        return f"{work.id} ({work.state}, pool {work.pool}, {work.spec.label}): {self.why}"


def described(left: Sequence[Unfinished]) -> str:
    """Return the first of them, for people."""
    lines = [f"{many(len(left), 'work item')} left:", *(f"  {each}" for each in left[:_SHOWN])]
    if len(left) > _SHOWN:
        lines.append(f"  and {len(left) - _SHOWN} more")
    return "\n".join(lines)


def next_occurrence(store: Store) -> EpochMs | None:
    """Return the time of the next occurrence of any schedule; `None` means that none is to come."""
    pools = [row.sort for row in store.query(KeyRange(collection=Collection.REGISTRY)).rows]
    coming = [
        row.record.next_at
        for pool in pools
        for row in store.query(KeyRange(collection=Collection.SCHEDULES, pool=pool)).rows
        if isinstance(row.record, ScheduleItem) and not row.record.paused
    ]
    return min((at for at in coming if at is not None), default=None)


def unfinished_work(
    store: Store, works: Iterable[WorkItem], until: EpochMs
) -> Iterator[Unfinished]:
    """Yield work items that should be over: running ones, and those that are due by `until`.

    A pool that is paused owes nothing but callbacks. A callback counts that is to be tried by then.
    """
    for pool, own in groupby(works, key=lambda work: work.pool):
        config, ledger = readable(store.get(ConfigRef(pool))), readable(store.get(LedgerRef(pool)))
        paused = config is not None and config.limit == 0
        seen_to = {} if ledger is None else {owed.work_id: owed.at for owed in ledger.callbacks}
        for work in own:
            if work.state is State.RUNNING:
                yield Unfinished(work, f"start {work.starts} has not reported")
            elif work.state is State.PENDING and work.due_at <= until and not paused:
                yield Unfinished(work, f"due at {work.due_at}, attempts made: {work.attempts_made}")
            elif is_owed(work) and seen_to.get(work.id, until) <= until:
                yield Unfinished(
                    work, f"its callback to {work.spec.callback_target} is {work.callback}"
                )
