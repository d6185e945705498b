"""Decides the writes of a change of limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Config
    from workpool_aws.model.rate import RateLimit

__all__ = ["Base", "DeployedTerms", "OverrideChange", "changed_config", "is_set"]

_OVERRIDES: Final = (
    "override_parallelism",
    "override_paused",
    "override_rate",
    "override_unrated",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideChange:
    """A change of the override. `None` leaves a value as it is."""

    max_parallelism: int | None = None
    paused: bool | None = None
    rate_limit: RateLimit | None = None
    unrated: bool = False
    """Lifts the rate limit."""
    reset: bool = False
    """Drops the whole override first."""

    def fields(self, by: str, now: EpochMs) -> dict[str, object]:
        """Returns the fields of the config that change."""
        changes: dict[str, object] = {"override_by": by, "override_at": now}
        if self.reset:
            changes |= dict.fromkeys(_OVERRIDES)
        if self.max_parallelism is not None:
            changes["override_parallelism"] = self.max_parallelism
        if self.paused is not None:
            changes["override_paused"] = True if self.paused else None
        if self.rate_limit is not None or self.unrated:
            changes["override_rate"] = self.rate_limit
            changes["override_unrated"] = True if self.unrated else None
        return changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The limits that a program gives a pool explicitly. `None` gives none."""

    max_parallelism: int | None = None
    rate_limit: RateLimit | None = None

    def fields(self) -> dict[str, object]:
        """Returns the fields of the config that it gives."""
        given = {"max_parallelism": self.max_parallelism, "rate_limit": self.rate_limit}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedTerms:
    """The limits that a deployment gives a pool. `None` gives none, so the programs' base holds."""

    max_parallelism: int | None = None
    rate_limit: RateLimit | None = None

    def fields(self) -> dict[str, object]:
        """Returns the fields of the config that it sets."""
        return {"deployed_parallelism": self.max_parallelism, "deployed_rate": self.rate_limit}


def is_set(config: Config | None, fields: Mapping[str, object]) -> bool:
    """True if a config has these values; a pool without a config has none."""
    return all(getattr(config, name, None) == value for name, value in fields.items())


def changed_config(config: Config, changes: Mapping[str, Any]) -> Config:
    """Returns the config after a change, under the next version."""
    return replace(config, **changes, version=config.version + 1)
