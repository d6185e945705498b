"""JSON that travels between Lambdas: assignments, loop orders, carried reports and Lambda's destination records.

Writing is strict, reading is tolerant: unknown fields are passed over, and what is not ours or
damaged is None, never an exception. A change that an older reader would misunderstand raises
`VERSION`; added fields do not.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, assert_never

from workpool_aws.adapters.fields import Fields
from workpool_aws.adapters.sealed import seal, unseal
from workpool_aws.core import limits
from workpool_aws.core.error_text import kept_text, kept_type
from workpool_aws.core.payload import DEPTH_MAX, RESERVED_KEY, encode_result
from workpool_aws.core.proof import digest_of
from workpool_aws.core.splice import decoded, one_object, one_value
from workpool_aws.errors import NonRetryableError, PayloadTooLarge, UsageError
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import (
    Assignment,
    CallbackMessage,
    CallbackTicket,
    LoopRequest,
    Report,
    ReportKind,
)
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.work import Kind, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LOOP_KEY",
    "REPORTED",
    "VERSION",
    "WORKPOOL_KEY",
    "DestinationReport",
    "assignment_from_wire",
    "assignment_to_wire",
    "callback_event",
    "carried_outcome",
    "order_from_wire",
    "order_to_wire",
    "read_carried",
    "read_destination",
    "ticket_from_wire",
    "worker_event",
]

VERSION: Final = 1
WORKPOOL_KEY: Final = RESERVED_KEY
LOOP_KEY: Final = "workpool_loop"
REPORTED: Final[dict[str, dict[str, bool]]] = {WORKPOOL_KEY: {"reported": True}}
"""Return value of a decorated handler that reported by itself or turned a delivery away: its
destination record asks for nothing."""

_CARRIED_MARKER: Final = "workpool report "
_SEALED_MARKER: Final = "sealed "
_CARRIED_TYPE: Final = "ReportNotWritten"
"""The name of the exception that carries a report: `workers.ReportNotWritten`."""
_CARRIED_BYTES_MAX: Final = 2 * limits.PAYLOAD_BYTES_MAX + 64 * 1024
"""A result with every character escaped twice, about, and an error beside it."""
_STATUS_OK: Final = 200
_MICROSECOND: Final = timedelta(microseconds=1)
_REFUSED_BY_QUEUES: Final = MappingProxyType({"\ufffe": "\\ufffe", "\uffff": "\\uffff"})
"""SendMessage takes U+0009, U+000A, U+000D, U+0020 to U+D7FF, U+E000 to U+FFFD and U+10000 to
U+10FFFF (SQS API reference). In JSON only these two of the others can stand as they are."""
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
"""Lambda's own error types, in the words of this package."""
_FINAL_TYPES: Final = frozenset({"invalid_result", NonRetryableError.__name__})
_LAMBDA_OWN_TYPE: Final = re.compile(r"(Runtime|Sandbox|Extension|Function)\.\w+")
"""Error types that Lambda itself gives; a user's exception has its class name, whatever its text
says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationReport:
    """Outcome of one start, from Lambda.

    `function_arn`: the qualified ARN that ran; `None` means the record does not say.
    """

    assignment: Assignment
    report: Report | None
    """`None` means that a worker could not write its report, and what it handed over proves nothing
    [WP-28]: what the start came to is not known, and recovery ends it."""
    function_arn: str | None


def assignment_to_wire(assignment: Assignment) -> dict[str, object]:
    """Return the part of a worker's event under `_workpool`."""
    return {
        "version": VERSION,
        "table": assignment.table,
        "pool": assignment.pool,
        "work_id": assignment.work_id,
        "start": assignment.start,
        "attempts_made": assignment.attempts_made,
        "kind": assignment.kind.value,
        "retry": None if assignment.retry is None else _retry_to_wire(assignment.retry),
        "claimed": assignment.claimed,
        "retention_s": assignment.retention_s,
        "start_by": assignment.start_by,
        "loop_until": assignment.loop_until,
        "args_chunks": assignment.args_chunks,
        "context_chunks": assignment.context_chunks,
        "callback_for": [outcome.value for outcome in assignment.callback_for],
        **({} if assignment.nonce is None else {"nonce": assignment.nonce}),
    }


def assignment_from_wire(value: object) -> Assignment | None:
    """Reads what an event has under `_workpool`.

    `None` means it is not an assignment of ours, or damaged.
    """
    fields = Fields(value)
    try:
        if fields.integer("version") != VERSION:
            return None
        retry = fields.get("retry")
        retention_s = fields.optional_integer(
            "retention_s", at_least=0, at_most=limits.RETENTION_S_MAX
        )
        loop_until = fields.optional_integer(
            "loop_until", at_least=0, at_most=limits.STORED_MS_BELOW - 1
        )
        nonce = fields.nonce("nonce")
        return Assignment(
            table=fields.table("table"),
            pool=fields.pool("pool"),
            work_id=fields.work_id("work_id"),
            start=fields.integer("start", at_least=1, at_most=limits.STORED_STARTS_BELOW - 1),
            attempts_made=fields.integer("attempts_made", at_most=limits.STORED_STARTS_BELOW - 1),
            kind=Kind(fields.text("kind")),
            retry=None if retry is None else _retry_from_wire(retry),
            claimed=fields.flag("claimed"),
            retention_s=retention_s,
            start_by=EpochMs(fields.integer("start_by", at_most=limits.STORED_MS_BELOW - 1)),
            loop_until=None if loop_until is None else EpochMs(loop_until),
            args_chunks=fields.optional_integer(
                "args_chunks", at_least=1, at_most=limits.CHUNKS_MAX
            ),
            context_chunks=fields.optional_integer(
                "context_chunks", at_least=1, at_most=limits.CHUNKS_MAX
            ),
            callback_for=tuple(Outcome(one) for one in fields.texts("callback_for")),
            nonce=nonce,
            proof=None if nonce is None else digest_of(nonce),
        )
    except (ValueError, OverflowError):
        return None


def worker_event(args: str, assignment: Assignment) -> bytes:
    """The event of a worker: its arguments, spelled and ordered exactly as stored, and the assignment under `_workpool`, last.

    Raises:
        ValueError: `args` is not the text of exactly one JSON object, or it has the key
            `_workpool`.
    """
    try:
        body = one_object(args, reserved=WORKPOOL_KEY)
    except ValueError as error:
        raise ValueError(f"the stored arguments cannot be sent: {error}") from None
    # Spliced, not decoded and encoded again: a second encoding could spell a number differently.
    inner = body[1:-1].strip()
    own = f'"{WORKPOOL_KEY}":{_compact(assignment_to_wire(assignment))}'
    return f"{{{inner},{own}}}".encode() if inner else f"{{{own}}}".encode()


def callback_event(message: CallbackMessage) -> str:
    """Return the event of an `on_complete` target: exactly what is documented, and for one that acknowledges its ticket under `_workpool`.

    Context and return value are spelled as stored, but for two noncharacters, which are escaped:
    SQS and SNS take no text that has them.

    Raises:
        ValueError: the stored context or return value is not exactly one JSON value.
    """
    context = "null" if message.context is None else _verified(message.context, "context")
    own = (
        ""
        if message.ticket is None
        else f',"{WORKPOOL_KEY}":{_compact(_ticket_to_wire(message.ticket))}'
    )
    event = f'{{"work_id":"{message.work_id}","context":{context},"result":{_result_to_wire(message)}{own}}}'
    for character, escaped in _REFUSED_BY_QUEUES.items():
        event = event.replace(character, escaped)
    return event


def _result_to_wire(message: CallbackMessage) -> str:
    match message.outcome:
        case Outcome.SUCCESS:
            value = "null" if message.result is None else _verified(message.result, "return value")
            return f'{{"kind":"success","return_value":{value}}}'
        case Outcome.FAILED:
            return _compact(
                {"kind": "failed", "error": message.error, "error_type": message.error_type}
            )
        case Outcome.CANCELED:
            return _compact({"kind": "canceled"})
        case _:
            assert_never(message.outcome)


def _verified(text: str, what: str) -> str:
    try:
        return one_value(text)
    except ValueError as error:
        raise ValueError(f"the stored {what} cannot be sent: {error}") from None


def _ticket_to_wire(ticket: CallbackTicket) -> dict[str, object]:
    return {
        "version": VERSION,
        "callback": True,
        "table": ticket.table,
        "pool": ticket.pool,
        "work_id": ticket.work_id,
        "retention_s": ticket.retention_s,
        **({} if ticket.nonce is None else {"nonce": ticket.nonce}),
    }


def ticket_from_wire(value: object) -> CallbackTicket | None:
    """Reads what a callback's event has under `_workpool`.

    `None` means it is not a ticket of ours, or damaged.
    """
    fields = Fields(value)
    try:
        if fields.integer("version") != VERSION or not fields.flag("callback"):
            return None
        return CallbackTicket(
            table=fields.table("table"),
            pool=fields.pool("pool"),
            work_id=fields.work_id("work_id"),
            retention_s=fields.optional_integer(
                "retention_s", at_least=0, at_most=limits.RETENTION_S_MAX
            ),
            nonce=fields.nonce("nonce"),
        )
    except ValueError:
        return None


def order_to_wire(order: LoopRequest) -> dict[str, object]:
    """The event of a loop invocation."""
    return {
        LOOP_KEY: {
            "version": VERSION,
            "table": order.table,
            "pool": order.pool,
            "generation": order.generation,
        }
    }


def order_from_wire(event: object) -> LoopRequest | None:
    """Reads the event of a loop invocation; `None` means it is not an order of ours, or damaged."""
    fields = Fields(Fields(event).get(LOOP_KEY))
    try:
        if fields.integer("version") != VERSION:
            return None
        return LoopRequest(
            table=fields.table("table"),
            pool=fields.pool("pool"),
            generation=fields.optional_integer("generation", at_least=0),
        )
    except ValueError:
        return None


def carried_outcome(report: Report, assignment: Assignment) -> str:
    """The message of the exception by which a worker that could not write its completion hands its report to its destination.

    ASCII, and with the start's nonce sealed: Lambda logs it. A start without a nonce is a loop's of
    0.1, whose completion function reads it as it stands.
    """
    fields = _compact(
        {
            "version": VERSION,
            "work_id": assignment.work_id,
            "start": assignment.start,
            "kind": report.kind.value,
            "result": report.result,
            "error": None if report.error is None else kept_text(report.error),
            "error_type": report.error_type,
            "retryable": report.retryable,
            "delay_ms": report.delay_ms,
            "claim": report.claim,
        }
    )
    if assignment.nonce is None:
        return _CARRIED_MARKER + fields
    return _CARRIED_MARKER + _SEALED_MARKER + seal(assignment.nonce, fields)


def read_carried(text: str, assignment: Assignment) -> Report | None:
    """The report that an exception's message carries.

    `None` means that nothing in it proves that this start's worker wrote it [WP-28].

    Values are bounded and encoded anew: what proves its origin can be damaged all the same.
    """
    sealed = text.removeprefix(_CARRIED_MARKER + _SEALED_MARKER)
    if assignment.nonce is None or sealed == text:
        return None
    opened = unseal(assignment.nonce, sealed, bytes_max=_CARRIED_BYTES_MAX)
    if opened is None:
        return None
    try:
        # The nonce is of one start. Its name is compared all the same: a seal says who wrote, and
        # this says what about.
        fields = Fields(decoded(opened))
        work_id, start = fields.work_id("work_id"), fields.integer("start", at_least=1)
        if fields.integer("version") != VERSION or (work_id, start) != (
            assignment.work_id,
            assignment.start,
        ):
            return None
        delay_ms = fields.optional_integer("delay_ms", at_least=0, at_most=None)
        error, error_type = fields.optional_text("error"), fields.optional_text("error_type")
        kind = ReportKind(fields.text("kind"))
        return Report(
            kind=kind,
            result=_encoded_anew(fields.optional_text("result"))
            if kind is ReportKind.SUCCESS
            else None,
            error=None if error is None else kept_text(error),
            error_type=None if error_type is None else kept_type(error_type),
            retryable=fields.flag("retryable"),
            delay_ms=None if delay_ms is None else min(delay_ms, limits.DELAY_MS_MAX),
            claim=fields.optional_text("claim"),
        )
    except ValueError:
        return None


def _encoded_anew(result: str | None) -> str:
    if result is None:
        raise ValueError("a success without a result")
    return encode_result(decoded(result), limits.PAYLOAD_BYTES_MAX)


def read_destination(record: object) -> DestinationReport | None:
    """Read a destination record of Lambda (version 1.0) about a start of ours.

    `None` means nothing to do. The record is another system's, or damaged, or the worker has
    reported (or turned the delivery away) by itself.
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
    """Drop the assignment from an undecorated function's result.

    Its event has one, and may be or stand in that result.
    """
    if depth > DEPTH_MAX:
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
        # EventAgeExceeded, ZeroReservedConcurrency and what else Lambda may name: only the
        # function's own answer proves that it ran. An event can also grow too old between Lambda's
        # own retries, after user code ran: that record has the answer, and is a failure.
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
    if given_type == _CARRIED_TYPE and message.startswith(_CARRIED_MARKER):
        return read_carried(message, assignment)
    return _failure(message, given_type)


def _payload_of(value: object) -> object:
    """A failure's payload as an object where it is one, even if it comes as text.

    A text that is no object stays as it is.
    """
    if not isinstance(value, str):
        return value if isinstance(value, dict) else None
    try:
        told = decoded(value)
    except ValueError:
        return value or None
    return told if isinstance(told, dict) else value


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


def _retry_to_wire(policy: RetryPolicy) -> dict[str, object]:
    return {
        "max_attempts": policy.max_attempts,
        "initial_backoff_us": policy.initial_backoff // _MICROSECOND,
        "base": policy.base,
        "max_backoff_us": None
        if policy.max_backoff is None
        else policy.max_backoff // _MICROSECOND,
        "jitter": policy.jitter,
    }


def _retry_from_wire(value: object) -> RetryPolicy:
    fields = Fields(value)
    max_backoff_us = fields.optional_integer("max_backoff_us", at_least=0)
    return RetryPolicy(
        max_attempts=fields.integer("max_attempts"),
        initial_backoff=timedelta(microseconds=fields.integer("initial_backoff_us")),
        base=fields.number("base"),
        max_backoff=None if max_backoff_us is None else timedelta(microseconds=max_backoff_us),
        jitter=fields.flag("jitter"),
    )


def _compact(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
