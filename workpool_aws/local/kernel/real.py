"""Real time: every task is a thread of its own and user code really runs at the same time.

`speed` makes its clock run faster.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING, TypeVar

from workpool_aws.local.kernel.alarms import Alarms
from workpool_aws.local.kernel.kernel import (
    TRACE_MAX,
    Alarm,
    CallFaults,
    JumpWatch,
    Killed,
    PlannedCrashes,
    Task,
    TraceLine,
)
from workpool_aws.model.ids import EpochMs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

__all__ = ["RealKernel"]

T = TypeVar("T")

_END_S = 1.0


class _Thread(Task):
    """A task and what wakes it, to die or to be interrupted."""

    __slots__ = ("bell", "thread")

    def __init__(
        self,
        name: str,
        body: Callable[[], None],
        process: Task | None,
        run: Callable[[_Thread], None],
    ) -> None:
        super().__init__(name, body, process=process)
        self.bell = threading.Event()
        self.thread = threading.Thread(target=run, args=(self,), name=name, daemon=True)


class RealKernel:
    """The kernel on the real clock (see `Kernel`): nothing is repeatable, nothing jumps.

    A killed thread ends at its next service call.
    """

    def __init__(
        self, *, speed: float = 1.0, latency_ms: int = 0, faults: CallFaults | None = None
    ) -> None:
        self.trace: deque[TraceLine] = deque(maxlen=TRACE_MAX)
        self._speed = speed
        self._latency_ms = latency_ms
        self._faults = faults or PlannedCrashes()
        self._started_at = int(time.time() * 1000)
        self._started = time.monotonic()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._alarms = Alarms()
        self._live: dict[_Thread, None] = {}
        self._threads: dict[_Thread, None] = {}
        self._by_thread: dict[int, _Thread] = {}
        self._firing = False
        self._closed = False
        self._failure: Exception | None = None
        self._watch: JumpWatch | None = None
        self._bell = threading.Thread(target=self._ring, name="workpool-local-alarms", daemon=True)
        self._bell.start()

    def now(self) -> EpochMs:
        """Return the scaled time."""
        return EpochMs(
            self._started_at + int((time.monotonic() - self._started) * 1000 * self._speed)
        )

    def lock(self) -> AbstractContextManager[object]:
        """See Kernel."""
        return self._lock

    def current(self) -> Task | None:
        """See Kernel."""
        return self._by_thread.get(threading.get_ident())

    def watch_jumps(self, watch: JumpWatch, every_ms: int) -> None:
        """See Kernel."""
        self._watch = watch

    def spawn(self, name: str, body: Callable[[], None], *, process: Task | None = None) -> Task:
        """See Kernel."""
        task = _Thread(name, body, process, self._body)
        with self._lock:
            if self._closed:
                task.killed = task.done = True
                return task
            self._live[task] = None
            self._threads[task] = None
        task.thread.start()
        return task

    def at(
        self, at: EpochMs, fire: Callable[[], None], *, last: bool = False, background: bool = False
    ) -> Alarm:
        """See Kernel."""
        alarm = Alarm(at, fire, background)
        with self._changed:
            self._alarms.add(alarm, last=last)
            self._changed.notify_all()
        return alarm

    def kill(self, task: Task) -> None:
        """See Kernel. It no longer counts as running, whatever its thread still does."""
        with self._changed:
            task.killed = True
            if isinstance(task, _Thread):
                task.bell.set()
                self._live.pop(task, None)
            self._changed.notify_all()

    def interrupt(self, task: Task, error: BaseException) -> None:
        """See Kernel. Code that waits by means of its own goes on until it calls a service."""
        with self._lock:
            task.interruption = error
            if isinstance(task, _Thread):
                task.bell.set()

    def join(self, tasks: Sequence[Task]) -> None:
        """See Kernel."""
        mine = self._mine()
        with self._changed:
            while any(not task.done for task in tasks):
                if mine is not None and mine.killed:
                    raise Killed
                self._changed.wait(0.5)

    def step(self, label: str) -> None:
        """See Kernel."""
        task = self._mine()
        if task is not None:
            self.trace.append(TraceLine(self.now(), task.name, label))

    def sleep(self, ms: int) -> None:
        """See Kernel."""
        task = self._mine()
        seconds = max(0, ms) / 1000 / self._speed
        if task is None:
            time.sleep(seconds)
        else:
            ends_at = time.monotonic() + seconds
            while task.bell.wait(max(0.0, ends_at - time.monotonic())):
                task.bell.clear()
                self._mine()

    def call(self, label: str, apply: Callable[[], T], *, writes: bool) -> T:
        """See Kernel."""
        task = self._mine()
        if self._latency_ms:
            self.sleep(self._latency_ms)
        self.trace.append(TraceLine(self.now(), task.name if task is not None else "-", label))
        if task is None:
            return self._apply(apply)
        return self._faults.around(task, label, lambda: self._apply(apply), writes=writes)

    def run(self, until: EpochMs) -> None:
        """See Kernel: waits in real time.

        Only tasks and alarms that the simulation knows keep it waiting.
        """
        with self._changed:
            while self._failure is None and self.now() <= until and not self._quiet(until):
                self._changed.wait(max(0.001, min(0.05, (until - self.now()) / 1000 / self._speed)))
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def pass_to(self, at: EpochMs) -> None:
        """See Kernel: waits in real time."""
        time.sleep(max(0, at - self.now()) / 1000 / self._speed)

    def skip(self, ms: int) -> None:
        """Put the clock forward. Alarms that are due by then go off at once, in order."""
        with self._changed:
            self._started_at += ms
            self._changed.notify_all()

    def close(self) -> None:
        """See Kernel.

        A thread that does not come to a service call within a second is left behind (it is a
        daemon).
        """
        with self._changed:
            self._closed = True
            self._alarms.clear()
            threads = list(self._threads)
            for task in threads:
                self.kill(task)
        end = time.monotonic() + _END_S
        for task in threads:
            task.thread.join(max(0.0, end - time.monotonic()))
        self._bell.join(_END_S)

    def _mine(self) -> _Thread | None:
        task = self._by_thread.get(threading.get_ident())
        if task is not None:
            if task.killed:
                raise Killed
            task.interrupted()
        return task

    def _apply(self, apply: Callable[[], T]) -> T:
        with self._lock:
            return apply()

    def _quiet(self, until: EpochMs) -> bool:
        if self._live or self._firing or self._alarms.waited_for(until):
            return False
        if self._watch is not None:
            self._watch(self.now(), until)
        return not self._alarms.waited_for(until)

    def _body(self, task: _Thread) -> None:
        ident = threading.get_ident()
        self._by_thread[ident] = task
        failure: Exception | None = None
        try:
            if not task.killed:
                Context().run(task.body)
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001 - handed to the thread outside
            failure = error
        with self._changed:
            task.done = True
            self._by_thread.pop(ident, None)
            self._live.pop(task, None)
            self._threads.pop(task, None)
            self._failure = self._failure or failure
            self._changed.notify_all()

    def _ring(self) -> None:
        with self._changed:
            while not self._closed:
                alarm = self._alarms.peek()
                if alarm is None:
                    self._changed.wait(0.5)
                    continue
                wait_s = (alarm.at - self.now()) / 1000 / self._speed
                if wait_s > 0:
                    self._changed.wait(min(wait_s, 0.5))
                    continue
                self._go_off(self._alarms.pop())

    def _go_off(self, alarm: Alarm) -> None:
        self._firing = True
        try:
            alarm.fire()
        except Exception as error:  # noqa: BLE001 - handed to the thread outside
            self._failure = error
        self._firing = False
        self._changed.notify_all()
