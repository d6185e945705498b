"""`lambda_context`: a stand-in for the context that Lambda gives a handler."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.local.current import current_cloud
from workpool_aws.local.options import function_name as local_name
from workpool_aws.local.options import milliseconds, whole
from workpool_aws.local.services.context import SimulatedContext
from workpool_aws.local.services.functions import function_arn
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.names import FUNCTION_ARN

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["lambda_context"]

_TIMEOUT: Final = timedelta(seconds=30)
_MEMORY_MB: Final = 128
_MEMORY_MB_MAX: Final = 10_240
_REQUEST_ID: Final = "11111111-2222-4333-8444-555555555555"


def lambda_context(
    function_name: str = "test-function",
    *,
    timeout: timedelta = _TIMEOUT,
    memory_mb: int = _MEMORY_MB,
    request_id: str = _REQUEST_ID,
    arn: str | None = None,
    version: str = "$LATEST",
    clock: Callable[[], float] | None = None,
) -> SimulatedContext:
    """Return a context with Lambda's attributes, whose remaining time counts down from now.

        >>> from workpool_aws.testing import lambda_context
        >>> seconds = iter([0.0, 1.5])
        >>> ctx = lambda_context("orders", clock=lambda: next(seconds))
        >>> ctx.function_name, ctx.memory_limit_in_mb, ctx.get_remaining_time_in_millis()
        ('orders', '128', 28500)

    Args:
        function_name: The function's name.
        timeout: The function's timeout, from which the remaining time counts down; at most 15
            minutes.
        memory_mb: The function's memory, 128 to 10240 MB.
        request_id: Kept with each work item that the handler enqueues.
        arn: The invoked ARN. Defaults to one of the name in the region and account of `LocalCloud`.
        version: The function's version.
        clock: Returns seconds, from any origin. Defaults to the time of the surrounding
            `LocalCloud`, else to `time.monotonic`.

    Raises:
        UsageError: a value is not allowed.
    """
    try:
        name = local_name(function_name)
    except UsageError as error:
        raise UsageError("function_name", function_name, error.allowed) from None
    if arn is not None and (not isinstance(arn, str) or FUNCTION_ARN.fullmatch(arn) is None):
        raise UsageError("arn", arn, "the ARN of a Lambda function, version or alias, or None")
    timeout_ms = milliseconds("timeout", timeout, at_least=1, at_most=limits.TIMEOUT_MS_MAX)
    now = _clock_of(clock)
    return SimulatedContext(
        aws_request_id=_text("request_id", request_id),
        function_name=name,
        function_version=_text("version", version),
        invoked_function_arn=function_arn(name) if arn is None else arn,
        log_group_name=f"/aws/lambda/{name}",
        log_stream_name=f"local/[{version}]{request_id}",
        memory_limit_in_mb=str(
            whole("memory_mb", memory_mb, at_least=_MEMORY_MB, at_most=_MEMORY_MB_MAX)
        ),
        deadline=EpochMs(now() + timeout_ms),
        clock=now,
    )


def _clock_of(clock: object) -> Callable[[], EpochMs]:
    """Return a reader of the time in milliseconds."""
    cloud = current_cloud()
    if clock is None and cloud is not None:
        return lambda: EpochMs(math.floor(cloud.now.timestamp() * 1000))
    seconds = time.monotonic if clock is None else clock
    if not callable(seconds):
        raise UsageError("clock", clock, "a callable that returns seconds, or None")
    read = seconds
    return lambda: EpochMs(math.floor(read() * 1000))


def _text(field: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(field, value, "a text that is not empty")
    return value
