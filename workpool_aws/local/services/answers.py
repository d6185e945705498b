"""Words an invocation's end as Lambda does: the response payload, and the record for a destination (version 1.0).

The texts and types of errors are those of aws/aws-lambda-python-runtime-interface-client
(`bootstrap.py`) and of aws/aws-lambda-runtime-interface-emulator (`rapid/handlers.go`,
`interop/model.go`).
"""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from workpool_aws.local.services.marshal import marshal, text_of
from workpool_aws.text import answer_or
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from types import TracebackType

    from workpool_aws.model.ids import EpochMs

__all__ = [
    "Answer",
    "Condition",
    "answered",
    "destination_record",
    "ended_by",
    "exited",
    "raised",
    "timed_out",
    "unreadable",
]

Condition = Literal["Success", "RetriesExhausted", "EventAgeExceeded"]

_RESPONSE_BYTES_MAX: Final = 6 * 1024 * 1024 + 100
_EXIT_STATUSES: Final = 256


@dataclass(frozen=True, slots=True)
class Answer:
    """A response payload (JSON). `ended`: how, for people and tests."""

    payload: str
    ended: Literal["success", "failed", "timeout", "crashed"]
    body: bytes | None = None
    """The response where it is other than the payload: bytes, which a handler may return. A
    synchronous caller gets them."""

    @property
    def failed(self) -> bool:
        """True if Lambda calls it a function error."""
        return self.ended != "success"

    @property
    def error(self) -> str | None:
        """Type and message of the function error, in one line; None for a success."""
        if not self.failed:
            return None
        body = json.loads(self.payload)
        return f"{body['errorType']}: {body['errorMessage']}"


def answered(value: object, request_id: str) -> Answer:
    """Return the handler returned: its value as JSON, or Runtime.MarshalError when it is none.

    Raises:
        BaseException: what the runtime does not survive.
    """
    if isinstance(value, bytes):
        return _sized(Answer(_json_of(value), "success", value), len(value))
    try:
        payload = marshal(value)
    except Exception as error:  # noqa: BLE001 - as the runtime does
        return _error(
            "Runtime.MarshalError", f"Unable to marshal response: {error}", request_id, []
        )
    try:
        size = len(payload.encode())
    except UnicodeEncodeError:
        # a lone surrogate, which the runtime does not survive when it sends the response
        return exited("exit status 1", request_id)
    return _sized(Answer(payload, "success"), size)


def raised(error: Exception, trace: TracebackType | None, request_id: str) -> Answer:
    """Return the handler raised an `Exception`.

    Raises:
        BaseException: its own code did while the runtime looked at it; the runtime does not survive
            that.
    """
    stack = traceback.format_list(traceback.extract_tb(trace)[1:])
    name: object = type(error).__name__
    text = str(error)
    if not isinstance(name, str):
        raise TypeError("the name of an exception's class is no text")
    f"{name} {text}".encode()  # the runtime logs it, and a lone surrogate ends it there
    return _error(name, text, request_id, stack)


def unreadable(error: Exception, request_id: str) -> Answer:
    """Return the answer to an event that cannot be decoded, so that the handler did not run."""
    return _error("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}", request_id, [])


def timed_out(timeout_ms: int, request_id: str) -> Answer:
    """Return the answer of a function whose timeout has passed, and which was ended."""
    text = f"RequestId: {request_id} Error: Task timed out after {timeout_ms / 1000:.2f} seconds"
    return Answer(json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": text}), "timeout")


def exited(how: str, request_id: str) -> Answer:
    """Return the answer of a process that ended.

    `how`: the end in the words of the operating system, as in "exit status 1", "signal: killed".
    """
    said = (
        "Runtime exited without providing a reason"
        if how == "exit status 0"
        else f"Runtime exited with error: {how}"
    )
    text = f"RequestId: {request_id} Error: {said}"
    return Answer(json.dumps({"errorType": "Runtime.ExitError", "errorMessage": text}), "crashed")


def ended_by(error: BaseException, request_id: str) -> Answer:
    """Nothing in the runtime caught this, and Python ended the process."""
    if isinstance(error, KeyboardInterrupt):
        return exited("signal: interrupt", request_id)
    status, failure = 1, object()
    if isinstance(error, SystemExit):
        code = answer_or(failure, lambda: error.code)
        status = int(code is not None)
        if isinstance(code, int):
            # C takes a long, and the operating system keeps its last byte; what is too large for a
            # long is -1.
            status = (int(code) if -(2**63) <= code < 2**63 else -1) % _EXIT_STATUSES
    return exited(f"exit status {status}", request_id)


def _sized(answer: Answer, size: int) -> Answer:
    if size <= _RESPONSE_BYTES_MAX:
        return answer
    text = f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({_RESPONSE_BYTES_MAX} bytes)."
    return Answer(
        json.dumps({"errorMessage": text, "errorType": "Function.ResponseSizeTooLarge"}), "failed"
    )


def _json_of(value: bytes) -> str:
    text = text_of(value)
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return json.dumps(text)
    return text


def _error(kind: str, message: str, request_id: str, stack: list[str]) -> Answer:
    return Answer(
        json.dumps(
            {
                "errorMessage": message,
                "errorType": kind,
                "requestId": request_id,
                "stackTrace": stack,
            }
        ),
        "failed",
    )


def destination_record(
    *,
    at: EpochMs,
    request_id: str,
    arn: str,
    version: str,
    condition: Condition,
    tries: int,
    event: str,
    answer: Answer | None,
) -> str:
    """Return the record a destination gets, as JSON.

    `answer` `None` means no attempt was made, and the record has no response.
    """
    record: dict[str, object] = {
        "version": "1.0",
        "timestamp": datetime.fromtimestamp(at / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{arn}:{version}",
            "condition": condition,
            "approximateInvokeCount": tries,
        },
    }
    if answer is not None:
        context: dict[str, object] = {"statusCode": 200, "executedVersion": version}
        if answer.failed:
            context["functionError"] = "Unhandled"
        record["responseContext"] = context
    # Both are JSON already, and stay as they are: numbers of any length, objects of any depth.
    response = "" if answer is None else f', "responsePayload": {answer.payload}'
    return f'{json.dumps(record)[:-1]}, "requestPayload": {event}{response}}}'
