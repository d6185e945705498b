"""Threads that simulated tasks run on, and the look at one that is stuck."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PooledThread", "StallWatch", "stack_of"]

_BUSY_SHARE = 0.02
"""A thread that uses less of a core than this while it holds everybody up is waiting, not computing
(a busy machine still grants more)."""


class PooledThread:
    """One reusable thread.

    Releasing `turn` lets it go on. It runs `job` when it has one, and ends when it has none.
    """

    __slots__ = ("job", "thread", "turn")

    def __init__(self, name: str) -> None:
        self.turn = threading.Lock()
        self.turn.acquire()
        self.job: Callable[[PooledThread], None] | None = None
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Let an idle thread end, which is to be joined."""
        self.job = None
        self.turn.release()

    def _serve(self) -> None:
        while True:
            self.turn.acquire()
            job = self.job
            if job is None:
                return
            self.job = None
            job(self)
            del job


class StallWatch:
    """Distinguishes a thread that waits from one that computes.

    One that waits made no step for `timeout_s` of real time, and used hardly any processor time.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._steps = -1
        self._since = 0.0
        self._used = 0.0

    def stalled(self, steps: int, thread: threading.Thread | None) -> bool:
        """Return True if `thread`, which should make the next step, waits.

        To be asked again and again, with the count of steps made so far.
        """
        now, used = time.monotonic(), _processor_seconds(thread)
        if steps != self._steps:
            self._steps, self._since, self._used = steps, now, used
            return False
        waited = now - self._since
        if waited < self._timeout_s:
            return False
        if used - self._used > waited * _BUSY_SHARE:
            self._since, self._used = now, used
            return False
        return True


def _processor_seconds(thread: threading.Thread | None) -> float:
    per_thread = getattr(time, "pthread_getcpuclockid", None)
    if per_thread is None or thread is None or thread.ident is None or not thread.is_alive():
        return time.process_time()
    try:
        return time.clock_gettime(per_thread(thread.ident))
    except OSError:  # it ended just now
        return time.process_time()


def stack_of(thread: threading.Thread | None) -> str:
    """Return the stack of a thread, as text."""
    frame = sys._current_frames().get(thread.ident or -1) if thread is not None else None  # noqa: SLF001 - documented, in spite of its name
    return "".join(traceback.format_stack(frame)) if frame is not None else "(no stack)"
