"""Decides who makes a start, and the loop's start write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.lifecycle import Move, leaving
from workpool_aws.core.proof import digest_of
from workpool_aws.core.report.claim import assignment_of, assignment_to_start, start_fields
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.writes import All, Is, Update
from workpool_aws.values import replace

if TYPE_CHECKING:
    from workpool_aws.model.messages import Assignment
    from workpool_aws.model.work import WorkItem

__all__ = [
    "assignment_for",
    "assignment_to_make",
    "first_look",
    "is_made_by_worker",
    "start_write",
]


def is_made_by_worker(work: WorkItem, *, target_claims: bool) -> bool:
    """True if the worker makes the next start of this work item, and not the loop [WP-29].

    Its function must be known to be decorated. After a start that no worker made, the loop makes
    the next one: the function may be one of version 0.1, or marked wrongly.
    """
    return target_claims and work.permit is not None and work.undelivered == 0


def first_look(
    work: WorkItem, *, event_age_ms: int, timeout_ms: int, by_worker: bool, now: EpochMs
) -> EpochMs:
    """Returns the time at which the loop looks at a start that it sends now, if no report comes.

    It can still run until its event is too old and its function's timeout is over. A worker that
    makes its start and sends heartbeats is looked at earlier: by then the start has a deadline of
    its own. One that no worker has made by then is requeued, and its event finds nothing to start.
    """
    whole_ms, heartbeat_ms = event_age_ms + timeout_ms, work.spec.heartbeat_ms
    if heartbeat_ms is None or not by_worker:
        return EpochMs(now + whole_ms)
    return EpochMs(now + min(whole_ms, heartbeat_ms))


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

    The start number fits, no cancel was requested [WP-2, WP-4], and no replacement has changed its
    arguments or its due time [WP-16].
    """
    deadline = EpochMs(now + event_age_ms + timeout_ms)
    changes = start_fields(start, token=token, proof=proof, now=now, deadline=deadline)
    condition = All(
        (
            leaving(Move.START),
            Is("starts", start - 1),
            Is("cancel_requested", False),
            Is("rev", work.rev),
        )
    )
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
        sent_at=None if work.spec.trace is None else work.started_at,
        loop_until=loop_until,
        claimed=work.spec.claimed or target_claims,
    )


def assignment_to_make(
    work: WorkItem,
    start: int,
    table: str,
    *,
    nonce: str,
    now: EpochMs,
    start_by: EpochMs,
    loop_until: EpochMs | None,
) -> Assignment:
    """Returns the assignment of a committed start that the worker is to make until `start_by`."""
    return replace(
        assignment_to_start(work, table, start),
        nonce=nonce,
        proof=digest_of(nonce),
        start_by=_start_by(work, start_by),
        sent_at=None if work.spec.trace is None else now,
        loop_until=loop_until,
    )


def _start_by(work: WorkItem, start_by: EpochMs) -> EpochMs:
    return start_by if work.start_before is None else min(start_by, work.start_before)
