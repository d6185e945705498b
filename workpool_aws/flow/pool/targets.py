"""Refuses targets that the caller's environment shows to be this library's own functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.callback.targets import OWN_FUNCTION, is_own
from workpool_aws.errors import UsageError

if TYPE_CHECKING:
    from workpool_aws.ports import Ports

__all__ = ["refuse_own"]


def refuse_own(target: str, field: str, ports: Ports) -> None:
    """Raise UsageError for a function that is known to be the library's; nothing was stored.

    The loop looks again, and knows more.
    """
    if is_own(target, loop_arn=ports.loop_arn, deployed=ports.deployed):
        raise UsageError(field, target, OWN_FUNCTION)
