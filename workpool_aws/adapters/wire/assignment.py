"""The assignment of a start, which a worker's event carries beside its arguments."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workpool_aws.adapters.wire.fields import VERSION, WORKPOOL_KEY, Fields, compact
from workpool_aws.adapters.wire.trace import trace_from_wire, trace_to_wire
from workpool_aws.core import limits
from workpool_aws.core.proof import digest_of
from workpool_aws.core.splice import one_object
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Assignment
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import Kind, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "assignment_from_wire",
    "assignment_to_wire",
    "retry_from_wire",
    "retry_to_wire",
    "run_event",
    "run_from_wire",
    "worker_event",
]

_MICROSECOND: Final = timedelta(microseconds=1)
_WORKER_STARTS: Final = 2
"""Version of an assignment whose start the worker makes. A worker of 0.1, which could not, refuses
it before user code runs."""
_RUN: Final = 3
"""Version of an event with several starts, each as its own event. A worker that does not know runs
refuses it before user code runs."""


def assignment_to_wire(assignment: Assignment) -> dict[str, object]:
    """Returns the part of a worker's event under `_workpool`."""
    return {
        "version": VERSION if assignment.permit is None else _WORKER_STARTS,
        "table": assignment.table,
        "pool": assignment.pool,
        "work_id": assignment.work_id,
        "start": assignment.start,
        "attempts_made": assignment.attempts_made,
        "kind": assignment.kind.value,
        "retry": None if assignment.retry is None else retry_to_wire(assignment.retry),
        "claimed": assignment.claimed,
        "retention_s": assignment.retention_s,
        "start_by": assignment.start_by,
        "loop_until": assignment.loop_until,
        "args_chunks": assignment.args_chunks,
        "context_chunks": assignment.context_chunks,
        "callback_for": [outcome.value for outcome in assignment.callback_outcomes],
        **{flag: True for flag in ("awaited", "unique", "grouped") if getattr(assignment, flag)},
        **_given(
            job=assignment.job,
            timeout_ms=assignment.timeout_ms,
            heartbeat_ms=assignment.heartbeat_ms,
        ),
        **({} if assignment.label in {None, assignment.job} else {"label": assignment.label}),
        **_given(nonce=assignment.nonce, permit=assignment.permit),
        **({} if assignment.trace is None else {"trace": trace_to_wire(assignment.trace)}),
        **({} if assignment.sent_at is None else {"sent_at": assignment.sent_at}),
    }


def _given(**fields: str | int | None) -> dict[str, object]:
    """Returns the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def assignment_from_wire(value: object) -> Assignment | None:
    """Reads the part of a worker's event under `_workpool`.

    `None` means that it is damaged, or not an assignment of this library.
    """
    fields = Fields(value)
    try:
        permit = fields.nonce("permit")
        if fields.integer("version") != (VERSION if permit is None else _WORKER_STARTS):
            return None
        retry = fields.get("retry")
        loop_until, sent_at = (
            fields.optional_integer(name, at_least=0, at_most=limits.STORED_MS_BELOW - 1)
            for name in ("loop_until", "sent_at")
        )
        job, nonce = fields.job("job"), fields.nonce("nonce")
        return Assignment(
            table=fields.table("table"),
            pool=fields.pool("pool"),
            work_id=fields.work_id("work_id"),
            start=fields.integer("start", at_least=1, at_most=limits.STORED_STARTS_BELOW - 1),
            attempts_made=fields.integer("attempts_made", at_most=limits.STORED_STARTS_BELOW - 1),
            kind=Kind(fields.text("kind")),
            retry=None if retry is None else retry_from_wire(retry),
            claimed=fields.flag("claimed"),
            retention_s=fields.retention("retention_s"),
            start_by=EpochMs(fields.integer("start_by", at_most=limits.STORED_MS_BELOW - 1)),
            loop_until=None if loop_until is None else EpochMs(loop_until),
            args_chunks=fields.optional_integer(
                "args_chunks", at_least=1, at_most=limits.CHUNKS_MAX
            ),
            context_chunks=fields.optional_integer(
                "context_chunks", at_least=1, at_most=limits.CHUNKS_MAX
            ),
            callback_outcomes=tuple(Outcome(one) for one in fields.texts("callback_for")),
            awaited=fields.get("awaited") is True,
            unique=fields.get("unique") is True,
            grouped=fields.get("grouped") is True,
            timeout_ms=fields.optional_integer(
                "timeout_ms", at_least=1, at_most=limits.TIMEOUT_MS_MAX
            ),
            heartbeat_ms=fields.optional_integer(
                "heartbeat_ms", at_least=limits.HEARTBEAT_MS_MIN, at_most=limits.TIMEOUT_MS_MAX
            ),
            job=job,
            label=job or fields.label("label"),
            nonce=nonce,
            proof=None if nonce is None else digest_of(nonce),
            permit=permit,
            trace=trace_from_wire(fields.get("trace")),
            sent_at=None if sent_at is None else EpochMs(sent_at),
        )
    except (ValueError, OverflowError):
        return None


def worker_event(args: str, assignment: Assignment) -> bytes:
    """Returns the event of a worker.

    It has the arguments in the order and spelling of the store, and then the assignment under
    `_workpool`.

    Raises:
        ValueError: `args` is not the text of exactly one JSON object, or it has the key
            `_workpool`.
    """
    try:
        body = one_object(args, reserved=WORKPOOL_KEY)
    except ValueError as error:
        raise ValueError(f"the stored arguments cannot be sent: {error}") from None
    # The stored text is spliced in, since a second encoding could spell a number differently.
    inner = body[1:-1].strip()
    own = f'"{WORKPOOL_KEY}":{compact(assignment_to_wire(assignment))}'
    return f"{{{inner},{own}}}".encode() if inner else f"{{{own}}}".encode()


def run_event(starts: Sequence[tuple[Assignment, str]]) -> bytes:
    """Returns the event of a worker that makes these starts one after the other.

    Each has the event that it would have alone. Raises ValueError as `worker_event`.
    """
    events = b",".join(worker_event(args, assignment) for assignment, args in starts)
    return b'{"%s":{"version":%d,"run":[%s]}}' % (WORKPOOL_KEY.encode(), _RUN, events)


def run_from_wire(value: object) -> tuple[Mapping[str, object], ...] | None:
    """Reads the part of a worker's event under `_workpool` that has a run: the event of each start.

    `None` means that it has none, or one that is damaged. All starts are of one table, pool and job,
    and the worker makes each of them.
    """
    fields = Fields(value)
    run = fields.get("run")
    if fields.get("version") != _RUN or not isinstance(run, list):
        return None
    events = tuple(each for each in run if isinstance(each, dict))
    starts = [assignment_from_wire(each.get(WORKPOOL_KEY)) for each in events]
    kinds = {
        None if each is None or each.permit is None else (each.table, each.pool, each.job)
        for each in starts
    }
    whole = len(events) == len(run) <= limits.RUN_STARTS_MAX
    return events if whole and len(kinds) == 1 and None not in kinds else None


def retry_to_wire(policy: RetryPolicy) -> dict[str, object]:
    """Returns a policy as messages carry it, with whole microseconds."""
    return {
        "max_attempts": policy.max_attempts,
        "initial_backoff_us": policy.initial_backoff // _MICROSECOND,
        "base": policy.base,
        "max_backoff_us": None
        if policy.max_backoff is None
        else policy.max_backoff // _MICROSECOND,
        "jitter": policy.jitter,
    }


def retry_from_wire(value: object) -> RetryPolicy:
    """Reads a policy. Raises ValueError or OverflowError for one that no program could have sent."""
    fields = Fields(value)
    max_backoff_us = fields.optional_integer("max_backoff_us", at_least=0)
    return RetryPolicy(
        max_attempts=fields.integer("max_attempts"),
        initial_backoff=timedelta(microseconds=fields.integer("initial_backoff_us")),
        base=fields.number("base"),
        max_backoff=None if max_backoff_us is None else timedelta(microseconds=max_backoff_us),
        jitter=fields.flag("jitter"),
    )
