"""Events, barriers and failures for tests of task pools. Nothing here sleeps or waits for ever."""

from __future__ import annotations

import os
import threading

import pytest

from workpool_aws.errors import TasksFailed

WAIT_S = 20.0
"""Longer than any machine needs; a test that hangs fails after it."""


class Gate:
    """A task that says when it has begun, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.open.wait(WAIT_S)
        self.ended.set()

    def wait_begun(self) -> None:
        assert self.begun.wait(WAIT_S)


class Caller(threading.Thread):
    """A thread that makes one call; `result` waits for it and gives what it raised, or None."""

    def __init__(self, call) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001 - `result` gives it to the test
            self.error = error

    def result(self) -> BaseException | None:
        self.join(WAIT_S)
        assert not self.is_alive(), "it never returned"
        return self.error


def wait_for_drains(pool, count: int) -> None:
    """Return when so many drains of the pool wait.

    No event shows it, since they are in the pool's own hands then.
    """
    for _ in range(10_000_000):
        if len(pool._executor._rounds.drains) == count:
            return
        os.sched_yield()
    raise AssertionError("they never came to wait")


def fail(error):
    raise error


def failures_of(call):
    with pytest.raises(TasksFailed) as failed:
        call()
    return failed.value.exceptions
