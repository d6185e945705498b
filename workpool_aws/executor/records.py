"""Owns the values that a crew deals in: tasks, how they failed, how many there were and how long they took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from workpool_aws.text import type_name

__all__ = ["CrewStats", "Task", "TaskFailure", "Unstarted", "name_of"]

Task = Callable[[], object]
"""Called without arguments. If what it returns is awaitable, as a coroutine function's is, that is
awaited."""


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """One thing that went wrong with a task: it raised, was not started in time, or is still running when time is up."""

    task: Task
    """The very object that was added."""
    error: Exception
    """What it raised; a `TaskExited` or `TaskCanceled` if that was no Exception. Or
    `TaskNotStarted`, `TaskStillRunning`."""

    @property
    def name(self) -> str:
        """The task's name, without arguments: fit for logs."""
        return name_of(self.task)


def name_of(task: object) -> str:
    """A function's qualified name, that of the function inside a partial, else the name of the class."""
    while isinstance(task, partial):
        task = task.func
    try:
        name: object = getattr(task, "__qualname__", None)
    except BaseException:  # noqa: BLE001 - an object may do anything when it is asked, and is named here because it failed
        name = None
    return name if isinstance(name, str) else type_name(task)


@dataclass(frozen=True, slots=True)
class Unstarted:
    """What became of a task for which no time was left."""

    spilled: bool
    """A durable pool has it now."""
    failures: tuple[TaskFailure, ...]
    """What a drain has to report about it; empty where nobody need be told, or `on_error` was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewStats:
    """A snapshot: how many tasks are where, and how long they took, in milliseconds; None before the first one started or ended."""

    queued: int
    """Added and not started."""
    running: int
    """Started and not over, those among them that a drain no longer waited for."""
    completed: int
    """Returned."""
    failed: int
    """Raised."""
    spilled: int
    """Not started; a durable pool has them."""
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
