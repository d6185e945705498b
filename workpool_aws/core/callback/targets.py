"""Kinds of callback targets, in one table, and functions that no work item may name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.model.names import FUNCTION_ARN, QUEUE_ARN, TOPIC_ARN, names_function
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    from workpool_aws.model.loop import Deployment

__all__ = [
    "CALLBACK_TARGETS",
    "DEPLOYED_AS",
    "FUNCTION",
    "JOBS_MARK",
    "OWN_FUNCTION",
    "QUEUE",
    "TOPIC",
    "CallbackTarget",
    "is_decorated",
    "is_own",
    "job_named",
    "nouns_of",
    "oversize",
    "target_of",
]

DEPLOYED_AS: Final = "the name or ARN that this handler is deployed as: in a LocalCloud what cloud.function(...) returned"
JOBS_MARK: Final = "__workpool_jobs__"
"""The attribute of a decorated function with its names, which `functools.wraps` copies."""
OWN_FUNCTION: Final = "a function of yours: loop, completion and watchdog are this library's own and take no work items"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackTarget:
    """One kind of target that callbacks are sent to."""

    service: str
    """Its AWS service, as ARNs and IAM actions spell it."""
    noun: str
    """Its name in messages to users, with its article."""
    arn: re.Pattern[str]
    bytes_max: int
    """Most bytes of a message, with context and return value."""
    actions: tuple[str, ...]
    """IAM actions that a sender needs."""
    acknowledges: bool = False
    """True if a decorated handler there may report that it ran."""


FUNCTION: Final = CallbackTarget(
    service="lambda",
    noun="a Lambda function",
    arn=FUNCTION_ARN,
    bytes_max=limits.EVENT_BYTES_MAX,
    actions=("lambda:InvokeFunction",),
    acknowledges=True,
)
QUEUE: Final = CallbackTarget(
    service="sqs",
    noun="an SQS queue",
    arn=QUEUE_ARN,
    bytes_max=limits.QUEUE_MESSAGE_BYTES_MAX,
    actions=("sqs:GetQueueUrl", "sqs:SendMessage"),
)
TOPIC: Final = CallbackTarget(
    service="sns",
    noun="an SNS topic",
    arn=TOPIC_ARN,
    bytes_max=limits.TOPIC_MESSAGE_BYTES_MAX,
    actions=("sns:Publish",),
)
CALLBACK_TARGETS: Final = (FUNCTION, QUEUE, TOPIC)
"""Every kind of target. A new one is a row here and its sender in `adapters/aws/messenger.py`."""


def target_of(target: str) -> CallbackTarget:
    """Returns the kind of a target; a name without an ARN is a function's."""
    return next((kind for kind in CALLBACK_TARGETS if kind.arn.fullmatch(target)), FUNCTION)


def nouns_of(kinds: Sequence[CallbackTarget]) -> str:
    """Returns the names of at least two kinds for a message, such as "an SQS queue or an SNS topic"."""
    nouns = [kind.noun for kind in kinds]
    return f"{', '.join(nouns[:-1])} or {nouns[-1]}"


def oversize(target: str, size_bytes: int) -> str | None:
    """Returns the reason why so many bytes never reach a target; `None` means that it takes them."""
    allowed = target_of(target).bytes_max
    return (
        f"the callback of {size_bytes} bytes is too large; its target takes at most {allowed} bytes"
        if size_bytes > allowed
        else None
    )


def is_own(target: str, *, loop_arn: str | None, deployed: Deployment | None) -> bool:
    """True for one of the library's functions, by ARN or name, with any version or alias."""
    known = [loop_arn]
    if deployed is not None:
        known += [deployed.loop_arn, deployed.completion_arn]
    return any(each is not None and names_function(each, target) for each in known)


def is_decorated(value: object) -> bool:
    """True for an object that a decorator of this package made."""
    return inspect.getattr_static(value, "__workpool__", None) is True


def job_named(value: object) -> str | None:
    """Returns the name under which a decorated function is deployed. `None` means no such object."""
    names: object = inspect.getattr_static(value, JOBS_MARK, None)
    return names[0] if isinstance(names, tuple) and len(names) == 1 else None
