"""`RetryPolicy`: the number of attempts, and the delays between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from workpool_aws.errors import UsageError
from workpool_aws.model.bounds import ATTEMPTS_MAX, BACKOFF_BASE_MAX, DELAY_MAX

__all__ = ["ATTEMPTS_MAX", "DELAY_MAX", "RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `max_attempts` attempts, the first included, with exponential backoff.

    The delay before retry n, which is 1 for the first, is `initial_backoff * base ** (n - 1)`, at
    most `max_backoff`. With `jitter` the delay is multiplied by a factor in [0.5, 1.5). It is 366
    days at most in any case. With the defaults, attempts run after about 0, 250, 500, 1000 and 2000
    ms.

        >>> from datetime import timedelta
        >>> from workpool_aws import RetryPolicy, Workpool
        >>> twice = RetryPolicy(max_attempts=2)  # one retry
        >>> patient = RetryPolicy(
        ...     max_attempts=10,
        ...     initial_backoff=timedelta(seconds=30),
        ...     max_backoff=timedelta(hours=1),
        ... )
        >>> pool = Workpool("my-table", "webhooks", default_retry=patient)

    Args:
        max_attempts: The number of attempts, 1 to 1,000.
        initial_backoff: The delay before the first retry, up to 366 days.
        base: The factor from one delay to the next, 1 to 100.
        max_backoff: The longest delay before jitter. `None` means 366 days.
        jitter: Spreads the retries of work items that failed together.

    Raises:
        UsageError: A value is out of range or of the wrong type.
    """

    max_attempts: int = 5
    initial_backoff: timedelta = timedelta(milliseconds=250)
    base: float = 2.0
    max_backoff: timedelta | None = None
    jitter: bool = True

    def __post_init__(self) -> None:
        # Types are checked, too: a policy may come from outside.
        attempts: object = self.max_attempts
        if (
            isinstance(attempts, bool)
            or not isinstance(attempts, int)
            or not 1 <= attempts <= ATTEMPTS_MAX
        ):
            raise UsageError("max_attempts", attempts, f"an int from 1 to {ATTEMPTS_MAX}")
        _check_backoff("initial_backoff", self.initial_backoff)
        if self.max_backoff is not None:
            _check_backoff("max_backoff", self.max_backoff)
        base: object = self.base
        if (
            isinstance(base, bool)
            or not isinstance(base, int | float)
            or not 1 <= base <= BACKOFF_BASE_MAX
        ):
            raise UsageError("base", base, f"a number from 1 to {BACKOFF_BASE_MAX}")
        jitter: object = self.jitter
        if not isinstance(jitter, bool):
            raise UsageError("jitter", jitter, "True or False")


def _check_backoff(field: str, value: object) -> None:
    if not isinstance(value, timedelta) or not timedelta(0) <= value <= DELAY_MAX:
        raise UsageError(field, value, "a timedelta from 0 to 366 days")
