"""Context object that a handler gets, with Lambda's attribute names and types."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workpool_aws.model.ids import EpochMs

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.local.services.functions import Resolved

__all__ = ["SimulatedContext", "context_of"]


class CognitoIdentity:
    """Identity of a caller who used Amazon Cognito. Here it is always empty."""

    cognito_identity_id: str | None = None
    cognito_identity_pool_id: str | None = None


@dataclass(kw_only=True)
class SimulatedContext:
    """Context of an invocation, as Lambda gives it to a handler.

    As there, code may set attributes of its own on it.
    """

    aws_request_id: str
    function_name: str
    function_version: str
    invoked_function_arn: str
    log_group_name: str
    log_stream_name: str
    memory_limit_in_mb: str = "128"
    tenant_id: str | None = None
    client_context: None = None
    identity: CognitoIdentity = field(default_factory=CognitoIdentity, repr=False)
    deadline: EpochMs = field(repr=False)
    clock: Callable[[], EpochMs] = field(repr=False)

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the timeout, by the cloud's clock; never negative."""
        return max(0, self.deadline - self.clock())

    def log(self, msg: object) -> None:
        """Write to standard output, without a line's end."""
        sys.stdout.write(str(msg))


def context_of(
    resolved: Resolved, request_id: str, clock: Callable[[], EpochMs]
) -> SimulatedContext:
    """Return the context of an invocation that begins now."""
    name = resolved.function.name
    return SimulatedContext(
        aws_request_id=request_id,
        function_name=name,
        function_version=resolved.version,
        invoked_function_arn=resolved.invoked_arn,
        log_group_name=f"/aws/lambda/{name}",
        log_stream_name=f"local/[{resolved.version}]{request_id}",
        deadline=EpochMs(clock() + resolved.function.timeout_ms),
        clock=clock,
    )
