"""Decides which work items a `cancel_all` called off, and how the loop gets through them.

Not by clock but by epoch: `cancel_all` raises the pool's epoch, an enqueue stamps its work item
with the epoch it knows, and the status, which every enqueue reads before it acknowledges, tells it
of a newer one (`flow/work/enqueue.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Below, Condition, Either, Is

if TYPE_CHECKING:
    from workpool_aws.model.loop import Config, Ledger

__all__ = [
    "is_bulk_canceled",
    "is_older",
    "is_settled",
    "shown",
]


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


def shown(work: WorkItem, config: Config | None) -> WorkItem:
    """The work item as people are told of it.

    One that is called off is canceled for them, although nobody has written so yet.
    """
    if work.state is State.FINISHED or work.cancel_requested or not is_bulk_canceled(work, config):
        return work
    return replace(work, cancel_requested=True)
