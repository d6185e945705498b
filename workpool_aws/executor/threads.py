"""Records of an executor: worker threads, origins of tasks and drains, and its owner's hooks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from workpool_aws.executor.coroutines import CoroutineHost

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextvars import Context

    from workpool_aws.executor.deadline import TimeLeft
    from workpool_aws.executor.records import Task, TaskFailure, Unstarted

__all__ = ["Added", "DrainRecord", "ExecutorHooks", "Origin", "WorkerThread"]


class ExecutorHooks(Protocol):
    """Questions of an executor to its owner. None of them raises.

    All but `time_left` are called outside of the lock and may take time.
    """

    def time_left(self, busy_since_ms: float, now_ms: float) -> TimeLeft:
        """Return the phase of an executor that is busy since then. Quick, since the lock is held."""

    def raised(self, task: Task, error: BaseException) -> tuple[TaskFailure, ...]:
        """Report that a task raised to the owner's callback, and return what is left for a drain."""

    def unstarted(self, tasks: Sequence[Task]) -> Sequence[Unstarted]:
        """Hand over tasks that there is no time to start, where that is possible.

        Returns one answer for each task, in order.
        """


class Origin(NamedTuple):
    """Context that the tasks of one `add` share."""

    context: Context
    added_ms: float
    round: int
    alone: bool
    """The only task of its `add`, so that it may use the context itself and need not copy it."""


@dataclass(eq=False, slots=True)
class Added:
    """The tasks of one `add`, until the holder of the lock takes them in."""

    tasks: tuple[Task, ...]
    context: Context
    added_ms: float
    round: int | None
    """Round of the task that added them. `None` means that they come from outside, and belong to
    the round that is open."""


@dataclass(eq=False, slots=True)
class WorkerThread:
    """One worker: what it runs, and the bell that calls it back when it rests."""

    bell: threading.Lock = field(default_factory=threading.Lock)
    called: bool = False
    task: Task | None = None
    origin: Origin | None = None
    """Of the task that it runs, until that is counted as over."""
    past: Origin | None = None
    """Of the task before. Kept until the lock is open, since letting go of context variables may
    run a finalizer of the user's."""
    started_ms: float = 0.0
    failed: bool = False
    cancel_asked: bool = False
    host: CoroutineHost = field(default_factory=CoroutineHost)
    thread: threading.Thread | None = None


@dataclass(eq=False, slots=True)
class DrainRecord:
    """One drain that waits for `left` more tasks of its round and earlier ones."""

    round: int
    left: int
    failures: list[TaskFailure]
    bell: threading.Lock = field(default_factory=threading.Lock)
    """Locked while the drain has nothing to look at."""
    called: bool = False

    def call(self) -> None:
        """Make the thread look again; the caller holds the executor's lock."""
        if not self.called:
            self.called = True
            self.bell.release()

    def listen(self, seconds: float | None) -> None:
        """Wait to be called, for at most so long.

        For its own thread, which lets go of the executor's lock for it.
        """
        self.bell.acquire(timeout=-1 if seconds is None else seconds)
