"""Lambda's destination records of starts and of callbacks whose handler failed.

Reading never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workpool_aws.adapters.wire.assignment import assignment_from_wire, run_from_wire
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
    "records_of",
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


def records_of(record: object) -> tuple[object, ...]:
    """Returns the record of each start that this one is about: of all of a run, or only itself.

    A function that succeeded with a run and did not report it knows no runs, so no start of it was
    made.
    """
    read = _Record(Fields(record))
    run = run_from_wire(read.own)
    if run is None or not isinstance(record, dict):
        return (record,)
    if read.condition == "Success" and read.answer != REPORTED:
        context = {**read.context.as_mapping(), "condition": "NoRun"}
        record = {
            **record,
            "requestContext": context,
            "responsePayload": None,
            "responseContext": {},
        }
    return tuple({**record, "requestPayload": event} for event in run)


def read_record(record: object) -> DestinationReport | CallbackLost | UnreadableRecord | None:
    """Reads a destination record.

    `None` means that it belongs to another system, or that the worker or handler has reported by
    itself.
    """
    outcome = read_destination(record)
    if outcome is not None:
        return outcome
    read = _Record(Fields(record))
    request = read.fields.get("requestPayload")
    if isinstance(request, str) and f'"{WORKPOOL_KEY}"' in request:
        return UnreadableRecord(
            table=None, pool=None, work_id=None, reason="the event in it is a text, not an object"
        )
    own = read.own
    if own is None:
        return None
    if read.condition is None:
        return read.unreadable("it does not say under which condition it was written")
    ticket = ticket_from_wire(own)
    if ticket is not None:
        return None if read.condition == "Success" else read.lost(ticket)
    if assignment_from_wire(own) is not None and read.answer == REPORTED:
        return None
    return read.unreadable("what stands in it is of another version, or damaged")


def read_destination(record: object) -> DestinationReport | None:
    """Reads a destination record of Lambda (version 1.0) about a start.

    `None` means that no action is required. The record belongs to another system, it is damaged, or
    the worker has reported or refused the delivery by itself.
    """
    read = _Record(Fields(record))
    assignment = assignment_from_wire(read.own)
    if assignment is None or read.condition is None:
        return None
    report: Report | None
    if read.condition == "Success":
        if read.answer == REPORTED:
            return None
        report = _success(_without_assignment(read.answer))
    else:
        report = read.failure(assignment)
    function_arn = read.context.get("functionArn")
    return DestinationReport(
        assignment=assignment,
        report=report,
        function_arn=function_arn if isinstance(function_arn, str) else None,
    )


@dataclass(frozen=True, slots=True)
class _Record:
    """A destination record of Lambda, with whatever an attacker or a defect put into it."""

    fields: Fields

    @property
    def context(self) -> Fields:
        """Lambda's own part."""
        return Fields(self.fields.get("requestContext"))

    @property
    def condition(self) -> str | None:
        """Lambda's reason for the record. `None` means that it names none."""
        named = self.context.get("condition")
        return named if isinstance(named, str) and named else None

    @property
    def own(self) -> object:
        """This library's part of the event, not yet read. `None` means that there is none."""
        return Fields(self.fields.get("requestPayload")).get(WORKPOOL_KEY)

    @property
    def answer(self) -> object:
        """The function's answer, as Lambda passes it on."""
        return self.fields.get("responsePayload")

    def lost(self, ticket: CallbackTicket) -> CallbackLost:
        """Returns the failure of the handler that got this ticket."""
        error_type = Fields(self.answer).get("errorType")
        named = str(self.condition)
        if isinstance(error_type, str):
            named = f"{named}: {error_type}"
        target = _text(self.context.get("functionArn")) or ""
        return CallbackLost(ticket=ticket, target=target, reason=named[:_NAME_LENGTH_MAX])

    def unreadable(self, reason: str) -> UnreadableRecord:
        """Returns the names in the record that can be read."""
        own = Fields(self.own)
        table, pool = _text(own.get("table")), _text(own.get("pool"))
        return UnreadableRecord(
            table=table if table is not None and TABLE.fullmatch(table) else None,
            pool=pool if pool is not None and POOL.fullmatch(pool) else None,
            work_id=_text(own.get("work_id")),
            reason=reason,
        )

    def failure(self, assignment: Assignment) -> Report | None:
        """Returns the report of a start that did not succeed, or the worker's own one in it."""
        condition = kept_text(str(self.condition))
        payload = self._error_payload()
        if not self._function_ran(answered=payload is not None):
            return Report(
                kind=ReportKind.NEVER_DELIVERED, error=f"Lambda gave the event up: {condition}"
            )
        if payload is None:
            return Report(
                kind=ReportKind.FAILED,
                error=f"Lambda says {condition}, and no more",
                error_type="no_report",
            )
        if isinstance(payload, str):
            raised = _Raised(payload, "")
        else:
            answer = Fields(payload)
            raised = _Raised(
                answer.text_or_empty("errorMessage"), answer.text_or_empty("errorType")
            )
        if raised.given_type == _CARRIED_TYPE and raised.message.startswith(CARRIED_MARKER):
            return read_carried(raised.message, assignment)
        return raised.report()

    def _error_payload(self) -> object:
        """Returns a failure's payload, decoded if it is the text of an object.

        Any other text stays as it is. `None` means that there is no payload.
        """
        value = self.answer
        if not isinstance(value, str):
            return value if isinstance(value, dict) else None
        try:
            payload = decoded(value)
        except ValueError:
            return value or None
        return payload if isinstance(payload, dict) else value

    def _function_ran(self, *, answered: bool) -> bool:
        # Only the function's own answer proves that it ran, whichever condition Lambda names, such
        # as EventAgeExceeded or ZeroReservedConcurrency. An event can also grow too old between
        # Lambda's own retries, after user code ran. That record has the answer, and is a failure.
        response = Fields(self.fields.get("responseContext"))
        status = response.get("statusCode")
        if isinstance(status, int) and status != _STATUS_OK:
            return False
        answered = answered or response.get("functionError") is not None
        return answered or self.condition == "RetriesExhausted"


@dataclass(frozen=True, slots=True)
class _Raised:
    """The error of a function, or Lambda's own in its place."""

    message: str
    given_type: str

    def report(self) -> Report:
        """Returns the failure, as this library names it."""
        error_type = self._error_type()
        return Report(
            kind=ReportKind.FAILED,
            error=kept_text(self.message) or None,
            error_type=error_type,
            retryable=error_type not in _FINAL_TYPES,
        )

    def _error_type(self) -> str:
        given = self.given_type
        if given in _TYPES:
            return _TYPES[given]
        if not given or _LAMBDA_OWN_TYPE.fullmatch(given):
            if _TIMED_OUT.search(self.message):
                return "timeout"
            if _CRASHED.search(self.message):
                return "crashed"
        if given:
            return kept_type(given)
        return "Error" if self.message else "no_report"


def _success(payload: object) -> Report:
    try:
        result = encode_result(payload, limits.PAYLOAD_BYTES_MAX)
    except (PayloadTooLarge, UsageError) as error:
        return Report(
            kind=ReportKind.FAILED,
            error=kept_text(str(error)),
            error_type="invalid_result",
            retryable=False,
        )
    return Report(kind=ReportKind.SUCCESS, result=result)


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


def _text(value: object) -> str | None:
    return value[:_NAME_LENGTH_MAX] if isinstance(value, str) else None
