"""Bounds that a record checks by itself.

`core/limits.py` states all others, and derives its own from these.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

__all__ = [
    "ATTEMPTS_MAX",
    "BACKOFF_BASE_MAX",
    "DELAY_MAX",
    "RATE_BURST_MAX",
    "RATE_PER_MAX",
    "RATE_PER_MIN",
    "RATE_STARTS_MAX",
    "TRACE_STATE_LENGTH_MAX",
]

ATTEMPTS_MAX: Final = 1000
BACKOFF_BASE_MAX: Final = 100
DELAY_MAX: Final = timedelta(days=366)
"""A year. No due time lies further ahead."""
TRACE_STATE_LENGTH_MAX: Final = 256
"""Characters of a `tracestate` that are kept. W3C asks for 512 where that is reasonable."""
RATE_STARTS_MAX: Final = 1_000_000
"""Starts of one window of a rate limit."""
RATE_BURST_MAX: Final = 10_000
RATE_PER_MIN: Final = timedelta(seconds=1)
RATE_PER_MAX: Final = timedelta(days=1)
