"""`RateLimit`: the starts that a pool may make in a window of time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from workpool_aws.errors import UsageError
from workpool_aws.model.bounds import (
    RATE_BURST_MAX,
    RATE_PER_MAX,
    RATE_PER_MIN,
    RATE_STARTS_MAX,
)

__all__ = ["RateLimit", "RateSpent"]

_SECOND: Final = timedelta(seconds=1)
_UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_TEXT: Final = re.compile(r"([0-9]{1,7})/([0-9]{1,7})?([smhd])(?:/([0-9]{1,7}))?", re.ASCII)
_BURST_OF: Final = timedelta(milliseconds=500)
"""The default burst is what so much time of the rate is worth."""
_BURST_SHARE: Final = 4
"""It is at most one part in so many of the starts."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `n` starts in any window of `per`, whichever loop makes them [WP-33].

    Retries are starts, too. A pool that has rested makes up to `burst` starts at once. After them
    it makes `n - burst + 1` in each `per`, evenly spaced, so that no window has more than `n`. A
    larger burst therefore makes a lower steady rate.

        >>> from datetime import timedelta
        >>> from workpool_aws import RateLimit
        >>> RateLimit(100, per=timedelta(minutes=1)).starts_at_once
        1
        >>> even = RateLimit(20, per=timedelta(seconds=1), burst=1)  # one each 50 ms

    Args:
        n: The number of starts, 1 to 1,000,000.
        per: The window, a second to a day, in whole seconds.
        burst: The most starts at one time, 1 to `n`, at most 10,000. `None` means one more than
            half a second of the rate is worth, and at most a quarter of `n`.

    Raises:
        UsageError: A value is out of range or of the wrong type.
    """

    n: int
    per: timedelta
    burst: int | None = None

    def __post_init__(self) -> None:
        # Types are checked, too: a limit may come from outside.
        n: object = self.n
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= RATE_STARTS_MAX:
            raise UsageError("n", n, f"an int from 1 to {RATE_STARTS_MAX}")
        per: object = self.per
        if (
            not isinstance(per, timedelta)
            or not RATE_PER_MIN <= per <= RATE_PER_MAX
            or per % _SECOND
        ):
            raise UsageError("per", per, "a timedelta from a second to a day, in whole seconds")
        burst: object = self.burst
        most = min(n, RATE_BURST_MAX)
        if burst is not None and (
            isinstance(burst, bool) or not isinstance(burst, int) or not 1 <= burst <= most
        ):
            raise UsageError("burst", burst, f"an int from 1 to {most}, or None")

    @classmethod
    def parse(cls, text: object) -> RateLimit:
        """Returns the limit that a text such as `100/1m` or `10/s/5` names: starts, window, burst.

        The window is a number of `s`, `m`, `h` or `d`; without a number it is one of them.

            >>> from workpool_aws import RateLimit
            >>> str(RateLimit.parse("100/1m"))
            '100/1m'

        Raises:
            UsageError: The text has another form, or names a value that is out of range.
        """
        found = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise UsageError("rate_limit", text, "starts/window or starts/window/burst, as 100/1m")
        n, count, unit, burst = found.groups()
        per = int(count or 1) * _UNITS[unit]
        return cls(int(n), per=per, burst=None if burst is None else int(burst))

    def __str__(self) -> str:
        """Returns the text that `parse` reads."""
        unit = next(unit for unit in _UNITS if self.per % _UNITS[unit] == timedelta(0))
        window = f"{self.per // _UNITS[unit]}{unit}"
        burst = "" if self.burst is None else f"/{self.burst}"
        return f"{self.n}/{window}{burst}"

    @property
    def starts_at_once(self) -> int:
        """The burst in force: the one given, else the default."""
        if self.burst is not None:
            return self.burst
        worth = 1 + self.n * _BURST_OF // self.per
        return max(1, min(worth, self.n // _BURST_SHARE, RATE_BURST_MAX))

    @property
    def step_us(self) -> int:
        """Microseconds between two starts of the steady rate, rounded up."""
        steps = self.n - self.starts_at_once + 1
        return -(-(self.per // timedelta(microseconds=1)) // steps)


@dataclass(frozen=True, slots=True)
class RateSpent:
    """Tokens that starts have spent, as a virtual schedule (GCRA).

    Each start moves `until_us` on by one step. A start is allowed while that time is ahead by less
    than a burst.
    """

    until_us: int
    """Time until which the tokens are spent, in microseconds since 1970, by its writer's clock."""
    count: int
    """Starts of the commit that wrote it. The time of that commit was not known when it was made."""
    step_us: int
    """Microseconds that each token is worth; 0 means that nothing is known, so all are spent."""
    generation: int
    """Generation of the loop whose commit wrote it."""

    def debt_us(self, limit: RateLimit, now_us: int) -> int:
        """Returns the time that the spent tokens are worth under a limit, at most a burst's."""
        most = limit.starts_at_once * limit.step_us
        if self.step_us == 0:
            return most
        ahead_us = max(0, self.until_us - now_us)
        return min(most, -(-ahead_us * limit.step_us // self.step_us))
