"""`TaskPool`: background tasks of one process, finished before the answer goes out."""

from __future__ import annotations

import atexit
import math
import os
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypedDict, Unpack

from workpool_aws.adapters.system import stopwatch_ms
from workpool_aws.core import limits
from workpool_aws.errors import TasksFailed, UsageError
from workpool_aws.executor.executor import Executor, unfinished
from workpool_aws.task_pool.oversight import OnError, Oversight, TimedContext, as_group, note_beside
from workpool_aws.text import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from workpool_aws.executor.records import CrewStats, Task, TaskFailure
    from workpool_aws.task_pool.durable import DurablePool

__all__ = ["TaskPool", "TaskPoolOptions"]

Duration = timedelta | float

_RESERVE_MS: Final = 1_000.0
_RESERVE_MS_SPILLING: Final = 3_000.0
_IDLE: Final = timedelta(seconds=10)
_EXIT_PRIORITY: Final = 100


class TaskPoolOptions(TypedDict, total=False):
    """Options of a task pool, all by name."""

    max_workers: int
    runtime_limit: Duration | None
    idle_timeout: Duration | None
    reserve: Duration | None
    on_error: OnError | None
    spill_to: DurablePool | None
    name: str


class TaskPool:
    """Runs tasks in the background of this process; each is run, handed over, or reported.

    At most `max_workers` run at one time, and while tasks are queued no fewer. They are started in
    the order of adding. Nothing is durable, so what must survive the process belongs into a
    `Workpool`. Making one starts no thread. Safe to share between threads. A process that is forked
    begins with an empty pool, since queued tasks stay with its parent. Durations are timedeltas or
    numbers of seconds.

        >>> sent = []
        >>> pool = TaskPool(max_workers=1)
        >>> pool.add(lambda: sent.append("a@example.com"))
        >>> pool.done()
        >>> sent
        ['a@example.com']

    Args:
        max_workers: Tasks at one time, callables and coroutines together, from 1 to 500.
        runtime_limit: Time that the pool may be busy, from the first task that it gets at rest.
            After that no task is started. A task that runs goes on, since a thread cannot be ended.
            `None` means no limit but that of the invocation that it follows.
        idle_timeout: A thread that has nothing to do for so long ends. 0 means at once, and `None`
            with the pool.
        reserve: Part of an invocation's time that is kept for ending in order. With so much left no
            task is started, with half of it coroutines are canceled, with a quarter no drain waits
            any longer. Defaults to 1 second, or 3 with `spill_to`, whose calls have to fit in.
        on_error: Called with each `TaskFailure`, in the thread that notices it, before its task
            counts as over. A drain does not raise a failure that it received. If it raises, the
            drain raises both. `None` means drains raise.
        spill_to: The durable pool (a `Workpool`) that gets each `DurableTask` that could not be
            started. `None` means nothing is handed over.
        name: For the names of threads, and in what is logged.

    Raises:
        UsageError: a value is not allowed.
    """

    _shared: ClassVar[TaskPool | None] = None
    _shared_options: ClassVar[TaskPoolOptions] = {}
    _sharing: ClassVar[threading.RLock] = threading.RLock()

    def __init__(
        self,
        *,
        max_workers: int = 4,
        runtime_limit: Duration | None = None,
        idle_timeout: Duration | None = _IDLE,
        reserve: Duration | None = None,
        on_error: OnError | None = None,
        spill_to: DurablePool | None = None,
        name: str = "task-pool",
    ) -> None:
        if (
            isinstance(max_workers, bool)
            or not isinstance(max_workers, int)
            or not 1 <= max_workers <= limits.TASK_WORKERS_MAX
        ):
            raise UsageError(
                "max_workers", max_workers, f"an int from 1 to {limits.TASK_WORKERS_MAX}"
            )
        if on_error is not None and not callable(on_error):
            raise UsageError("on_error", on_error, "a callable that takes a TaskFailure, or None")
        if spill_to is not None and not callable(getattr(spill_to, "enqueue_action_batch", None)):
            raise UsageError("spill_to", spill_to, "a Workpool, or None")
        idle_ms = _ms("idle_timeout", idle_timeout)
        reserve_ms = _ms("reserve", reserve)
        if reserve_ms is None:
            reserve_ms = _RESERVE_MS if spill_to is None else _RESERVE_MS_SPILLING
        self._oversight = Oversight(
            on_error=on_error,
            spill_to=spill_to,
            limit_ms=_ms("runtime_limit", runtime_limit, zero=False),
            reserve_ms=reserve_ms,
        )
        idle_s = None if idle_ms is None else idle_ms / 1000
        self._executor = Executor(
            max_workers, idle_s=idle_s, name=name, read_ms=stopwatch_ms, hooks=self._oversight
        )
        self._name = name
        self._is_shared = False

    @classmethod
    def shared(cls, **options: Unpack[TaskPoolOptions]) -> TaskPool:
        """Return the one pool of this process; the first call makes it, with its options.

        Each drain that leaves it at rest resets it, so that the next task finds it as new,
        statistics included. After `done` the next call makes another one. Without options it
        returns the pool as it is.

        Raises:
            UsageError: it exists, and was made with other options than are given here. It stays as
                it was.
        """
        pool = cls._shared
        if pool is not None and not pool.is_closed and not options:
            return pool
        # A finalizer or signal handler may come here in the midst of this, in this very thread.
        with cls._sharing:
            made = None
            while (pool := cls._shared) is None or pool.is_closed:
                made = cls(**options)
                made._is_shared = True
                if cls._shared is pool:
                    cls._shared, cls._shared_options = made, options
            if pool is not made and options and options != cls._shared_options:
                allowed = "those that the shared pool was made with, or none"
                raise UsageError("options", sorted(options), allowed)
            return pool

    @classmethod
    def _begin_in_child(cls) -> None:
        """Forget the parent's shared pool and its threads, in a process that was just forked."""
        cls._sharing = threading.RLock()

    @property
    def is_closed(self) -> bool:
        """True once `done` was called, which may still be waiting."""
        return self._executor.is_closing

    def add(self, *tasks: Task) -> None:
        """Run callables without parameters, or coroutine functions, in this order.

        Adds all of them, or none if it raises.

        Each runs once, in a copy of the caller's context variables. `functools.partial` gives it
        arguments. A task may add tasks. A generator function is reported when it is its turn, since
        nothing of it would run.

        Raises:
            UsageError: something is not callable; a coroutine, say, instead of its function.
            TaskPoolClosed: `done` was called. Only the tasks that it waits for may still add.
            RuntimeError: this process cannot start a thread, and the pool has none.
        """
        for index, task in enumerate(tasks):
            if not callable(task):
                raise UsageError(
                    f"tasks[{index}]",
                    Words(type(task).__name__),
                    "a callable without parameters, or a coroutine function, not called yet",
                )
        self._executor.add(tasks)

    def follow(self, context: TimedContext) -> None:
        """Keep to the time that this Lambda invocation has left until the next drain ends.

        Near the invocation's end no further task is started.

        For one invocation at a time: where Lambda runs several in one process, each needs a pool of
        its own.

        Raises:
            UsageError: the context does not report the time left.
        """
        self._oversight.follow(context)

    @contextmanager
    def draining(self, context: TimedContext | None = None) -> Iterator[Self]:
        """Follow the invocation in a block, and drain at its end, also when the block raises.

        The block's error then goes out before those of tasks.
        """
        if context is not None:
            self.follow(context)
        try:
            yield self
        except BaseException as error:
            self.drain(beside=error)
            raise
        self.drain()

    def drain(
        self, context: TimedContext | None = None, *, beside: BaseException | None = None
    ) -> None:
        """Wait for all tasks that were added before this call, and for those that they add.

        Tasks that others add meanwhile are not waited for.

        Any number of threads may drain at one time. Each returns when the tasks are over that it
        waits for. A failure is raised by every drain that waits for its task, or else by the next
        one. When time runs out, queued tasks are handed over or given up, running ones are
        reported, and it returns. Such a task may go on.

        Args:
            context: Of the Lambda invocation whose time left counts, as by `follow`. `None` means
                as it is.
            beside: An error that goes out already: failures are noted on it and logged, and not
                raised. `None` means there is none.

        Raises:
            TasksFailed: the errors of all failures that `on_error` did not receive. Everything is
                over or reported, as without it.
            UsageError: called by a task of this pool, which would wait for itself. Nothing was
                waited for.
        """
        self._finish(self._executor.drain, context, beside)

    def done(
        self, context: TimedContext | None = None, *, beside: BaseException | None = None
    ) -> None:
        """Refuse tasks from outside, drain, and end the threads and their event loops.

        Any thread may call it, at any time. A second call while the first waits does so as well,
        and one after it returns at once.

        Raises:
            TasksFailed, UsageError: as `drain`. In the first case the pool is closed, in the second
                it is not.
        """
        self._finish(self._executor.close, context, beside)

    def stats(self) -> CrewStats:
        """Return counts and times of all tasks so far, or of a shared pool since its last reset."""
        return self._executor.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Done.

        An error of the block goes out before those of tasks, which are noted on it and logged.
        """
        self.done(beside=error)

    def _finish(
        self,
        finish: Callable[[], list[TaskFailure]],
        context: TimedContext | None,
        beside: BaseException | None,
    ) -> None:
        if context is not None:
            self.follow(context)
        failures = finish()
        if not self._executor.is_awaited:
            self._oversight.follow(None)
        if self._is_shared:
            self._executor.forget_at_rest()
        if beside is not None:
            note_beside(beside, failures, self._name)
        elif failures:
            raise as_group(failures)


def _ms(field: str, value: object, *, zero: bool = True) -> float | None:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds is None:
        return None
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 <= seconds < math.inf
        or (not seconds and not zero)
    ):
        raise UsageError(
            field,
            value,
            f"a timedelta or a number of seconds, {'not negative' if zero else 'above 0'}, or None",
        )
    return seconds * 1000.0


def _finish_at_exit() -> None:
    """Run what no drain waited for before the interpreter ends, and report it."""
    failures = [failure for executor in unfinished() for failure in executor.drain()]
    if failures:
        # if it were raised, Python would show its first line alone
        sys.excepthook(TasksFailed, as_group(failures), None)


def _join_multiprocessing() -> None:
    """Run `_finish_at_exit` in processes of multiprocessing, which run no `atexit` hook."""
    if "multiprocessing.util" not in sys.modules:
        return  # nothing of it was started yet: slow to load, and a forked process comes here again
    from multiprocessing import parent_process, util  # noqa: PLC0415 - see above

    def finish_with_child(_: object = None) -> None:
        # Before pools of multiprocessing's end, which have 15: tasks may use them.
        util.Finalize(None, _finish_at_exit, exitpriority=_EXIT_PRIORITY)

    # Such a process first forgets what was to run at its parent's end, and then runs this.
    util.register_after_fork(TaskPool, finish_with_child)
    if parent_process() is not None:
        finish_with_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=TaskPool._begin_in_child)  # noqa: SLF001 - of this module
    os.register_at_fork(after_in_child=_join_multiprocessing)
atexit.register(_finish_at_exit)
_join_multiprocessing()
