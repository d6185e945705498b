"""Waits for a condition, as long as a recovery takes, and says what was seen instead.

An event may be lost on a busy machine: an update kills a process, and a report goes with it. The
library recovers from that at the start's deadline and not before, so no wait here ends sooner. It
costs nothing where all goes well.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from workpool_aws import StoreUnavailable

__all__ = ["PATIENCE_S", "once"]

T = TypeVar("T")

EVENT_AGE_S = 60
TIMEOUT_S = 30
MARGIN_S = 6
TICK_S = 60
LOST_START_S = EVENT_AGE_S + TIMEOUT_S + MARGIN_S + TICK_S
"""The longest that a start without a report waits for the next one: its deadline, the margin, and
the watchdog, which revives a loop."""
PATIENCE_S = 6 * LOST_START_S
"""Four attempts may be lost one after the other, and the machine may be busy."""


def once(
    look: Callable[[], T],
    enough: Callable[[T], object] = bool,
    *,
    patience_s: float = PATIENCE_S,
    clock: Callable[[], float] = monotonic,
    pause: Callable[[float], None] = sleep,
) -> T:
    """Return what a look sees, as soon as it is enough.

    Raises:
        AssertionError: It never was. The message has the last sight. The emulated AWS may give no answers for a
            while, so that is no end.
    """
    until, seen = clock() + patience_s, "nothing"
    while True:
        try:
            found = look()
        except StoreUnavailable as unavailable:
            seen = f"{type(unavailable).__name__}: {unavailable}"
        else:
            if enough(found):
                return found
            seen = repr(found)
        assert clock() < until, f"waited {patience_s:.0f} s; what was seen last: {seen[:2000]}"
        pause(0.2)
