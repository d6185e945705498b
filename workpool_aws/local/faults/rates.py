"""Rates at which asynchronous deliveries go wrong in a cloud."""

from __future__ import annotations

from dataclasses import dataclass, fields

from workpool_aws.errors import UsageError

__all__ = ["Rates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Probabilities, each for one asynchronous invocation.

    Its event comes twice or never, its destination's record never, it crashes.

    Raises:
        UsageError: one is no number from 0 to 1.
    """

    duplicate_deliveries: float = 0.0
    lost_deliveries: float = 0.0
    lost_destinations: float = 0.0
    crash_rate: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value: object = getattr(self, each.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise UsageError(each.name, value, "a probability: a number from 0.0 to 1.0")
