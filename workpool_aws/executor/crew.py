"""Makes the worker threads of an executor, seats those that rest, and calls them back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from workpool_aws.executor.threads import WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from workpool_aws.executor.records import Task

__all__ = ["Crew"]


class Crew:
    """At most `size` threads, made when they are needed.

    The executor's lock guards all of it, except that `of_caller` is for any thread.

    Args:
        size: Threads at one time.
        idle_s: A thread without a task ends after so long. `None` means never.
        name: The beginning of the threads' names.
        serve: Runs on each thread until it retires.
        opened: Lets go of the executor's lock in a block.
    """

    def __init__(
        self,
        size: int,
        *,
        idle_s: float | None,
        name: str,
        serve: Callable[[WorkerThread], None],
        opened: AbstractContextManager[None],
    ) -> None:
        self._size = size
        self._idle_s = -1.0 if idle_s is None else min(idle_s, threading.TIMEOUT_MAX)
        self._name = name
        self._serve = serve
        self._opened = opened
        self._seats: dict[int, WorkerThread] = {}
        self._idle: list[WorkerThread] = []
        self._alive: set[WorkerThread] = set()
        self._hired = 0
        self.count = 0
        """Threads that have not retired, idle ones too."""

    def of_caller(self) -> WorkerThread | None:
        """Return the seat of the calling thread. `None` means that it is none of these threads."""
        return self._seats.get(threading.get_ident())

    def enter(self, seat: WorkerThread) -> None:
        """Give the calling thread this seat."""
        self._seats[threading.get_ident()] = seat

    def leave(self) -> None:
        """Take the seat of the calling thread away."""
        del self._seats[threading.get_ident()]

    def retire(self, seat: WorkerThread) -> None:
        """Take the seat of the calling thread away, which is about to end."""
        self.leave()
        self._alive.discard(seat)

    def call_up(self, count: int) -> None:
        """Call back so many seated threads, and make new ones when there are too few.

        Raises RuntimeError: a thread was wanted and none can be started.
        """
        while count and self._idle:
            self._call(self._idle.pop())
            count -= 1
        while count and self.count < self._size:
            self._hire()
            count -= 1

    def rest(self, seat: WorkerThread) -> bool:
        """Sit down until called; False when no call came in time. The lock is open meanwhile."""
        seat.called = False
        self._idle.append(seat)
        with self._opened:
            seat.past = None
            rung = seat.bell.acquire(timeout=self._idle_s)
        if not seat.called:
            self._idle.remove(seat)
            return False
        if not rung:
            # called in the moment after it stopped listening: the bell has rung by now
            seat.bell.acquire()
        return True

    def dismiss(self) -> list[WorkerThread]:
        """Call back every thread that rests, to retire. Returns those without a task."""
        free = [seat for seat in self._alive if seat.task is None]
        while self._idle:
            self._call(self._idle.pop())
        return free

    def running(self, order: int) -> list[Task]:
        """Return the tasks of this round and earlier ones that run now."""
        return [
            task
            for seat in self._seats.values()
            if (task := seat.task) is not None and seat.origin and seat.origin.round <= order
        ]

    @property
    def running_count(self) -> int:
        """Threads whose task is not counted as over."""
        return sum(seat.origin is not None for seat in list(self._seats.values()))

    def cancel_running(self) -> None:
        """Cancel the coroutines that run, each once."""
        for seat in self._seats.values():
            if seat.task is not None and not seat.cancel_asked:
                seat.cancel_asked = True
                seat.host.cancel()

    @staticmethod
    def _call(seat: WorkerThread) -> None:
        seat.called = True
        seat.bell.release()

    def _hire(self) -> None:
        seat = WorkerThread()
        seat.bell.acquire()
        # A daemon, so that an idle one does not hold up the interpreter's end; what is left then,
        # TaskPool finishes.
        seat.thread = threading.Thread(
            target=self._serve, args=(seat,), name=f"{self._name}-{self._hired}", daemon=True
        )
        seat.thread.start()
        self._alive.add(seat)
        self._hired += 1
        self.count += 1
