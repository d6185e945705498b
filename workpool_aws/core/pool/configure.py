"""Decides the writes of a change of limits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Config

__all__ = ["changed_config", "override_changes"]


def override_changes(
    *, max_parallelism: int | None, paused: bool | None, reset: bool, by: str, now: EpochMs
) -> dict[str, object]:
    """Returns the fields of the config that change; with `reset` every override is dropped first.

    `None` leaves a value as it is.
    """
    changes: dict[str, object] = {"override_by": by, "override_at": now}
    if reset:
        changes |= {"override_parallelism": None, "override_paused": None}
    if max_parallelism is not None:
        changes["override_parallelism"] = max_parallelism
    if paused is not None:
        changes["override_paused"] = True if paused else None
    return changes


def changed_config(config: Config, changes: Mapping[str, Any]) -> Config:
    """Returns the config after a change, under the next version."""
    return replace(config, **changes, version=config.version + 1)
