"""Lambda's HTTP API: Invoke, and the settings of a function."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from workpool_aws.local.apis.http import Reply, Request, ServiceError, json_reply
from workpool_aws.local.services.functions import EVENT_BYTES_MAX
from workpool_aws.settings import DECORATED

if TYPE_CHECKING:
    from workpool_aws.local.services.deliveries import Deliveries
    from workpool_aws.local.services.functions import Functions, Resolved
    from workpool_aws.local.services.runs import Runs

__all__ = ["LambdaApi"]

_INVOKE: Final = re.compile(r"/2015-03-31/functions/([^/]+)/invocations/?")
_CONFIGURATION: Final = re.compile(r"/2015-03-31/functions/([^/]+)/configuration")
_RECURSION: Final = re.compile(r"/2024-08-31/functions/([^/]+)/recursion-config")
_CONCURRENCY: Final = re.compile(r"/2019-09-30/functions/([^/]+)/concurrency")
_EVENT_CONFIG: Final = re.compile(r"/2019-09-25/functions/([^/]+)/event-invoke-config")
_SYNC_BYTES_MAX: Final = 6 * 1024 * 1024


class LambdaApi:
    """The functions of a cloud behind HTTP."""

    def __init__(self, functions: Functions, deliveries: Deliveries, runs: Runs) -> None:
        self._functions = functions
        self._deliveries = deliveries
        self._runs = runs

    def serves(self, request: Request) -> bool:
        """True if this request is one of ours."""
        return any(
            pattern.fullmatch(request.path)
            for pattern in (_INVOKE, _CONFIGURATION, _EVENT_CONFIG, _RECURSION, _CONCURRENCY)
        )

    def runs_code(self, request: Request) -> bool:
        """True if the answer waits for a handler: a synchronous invocation."""
        return (
            _INVOKE.fullmatch(request.path) is not None and _kind_of(request) == "RequestResponse"
        )

    def answer(self, request: Request) -> Reply:
        """Lambda's answer."""
        try:
            return self._answer(request)
        except ServiceError as error:
            body = {"Type": "User", "Message": str(error)}
            return json_reply(error.status, body, {"x-amzn-ErrorType": error.code})

    def _answer(self, request: Request) -> Reply:
        if (invoked := _INVOKE.fullmatch(request.path)) is not None:
            return self._invoke(self._resolve(invoked[1], request), request)
        if (asked := _CONFIGURATION.fullmatch(request.path)) is not None:
            return _Description(self._resolve(asked[1], request)).configuration()
        if (asked := _RECURSION.fullmatch(request.path)) is not None:
            self._resolve(asked[1], request)
            return json_reply(HTTPStatus.OK, {"RecursiveLoop": "Allow"})
        if (asked := _CONCURRENCY.fullmatch(request.path)) is not None:
            return _Description(self._resolve(asked[1], request)).concurrency()
        named = _EVENT_CONFIG.fullmatch(request.path)
        resolved = self._resolve(named[1] if named is not None else "", request)
        return _Description(resolved).event_config()

    def _resolve(self, name: str, request: Request) -> Resolved:
        qualifier = request.query.get("Qualifier")
        resolved = self._functions.resolve(f"{name}:{qualifier}" if qualifier else name)
        if resolved is None:
            raise ServiceError(
                HTTPStatus.NOT_FOUND, "ResourceNotFoundException", f"Function not found: {name}"
            )
        return resolved

    def _invoke(self, resolved: Resolved, request: Request) -> Reply:
        kind = _kind_of(request)
        payload = _checked(request, EVENT_BYTES_MAX if kind == "Event" else _SYNC_BYTES_MAX)
        if kind == "DryRun":
            return Reply(HTTPStatus.NO_CONTENT)
        if kind == "Event":
            request_id = self._deliveries.accept(resolved, payload)
            return Reply(HTTPStatus.ACCEPTED, headers={"x-amzn-RequestId": request_id})
        answer = self._runs.run_inline(resolved, payload)
        failed = {"X-Amz-Function-Error": "Unhandled"} if answer.failed else {}
        return Reply(
            HTTPStatus.OK,
            answer.payload.encode() if answer.body is None else answer.body,
            {"X-Amz-Executed-Version": resolved.version, **failed},
        )


def _kind_of(request: Request) -> str:
    return request.headers.get("x-amz-invocation-type", "RequestResponse")


def _checked(request: Request, bytes_max: int) -> str:
    if len(request.body) > bytes_max:
        message = f"Request must be smaller than {bytes_max} bytes for the operation"
        raise ServiceError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestTooLargeException", message)
    try:
        text = request.body.decode() or "{}"
        json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"Could not parse request body into json: {error}"
        raise ServiceError(
            HTTPStatus.BAD_REQUEST, "InvalidRequestContentException", message
        ) from error
    return text


@dataclass(frozen=True, slots=True)
class _Description:
    """Lambda's answers about the settings of a function."""

    resolved: Resolved

    def configuration(self) -> Reply:
        """Answers GetFunctionConfiguration."""
        function = self.resolved.function
        variables = {DECORATED: "1"} if function.decorated else {}
        return json_reply(
            HTTPStatus.OK,
            {
                "FunctionName": function.name,
                "FunctionArn": self.resolved.invoked_arn,
                "Version": self.resolved.version,
                "Timeout": -(-function.timeout_ms // 1000),
                "MemorySize": 128,
                "State": "Active",
                "Environment": {"Variables": variables},
            },
        )

    def concurrency(self) -> Reply:
        """Answers GetFunctionConcurrency."""
        reserved = self.resolved.function.reserved
        found = {} if reserved is None else {"ReservedConcurrentExecutions": reserved}
        return json_reply(HTTPStatus.OK, found)

    def event_config(self) -> Reply:
        """Answers GetFunctionEventInvokeConfig."""
        function = self.resolved.function
        leads_to = {"OnSuccess": function.on_success, "OnFailure": function.on_failure}
        destinations = {
            name: {"Destination": arn} for name, arn in leads_to.items() if arn is not None
        }
        return json_reply(
            HTTPStatus.OK,
            {
                "FunctionArn": self.resolved.invoked_arn,
                "MaximumRetryAttempts": function.retries,
                "MaximumEventAgeInSeconds": function.event_age_ms // 1000,
                "DestinationConfig": destinations,
            },
        )
