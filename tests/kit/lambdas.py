"""The arguments that Lambda gives to a handler."""

from __future__ import annotations

from dataclasses import dataclass

from tests.kit.records import TARGET
from workpool_aws.adapters.wire.assignment import assignment_to_wire
from workpool_aws.model.messages import Assignment

TIME_LEFT_MS = 20_000


@dataclass(eq=False)
class LambdaContext:
    """Lambda's context. Time passes in it only when a test sets `left_ms`."""

    left_ms: int = TIME_LEFT_MS
    aws_request_id: str = "8f2c-1"
    invoked_function_arn: str = TARGET

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


def event_of(assignment: Assignment, **arguments: object) -> dict[str, object]:
    """Return the event that a worker receives."""
    return {**arguments, "_workpool": assignment_to_wire(assignment)}
