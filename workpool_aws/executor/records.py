"""Values of an executor: tasks, their failures, counts and durations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from workpool_aws.text import answer_or, type_name

__all__ = ["CrewStats", "Task", "TaskFailure", "Unstarted", "name_of"]

Task = Callable[[], object]
"""Called without arguments. If what it returns is awaitable, as a coroutine function's is, that is
awaited."""


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Failure of a task: it raised, was not started in time, or still runs when time is up."""

    task: Task
    """The very object that was added."""
    error: Exception
    """The error that it raised, as a `TaskExited` or `TaskCanceled` if that was no Exception. Or
    `TaskNotStarted` or `TaskStillRunning`."""

    @property
    def name(self) -> str:
        """The task's name, without arguments: fit for logs."""
        return name_of(self.task)


def name_of(task: object) -> str:
    """Return a function's qualified name, also inside a partial, else the name of the class."""
    while isinstance(task, partial):
        task = task.func
    asked = task
    name = answer_or(None, lambda: getattr(asked, "__qualname__", None))
    return name if isinstance(name, str) else type_name(task)


@dataclass(frozen=True, slots=True)
class Unstarted:
    """The fate of a task for which no time was left."""

    spilled: bool
    """A durable pool has it now."""
    failures: tuple[TaskFailure, ...]
    """Failures that a drain reports; empty where there are none, or `on_error` received them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewStats:
    """Snapshot of an executor: tasks by state, and their times in milliseconds.

    `None` means that no task has started or ended yet.
    """

    queued: int
    """Added and not started."""
    running: int
    """Started and not over, also those that a drain no longer waits for."""
    completed: int
    """Returned."""
    failed: int
    """Raised."""
    spilled: int
    """Not started, since a durable pool has them."""
    given_up: int
    """Not started, and reported as lost."""
    workers: int
    """Threads there are, idle ones too."""
    wait_ms_mean: float | None
    """From added to started."""
    wait_ms_max: float | None
    run_ms_mean: float | None
    """From started to over."""
    run_ms_max: float | None
