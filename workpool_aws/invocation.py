"""Owns what the surroundings of one worker invocation may change: how it sleeps, and what is told about it on the way.

In Lambda nothing is set and nothing happens. `LocalCloud` sets these in every invocation it runs, so that durations are virtual and
refused deliveries are known for what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

__all__ = ["after_body", "refused", "sleeper"]

after_body: Final[ContextVar[Callable[[], None] | None]] = ContextVar("workpool_after_body", default=None)
"""Called right after the user's function returned or raised, before anything is reported. It may take time, or end the invocation."""

refused: Final[ContextVar[Callable[[str], None] | None]] = ContextVar("workpool_refused", default=None)
"""Called with the reason when a delivery was turned away before user code ran (its start was claimed already, or is over)."""

sleeper: Final[ContextVar[Callable[[float], None] | None]] = ContextVar("workpool_sleeper", default=None)
"""How `Work.sleep` sleeps, in seconds; None: `time.sleep`."""
