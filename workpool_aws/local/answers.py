"""Owns what an invocation comes to as Lambda words it: the response payload, and the record for a destination (version 1.0)."""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from workpool_aws.model.ids import EpochMs

__all__ = ["Answer", "Condition", "answered", "destination_record", "exited", "raised", "timed_out"]

Condition = Literal["Success", "RetriesExhausted", "EventAgeExceeded"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response payload (JSON). `ended`: how, for people and tests."""

    payload: str
    ended: Literal["success", "failed", "timeout", "crashed"]

    @property
    def failed(self) -> bool:
        """Whether Lambda calls it a function error."""
        return self.ended != "success"

    @property
    def error(self) -> str | None:
        """Type and message of the function error, in one line; None for a success."""
        if not self.failed:
            return None
        body = json.loads(self.payload)
        return f"{body['errorType']}: {body['errorMessage']}"


def answered(value: object, request_id: str) -> Answer:
    """The handler returned: its value as JSON, or Runtime.MarshalError when it is none."""
    try:
        return Answer(json.dumps(value), "success")
    except (TypeError, ValueError, RecursionError) as error:
        return _error("failed", "Runtime.MarshalError", f"Unable to marshal response: {error}", request_id, [])


def raised(error: BaseException, request_id: str) -> Answer:
    """The handler raised."""
    stack = traceback.format_list(traceback.extract_tb(error.__traceback__)[1:])
    return _error("failed", type(error).__name__, str(error), request_id, stack)


def timed_out(timeout_ms: int, request_id: str) -> Answer:
    """The function's timeout passed; nothing of it went on after that."""
    text = f"RequestId: {request_id} Error: Task timed out after {timeout_ms / 1000:.2f} seconds"
    return Answer(json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": text}), "timeout")


def exited(status: object, request_id: str) -> Answer:
    """The process ended: sys.exit, os._exit, out of memory."""
    text = f"RequestId: {request_id} Error: Runtime exited with error: exit status {status}"
    return Answer(json.dumps({"errorType": "Runtime.ExitError", "errorMessage": text}), "crashed")


def _error(ended: Literal["failed"], kind: str, message: str, request_id: str, stack: list[str]) -> Answer:
    body = {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": stack}
    return Answer(json.dumps(body), ended)


def destination_record(
    *, at: EpochMs, request_id: str, arn: str, version: str, condition: Condition, tries: int, event: str, answer: Answer | None
) -> str:
    """The record a destination gets, as JSON. `answer` None: no attempt was made, and the record has no response."""
    record: dict[str, object] = {
        "version": "1.0",
        "timestamp": datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{arn}:{version}",
            "condition": condition,
            "approximateInvokeCount": tries,
        },
        "requestPayload": json.loads(event),
    }
    if answer is not None:
        context: dict[str, object] = {"statusCode": 200, "executedVersion": version}
        if answer.failed:
            context["functionError"] = "Unhandled"
        record["responseContext"] = context
        record["responsePayload"] = json.loads(answer.payload)
    return json.dumps(record)
