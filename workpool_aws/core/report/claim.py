"""Decides how a decorated worker takes a start, so that no other delivery runs its code.

It claims a start that the loop has made [WP-5], or makes a start that the loop has committed
[WP-29]. The start must be one that the loop sent it [WP-28].
"""

from __future__ import annotations

from workpool_aws.core.lifecycle import Move, entering, leaving, this_start
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Assignment
from workpool_aws.model.payload import chunk_count
from workpool_aws.model.refs import Unreadable, WorkRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import All, Is, Update
from workpool_aws.values import dataclass, replace

__all__ = [
    "ClaimAnswer",
    "assignment_of",
    "assignment_to_start",
    "claim_write",
    "ended_unstarted",
    "is_unmade",
    "left_unmade",
    "make_write",
    "start_fields",
    "take_write",
    "why_refused",
]


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """Answer to an invocation that would take a start.

    `token`: of its claim; `None` means that its code must not run here. `is_over`: then the work item
    ended before it began, and no other delivery runs it either.
    """

    token: str | None
    is_over: bool = False


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
        awaited=work.spec.awaited,
        unique=work.spec.unique is not None,
        grouped=work.spec.group is not None,
        timeout_ms=work.spec.timeout_ms,
        heartbeat_ms=work.spec.heartbeat_ms,
        job=work.spec.job,
        label=work.spec.label,
        proof=work.proof,
        trace=work.spec.trace,
    )


def assignment_to_start(work: WorkItem, table: str, start: int) -> Assignment:
    """Returns the next start of a pending work item, which its worker is to make.

    It lacks what only its event has: the nonce, and the times.
    """
    return replace(assignment_of(work, table), start=start, proof=None, permit=work.permit)


def start_fields(
    start: int,
    *,
    token: str,
    proof: str | None,
    now: EpochMs,
    deadline: EpochMs,
    claim: str | None = None,
) -> dict[str, object]:
    """Returns the fields that a start write sets, by the loop or outside of it."""
    return {
        **entering(Move.START),
        "starts": start,
        "started_by": token,
        "proof": proof,
        "started_at": now,
        "deadline": deadline,
        "permit": None,
        "claim": claim,
        "suspected_type": None,
        "suspected_error": None,
        "beat_at": None,
        "progress": None,
        "note": None,
    }


def make_write(
    a: Assignment, *, token: str, now: EpochMs, ends_by: EpochMs, claim: str | None
) -> Update:
    """Returns the start write outside the loop: pending becomes running, for the permit of the event.

    No delivery makes a start again that was made, spent or canceled [WP-4, WP-7, WP-29]. With a
    `claim` its writer runs user code; `None` means that none will run.
    """
    condition = All(
        (
            leaving(Move.START),
            Is("starts", a.start - 1),
            Is("cancel_requested", False),
            Is("permit", a.permit),
        )
    )
    changes = start_fields(
        a.start, token=token, proof=a.proof, now=now, deadline=ends_by, claim=claim
    )
    return Update(
        ref=WorkRef(a.pool, a.work_id), set={**changes, **_first_beat(a, now)}, condition=condition
    )


def _first_beat(a: Assignment, now: EpochMs) -> dict[str, object]:
    """Returns the beat with which a worker that sends heartbeats takes its start."""
    return {} if a.heartbeat_ms is None else {"beat_at": now}


def take_write(
    assignment: Assignment, *, token: str, now: EpochMs, ends_by: EpochMs, claims: bool
) -> Update:
    """Returns the write by which an invocation takes this start, until `ends_by`.

    `claims`: False if a start that it makes stays unclaimed.
    """
    if assignment.permit is None:
        return claim_write(assignment, token=token, now=now, ends_by=ends_by)
    claim = token if claims else None
    return make_write(assignment, token=token, now=now, ends_by=ends_by, claim=claim)


def claim_write(assignment: Assignment, *, token: str, now: EpochMs, ends_by: EpochMs) -> Update:
    """Returns the claim of this start, if it is running and unclaimed.

    Its deadline becomes `ends_by`.
    """
    return Update(
        ref=WorkRef(assignment.pool, assignment.work_id),
        set={
            **entering(Move.CLAIM),
            "claim": token,
            "deadline": ends_by,
            **_first_beat(assignment, now),
        },
        condition=this_start(
            Move.CLAIM, assignment.start, Is("proof", assignment.proof), Is("claim", None)
        ),
    )


def is_unmade(work: WorkItem | Unreadable | None, a: Assignment) -> bool:
    """True if the worker of this start was to make it, and has not yet."""
    return _is_before_start(work, a, State.PENDING)


def ended_unstarted(work: WorkItem | Unreadable | None, a: Assignment) -> bool:
    """True if the work item was canceled, or expired, before its worker made this start."""
    return _is_before_start(work, a, State.FINISHED)


def _is_before_start(work: WorkItem | Unreadable | None, a: Assignment, state: State) -> bool:
    """True if the work item is in this state, and the permit of this start is not used."""
    return (
        isinstance(work, WorkItem)
        and work.state is state
        and work.starts + 1 == a.start
        and a.permit is not None
        and work.permit == a.permit
    )


def left_unmade(work: WorkItem | Unreadable | None, a: Assignment) -> bool:
    """True if this start was its worker's to make, and never will be.

    The work item has ended, or was replaced. No other process knows of its entry then, so the loop
    must be asked to check it [WP-21].
    """
    return ended_unstarted(work, a) or _was_replaced(work, a)


def _was_replaced(work: WorkItem | Unreadable | None, a: Assignment) -> bool:
    """True if the permit of this start went with a replacement, whatever became of that [WP-16]."""
    return (
        isinstance(work, WorkItem)
        and work.state is not State.RUNNING
        and work.starts == 0
        and a.start == 1
        and a.permit is not None
        and work.permit is None
        and work.rev > 0
    )


def why_refused(
    current: WorkItem | Unreadable | None, assignment: Assignment, token: str
) -> str | None:
    """Returns the reason for which this invocation could not take the start.

    `None` means that the start is its own: the SDK repeated its write after a lost answer.
    """
    if not isinstance(current, WorkItem):
        return "the work item is gone"
    if ended_unstarted(current, assignment):
        return "it ended before it began"
    if _was_replaced(current, assignment):
        return "it was replaced before it began"
    unmade = assignment.permit is not None and current.starts + 1 == assignment.start
    if not unmade and (current.state is not State.RUNNING or current.starts != assignment.start):
        return f"start {assignment.start} is over"
    if unmade or (assignment.permit is None and current.proof != assignment.proof):
        return "the event does not prove that it comes from the loop"
    is_own = token in {current.claim, current.started_by}
    return None if is_own else "another delivery claimed this start"
