"""Decides the course of a bulk cancel: the next shard to read, and the work items to cancel there.

`core/work/bulk_cancel.py` decides which work items a `cancel_all` covers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.work.bulk_cancel import is_bulk_canceled, is_settled
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.refs import PointerRef, Row, Unreadable
from workpool_aws.model.work import Pointer, State, WorkItem
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.loop import Config, Ledger
    from workpool_aws.model.schedule import Tick

__all__ = ["BulkCancel", "after_read", "bulk_cancel_to_make", "pending_among", "pointers_to_ended"]


@dataclass(frozen=True, slots=True)
class BulkCancel:
    """Progress of the loop in canceling the work items of one `cancel_all`.

    `lows`: per shard, the key from which to read on; `None` means that the shard is through.
    `seen_running`: the cancel of running ones was requested.
    """

    epoch: int
    lows: tuple[str | None, ...]
    seen_running: bool = False

    @property
    def next_shard(self) -> int | None:
        """The shard that is furthest behind; `None` means that all are through."""
        left = [(low, shard) for shard, low in enumerate(self.lows) if low is not None]
        return min(left)[1] if left else None

    def holds_back(self, now: EpochMs) -> bool:
        """True if work items that are due by now are not read yet.

        Nothing is chosen to start until they are.
        """
        shard = self.next_shard
        return shard is not None and (self.lows[shard] or "") <= id_floor(now)


def bulk_cancel_to_make(
    under_way: BulkCancel | None, config: Config | None, ledger: Ledger
) -> BulkCancel | None:
    """Returns the bulk cancel that the config asks for; `None` means none.

    It is the one under way, or a new one from the lowest possible pending work item on.
    """
    if config is None or is_settled(config, ledger):
        return None
    if under_way is not None and under_way.epoch == config.epoch:
        return under_way
    return BulkCancel(
        config.epoch, tuple(deep_low(mark.work_cursor, mark.deep_at) for mark in ledger.shards)
    )


def after_read(under_way: BulkCancel, shard: int, low: str | None) -> BulkCancel:
    """Returns the progress after a shard was read up to `low`; `None` means to its end."""
    return replace(
        under_way,
        lows=tuple(low if each == shard else old for each, old in enumerate(under_way.lows)),
    )


def pending_among(
    rows: Iterable[tuple[Row, WorkItem | Tick | Unreadable | None]], config: Config | None
) -> Sequence[WorkItem]:
    """Returns the pending work items of these rows that a bulk cancel covers, each of them once."""
    works = {work.id: work for _, work in rows if isinstance(work, WorkItem)}
    return [
        work
        for work in works.values()
        if work.state is State.PENDING and is_bulk_canceled(work, config)
    ]


def pointers_to_ended(
    rows: Sequence[tuple[Row, WorkItem | Tick | Unreadable | None]], canceled: Collection[WorkId]
) -> Sequence[PointerRef]:
    """Returns the pointers of these rows to work items that are finished, or were just canceled.

    They lead nowhere, and have no time to live. A far one would lie there for as long as the pool
    has nothing else to do.
    """
    finished = {
        work.id for _, work in rows if isinstance(work, WorkItem) and work.state is State.FINISHED
    }
    return [
        PointerRef(row.record.pool, row.record.at)
        for row, _ in rows
        if isinstance(row.record, Pointer) and row.record.work_id in finished.union(canceled)
    ]
