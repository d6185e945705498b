"""Decides which phase the remaining time allows.

Pure: the clocks are read elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

__all__ = ["Phase", "TimeLeft", "TimedContext", "time_left"]


class TimedContext(Protocol):
    """The part of a Lambda context that reports the time left."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""


class Phase(IntEnum):
    """Phases of a pool's time, in order; each later one allows less than the one before."""

    OPEN = 0
    """Everything."""
    CLOSING = 1
    """No task is started; those that run may end."""
    CANCELING = 2
    """As CLOSING, and coroutines are canceled."""
    OVER = 3
    """No drain waits any longer."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """A phase and when it ends."""

    phase: Phase
    phase_ends_in_ms: float | None
    """`None` means that no end is known."""


def time_left(*, context_ms: float | None, limit_ms: float | None, reserve_ms: float) -> TimeLeft:
    """Return the phase, from the time left of the Lambda invocation and of the pool's own limit.

    `None` means there is no such limit.

    With `reserve_ms` left to Lambda no task is started, with half of it coroutines are canceled,
    with a quarter the waiting ends. The pool's own limit has its reserve behind it, so that starts
    end at the limit.
    """
    of_context_ms = math.inf if context_ms is None else context_ms
    of_limit_ms = math.inf if limit_ms is None else limit_ms + reserve_ms
    left = min(of_context_ms, of_limit_ms)
    if left == math.inf:
        return TimeLeft(Phase.OPEN, None)
    for phase, ends_at in (
        (Phase.OPEN, reserve_ms),
        (Phase.CLOSING, reserve_ms / 2),
        (Phase.CANCELING, reserve_ms / 4),
    ):
        if left > ends_at:
            return TimeLeft(phase, left - ends_at)
    return TimeLeft(Phase.OVER, None)
