"""Owns the context object that a handler gets, with Lambda's attribute names and types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from workpool_aws.local.functions import Resolved
from workpool_aws.model.ids import EpochMs

__all__ = ["LambdaContext", "context_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaContext:
    """What Lambda tells a handler about its invocation."""

    aws_request_id: str
    function_name: str
    function_version: str
    invoked_function_arn: str
    log_group_name: str
    log_stream_name: str
    memory_limit_in_mb: str = "128"
    identity: None = None
    client_context: None = None
    deadline: EpochMs = field(repr=False)
    clock: Callable[[], EpochMs] = field(repr=False)

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the timeout, by the cloud's clock; never negative."""
        return max(0, self.deadline - self.clock())


def context_of(resolved: Resolved, request_id: str, clock: Callable[[], EpochMs]) -> LambdaContext:
    """The context of an invocation that begins now."""
    name = resolved.function.name
    return LambdaContext(
        aws_request_id=request_id,
        function_name=name,
        function_version=resolved.version,
        invoked_function_arn=resolved.invoked_arn,
        log_group_name=f"/aws/lambda/{name}",
        log_stream_name=f"local/[{resolved.version}]{request_id}",
        deadline=EpochMs(clock() + resolved.function.timeout_ms),
        clock=clock,
    )
