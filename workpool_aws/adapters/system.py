"""Surroundings of this process: the clock, chance and threads.

The only reader of either.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from contextvars import copy_context
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from workpool_aws.model.ids import EpochMs
from workpool_aws.process import may_be_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "FAN_OUT_WORKERS",
    "SerialFanOut",
    "SystemClock",
    "SystemEntropy",
    "ThreadFanOut",
    "stopwatch_ms",
]

A = TypeVar("A")
B = TypeVar("B")

FAN_OUT_WORKERS: Final = 16
"""Calls at one time, unless the caller says that more are safe: each may carry 900 KB, of which a
request makes several copies."""

_FRACTION_BITS: Final = 53
_TOKEN_BYTES: Final = 12


class SystemClock:
    """The clock of this machine."""

    def now(self) -> EpochMs:
        """Return epoch milliseconds. They may step back when the machine's clock is set."""
        return EpochMs(time.time_ns() // 1_000_000)

    def sleep(self, ms: int) -> None:
        """Block this thread for `ms` milliseconds, or not at all for zero or less."""
        if ms > 0:
            time.sleep(ms / 1000)


def stopwatch_ms() -> float:
    """Return the milliseconds since an arbitrary moment, for durations. Never steps back."""
    return time.monotonic_ns() / 1_000_000


class SystemEntropy:
    """Randomness of the operating system, which clones of one snapshot (SnapStart) do not share."""

    def bits(self, count: int) -> int:
        """Return a uniform non-negative int below `2 ** count`."""
        return secrets.randbits(count)

    def fraction(self) -> float:
        """Return a uniform float in [0, 1)."""
        return secrets.randbits(_FRACTION_BITS) / (1 << _FRACTION_BITS)

    def token(self) -> str:
        """Return 16 characters, safe in URLs, with 96 bits of chance."""
        return secrets.token_urlsafe(_TOKEN_BYTES)


class ThreadFanOut:
    """Does calls in this thread and in others of its own, at most `max_workers` at a time.

    The threads end with the call. So none outlives it into a frozen Lambda, and calls inside calls
    cannot wait for each other's threads. A thread that an alarm may interrupt only waits: the call
    that it stood in, or the SDK, could take the alarm's error for its own.
    """

    def __init__(self, max_workers: int = FAN_OUT_WORKERS) -> None:
        self._max_workers = max_workers

    def __call__(
        self, call: Callable[[A], B], items: Sequence[A], at_once: int | None = None
    ) -> list[B]:
        """Call `call(item)` for every item, in a copy of this context. Returns results in order.

        After all have ended, raises the error of the first item that has one. A BaseException that is
        no `Exception` passes at once from a call in this thread.
        """
        if len(items) <= 1:
            return [call(item) for item in items]
        job = _Job(call, items)
        size = min(at_once or self._max_workers, len(items))
        only_waits = may_be_interrupted()
        numbers = range(0 if only_waits else 1, size)
        others = [Thread(target=job.work, name=f"workpool-{n}", daemon=True) for n in numbers]
        started = []
        try:
            with suppress(RuntimeError):  # as many as the process may have
                for thread in others:
                    thread.start()
                    started.append(thread)
            if not only_waits:
                job.work(is_own=True)
            for thread in started:
                thread.join()
            job.work(is_own=True)  # what no thread could be had for
        except BaseException:
            # The caller is being ended: calls that were not begun must not be made behind its back.
            job.abandoned = True
            raise
        return job.answer()


class _Job(Generic[A, B]):
    """Calls of one fan-out, with their results and errors."""

    def __init__(self, call: Callable[[A], B], items: Sequence[A]) -> None:
        self._call = call
        self._items = items
        self._context = copy_context()
        self._next = count()
        self._results: dict[int, B] = {}
        self._errors: dict[int, BaseException] = {}
        self.abandoned = False

    def work(self, *, is_own: bool = False) -> None:
        """Makes calls that no other thread has begun, until there are none.

        `is_own`: in the thread that asked, which may be ended meanwhile.
        """
        # The counter gives each number to one thread.
        while (index := next(self._next)) < len(self._items) and not self.abandoned:
            try:
                context = self._context.copy()
                self._results[index] = context.run(self._call, self._items[index])
            except BaseException as error:
                if is_own and not isinstance(error, Exception):
                    raise
                self._errors[index] = error

    def answer(self) -> list[B]:
        if self._errors:
            raise self._errors[min(self._errors)]
        return [self._results[index] for index in range(len(self._items))]


class SerialFanOut:
    """Does calls one after the other in this thread, for tests and simulations.

    It gives the same guarantees as `ThreadFanOut`.
    """

    def __call__(
        self, call: Callable[[A], B], items: Sequence[A], at_once: int | None = None
    ) -> list[B]:
        """Call `call(item)` for every item. Returns results in order.

        After all have ended, raises the first error, if any. A BaseException that is no `Exception`
        (the end of the process) passes at once, and nothing runs after it.
        """
        results: list[B] = []
        errors: list[Exception] = []
        for item in items:
            try:
                results.append(call(item))
            except Exception as error:  # noqa: BLE001 - raised below, when all have ended
                errors.append(error)
        if errors:
            raise errors[0]
        return results
