"""Decides if a work item can start now, who makes the start, and the loop's start write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from workpool_aws.core.lifecycle import Move, has_expired, leaving
from workpool_aws.core.proof import digest_of
from workpool_aws.core.report.claim import assignment_of, assignment_to_start, start_fields
from workpool_aws.core.work.bulk_cancel import is_bulk_canceled
from workpool_aws.model.ids import EpochMs, WorkId, time_of
from workpool_aws.model.loop import Config, EntryKey
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import All, Is, Update

if TYPE_CHECKING:
    from collections.abc import Collection

    from workpool_aws.model.messages import Assignment

__all__ = [
    "Look",
    "Taken",
    "assignment_for",
    "assignment_to_make",
    "classify",
    "is_made_by_worker",
    "start_write",
]


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


def _has_moved(row_key: str, work: WorkItem) -> bool:
    """True for a work item's own row which a retry or requeue has left for its pointer.

    Found by its old row, it would start before work items that were due earlier.
    """
    return row_key == work.id and work.starts > 0 and time_of(row_key) < work.due_at


def is_made_by_worker(work: WorkItem, *, target_claims: bool) -> bool:
    """True if the worker makes the next start of this work item, and not the loop [WP-29].

    Its function must be known to be decorated. After a start that no worker made, the loop makes
    the next one: the function may be one of version 0.1, or marked wrongly.
    """
    return target_claims and work.permit is not None and work.undelivered == 0


def start_write(
    work: WorkItem,
    start: int,
    *,
    token: str,
    proof: str | None,
    timeout_ms: int,
    event_age_ms: int,
    now: EpochMs,
) -> Update:
    """Returns the start write: pending becomes running, if it still is what was committed.

    The start number fits and no cancel was requested [WP-2, WP-4].
    """
    deadline = EpochMs(now + event_age_ms + timeout_ms)
    changes = start_fields(start, token=token, proof=proof, now=now, deadline=deadline)
    condition = All((leaving(Move.START), Is("starts", start - 1), Is("cancel_requested", False)))
    return Update(ref=WorkRef(work.pool, work.id), set=changes, condition=condition)


def assignment_for(
    work: WorkItem,
    table: str,
    *,
    nonce: str,
    timeout_ms: int,
    loop_until: EpochMs | None,
    target_claims: bool = False,
) -> Assignment:
    """Returns the assignment of a start that was just written.

    A worker that begins after `start_by` could still run when recovery judges it, or when the time
    of its work item to start is over. A decorated one claims every start that the loop has made, so
    that no other delivery runs its code [WP-29].
    """
    return replace(
        assignment_of(work, table),
        nonce=nonce,
        start_by=_start_by(work, EpochMs((work.deadline or 0) - timeout_ms)),
        loop_until=loop_until,
        claimed=work.spec.claimed or target_claims,
    )


def assignment_to_make(
    work: WorkItem,
    start: int,
    table: str,
    *,
    nonce: str,
    start_by: EpochMs,
    loop_until: EpochMs | None,
) -> Assignment:
    """Returns the assignment of a committed start that the worker is to make until `start_by`."""
    return replace(
        assignment_to_start(work, table, start),
        nonce=nonce,
        proof=digest_of(nonce),
        start_by=_start_by(work, start_by),
        loop_until=loop_until,
    )


def _start_by(work: WorkItem, start_by: EpochMs) -> EpochMs:
    return start_by if work.start_before is None else min(start_by, work.start_before)
