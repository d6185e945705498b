"""Texts of work items, for the tables, fields and JSON of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.cli.output import cell, iso, moment
from workpool_aws.core import limits
from workpool_aws.model.names import label_of
from workpool_aws.text import as_line, many

if TYPE_CHECKING:
    from workpool_aws.core.payload import JsonValue
    from workpool_aws.core.views.details import StoredPayload, WorkDetails
    from workpool_aws.core.views.listing import ListedWork
    from workpool_aws.core.views.status import Attempt
    from workpool_aws.model.retry import RetryPolicy

__all__ = ["WORK_HEADER", "retry_as_json", "work_as_json", "work_fields", "work_row"]

WORK_HEADER: Final = ("id", "state", "attempts", "when", "function", "error")
_GONE: Final = "gone or damaged"


def work_row(work: ListedWork, *, wide: bool) -> tuple[str, ...]:
    """Return the line of a work item in a list. `wide` cuts nothing."""
    when = work.finished_at or (work.started_at if work.state == "running" else work.next_run_at)
    error = _trouble_of(work)
    if work.callback == "dead":
        error = "its callback is dead" if error is None else f"its callback is dead; {error}"
    # Short, for terminals too narrow for an ARN.
    whole = work.target if work.job is None else f"{work.job} in {work.target}"
    function = whole if wide else cell(label_of(work.job, work.target))
    return (
        work.work_id,
        _state_of(work),
        _attempts(work),
        moment(when),
        function,
        error or "-" if wide else cell(error),
    )


def work_fields(work: WorkDetails) -> list[tuple[str, str]]:
    """Return everything about a work item, as names and values."""
    shown = work.status
    return [
        ("id", shown.work_id),
        ("state", _state_of(shown) if shown.outcome is None else shown.state),
        ("outcome", shown.outcome or "-"),
        *([] if shown.job is None else [("job", shown.job)]),
        ("function", shown.target),
        ("kind", shown.kind),
        ("attempts", _attempts(shown)),
        ("enqueued", moment(shown.enqueued_at)),
        ("due", moment(shown.next_run_at)),
        ("started", moment(shown.started_at)),
        ("finished", moment(shown.finished_at)),
        *_course_of(work),
        ("cancel requested", "yes" if shown.cancel_requested else "no"),
        ("callback", shown.callback or "-"),
        (
            "retry",
            "-" if work.retry is None else f"at most {many(work.retry.max_attempts, 'attempt')}",
        ),
        ("unique key", cell(work.unique_key)),
        ("redrive of", shown.redrive_of or "-"),
        ("redriven as", shown.redriven_as or "-"),
        ("asked for by", cell(work.link)),
        ("trace", cell(work.trace_id)),
        (
            "error",
            "-"
            if shown.error_type is None
            else f"{as_line(shown.error_type)}: {shown.error or ''}",
        ),
        *(
            (f"attempt {each.number}", f"{moment(each.started_at)}, {_end_of(each)}")
            for each in shown.attempts
        ),
        ("arguments", _payload(work.args, "--args shows them; they may be secret")),
        ("result", _payload(work.result, "--result shows it")),
    ]


def _course_of(work: WorkDetails) -> list[tuple[str, str]]:
    """Return the course of a running attempt, its own bounds and its key, as names and values."""
    shown, pairs = work.status, list[tuple[str, str]]()
    if shown.stands_for is not None:
        pairs.append(("stands for", f"group {cell(shown.stands_for)}"))
    if shown.progress is not None:
        note = f" {as_line(shown.note)}" if shown.note else ""
        pairs.append(("progress", f"{shown.progress:.0%}{note}"))
    if shown.heartbeat_at is not None:
        pairs.append(("heartbeat", moment(shown.heartbeat_at)))
    if work.unique_key is not None:
        pairs.append(("key held by", work.key_holder or "-"))
    if work.timeout is not None:
        pairs.append(("timeout", f"{work.timeout.total_seconds():g} s"))
    return pairs


def work_as_json(work: ListedWork) -> dict[str, JsonValue]:
    """Return a work item of a list as a JSON object."""
    return {
        "work_id": work.work_id,
        "state": work.state,
        "outcome": work.outcome,
        "target": work.target,
        "job": work.job,
        "kind": work.kind,
        "previous_attempts": work.previous_attempts,
        "enqueued_at": iso(work.enqueued_at),
        "next_run_at": iso(work.next_run_at),
        "started_at": iso(work.started_at),
        "finished_at": iso(work.finished_at),
        "cancel_requested": work.cancel_requested,
        "callback": work.callback,
        "error": work.error,
        "error_type": work.error_type,
        "redrive_of": work.redrive_of,
        "redriven_as": work.redriven_as,
        "dead_at": iso(work.dead_at),
        "stands_for": work.stands_for,
        "last_error": work.last_error,
        "progress": work.progress,
        "note": work.note,
        "heartbeat_at": iso(work.heartbeat_at),
        "attempts": [
            {
                "number": each.number,
                "started_at": iso(each.started_at),
                "ended_at": iso(each.ended_at),
                "outcome": each.outcome,
                "error_type": each.error_type,
                "error": each.error,
            }
            for each in work.attempts
        ],
    }


def retry_as_json(retry: RetryPolicy | None) -> JsonValue:
    """Return a retry policy as a JSON object. `None` stays `None`."""
    if retry is None:
        return None
    return {
        "max_attempts": retry.max_attempts,
        "initial_backoff_s": retry.initial_backoff.total_seconds(),
        "base": retry.base,
        "max_backoff_s": None if retry.max_backoff is None else retry.max_backoff.total_seconds(),
        "jitter": retry.jitter,
    }


def _trouble_of(work: ListedWork) -> str | None:
    """Return the error that ended the work item, or else that of its latest attempt."""
    if work.error_type is not None:
        return f"{work.error_type}: {work.error}"
    last = work.attempts[-1] if work.attempts and work.outcome is None else None
    if last is None or (last.error_type is None and last.error is None):
        return None
    return f"attempt {last.number} {_end_of(last)}"


def _end_of(attempt: Attempt) -> str:
    text = ": ".join(as_line(part) for part in (attempt.error_type, attempt.error) if part)
    outcome = attempt.outcome.replace("_", " ")
    return f"{outcome}: {text}" if text else outcome


def _state_of(work: ListedWork) -> str:
    state: str = work.outcome or work.state
    if work.stands_for is not None:
        return "group over"
    if state == "running" and work.progress is not None:
        state = f"{state} {work.progress:.0%}"
    return f"{state}, cancel requested" if work.cancel_requested and work.outcome is None else state


def _attempts(work: ListedWork) -> str:
    if work.stands_for is not None:
        return "-"
    current = 0 if work.state == "pending" or work.started_at is None else 1
    return str(work.previous_attempts + current)


def _payload(payload: StoredPayload | None, hint: str) -> str:
    if payload is None:
        return "-"
    if payload.missing:
        return _GONE
    if payload.json is not None:
        return payload.json
    if payload.size_bytes is not None:
        return f"{many(payload.size_bytes, 'byte')} ({hint})"
    return f"{many(payload.chunks, 'chunk')} of at most {limits.CHUNK_BYTES // 1024} KB ({hint})"
