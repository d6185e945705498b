"""Lambda's destination records of starts and of callbacks whose handler failed.

Reading never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workpool_aws.adapters.wire.assignment import assignment_from_wire
from workpool_aws.adapters.wire.callback import ticket_from_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY, Fields
from workpool_aws.adapters.wire.report import CARRIED_MARKER, REPORTED, read_carried
from workpool_aws.core import limits
from workpool_aws.core.error_text import kept_text, kept_type
from workpool_aws.core.payload import encode_result
from workpool_aws.core.splice import decoded
from workpool_aws.errors import NonRetryableError, PayloadTooLarge, UsageError
from workpool_aws.model.messages import Assignment, CallbackTicket, Report, ReportKind
from workpool_aws.model.names import POOL, TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CallbackLost",
    "DestinationReport",
    "UnreadableRecord",
    "read_destination",
    "read_record",
]


_NAME_LENGTH_MAX = 256
_STATUS_OK: Final = 200
_CARRIED_TYPE: Final = "ReportNotWritten"
"""Class name of the exception that carries a report, in `api/worker.py`."""
_TIMED_OUT: Final = re.compile(r"Task timed out after")
_CRASHED: Final = re.compile(
    r"exited before completing|Runtime exited|process died|exit status|signal: |out of memory",
    re.IGNORECASE,
)
_TYPES: Final[Mapping[str, str]] = {
    "Sandbox.Timedout": "timeout",
    "Runtime.ExitError": "crashed",
    "Runtime.OutOfMemory": "crashed",
    "Runtime.MarshalError": "invalid_result",
    "Function.ResponseSizeTooLarge": "invalid_result",
}
"""Lambda's own error types, as this library names them."""
_FINAL_TYPES: Final = frozenset({"invalid_result", NonRetryableError.__name__})
_LAMBDA_OWN_TYPE: Final = re.compile(r"(Runtime|Sandbox|Extension|Function)\.\w+")
"""Error types of Lambda itself. The error type of a user's exception is its class name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationReport:
    """The outcome of one start, from Lambda.

    `function_arn`: the qualified ARN that ran. `None` means that the record does not have it.
    """

    assignment: Assignment
    report: Report | None
    """`None` means that a worker could not write its report and handed over no proven one [WP-28].
    The outcome of the start is unknown, and recovery ends it."""
    function_arn: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackLost:
    """The failure of a decorated handler that was sent a callback."""

    ticket: CallbackTicket
    target: str
    """The qualified ARN that Lambda was to run; "" if the record does not have it."""
    reason: str
    """The condition and the name of the error, without its text, which may quote arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRecord:
    """A record of this library that cannot be read. `None` means that a field is unreadable."""

    table: str | None
    pool: str | None
    work_id: str | None
    reason: str


def read_record(record: object) -> DestinationReport | CallbackLost | UnreadableRecord | None:
    """Reads a destination record.

    `None` means that it belongs to another system, or that the worker or handler has reported by
    itself.
    """
    outcome = read_destination(record)
    if outcome is not None:
        return outcome
    fields = Fields(record)
    request = fields.get("requestPayload")
    if isinstance(request, str) and f'"{WORKPOOL_KEY}"' in request:
        return UnreadableRecord(
            table=None, pool=None, work_id=None, reason="the event in it is a text, not an object"
        )
    own = Fields(request).get(WORKPOOL_KEY)
    if own is None:
        return None
    context = Fields(fields.get("requestContext"))
    condition = context.get("condition")
    if not isinstance(condition, str) or not condition:
        return _unreadable(own, "it does not say under which condition it was written")
    ticket = ticket_from_wire(own)
    if ticket is not None:
        return (
            None
            if condition == "Success"
            else _lost(ticket, context, condition, fields.get("responsePayload"))
        )
    if assignment_from_wire(own) is not None and fields.get("responsePayload") == REPORTED:
        return None
    return _unreadable(own, "what stands in it is of another version, or damaged")


def _lost(ticket: CallbackTicket, context: Fields, condition: str, answer: object) -> CallbackLost:
    error_type = Fields(answer).get("errorType")
    named = f"{condition}: {error_type}" if isinstance(error_type, str) else condition
    return CallbackLost(
        ticket=ticket,
        target=_text(context.get("functionArn")) or "",
        reason=named[:_NAME_LENGTH_MAX],
    )


def _unreadable(own: object, reason: str) -> UnreadableRecord:
    fields = Fields(own)
    table, pool = _text(fields.get("table")), _text(fields.get("pool"))
    return UnreadableRecord(
        table=table if table is not None and TABLE.fullmatch(table) else None,
        pool=pool if pool is not None and POOL.fullmatch(pool) else None,
        work_id=_text(fields.get("work_id")),
        reason=reason,
    )


def _text(value: object) -> str | None:
    return value[:_NAME_LENGTH_MAX] if isinstance(value, str) else None


def read_destination(record: object) -> DestinationReport | None:
    """Reads a destination record of Lambda (version 1.0) about a start.

    `None` means that no action is required. The record belongs to another system, it is damaged, or
    the worker has reported or refused the delivery by itself.
    """
    fields = Fields(record)
    context = Fields(fields.get("requestContext"))
    assignment = assignment_from_wire(Fields(fields.get("requestPayload")).get(WORKPOOL_KEY))
    condition, function_arn = context.get("condition"), context.get("functionArn")
    if assignment is None or not isinstance(condition, str) or not condition:
        return None
    report: Report | None
    if condition == "Success":
        payload = fields.get("responsePayload")
        if payload == REPORTED:
            return None
        report = _read_success(_without_assignment(payload))
    else:
        report = _read_failure(condition, fields, assignment)
    return DestinationReport(
        assignment=assignment,
        report=report,
        function_arn=function_arn if isinstance(function_arn, str) else None,
    )


def _without_assignment(payload: object, depth: int = 0) -> object:
    """Returns an undecorated function's result without the assignment.

    The function may return its event, or a value that contains it.
    """
    if depth > limits.PAYLOAD_DEPTH_MAX:
        return payload  # nothing so deep is kept
    if isinstance(payload, list):
        return [_without_assignment(item, depth + 1) for item in payload]
    if not isinstance(payload, dict):
        return payload
    return {
        key: _without_assignment(item, depth + 1)
        for key, item in payload.items()
        if key != WORKPOOL_KEY or assignment_from_wire(item) is None
    }


def _read_success(payload: object) -> Report:
    try:
        return Report(
            kind=ReportKind.SUCCESS, result=encode_result(payload, limits.PAYLOAD_BYTES_MAX)
        )
    except (PayloadTooLarge, UsageError) as error:
        return Report(
            kind=ReportKind.FAILED,
            error=kept_text(str(error)),
            error_type="invalid_result",
            retryable=False,
        )


def _read_failure(condition: str, fields: Fields, assignment: Assignment) -> Report | None:
    response, payload = (
        Fields(fields.get("responseContext")),
        _payload_of(fields.get("responsePayload")),
    )
    status = response.get("statusCode")
    refused = isinstance(status, int) and status != _STATUS_OK
    answered = payload is not None or response.get("functionError") is not None
    if refused or (not answered and condition != "RetriesExhausted"):
        # Only the function's own answer proves that it ran, whichever condition Lambda names, such as
        # EventAgeExceeded or ZeroReservedConcurrency. An event can also grow too old between Lambda's
        # own retries, after user code ran. That record has the answer, and is a failure.
        return Report(
            kind=ReportKind.NEVER_DELIVERED,
            error=f"Lambda gave the event up: {kept_text(condition)}",
        )
    if payload is None:
        return Report(
            kind=ReportKind.FAILED,
            error=f"Lambda says {kept_text(condition)}, and no more",
            error_type="no_report",
        )
    if isinstance(payload, str):
        message, given_type = payload, ""
    else:
        answer = Fields(payload)
        message, given_type = (
            answer.text_or_empty("errorMessage"),
            answer.text_or_empty("errorType"),
        )
    if given_type == _CARRIED_TYPE and message.startswith(CARRIED_MARKER):
        return read_carried(message, assignment)
    return _failure(message, given_type)


def _payload_of(value: object) -> object:
    """Returns a failure's payload, decoded if it is the text of an object.

    Any other text stays as it is. `None` means that there is no payload.
    """
    if not isinstance(value, str):
        return value if isinstance(value, dict) else None
    try:
        payload = decoded(value)
    except ValueError:
        return value or None
    return payload if isinstance(payload, dict) else value


def _failure(message: str, given_type: str) -> Report:
    error_type = _error_type(message, given_type)
    return Report(
        kind=ReportKind.FAILED,
        error=kept_text(message) or None,
        error_type=error_type,
        retryable=error_type not in _FINAL_TYPES,
    )


def _error_type(message: str, given_type: str) -> str:
    if given_type in _TYPES:
        return _TYPES[given_type]
    if not given_type or _LAMBDA_OWN_TYPE.fullmatch(given_type):
        if _TIMED_OUT.search(message):
            return "timeout"
        if _CRASHED.search(message):
            return "crashed"
    if given_type:
        return kept_type(given_type)
    return "Error" if message else "no_report"
