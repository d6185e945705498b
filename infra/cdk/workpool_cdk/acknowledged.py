"""Reasons for which findings of AWS's rule packs stay in the construct.

The packs are those of cdk-nag, AwsSolutions and Serverless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aws_cdk import Acknowledgment, Stack, Token, Validations
from constructs import Construct

__all__ = ["acknowledge_function", "acknowledge_queue", "acknowledge_schedules"]

_QUEUE: Final[Mapping[str, str]] = {
    "AwsSolutions-SQS3": (
        "It is the dead-letter queue of asynchronous events or of Scheduler, "
        "which the rule does not see."
    ),
    "Serverless-SQSRedrivePolicy": "It is the last stop, which people read once its alarm rings.",
}
_FUNCTION: Final[Mapping[str, str]] = {
    "AwsSolutions-L1": (
        "Python 3.13 is supported until June 2029, as 3.14 is, and starts a fifth faster. "
        "Work items wait for a loop's start."
    ),
    "Serverless-LambdaLatestVersion": "As AwsSolutions-L1.",
    "Serverless-LambdaDLQ": (
        "Its on-failure destination is a queue, which gets the response beside the event, "
        "as AWS advises."
    ),
    "Serverless-LambdaTracing": (
        "Traces cost $5 a million, more than a work item does. A work item carries its caller's "
        "trace as a link, and each start begins a trace."
    ),
}


def acknowledge_queue(queue: Construct) -> None:
    """Acknowledge the findings on a queue of failures."""
    _acknowledge(queue, _QUEUE.items())


def acknowledge_function(function: Construct) -> None:
    """Acknowledge the findings on one of the library's functions."""
    _acknowledge(function, _FUNCTION.items())


def acknowledge_schedules(role: Construct, group: str) -> None:
    """Acknowledge the wildcard in the loop's role.

    The names of schedules in the one group are made of table and pool, and may be cut and hashed.
    """
    stack = Stack.of(role)
    place = ":".join(
        _shown(value, name)
        for value, name in ((stack.region, "AWS::Region"), (stack.account, "AWS::AccountId"))
    )
    partition = _shown(stack.partition, "AWS::Partition")
    group = _spelled(stack.resolve(group))
    rule = f"AwsSolutions-IAM5[Resource::arn:{partition}:scheduler:{place}:schedule/{group}/*]"
    _acknowledge(
        role,
        [
            (
                rule,
                (
                    "The group holds nothing but this table's far wakes. A pool that is new "
                    "today has a schedule tomorrow."
                ),
            )
        ],
    )


def _acknowledge(construct: Construct, reasons: Iterable[tuple[str, str]]) -> None:
    for rule, reason in reasons:
        Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))


def _shown(value: str, name: str) -> str:
    """Returns a token as the rule packs write it."""
    return f"<{name}>" if Token.is_unresolved(value) else value


def _spelled(resolved: object) -> str:
    """Returns a text that contains pseudo parameters as the rule packs write it."""
    match resolved:
        case {"Ref": str(name)}:
            return f"<{name}>"
        case {"Fn::Join": [str(between), list(parts)]}:
            return between.join(map(_spelled, parts))
        case _:
            return str(resolved)
