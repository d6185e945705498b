"""Makes the worker threads of an executor, lets them rest, and calls them back."""

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
        self._workers: dict[int, WorkerThread] = {}
        self._idle: list[WorkerThread] = []
        self._alive: set[WorkerThread] = set()
        self._hired = 0
        self.count = 0
        """Threads that have not retired, idle ones too."""

    def of_caller(self) -> WorkerThread | None:
        """Return the calling thread. `None` means that it is none of these."""
        return self._workers.get(threading.get_ident())

    def enter(self, worker: WorkerThread) -> None:
        """Count the calling thread as this worker."""
        self._workers[threading.get_ident()] = worker

    def leave(self) -> None:
        """Count the calling thread as no worker any more."""
        del self._workers[threading.get_ident()]

    def retire(self, worker: WorkerThread) -> None:
        """Count the calling thread out, which is about to end."""
        self.leave()
        self._alive.discard(worker)

    def call_up(self, count: int) -> None:
        """Call back so many resting threads, and make new ones when there are too few.

        Raises RuntimeError: a thread was wanted and none can be started.
        """
        while count and self._idle:
            self._call(self._idle.pop())
            count -= 1
        while count and self.count < self._size:
            self._hire()
            count -= 1

    def rest(self, worker: WorkerThread) -> bool:
        """Rest until called. False means that no call came in time. The lock is open meanwhile."""
        worker.called = False
        self._idle.append(worker)
        with self._opened:
            worker.past = None
            rung = worker.bell.acquire(timeout=self._idle_s)
        if not worker.called:
            self._idle.remove(worker)
            return False
        if not rung:
            # called in the moment after it stopped listening: the bell has rung by now
            worker.bell.acquire()
        return True

    def dismiss(self) -> list[WorkerThread]:
        """Call back every thread that rests, to retire. Returns those without a task."""
        free = [worker for worker in self._alive if worker.task is None]
        while self._idle:
            self._call(self._idle.pop())
        return free

    def running(self, order: int) -> list[Task]:
        """Return the tasks of this round and earlier ones that run now."""
        return [
            task
            for worker in self._workers.values()
            if (task := worker.task) is not None and worker.origin and worker.origin.round <= order
        ]

    @property
    def running_count(self) -> int:
        """Threads whose task is not counted as over."""
        return sum(worker.origin is not None for worker in list(self._workers.values()))

    def cancel_running(self) -> None:
        """Cancel the coroutines that run, each once."""
        for worker in self._workers.values():
            if worker.task is not None and not worker.cancel_asked:
                worker.cancel_asked = True
                worker.host.cancel()

    @staticmethod
    def _call(worker: WorkerThread) -> None:
        worker.called = True
        worker.bell.release()

    def _hire(self) -> None:
        worker = WorkerThread()
        worker.bell.acquire()
        # A daemon, so that an idle one does not hold up the interpreter's end. TaskPool finishes the
        # tasks that are left then.
        worker.thread = threading.Thread(
            target=self._serve, args=(worker,), name=f"{self._name}-{self._hired}", daemon=True
        )
        worker.thread.start()
        self._alive.add(worker)
        self._hired += 1
        self.count += 1
