"""Decides how a decorated worker reserves a start, so that no other delivery runs its code [WP-5].

The start must be one that the loop sent it [WP-28].
"""

from __future__ import annotations

from workpool_aws.core.lifecycle import Move, entering, this_start
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Assignment
from workpool_aws.model.payload import chunk_count
from workpool_aws.model.refs import Unreadable, WorkRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Is, Update

__all__ = ["assignment_of", "claim_write", "why_refused"]


def assignment_of(work: WorkItem, table: str) -> Assignment:
    """Returns the running start of a stored work item, for reports without its event."""
    return Assignment(
        table=table,
        pool=work.pool,
        work_id=work.id,
        start=work.starts,
        attempts_made=work.attempts_made,
        kind=work.spec.kind,
        retry=work.spec.retry,
        claimed=work.spec.claimed,
        retention_s=work.spec.retention_s,
        start_by=work.started_at or EpochMs(0),
        args_chunks=chunk_count(work.spec.args),
        context_chunks=chunk_count(work.spec.context),
        callback_outcomes=work.spec.callback_outcomes,
        job=work.spec.job,
        label=work.spec.label,
        proof=work.proof,
    )


def claim_write(assignment: Assignment, *, token: str, ends_by: EpochMs) -> Update:
    """Returns the claim of this start, if it is running and unclaimed.

    Its deadline becomes the end of this invocation.
    """
    return Update(
        ref=WorkRef(assignment.pool, assignment.work_id),
        set={**entering(Move.CLAIM), "claim": token, "deadline": ends_by},
        condition=this_start(
            Move.CLAIM, assignment.start, Is("proof", assignment.proof), Is("claim", None)
        ),
    )


def why_refused(
    current: WorkItem | Unreadable | None, assignment: Assignment, token: str
) -> str | None:
    """Returns the reason for which the claim failed.

    `None` means that it is this invocation's own, repeated by the SDK after a lost answer.
    """
    if not isinstance(current, WorkItem):
        return "the work is gone"
    if current.state is not State.RUNNING or current.starts != assignment.start:
        return f"start {assignment.start} is over"
    if current.proof != assignment.proof:
        return "the event does not prove that it comes from the loop"
    return None if current.claim == token else "another delivery claimed this start"
