"""Decides which work items a `cancel_all` called off, and how the loop gets through them.

Not by clock but by epoch: `cancel_all` raises the pool's epoch, an enqueue stamps its work item
with the epoch it knows, and the status, which every enqueue reads before it acknowledges, tells it
of a newer one (`flow/work/enqueue.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Below, Condition, Either, Is

if TYPE_CHECKING:
    from workpool_aws.model.loop import Config, Ledger

__all__ = [
    "BulkCancel",
    "after_read",
    "drain_to_make",
    "is_bulk_canceled",
    "is_older",
    "is_settled",
    "shown",
]


@dataclass(frozen=True, slots=True)
class BulkCancel:
    """Progress of the loop in canceling the work items of one `cancel_all`.

    `lows`: per shard, the key to read on from; `None` means the shard is through. `seen_running`:
    those in flight were asked.
    """

    epoch: int
    lows: tuple[str | None, ...]
    seen_running: bool = False

    @property
    def next_shard(self) -> int | None:
        """The one that is furthest behind; `None` means all are through."""
        left = [(low, shard) for shard, low in enumerate(self.lows) if low is not None]
        return min(left)[1] if left else None

    def holds_back(self, now: EpochMs) -> bool:
        """True if works that are due by now are still unseen: until they are, nothing is chosen to start."""
        shard = self.next_shard
        return shard is not None and (self.lows[shard] or "") <= id_floor(now)


def is_bulk_canceled(work: WorkItem, config: Config | None) -> bool:
    """True if a `cancel_all` was asked for after this work item was enqueued.

    It must not start [WP-13].

    An epoch alone may be old because the caller had not heard of the new one; its work item is
    spared if it was plainly enqueued later. Plainly means by more than clocks may differ, so that
    no work from before is ever spared.
    """
    if config is None or config.epoch_at is None or work.epoch >= config.epoch:
        return False
    return work.enqueued_at <= config.epoch_at + limits.CALL_OFF_MARGIN_MS


def is_older(config: Config) -> Condition:
    """That a work item is still older than what called it off: since it was read, its caller may have moved it into the epoch [WP-3]."""
    return Either((Is("epoch", None), Below("epoch", config.epoch)))


def is_settled(config: Config | None, ledger: Ledger | None) -> bool:
    """True if nothing is left to drain."""
    return (0 if config is None else config.epoch) <= (0 if ledger is None else ledger.epoch)


def drain_to_make(
    drain: BulkCancel | None, config: Config | None, ledger: Ledger
) -> BulkCancel | None:
    """The drain that the config asks for.

    The one under way, a new one from where pending work items can lie, or None.
    """
    if config is None or is_settled(config, ledger):
        return None
    if drain is not None and drain.epoch == config.epoch:
        return drain
    return BulkCancel(
        config.epoch, tuple(deep_low(mark.work_cursor, mark.deep_at) for mark in ledger.shards)
    )


def after_read(drain: BulkCancel, shard: int, low: str | None) -> BulkCancel:
    """The drain after a shard was read up to `low`; `None` means to its end."""
    return replace(
        drain, lows=tuple(low if each == shard else old for each, old in enumerate(drain.lows))
    )


def shown(work: WorkItem, config: Config | None) -> WorkItem:
    """The work item as people are told of it.

    One that is called off is canceled for them, although nobody has written so yet.
    """
    if work.state is State.FINISHED or work.cancel_requested or not is_bulk_canceled(work, config):
        return work
    return replace(work, cancel_requested=True)
