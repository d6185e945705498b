"""Finds unfinished work in a cloud: work items that run, or are due and allowed to start, and callbacks that are owed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workpool_aws.core.callback.ending import is_owed
from workpool_aws.model.ids import SHARDS_MAX, EpochMs
from workpool_aws.model.loop import Registration
from workpool_aws.model.refs import Collection, ConfigRef, KeyRange, LedgerRef, Row, readable
from workpool_aws.model.work import State, WorkItem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workpool_aws.ports import Store

__all__ = ["Unfinished", "described", "unfinished_work"]

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A work item that is not over, or has not been told of, and should be."""

    work: WorkItem
    why: str

    def __str__(self) -> str:
        work = self.work
        return f"{work.id} ({work.state}, pool {work.pool}, {work.target}): {self.why}"


def described(left: Sequence[Unfinished]) -> str:
    """The first of them, for people."""
    lines = [f"{len(left)} works are left:", *(f"  {each}" for each in left[:_SHOWN])]
    if len(left) > _SHOWN:
        lines.append(f"  and {len(left) - _SHOWN} more")
    return "\n".join(lines)


def unfinished_work(store: Store, until: EpochMs) -> Iterator[Unfinished]:
    """Works that run, are due by `until` in a pool that is not paused, or owe a callback to be tried by then. Later is no leftover."""
    for row in _rows(store, KeyRange(shelf=Collection.REGISTRY)):
        if isinstance(row.record, Registration):
            yield from _of_pool(store, row.record.pool, until)


def _of_pool(store: Store, pool: str, until: EpochMs) -> Iterator[Unfinished]:
    config, ledger = readable(store.get(ConfigRef(pool))), readable(store.get(LedgerRef(pool)))
    paused = config is not None and config.limit == 0
    seen_to = {} if ledger is None else {owed.work_id: owed.at for owed in ledger.callbacks}
    shards = 1 if ledger is None else len(ledger.shards)
    for shard in range(min(shards, SHARDS_MAX)):
        for row in _rows(store, KeyRange(shelf=Collection.WORK, pool=pool, shard=shard)):
            if not isinstance(row.record, WorkItem):
                continue
            work = row.record
            if work.state is State.RUNNING:
                yield Unfinished(work, f"start {work.starts} has not reported")
            elif work.state is State.PENDING and work.due_at <= until and not paused:
                yield Unfinished(work, f"due at {work.due_at}, attempts made: {work.attempts_made}")
            elif is_owed(work) and seen_to.get(work.id, until) <= until:
                yield Unfinished(work, f"its callback to {work.on_complete} is {work.callback}")


def _rows(store: Store, span: KeyRange) -> Iterator[Row]:
    low: str | None = span.low
    while low is not None:
        page = store.query(KeyRange(shelf=span.shelf, pool=span.pool, shard=span.shard, low=low))
        yield from page.rows
        low = page.next_low
