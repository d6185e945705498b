"""Counts the tasks of one executor by their ends, and adds up their durations.

Guarded by the executor's lock.
"""

from __future__ import annotations

from workpool_aws.executor.records import CrewStats

__all__ = ["TaskCounts"]


class TaskCounts:
    """Counts since it was made."""

    __slots__ = (
        "_completed",
        "_failed",
        "_given_up",
        "_run_ms",
        "_run_ms_max",
        "_spilled",
        "_started",
        "_wait_ms",
        "_wait_ms_max",
    )

    def __init__(self) -> None:
        self._started = self._completed = self._failed = self._spilled = self._given_up = 0
        self._wait_ms = self._wait_ms_max = self._run_ms = self._run_ms_max = 0.0

    def start(self, wait_ms: float) -> None:
        """Count a task that was started."""
        self._started += 1
        self._wait_ms += wait_ms
        self._wait_ms_max = max(self._wait_ms_max, wait_ms)

    def end(self, run_ms: float, *, failed: bool) -> None:
        """Count a started task as over."""
        if failed:
            self._failed += 1
        else:
            self._completed += 1
        self._run_ms += run_ms
        self._run_ms_max = max(self._run_ms_max, run_ms)

    def unstarted(self, *, spilled: bool) -> None:
        """Count a task that will not be started."""
        if spilled:
            self._spilled += 1
        else:
            self._given_up += 1

    def stats(self, *, queued: int, running: int, workers: int) -> CrewStats:
        """Return the counts, completed by figures that only the executor knows."""
        ended = self._completed + self._failed
        return CrewStats(
            queued=queued,
            running=running,
            completed=self._completed,
            failed=self._failed,
            spilled=self._spilled,
            given_up=self._given_up,
            workers=workers,
            wait_ms_mean=self._wait_ms / self._started if self._started else None,
            wait_ms_max=self._wait_ms_max if self._started else None,
            run_ms_mean=self._run_ms / ended if ended else None,
            run_ms_max=self._run_ms_max if ended else None,
        )
