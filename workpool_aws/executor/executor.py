"""Runs the tasks of a pool on threads, one queue for all, and reports failures to its drains.

Theory of operation. One lock guards everything; no user code is called under it. A worker takes the
oldest task, ends the one before in the same hold of the lock, and sits down when there is none; new
tasks call the seated ones first and start new threads up to the limit after that, so while a task
is queued no worker rests. `add` never waits for the lock: see `entrance`.

A task belongs to a *round*: drains number them. A drain closes the round that is open and waits for
everything of that round and earlier ones; what a task adds belongs to its own round, so a drain
waits for that as well, and not for what others add meanwhile. This costs a queued task one
reference, and a task's end a look at each drain that waits.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextvars import copy_context
from inspect import isawaitable
from itertools import repeat
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from workpool_aws.errors import TaskNotStarted, TaskPoolClosed, TaskStillRunning, UsageError
from workpool_aws.executor.counts import TaskCounts
from workpool_aws.executor.deadline import Phase, TimeLeft
from workpool_aws.executor.entrance import Entrance
from workpool_aws.executor.records import CrewStats, Task, TaskFailure, Unstarted, name_of
from workpool_aws.executor.threads import Added, DrainRecord, ExecutorHooks, Origin, WorkerThread
from workpool_aws.text import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Executor", "unfinished"]

_LOOK_S_MAX: Final = 86_400.0
"""A drain looks at the clock at least so often: a longer wait may be more than the platform can
count."""

_unfinished: Final[set[Executor]] = set()
_crews: Final[WeakSet[Executor]] = WeakSet()


def unfinished() -> list[Executor]:
    """The crews that have tasks which are not over, or failures that nobody was told of.

    Kept alive by this.
    """
    return list(_unfinished)


def _begin_in_child() -> None:
    """Forget threads and tasks of the parent, which a forked process does not run."""
    _unfinished.clear()
    for crew in list(_crews):
        crew.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


class Executor:
    """At most `size` threads, made when they are needed, that start tasks in the order of adding.

    `idle_s`: a thread without a task ends after so long; `None` means never. `read_ms`: a clock
    that never steps back. All methods are for any thread.
    """

    def __init__(
        self,
        size: int,
        *,
        idle_s: float | None,
        name: str,
        read_ms: Callable[[], float],
        overseer: ExecutorHooks,
    ) -> None:
        self._size = size
        self._idle_s = -1.0 if idle_s is None else min(idle_s, threading.TIMEOUT_MAX)
        self._name = name
        self._read_ms = read_ms
        self._overseer = overseer
        self._closing = False
        self.begin()
        _crews.add(self)

    def begin(self) -> None:
        """Begin without tasks and threads: a new executor, or the copy of one in a forked process."""
        self._entrance = Entrance(self._queue, self._report_unable)
        self._tasks: deque[Task] = deque()
        self._origins: deque[Origin] = deque()
        self._outstanding = 0
        self._in_hand = 0
        self._busy_since_ms = 0.0
        self._restart_clock = False
        self._seats: dict[int, WorkerThread] = {}
        self._idle: list[WorkerThread] = []
        self._alive: set[WorkerThread] = set()
        self._threads = 0
        self._hired = 0
        self._round = 0
        self._drains: list[DrainRecord] = []
        self._unreported: list[TaskFailure] = []
        self._closed = self._closing
        self._strays = False
        self._tally = TaskCounts()
        self._forgets = False

    def add(self, tasks: tuple[Task, ...]) -> None:
        """Queue tasks: all of them, each to be run once in a copy of the caller's context.

        Raises:
            TaskPoolClosed: `close` was called, and the caller is none of the tasks that it waits
                for. Nothing was added.
            RuntimeError: there is no thread, and none can be started. Nothing was added.
        """
        if not tasks:
            return
        seat = self._seats.get(threading.get_ident())
        inside = None if seat is None or seat.origin is None else seat.origin.round
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
            order = self._drains[0].round if self._closing and self._drains else self._round
            self._strays = self._strays or (self._closing and not self._drains)
        if not self._outstanding or self._restart_clock:
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
            self._call_up(count)
        except RuntimeError:
            if not self._threads:
                self._take_back(order, count)
                raise

    def _report_unable(self, added: Added, no_thread: RuntimeError) -> None:
        """Tasks whose `add` has returned, and which no thread can run."""
        for task in added.tasks:
            error = TaskNotStarted(
                "this process cannot start a thread, and the pool has none: it did not run"
            )
            error.__cause__ = no_thread
            self._tally.unstarted(spilled=False)
            self._unreported.append(TaskFailure(task, error))
        _unfinished.add(self)

    def drain(self) -> list[TaskFailure]:
        """Wait for everything that was added before this call, and for what that adds itself.

        Returns what has to be reported about it.

        A failure goes to every drain that waits for its task, or else to the next one. When time is
        over, what was not started and what still runs is among the failures, and the waiting ends.

        Raises:
            UsageError: called by a task of this very crew or by what it tells of failures, which
                would wait for itself.
        """
        self._check_waiting()
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            if threading.get_ident() in self._seats:
                raise UsageError(
                    "drain",
                    Words("a call by one of them"),
                    "called by none of the pool's own tasks, which would wait for itself",
                )
            drain = DrainRecord(self._round, self._outstanding, self._unreported)
            drain.bell.acquire()
            self._round += 1
            self._unreported = []
            self._drains.append(drain)
            ended = False
            try:
                while drain.left and not self._is_over(drain):
                    pass
                ended = True
            finally:
                self._drains.remove(drain)
                if not ended:
                    self._unreported.extend(drain.failures)
                self._let_go()
            late = self._running(drain.round) if drain.left else []
            self._restart_clock = self._restart_clock or bool(late)
        if late:
            drain.failures.extend(self._tell_of(late))
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
            self._closing = self._closing or threading.get_ident() not in self._seats
            if not self._outstanding:
                self._busy_since_ms = self._read_ms()
        failures = self.drain()
        with self._entrance.settling, self._entrance.lock:
            late = self._entrance.seal() or self._strays
        if late:
            failures += self.drain()
        self._retire()
        return failures

    def _check_waiting(self) -> None:
        if self._entrance.is_mine:
            asked = "a finalizer or a signal handler that interrupts the pool itself"
            raise UsageError(
                "drain",
                asked,
                "called outside of what interrupts the pool, since it would wait for what it interrupts",
            )

    def stats(self) -> CrewStats:
        """A snapshot."""
        if self._entrance.is_mine:
            # a finalizer or signal handler in the midst of a change: the numbers are those of now
            return self._stats()
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            return self._stats()

    def _stats(self) -> CrewStats:
        running = sum(seat.origin is not None for seat in list(self._seats.values()))
        return self._tally.stats(queued=len(self._tasks), running=running, workers=self._threads)

    def forget_at_rest(self) -> None:
        """If every task is over, start the statistics anew with the next one."""
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            self._forgets = self._forgets or not self._outstanding

    @property
    def is_awaited(self) -> bool:
        """True while a drain waits."""
        return bool(self._drains)

    @property
    def is_closing(self) -> bool:
        """True once `close` was called."""
        return self._closing

    def _count(self, order: int, count: int) -> None:
        self._outstanding += count
        for drain in self._drains:
            if order <= drain.round:
                drain.left += count
                if not drain.left:
                    drain.call()
        self._let_go()

    def _let_go(self) -> None:
        if not self._outstanding and not self._unreported:
            _unfinished.discard(self)

    def _take_back(self, order: int, count: int) -> None:
        for _ in range(count):
            self._tasks.pop()
            self._origins.pop()
        self._count(order, -count)

    def _call_up(self, count: int) -> None:
        while count and self._idle:
            seat = self._idle.pop()
            seat.called = True
            seat.bell.release()
            count -= 1
        while count and self._threads < self._size:
            self._hire()
            count -= 1

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
        self._threads += 1

    def _serve(self, seat: WorkerThread) -> None:
        """Run tasks on this thread until it retires."""
        ident = threading.get_ident()
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            self._seats[ident] = seat
        try:
            while self._next(seat):
                self._perform(seat)
        finally:
            seat.host.close()
            with self._entrance.settling, self._entrance.lock:
                self._entrance.take_in()
                del self._seats[ident]
                self._alive.discard(seat)

    def _perform(self, seat: WorkerThread) -> None:
        task, origin = seat.task, seat.origin
        seat.past = None
        if task is None or origin is None:
            return
        context = origin.context if origin.alone else origin.context.copy()
        try:
            made = context.run(task)
            if made is not None:
                if isawaitable(made):
                    seat.host.run(made, context)
                else:
                    _check_done(task, made)
        except BaseException as error:  # noqa: BLE001 - a task's end, whatever it is, is not the thread's
            failures = self._overseer.raised(task, error)
            with self._entrance.settling, self._entrance.lock:
                self._entrance.take_in()
                seat.failed = True
                self._report(origin.round, failures)
        finally:
            # Here and not where it is counted as over: under the lock, the last reference to it
            # might run anybody's code.
            seat.task = None

    def _next(self, seat: WorkerThread) -> bool:
        """End the task before, if any, and take the oldest; False ends this thread."""
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            if seat.origin is not None:
                self._end(seat, seat.origin)
            while True:
                if not self._tasks:
                    if not self._rest(seat):
                        self._threads -= 1
                        return False
                elif self._time_left().phase is not Phase.OPEN:
                    self._give_up()
                else:
                    self._take(seat)
                    return True

    def _take(self, seat: WorkerThread) -> None:
        seat.task, origin = self._tasks.popleft(), self._origins.popleft()
        seat.origin = origin
        seat.started_ms = self._read_ms()
        self._tally.start(seat.started_ms - origin.added_ms)

    def _end(self, seat: WorkerThread, origin: Origin) -> None:
        self._tally.end(self._read_ms() - seat.started_ms, failed=seat.failed)
        if seat.cancel_asked:
            seat.host.forget()
        seat.past, seat.origin = origin, None
        seat.failed = seat.cancel_asked = False
        self._count(origin.round, -1)

    def _rest(self, seat: WorkerThread) -> bool:
        """Sit down until called; False: nobody called in time, or everything is over.

        The lock is open meanwhile.
        """
        if self._closed:
            return False
        seat.called = False
        self._idle.append(seat)
        with self._entrance.opened:
            seat.past = None
            rung = seat.bell.acquire(timeout=self._idle_s)
        if not seat.called:
            self._idle.remove(seat)
            return False
        if not rung:
            # called in the moment after it stopped listening: the bell has rung by now
            seat.bell.acquire()
        return True

    def _report(self, order: int, failures: Sequence[TaskFailure]) -> None:
        waiting = [drain for drain in self._drains if order <= drain.round]
        for drain in waiting:
            drain.failures.extend(failures)
        if not waiting:
            self._unreported.extend(failures)

    def _time_left(self) -> TimeLeft:
        return self._overseer.time_left(self._busy_since_ms, self._read_ms())

    def _give_up(self) -> None:
        """Find another end for everything that is queued.

        The lock is open meanwhile, and whoever comes finds the queue empty.
        """
        tasks, rounds = tuple(self._tasks), [origin.round for origin in self._origins]
        origins = tuple(self._origins)
        self._tasks.clear()
        self._origins.clear()
        self._in_hand += len(tasks)
        ident = threading.get_ident()
        guest = ident not in self._seats
        if guest:
            self._seats[ident] = (
                WorkerThread()
            )  # so that what is told of the failures cannot drain, which would wait for this very call
        ends: Sequence[Unstarted] | None = None
        try:
            with self._entrance.opened:
                try:
                    ends = self._overseer.unstarted(tasks)
                finally:
                    if ends is None:
                        ends = [
                            Unstarted(spilled=False, failures=(TaskFailure(task, _interrupted()),))
                            for task in tasks
                        ]
                    del (
                        tasks,
                        origins,
                    )  # while the lock is open: the last reference to them might run anybody's code
        finally:
            if guest:
                del self._seats[ident]
            for order, end in zip(rounds, ends or (), strict=True):
                self._tally.unstarted(spilled=end.spilled)
                self._report(order, end.failures)
                self._count(order, -1)
            self._in_hand -= len(rounds)
            for drain in self._drains:
                drain.call()

    def _tell_of(self, late: Sequence[Task]) -> list[TaskFailure]:
        """Report tasks that no drain waits for, on a thread that cannot drain meanwhile."""
        ident = threading.get_ident()
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            self._seats[ident] = WorkerThread()
        try:
            still = [
                self._overseer.raised(
                    task, TaskStillRunning("no time was left to wait for it: it may go on")
                )
                for task in late
            ]
        finally:
            with self._entrance.settling, self._entrance.lock:
                self._entrance.take_in()
                del self._seats[ident]
        return [failure for failures in still for failure in failures]

    def _is_over(self, drain: DrainRecord) -> bool:
        """One look of a drain that waits, and its wait for the next.

        True: it must not wait any longer.
        """
        left = self._time_left()
        if left.phase is not Phase.OPEN and self._tasks:
            self._give_up()
            return False
        if left.phase >= Phase.CANCELING:
            self._cancel_running()
        # What another thread is just handing over is waited for, since nobody can say yet what
        # becomes of it.
        if left.phase is Phase.OVER and not self._in_hand and self._running(drain.round):
            return True
        with self._entrance.opened:
            drain.listen(_seconds_of(left))
        if drain.called:
            drain.called = False
            drain.bell.acquire(blocking=False)  # called in the moment after it stopped listening
        return False

    def _running(self, order: int | None = None) -> list[Task]:
        seats = self._seats.values()
        return [
            task
            for seat in seats
            if (task := seat.task) is not None
            and seat.origin
            and (order is None or seat.origin.round <= order)
        ]

    def _cancel_running(self) -> None:
        for seat in self._seats.values():
            if seat.task is not None and not seat.cancel_asked:
                seat.cancel_asked = True
                seat.host.cancel()

    def _retire(self) -> None:
        with self._entrance.settling, self._entrance.lock:
            self._entrance.take_in()
            self._closed = True
            seats = [seat for seat in self._alive if seat.task is None]
            while self._idle:
                seat = self._idle.pop()
                seat.called = True
                seat.bell.release()
        for seat in seats:
            self._join(seat)

    def _join(self, seat: WorkerThread) -> None:
        """Wait for a thread's end.

        If it has an event loop, which waits for threads of asyncio's when it is closed: while there
        is time.
        """
        while (thread := seat.thread) is not None and thread.is_alive():
            with self._entrance.settling, self._entrance.lock:
                self._entrance.take_in()
                left = self._time_left()
            if seat.host.is_open and left.phase is Phase.OVER:
                return
            thread.join(_seconds_of(left))


def _seconds_of(left: TimeLeft) -> float | None:
    return (
        None
        if left.phase_ends_in_ms is None
        else min(max(0.0, left.phase_ends_in_ms) / 1000, _LOOK_S_MAX)
    )


def _check_done(task: Task, made: object) -> None:
    if isinstance(made, GeneratorType | AsyncGeneratorType):
        raise UsageError(
            "task",
            Words(f"{name_of(task)}, which made a generator: nothing of it ran"),
            "a function that does its work when it is called",
        )


def _interrupted() -> TaskNotStarted:
    return TaskNotStarted(
        "no time was left to start it, and handing it over was interrupted: it did not run here"
    )
