"""Recognises kinds of targets, their limits, and functions that are no targets."""

from __future__ import annotations

import inspect
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, assert_never

from workpool_aws.core import limits
from workpool_aws.model.names import MESSAGE_ARN, names_function

if TYPE_CHECKING:
    from workpool_aws.model.loop import Deployment

__all__ = [
    "DEPLOYED_AS",
    "OWN_FUNCTION",
    "TargetKind",
    "is_decorated",
    "is_own",
    "message_bytes_max",
    "oversize",
    "target_kind",
]

DEPLOYED_AS: Final = "the name or ARN that this handler is deployed as: in a LocalCloud what cloud.function(...) returned"


OWN_FUNCTION: Final = "a function of yours: loop, completion and watchdog are this library's own and take no work items"


class TargetKind(Enum):
    """Kinds of callback targets."""

    FUNCTION = auto()
    QUEUE = auto()
    TOPIC = auto()


def target_kind(target: str) -> TargetKind:
    """A queue and a topic are known by their ARN; anything else is a function."""
    found = MESSAGE_ARN.fullmatch(target)
    if found is None:
        return TargetKind.FUNCTION
    return TargetKind.QUEUE if found["service"] == "sqs" else TargetKind.TOPIC


def oversize(target: str, size_bytes: int) -> str | None:
    """Why a message of so many bytes can never reach its target; `None` means it can."""
    allowed = message_bytes_max(target)
    return (
        f"the callback of {size_bytes} bytes is too large; its target takes at most {allowed} bytes"
        if size_bytes > allowed
        else None
    )


def message_bytes_max(target: str) -> int:
    """Return the bytes that a target accepts at most, context and return value together."""
    kind = target_kind(target)
    match kind:
        case TargetKind.FUNCTION:
            return limits.EVENT_BYTES_MAX
        case TargetKind.QUEUE:
            return limits.QUEUE_MESSAGE_BYTES_MAX
        case TargetKind.TOPIC:
            return limits.TOPIC_MESSAGE_BYTES_MAX
        case _:
            assert_never(kind)


def is_own(target: str, *, loop_arn: str | None, deployed: Deployment | None) -> bool:
    """True for one of the library's functions, by ARN or name, with any version or alias."""
    known = [loop_arn]
    if deployed is not None:
        known += [deployed.loop_arn, deployed.completion_arn]
    return any(each is not None and names_function(each, target) for each in known)


def is_decorated(value: object) -> bool:
    """True for an object that a decorator of this package made."""
    return inspect.getattr_static(value, "__workpool__", None) is True
