"""Owns the retry policy: how many attempts, and how long between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from workpool_aws.errors import UsageError

__all__ = ["ATTEMPTS_MAX", "RetryPolicy"]

ATTEMPTS_MAX: Final = 1000
_BACKOFF_MAX: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `max_attempts` attempts, the first included: `max_attempts=2` means one retry.

    Delay before retry n (n = 1 for the first): `initial_backoff * base ** (n - 1)`, capped by `max_backoff` (`None`: 365 days), then times a
    factor in [0.5, 1.5) when `jitter`. With the defaults, attempts run after about 0, 250, 500, 1000 and 2000 ms.

    Raises:
        UsageError: a value is out of range or of the wrong type.
    """

    max_attempts: int = 5
    initial_backoff: timedelta = timedelta(milliseconds=250)
    base: float = 2.0
    max_backoff: timedelta | None = None
    jitter: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.max_attempts, bool) or not isinstance(self.max_attempts, int) or not 1 <= self.max_attempts <= ATTEMPTS_MAX:
            raise UsageError("max_attempts", self.max_attempts, f"an int from 1 to {ATTEMPTS_MAX}")
        _check_backoff("initial_backoff", self.initial_backoff)
        if self.max_backoff is not None:
            _check_backoff("max_backoff", self.max_backoff)
        if isinstance(self.base, bool) or not isinstance(self.base, int | float) or not 1 <= self.base <= 100:  # noqa: PLR2004 - said in the message
            raise UsageError("base", self.base, "a number from 1 to 100")
        if not isinstance(self.jitter, bool):
            raise UsageError("jitter", self.jitter, "True or False")


def _check_backoff(field: str, value: object) -> None:
    if not isinstance(value, timedelta) or not timedelta(0) <= value <= _BACKOFF_MAX:
        raise UsageError(field, value, "a timedelta from 0 to 365 days")
