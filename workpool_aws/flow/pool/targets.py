"""Refuses targets that are this library's own functions, by the caller's environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.callback.targets import OWN_FUNCTION, is_own
from workpool_aws.errors import UsageError

if TYPE_CHECKING:
    from workpool_aws.model.spec import Spec
    from workpool_aws.ports import Ports

__all__ = ["refuse_own_targets"]


def refuse_own_targets(spec: Spec, ports: Ports) -> None:
    """Raises UsageError for a function of this library, also as a callback's. Nothing was stored.

    The loop checks again, with more knowledge.
    """
    for field, target in (("target", spec.target), ("on_complete", spec.callback_target)):
        if target is not None and is_own(target, loop_arn=ports.loop_arn, deployed=ports.deployed):
            raise UsageError(field, target, OWN_FUNCTION)
