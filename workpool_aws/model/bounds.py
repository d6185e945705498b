"""Bounds that a record checks by itself.

`core/limits.py` states all others, and derives its own from these.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

__all__ = ["ATTEMPTS_MAX", "BACKOFF_BASE_MAX", "DELAY_MAX"]

ATTEMPTS_MAX: Final = 1000
BACKOFF_BASE_MAX: Final = 100
DELAY_MAX: Final = timedelta(days=366)
"""A year. No due time lies further ahead."""
