"""Decides about one row of the work item range: to start it now, to end it, or to leave it."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from workpool_aws.core.lifecycle import has_expired
from workpool_aws.core.work.bulk_cancel import is_bulk_canceled
from workpool_aws.model.ids import WorkId, time_of
from workpool_aws.model.loop import Config, EntryKey
from workpool_aws.model.work import State, WorkItem
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection

    from workpool_aws.model.ids import EpochMs

__all__ = ["Look", "Taken", "classify", "is_to_point"]


class Look(Enum):
    """Meaning of one row of the work item range for this pass."""

    SKIP = auto()
    """Over, running, moved to a later time, or in the ledger: nothing to start here."""
    DUE = auto()
    CALLED_OFF = auto()
    """Due, and to be canceled: `cancel_all` was called after it was enqueued."""
    EXPIRED = auto()
    """Due, and to be ended: its time to start is over."""
    LATER = auto()


@dataclass(frozen=True, slots=True)
class Taken:
    """State of the ledger: its starts, and work items with an unconfirmed entry.

    The config decides which work items are called off.
    """

    entries: Collection[EntryKey]
    unconfirmed: Collection[WorkId]
    config: Config | None = None


def classify(row_key: str, work: WorkItem, *, taken: Taken, now: EpochMs) -> Look:
    """Returns the meaning of a row for this pass.

    The pass and the read before rest must agree on it, or the loop spins [WP-23].
    """
    if work.state is not State.PENDING or work.cancel_requested or _has_moved(row_key, work):
        return Look.SKIP
    if EntryKey(work.id, work.starts + 1) in taken.entries or work.id in taken.unconfirmed:
        return Look.SKIP
    if max(work.due_at, time_of(row_key)) > now:
        # A stale key of a work item that was moved to a later time: its pointer stands there. And
        # no key is acted on before its own time, or work items forged to be due long before it
        # would keep the loop up: some read finds them, and none from the cursor on.
        return Look.SKIP if time_of(row_key) <= now else Look.LATER
    if is_bulk_canceled(work, taken.config):
        return Look.CALLED_OFF
    return Look.EXPIRED if has_expired(work, now) else Look.DUE


def is_to_point(row_key: str, work: WorkItem, now: EpochMs) -> bool:
    """True if a pass that meets this row must put a pointer at the work item's due time [WP-16].

    A replacement has moved it there, and only this row, or an earlier one, leads to it.
    """
    due_later = work.state is State.PENDING and work.due_at > now
    return work.postponed and due_later and time_of(row_key) <= now


def _has_moved(row_key: str, work: WorkItem) -> bool:
    """True for a work item's own row which a retry or requeue has left for its pointer.

    Found by its old row, it would start before work items that were due earlier.
    """
    return row_key == work.id and work.starts > 0 and time_of(row_key) < work.due_at
