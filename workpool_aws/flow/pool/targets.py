"""Refuses targets that are this library's own functions, by the caller's environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.callback.targets import OWN_FUNCTION, is_own
from workpool_aws.errors import UsageError

if TYPE_CHECKING:
    from workpool_aws.ports import Ports

__all__ = ["refuse_own"]


def refuse_own(target: str, field: str, ports: Ports) -> None:
    """Raises UsageError for a function of this library. Nothing was stored.

    The loop checks again, with more knowledge.
    """
    if is_own(target, loop_arn=ports.loop_arn, deployed=ports.deployed):
        raise UsageError(field, target, OWN_FUNCTION)
