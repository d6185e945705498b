"""Knows the library's own functions, which take no work items."""

from __future__ import annotations

from workpool_aws.model.loop import Deployment
from workpool_aws.model.names import names_function

__all__ = ["OWN_FUNCTION", "is_own"]

OWN_FUNCTION = "a function of yours: loop, completion and watchdog are this library's own and take no work items"


def is_own(target: str, *, loop_arn: str | None, deployed: Deployment | None) -> bool:
    """True for a target that is known as one of the library's functions, by ARN or name, with whatever version or alias."""
    known = [loop_arn]
    if deployed is not None:
        known += [deployed.loop_arn, deployed.completion_arn]
    return any(each is not None and names_function(each, target) for each in known)
