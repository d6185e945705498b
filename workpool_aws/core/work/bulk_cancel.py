"""Decides which work items a `cancel_all` calls off.

It works by epoch, not by clock. `cancel_all` raises the pool's epoch, and an enqueue stamps its
work item with the epoch it knows. Every enqueue reads the status before it acknowledges, and finds
a newer epoch there (`flow/work/enqueue.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Below, Condition, Either, Is
from workpool_aws.values import replace

if TYPE_CHECKING:
    from workpool_aws.model.loop import Config, Ledger

__all__ = [
    "is_bulk_canceled",
    "is_older",
    "is_settled",
    "shown",
]


def is_bulk_canceled(work: WorkItem, config: Config | None) -> bool:
    """True if `cancel_all` was called after this work item was enqueued.

    It must not start then [WP-13]. An epoch alone may be old because the caller did not know the
    new one. Its work item is spared if it was plainly enqueued later: by more than clocks may
    differ, so that no earlier work item is ever spared.
    """
    if config is None or config.epoch_at is None or work.epoch >= config.epoch:
        return False
    return work.enqueued_at <= config.epoch_at + limits.CALL_OFF_MARGIN_MS


def is_older(config: Config) -> Condition:
    """Returns the condition that a work item is still older than the epoch of its cancel.

    Since it was read, its caller may have moved it into that epoch [WP-3].
    """
    return Either((Is("epoch", None), Below("epoch", config.epoch)))


def is_settled(config: Config | None, ledger: Ledger | None) -> bool:
    """True if no bulk cancel is left to do."""
    return (0 if config is None else config.epoch) <= (0 if ledger is None else ledger.epoch)


def shown(work: WorkItem, config: Config | None) -> WorkItem:
    """Returns the work item as callers see it.

    One that is called off has a requested cancel, although that is not written yet.
    """
    if work.state is State.FINISHED or work.cancel_requested or not is_bulk_canceled(work, config):
        return work
    return replace(work, cancel_requested=True)
