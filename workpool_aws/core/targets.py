"""Recognises functions that are no targets: the library's own, and decorated objects."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final

from workpool_aws.model.names import names_function

if TYPE_CHECKING:
    from workpool_aws.model.loop import Deployment

__all__ = ["DEPLOYED_AS", "OWN_FUNCTION", "is_decorated", "is_own"]

DEPLOYED_AS: Final = "the name or ARN that this handler is deployed as: in a LocalCloud what cloud.function(...) returned"
OWN_FUNCTION: Final = "a function of yours: loop, completion and watchdog are this library's own and take no work items"


def is_own(target: str, *, loop_arn: str | None, deployed: Deployment | None) -> bool:
    """True for one of the library's functions, by ARN or name, with any version or alias."""
    known = [loop_arn]
    if deployed is not None:
        known += [deployed.loop_arn, deployed.completion_arn]
    return any(each is not None and names_function(each, target) for each in known)


def is_decorated(value: object) -> bool:
    """True for an object that a decorator of this package made."""
    return inspect.getattr_static(value, "__workpool__", None) is True
