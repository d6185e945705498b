"""Decides what a change of limits writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Config

__all__ = ["DEPLOYMENT", "NOBODY", "base_changes", "changed_config", "deployed_changes", "override_changes"]

NOBODY: Final = "default"
"""Who set the base of a config that only has an override."""
DEPLOYMENT: Final = "the deployment"
"""Who set a base that no program may change. No function has such a name: it has a space."""


def base_changes(config: Config | None, *, max_parallelism: int, by: str, now: EpochMs) -> dict[str, object] | None:
    """What a program that says a limit changes; None: nothing, it holds already, or the deployment has said another one, which beats it."""
    if config is not None and (config.max_parallelism == max_parallelism or config.base_by == DEPLOYMENT):
        return None
    return {"max_parallelism": max_parallelism, "base_by": by, "base_at": now}


def deployed_changes(config: Config | None, *, max_parallelism: int | None, now: EpochMs) -> dict[str, object] | None:
    """What a deployment that says a limit changes (None: it says none: programs may); None: nothing, it holds already."""
    by_deployment = config is not None and config.base_by == DEPLOYMENT
    if max_parallelism is None:
        return {"base_by": NOBODY} if by_deployment else None
    if config is not None and by_deployment and config.max_parallelism == max_parallelism:
        return None
    return {"max_parallelism": max_parallelism, "base_by": DEPLOYMENT, "base_at": now}


def override_changes(*, max_parallelism: int | None, paused: bool | None, reset: bool, by: str, now: EpochMs) -> dict[str, object]:
    """The fields of the config that change: with `reset` every override goes first; None leaves a value as it is."""
    changes: dict[str, object] = {"override_by": by, "override_at": now}
    if reset:
        changes |= {"override_parallelism": None, "override_paused": None}
    if max_parallelism is not None:
        changes["override_parallelism"] = max_parallelism
    if paused is not None:
        changes["override_paused"] = True if paused else None
    return changes


def changed_config(config: Config, changes: Mapping[str, Any]) -> Config:
    """The config after a change, under the next version."""
    return replace(config, **changes, version=config.version + 1)
