"""Runs the tasks of a pool on threads, one queue for all, and reports failures to its drains.

Theory of operation. One lock guards everything, and no user code is called under it. A worker takes
the oldest task, ends the one before in the same hold of the lock, and rests when there is none.
New tasks call the resting workers first and start new threads up to the limit after that, so while a
task is queued no worker rests. `add` never waits for the lock: see `entrance`. A drain waits for
the tasks of its round: see `rounds`.
"""

from __future__ import annotations

import os
from collections import deque
from contextvars import copy_context
from inspect import isawaitable
from itertools import repeat
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from workpool_aws.errors import TaskNotStarted, TaskPoolClosed, TaskStillRunning, UsageError
from workpool_aws.executor.counts import TaskCounts
from workpool_aws.executor.crew import Crew
from workpool_aws.executor.deadline import Phase, TimeLeft
from workpool_aws.executor.entrance import Entrance
from workpool_aws.executor.records import CrewStats, Task, TaskFailure, Unstarted, name_of
from workpool_aws.executor.rounds import Rounds
from workpool_aws.executor.threads import Added, ExecutorHooks, Origin, WorkerThread
from workpool_aws.text import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workpool_aws.executor.threads import DrainRecord

__all__ = ["Executor", "unfinished"]

_LOOK_S_MAX: Final = 86_400.0
"""A drain looks at the clock at least so often, since the platform may not count a longer wait."""

_INTERRUPTED: Final = (
    "no time was left to start it, and handing it over was interrupted: it did not run here"
)

_unfinished: Final[set[Executor]] = set()
_executors: Final[WeakSet[Executor]] = WeakSet()


def unfinished() -> list[Executor]:
    """Return the executors with tasks that are not over, or with failures that were not reported.

    They are kept alive until then.
    """
    return list(_unfinished)


def _begin_in_child() -> None:
    """Forget threads and tasks of the parent, which a forked process does not run."""
    _unfinished.clear()
    for executor in list(_executors):
        executor.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


class Executor:
    """At most `size` threads, made when they are needed, that start tasks in the order of adding.

    All methods are for any thread.

    Args:
        size: Tasks at one time.
        idle_s: A thread without a task ends after so long. `None` means never.
        name: The beginning of the threads' names.
        read_ms: A clock that never steps back.
        hooks: Sets the time limit, and decides what is reported.
    """

    def __init__(
        self,
        size: int,
        *,
        idle_s: float | None,
        name: str,
        read_ms: Callable[[], float],
        hooks: ExecutorHooks,
    ) -> None:
        self._size = size
        self._idle_s = idle_s
        self._name = name
        self._read_ms = read_ms
        self._hooks = hooks
        self._closing = False
        self.begin()
        _executors.add(self)

    def begin(self) -> None:
        """Begin without tasks and threads, as a new executor or its copy in a forked process."""
        self._entrance = Entrance(self._queue, self._report_unable)
        self._crew = Crew(
            self._size,
            idle_s=self._idle_s,
            name=self._name,
            serve=self._serve,
            opened=self._entrance.opened,
        )
        self._rounds = Rounds()
        self._tasks: deque[Task] = deque()
        self._origins: deque[Origin] = deque()
        self._in_hand = 0
        self._busy_since_ms = 0.0
        self._restart_clock = False
        self._closed = self._closing
        self._strays = False
        self._tally = TaskCounts()
        self._forgets = False

    def add(self, tasks: tuple[Task, ...]) -> None:
        """Queue all of these tasks, each to be run once in a copy of the caller's context.

        Raises:
            TaskPoolClosed: `close` was called, and the caller is none of the tasks that it waits
                for. Nothing was added.
            RuntimeError: there is no thread, and none can be started. Nothing was added.
        """
        if not tasks:
            return
        worker = self._crew.of_caller()
        inside = None if worker is None or worker.origin is None else worker.origin.round
        added = Added(tasks, copy_context(), self._read_ms(), inside)
        if not self._refuses(added):
            self._entrance.put(added)
            # Looked at again: the executor may have been closed since. What was taken in before
            # that is waited for.
            if not self._refuses(added) or not self._entrance.take_back(added):
                return
        raise TaskPoolClosed("the task pool is done: nothing can be added any more")

    def _refuses(self, added: Added) -> bool:
        return self._closing and (self._closed or self._entrance.is_sealed or added.round is None)

    def _queue(self, added: Added) -> None:
        count, order = len(added.tasks), added.round
        if order is None:
            # What comes in while the executor is being closed was added before: the drain that
            # closes waits for it.
            drains = self._rounds.drains
            order = drains[0].round if self._closing and drains else self._rounds.current
            self._strays = self._strays or (self._closing and not drains)
        if not self._rounds.outstanding or self._restart_clock:
            self._busy_since_ms, self._restart_clock = added.added_ms, False
            _unfinished.add(self)
        if self._forgets:
            self._tally, self._forgets = TaskCounts(), False
        self._tasks.extend(added.tasks)
        self._origins.extend(
            repeat(Origin(added.context, added.added_ms, order, count == 1), count)
        )
        self._count(order, count)
        try:
            self._crew.call_up(count)
        except RuntimeError:
            if not self._crew.count:
                for _ in range(count):
                    self._tasks.pop()
                    self._origins.pop()
                self._count(order, -count)
                raise

    def _report_unable(self, added: Added, no_thread: RuntimeError) -> None:
        """Report tasks whose `add` has returned, and which no thread can run."""
        for task in added.tasks:
            error = TaskNotStarted(
                "this process cannot start a thread, and the pool has none: it did not run"
            )
            error.__cause__ = no_thread
            self._tally.unstarted(spilled=False)
            self._rounds.unreported.append(TaskFailure(task, error))
        _unfinished.add(self)

    def drain(self) -> list[TaskFailure]:
        """Wait for everything that was added before this call, and for what that adds itself.

        Returns what has to be reported about it.

        A failure goes to every drain that waits for its task, or else to the next one. When time is
        over, what was not started and what still runs is among the failures, and the waiting ends.

        Raises:
            UsageError: called by a task of this executor or by the hook that it calls, which
                would wait for itself.
        """
        self._check_waiting()
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            if self._crew.of_caller() is not None:
                raise UsageError(
                    "drain",
                    Words("a call by one of them"),
                    "called by none of the pool's own tasks, which would wait for itself",
                )
            drain = self._rounds.begin_drain()
            ended = False
            try:
                while drain.left and not self._is_over(drain):
                    pass
                ended = True
            finally:
                self._rounds.end_drain(drain, returns=ended)
                self._let_go()
            late = self._crew.running(drain.round) if drain.left else []
            self._restart_clock = self._restart_clock or bool(late)
        if late:
            drain.failures.extend(self._report_running(late))
        return drain.failures

    def close(self) -> list[TaskFailure]:
        """Refuse tasks from outside, drain, and end the threads.

        All but those whose task is still running when time is over, or whose event loop still waits
        for threads of asyncio's.

        Raises:
            UsageError: as `drain`; nothing was refused or ended.
        """
        self._check_waiting()
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            self._closing = self._closing or self._crew.of_caller() is None
            if not self._rounds.outstanding:
                self._busy_since_ms = self._read_ms()
        failures = self.drain()
        with self._entrance.settling, self._entrance.lock:
            late = self._entrance.seal() or self._strays
        if late:
            failures += self.drain()
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            self._closed = True
            workers = self._crew.dismiss()
        for worker in workers:
            self._join(worker)
        return failures

    def _check_waiting(self) -> None:
        if self._entrance.is_mine:
            raise UsageError(
                "drain",
                "a finalizer or a signal handler that interrupts the pool itself",
                "called outside of what interrupts the pool, since it would wait for what it interrupts",
            )

    def stats(self) -> CrewStats:
        """Return a snapshot of the counts."""
        if self._entrance.is_mine:
            # a finalizer or signal handler in the midst of a change sees the numbers of that moment
            return self._stats()
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            return self._stats()

    def _stats(self) -> CrewStats:
        return self._tally.stats(
            queued=len(self._tasks), running=self._crew.running_count, workers=self._crew.count
        )

    def forget_at_rest(self) -> None:
        """Make the statistics begin again with the next task, if every task is over."""
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            self._forgets = self._forgets or not self._rounds.outstanding

    @property
    def is_awaited(self) -> bool:
        """True while a drain waits."""
        return bool(self._rounds.drains)

    @property
    def is_closing(self) -> bool:
        """True once `close` was called."""
        return self._closing

    def _count(self, order: int, count: int) -> None:
        self._rounds.count(order, count)
        self._let_go()

    def _let_go(self) -> None:
        if self._rounds.is_settled:
            _unfinished.discard(self)

    def _serve(self, worker: WorkerThread) -> None:
        """Run tasks on this thread until it retires."""
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            self._crew.enter(worker)
        try:
            while self._next(worker):
                self._perform(worker)
        finally:
            worker.host.close()
            with self._entrance.settling, self._entrance.lock:
                self._entrance.take_in()
                self._crew.retire(worker)

    def _perform(self, worker: WorkerThread) -> None:
        task, origin = worker.task, worker.origin
        worker.past = None
        if task is None or origin is None:
            return
        context = origin.context if origin.alone else origin.context.copy()
        try:
            made = context.run(task)
            if made is not None:
                if isawaitable(made):
                    worker.host.run(made, context)
                else:
                    self._check_done(task, made)
        except BaseException as error:  # noqa: BLE001 - a task's end, whatever it is, is not the thread's
            failures = self._hooks.raised(task, error)
            with self._entrance.settling, self._entrance.lock:
                self._entrance.take_in()
                worker.failed = True
                self._rounds.report(origin.round, failures)
        finally:
            # Not where it is counted as over, since under the lock the last reference to it might
            # run a finalizer of the user's.
            worker.task = None

    @staticmethod
    def _check_done(task: Task, made: object) -> None:
        if isinstance(made, GeneratorType | AsyncGeneratorType):
            raise UsageError(
                "task",
                Words(f"{name_of(task)}, which made a generator: nothing of it ran"),
                "a function that does its work when it is called",
            )

    def _next(self, worker: WorkerThread) -> bool:
        """End the task before, if any, and take the oldest one. False ends this thread."""
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            if worker.origin is not None:
                self._end(worker, worker.origin)
            while True:
                if not self._tasks:
                    if self._closed or not self._crew.rest(worker):
                        self._crew.count -= 1
                        return False
                elif self._time_left().phase is not Phase.OPEN:
                    self._give_up()
                else:
                    self._take(worker)
                    return True

    def _take(self, worker: WorkerThread) -> None:
        worker.task, origin = self._tasks.popleft(), self._origins.popleft()
        worker.origin = origin
        worker.started_ms = self._read_ms()
        self._tally.start(worker.started_ms - origin.added_ms)

    def _end(self, worker: WorkerThread, origin: Origin) -> None:
        self._tally.end(self._read_ms() - worker.started_ms, failed=worker.failed)
        if worker.cancel_asked:
            worker.host.forget()
        worker.past, worker.origin = origin, None
        worker.failed = worker.cancel_asked = False
        self._count(origin.round, -1)

    def _time_left(self) -> TimeLeft:
        return self._hooks.time_left(self._busy_since_ms, self._read_ms())

    def _give_up(self) -> None:
        """Find another end for everything that is queued.

        The lock is open meanwhile, and other threads find the queue empty.
        """
        tasks, rounds = tuple(self._tasks), [origin.round for origin in self._origins]
        origins = tuple(self._origins)
        self._tasks.clear()
        self._origins.clear()
        self._in_hand += len(tasks)
        guest = self._crew.of_caller() is None
        if guest:
            # so that the hook cannot drain, which would wait for this very call
            self._crew.enter(WorkerThread())
        ends: Sequence[Unstarted] | None = None
        try:
            with self._entrance.opened:
                try:
                    ends = self._hooks.unstarted(tasks)
                finally:
                    if ends is None:
                        ends = [
                            Unstarted(
                                spilled=False,
                                failures=(TaskFailure(task, TaskNotStarted(_INTERRUPTED)),),
                            )
                            for task in tasks
                        ]
                    # while the lock is open, since the last reference to them might run a finalizer
                    del tasks, origins
        finally:
            if guest:
                self._crew.leave()
            for order, end in zip(rounds, ends or (), strict=True):
                self._tally.unstarted(spilled=end.spilled)
                self._rounds.report(order, end.failures)
                self._count(order, -1)
            self._in_hand -= len(rounds)
            self._rounds.call_drains()

    def _report_running(self, late: Sequence[Task]) -> list[TaskFailure]:
        """Report tasks that no drain waits for, on a thread that cannot drain meanwhile."""
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            self._crew.enter(WorkerThread())
        try:
            still = [
                self._hooks.raised(
                    task, TaskStillRunning("no time was left to wait for it: it may go on")
                )
                for task in late
            ]
        finally:
            with self._entrance.settling, self._entrance.lock:
                self._entrance.take_in()
                self._crew.leave()
        return [failure for failures in still for failure in failures]

    def _is_over(self, drain: DrainRecord) -> bool:
        """Look once whether a drain may end, and else wait for the next look.

        Returns True when it must not wait any longer.
        """
        left = self._time_left()
        if left.phase is not Phase.OPEN and self._tasks:
            self._give_up()
            return False
        if left.phase >= Phase.CANCELING:
            self._crew.cancel_running()
        # What another thread is just handing over is waited for, since its fate is not known yet.
        if left.phase is Phase.OVER and not self._in_hand and self._crew.running(drain.round):
            return True
        with self._entrance.opened:
            drain.listen(_seconds_of(left))
        if drain.called:
            drain.called = False
            drain.bell.acquire(blocking=False)  # called in the moment after it stopped listening
        return False

    def _join(self, worker: WorkerThread) -> None:
        """Wait for a thread's end, for one with an event loop only while there is time.

        Closing the loop waits for threads of asyncio's.
        """
        while (thread := worker.thread) is not None and thread.is_alive():
            with self._entrance.settling, self._entrance.lock:
                self._entrance.take_in()
                left = self._time_left()
            if worker.host.is_open and left.phase is Phase.OVER:
                return
            thread.join(_seconds_of(left))


def _seconds_of(left: TimeLeft) -> float | None:
    return (
        None
        if left.phase_ends_in_ms is None
        else min(max(0.0, left.phase_ends_in_ms) / 1000, _LOOK_S_MAX)
    )
