"""Calls to Lambda: starting workers and loops, and reading how long a start may take."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError, ParamValidationError

from workpool_aws.adapters.aws.lean import TRACE_HEADER
from workpool_aws.adapters.aws.sdk_errors import CALL_ERRORS, NEVER_SENT, SDK_ERRORS, described
from workpool_aws.adapters.wire.assignment import run_event, worker_event
from workpool_aws.adapters.wire.loop import request_to_wire
from workpool_aws.core import limits
from workpool_aws.errors import TimedOut, WorkpoolError
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.names import names_function
from workpool_aws.ports import (
    Clock,
    Entropy,
    FunctionLimits,
    InvokeRefused,
    InvokeThrottled,
    InvokeUnanswered,
    Telemetry,
)
from workpool_aws.settings import DECORATED, SERVES, pools_served

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

    from workpool_aws.model.messages import Assignment, LoopRequest

__all__ = [
    "EVENT_AGE_MS_MAX",
    "TRACE_HEADER",
    "LambdaInvoker",
    "answer_of",
    "fresh_trace",
    "send_event",
    "start_fresh_traces",
    "was_never_sent",
]

EVENT_AGE_MS_MAX: Final = 21_600_000
"""Six hours: Lambda's maximum, and its default."""
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
_GRANT: Final = "lambda:GetFunctionConfiguration, lambda:GetFunctionEventInvokeConfig"
_PLAIN: Final = "; let a plain function do the work item, or call this one"
_TRACE_BITS: Final = 96
_OWN_HANDLERS: Final = "workpool_aws.handlers."

_NOT_TAKEN: Final = frozenset(
    {
        "TooManyRequestsException",
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "SlowDown",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "EC2ThrottledException",
        "ENILimitReachedException",
        "ENINotReadyException",
        "SubnetIPAddressLimitReachedException",
        "ResourceNotReadyException",
        "SnapStartTimeoutException",
        "SnapStartNotReadyException",
        # Trouble with our own credentials is not the target's fault, and passes. It must not fail
        # work items.
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NEVER_TAKEN: Final = frozenset(
    {
        "RequestTooLargeException",
        "SerializedRequestEntityTooLargeException",
        "InvalidRequestContentException",
        "InvalidParameterValueException",
        "UnsupportedMediaTypeException",
        "ValidationException",
        "RequestEntityTooLargeException",
    }
)
_REFUSED_WITH_5XX: Final = (
    "KMS",
    "EC2AccessDenied",
    "InvalidRuntime",
    "InvalidSecurityGroupID",
    "InvalidSubnetID",
    "InvalidZipFile",
)
"""Prefixes of codes by which Lambda refuses, with a 502, a function that is set up badly."""
_NOT_ALLOWED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"}
)
_TOO_MANY: Final = 429
_TOO_LARGE: Final = 413
_SERVER_ERRORS: Final = 500
_UNAVAILABLE: Final = 503


def start_fresh_traces(client: LambdaClient, clock: Clock, entropy: Entropy) -> None:
    """Have every Invoke of this client begin a trace of its own.

    Lambda counts the hops of one chain of invocations by that header and drops the seventeenth.
    Without this, every worker would inherit the count of the loop that started it, and unrelated
    work items would be dropped after a few rounds of loop, worker and kick.
    """

    def set_header(params: dict[str, dict[str, str]], **_: object) -> None:
        params["headers"][TRACE_HEADER] = fresh_trace(clock, entropy)

    # First: botocore's own handler passes the current trace on, but only where no header is set.
    client.meta.events.register_first("before-call.lambda.Invoke", set_header)


def fresh_trace(clock: Clock, entropy: Entropy) -> str:
    """Return the header of a trace that begins with this request."""
    return f"Root=1-{clock.now() // 1000:08x}-{entropy.bits(_TRACE_BITS):024x}"


@dataclass(frozen=True, slots=True)
class _Known:
    limits: FunctionLimits
    until: EpochMs


class LambdaInvoker:
    """Lambda behind `ports.Invoker`.

    Clients are given as functions that return them, so that they are made when they are first
    needed.

    Args:
        client: Must not retry by itself, since a repeated Invoke is a second start.
        retrying_client: May retry. It is used where a worker claims its start before any user code
            runs, and for reading. Both must have been through `start_fresh_traces`.
        clock: Ages the limits that are kept.
        completion_arn: Returns the completion function. `None` means that it is not known.
        acknowledging: Returns the functions that acknowledge a callback by themselves, as the
            deployment lists them. It may raise StoreUnavailable.
        telemetry: Receives denied permissions. `None` means that they are not reported.
    """

    def __init__(
        self,
        client: Callable[[], LambdaClient],
        retrying_client: Callable[[], LambdaClient],
        clock: Clock,
        completion_arn: Callable[[], str | None] = lambda: None,
        *,
        acknowledging: Callable[[], Collection[str]] = tuple,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._client = client
        self._completion_arn = completion_arn
        self._retrying_client = retrying_client
        self._clock = clock
        self._acknowledging = acknowledging
        self._telemetry = telemetry
        self._known: dict[str, _Known] = {}
        self._listed: tuple[str, ...] = ()
        self._listed_until = EpochMs(0)
        self._denied: set[str] = set()
        """Functions whose configuration may not be read. Each is reported once."""

    def start_work(self, target: str, assignment: Assignment, args: str) -> None:
        """Send one start to a worker; Lambda has queued it when this returns.

        Raises:
            InvokeThrottled: not queued now. An earlier repetition may have been, if the worker must
                claim or make the start; it will not get it.
            InvokeRefused: not queued. Arguments that are not a JSON object are refused for good,
                and so are starts of a function which `limits` has shown to be unfit, or to serve
                other pools.
            InvokeUnanswered: queued or not.
        """
        self._refuse_unfit(target, assignment.pool)
        try:
            event = worker_event(args, assignment)
        except ValueError as error:
            raise InvokeRefused(str(error), lasting=True) from error
        client = self._retrying_client if assignment.is_exclusive else self._client
        send_event(client, target, event)

    def start_run(self, target: str, starts: Sequence[tuple[Assignment, str]]) -> None:
        """Send starts to a worker that makes one after the other. Raises as `start_work`."""
        self._refuse_unfit(target, starts[0][0].pool)
        try:
            event = run_event(starts)
        except ValueError as error:
            raise InvokeRefused(str(error), lasting=True) from error
        send_event(self._retrying_client, target, event)

    def _refuse_unfit(self, target: str, pool: str) -> None:
        known = self._known.get(target)
        refusal = None if known is None else known.limits.unfit or known.limits.refusal(pool)
        if refusal is not None:
            raise InvokeRefused(refusal, lasting=True)

    def start_loop(self, loop_arn: str, order: LoopRequest) -> None:
        """Start a loop invocation of a generation. Raises as `start_work`.

        The SDK never repeats it.
        """
        send_event(
            self._client,
            loop_arn,
            json.dumps(request_to_wire(order), separators=(",", ":")).encode(),
        )

    def limits(self, target: str) -> FunctionLimits:
        """Return timeout and event age of the version or alias that `target` names. Never raises.

        They are kept for five minutes. Where Lambda does not answer, they are 15 minutes and six
        hours, and Lambda is asked again after a minute. A missing permission to ask is reported
        once for each function.
        """
        now = self._clock.now()
        known = self._known.get(target)
        # A clock that was set back must not keep an answer for ever.
        if known is not None and known.until - limits.FUNCTION_LIMITS_KEPT_MS <= now < known.until:
            return known.limits
        try:
            read, kept_ms = self._read_limits(target), limits.FUNCTION_LIMITS_KEPT_MS
        except TimedOut:
            raise
        except CALL_ERRORS as error:
            self._report_if_denied(target, error)
            read = FunctionLimits(timeout_ms=limits.TIMEOUT_MS_MAX, event_age_ms=EVENT_AGE_MS_MAX)
            kept_ms = limits.FUNCTION_LIMITS_GUESSED_KEPT_MS
        if len(self._known) >= limits.TARGETS_KEPT_MAX:
            self._known.clear()
        self._known[target] = _Known(read, EpochMs(now + kept_ms))
        return read

    def acknowledges(self, target: str) -> bool:
        """Return True if its handler acknowledges a callback by itself. Never raises.

        Its own configuration says so, or the table's list, which is kept for five minutes.
        """
        if self.limits(target).claims:
            return True
        now = self._clock.now()
        if not self._listed_until - limits.FUNCTION_LIMITS_KEPT_MS <= now < self._listed_until:
            # Without an answer, the list of before counts. If there was none, accepted means
            # delivered, as for any other target.
            with suppress(WorkpoolError):
                self._listed, self._listed_until = (
                    tuple(self._acknowledging()),
                    EpochMs(now + limits.FUNCTION_LIMITS_KEPT_MS),
                )
        return any(names_function(listed, target) for listed in self._listed)

    def _report_if_denied(self, target: str, error: Exception) -> None:
        denied = (
            isinstance(error, ClientError)
            and error.response.get("Error", {}).get("Code", "") in _DENIED
        )
        if (
            not denied
            or self._telemetry is None
            or target in self._denied
            or len(self._denied) >= limits.TARGETS_KEPT_MAX
        ):
            return
        self._denied.add(target)
        self._telemetry.emit(
            events.LimitsDenied(pool="", target=target, grant=_GRANT, error=str(error))
        )

    def _read_limits(self, target: str) -> FunctionLimits:
        client = self._retrying_client()
        name, qualifier = without_qualifier(target)
        if qualifier is None:
            found = client.get_function_configuration(FunctionName=name)
        else:
            found = client.get_function_configuration(FunctionName=name, Qualifier=qualifier)
        # Of the variables, which may be secrets, only ours is looked at. Where Lambda may not
        # decrypt them, it is missing.
        variables = found.get("Environment", {}).get("Variables", {})
        marked, serves = variables.get(DECORATED) == "1", pools_served(variables.get(SERVES))
        event_age_ms, reports = self._read_event_config(client, name, qualifier)
        timeout_ms = found.get("Timeout", limits.TIMEOUT_MS_MAX // 1000) * 1000
        return FunctionLimits(
            timeout_ms=timeout_ms,
            event_age_ms=event_age_ms,
            claims=marked and reports,
            unfit=unfit_reason(found),
            serves=serves,
            own=found.get("Handler", "").startswith(_OWN_HANDLERS),
        )

    def _read_event_config(
        self, client: LambdaClient, name: str, qualifier: str | None
    ) -> tuple[int, bool]:
        """Return the event age, and True if failures alone lead to the completion function.

        A decorated function is deployed so.
        """
        try:
            if qualifier is None:
                found = client.get_function_event_invoke_config(FunctionName=name)
            else:
                found = client.get_function_event_invoke_config(
                    FunctionName=name, Qualifier=qualifier
                )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            # The function was found a moment ago, so it is this configuration that does not exist:
            # Lambda's default holds.
            return EVENT_AGE_MS_MAX, False
        age_s = found.get("MaximumEventAgeInSeconds")
        leads_to = found.get("DestinationConfig", {})
        on_success = leads_to.get("OnSuccess", {}).get("Destination")
        on_failure = leads_to.get("OnFailure", {}).get("Destination")
        reports = (
            on_success is None and on_failure is not None and on_failure == self._completion_arn()
        )
        return EVENT_AGE_MS_MAX if not age_s else age_s * 1000, reports


def unfit_reason(found: Mapping[str, object]) -> str | None:
    """Return why a start of such a function outlives its deadline, or never arrives.

    `None` means that neither is known (docs/limits.md).
    """
    tenancy = found.get("TenancyConfig")
    if found.get("CapacityProviderConfig"):
        return f"the function runs on Lambda Managed Instances, which do not end code at its timeout{_PLAIN}"
    if found.get("DurableConfig"):
        return f"the function is durable: an execution outlives its timeout, and Lambda sends no outcome of it{_PLAIN}"
    if isinstance(tenancy, Mapping) and tenancy.get("TenantIsolationMode") == "PER_TENANT":
        return f"the function isolates tenants: Lambda takes no event for it without a tenant's id{_PLAIN}"
    return None


def without_qualifier(target: str) -> tuple[str, str | None]:
    """Return a function's name or ARN without its version or alias, and the latter.

    Forms: `name`, `account:function:name`, a full ARN.
    """
    parts = target.split(":")
    unqualified = 1
    if parts[0] == "arn":
        unqualified = len(("arn", "partition", "lambda", "region", "account", "function", "name"))
    elif parts[1:2] == ["function"]:
        unqualified = len(("account", "function", "name"))
    if len(parts) <= unqualified:
        return target, None
    return ":".join(parts[:unqualified]), ":".join(parts[unqualified:])


def was_never_sent(error: Exception) -> bool:
    """True if a call failed before anything was sent."""
    return isinstance(error, (*NEVER_SENT, WorkpoolError))


def send_event(client: Callable[[], LambdaClient], target: str, event: bytes) -> None:
    """Have Lambda queue an event. Raises InvokeThrottled, InvokeRefused or InvokeUnanswered."""
    try:
        client().invoke(FunctionName=target, InvocationType="Event", Payload=event)
    except ClientError as error:
        raise answer_of(error) from error
    except ParamValidationError as error:
        raise InvokeRefused(str(error), lasting=True) from error
    except NEVER_SENT as error:
        # After a repetition by the SDK, the last try's error says nothing about the first. That
        # happens for claimed work only, where a start that arrives after it was put back finds its
        # number gone.
        raise InvokeThrottled(described(error)) from error
    except WorkpoolError as error:
        raise InvokeThrottled(str(error)) from error  # by the making of the client
    except TimedOut:
        raise
    except SDK_ERRORS as error:
        raise InvokeUnanswered(described(error)) from error


def answer_of(error: ClientError) -> InvokeThrottled | InvokeRefused | InvokeUnanswered:
    """Return the fate of an event from an error of Lambda, or of another queue."""
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _NOT_TAKEN or status in (_TOO_MANY, _UNAVAILABLE):
        return InvokeThrottled(str(error))
    if code in _NEVER_TAKEN or status == _TOO_LARGE:
        return InvokeRefused(str(error), lasting=True)
    if status >= _SERVER_ERRORS and not code.startswith(_REFUSED_WITH_5XX):
        return InvokeUnanswered(str(error))
    if code in _NOT_ALLOWED:
        return InvokeRefused(
            f"{error} (was it added to the pool's deployment, by add_action or add_on_complete?)",
            lasting=False,
        )
    return InvokeRefused(str(error), lasting=False)
