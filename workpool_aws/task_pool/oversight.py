"""Decides which time limit holds, which failures are reported, and which tasks are handed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from workpool_aws.errors import TaskCanceled, TaskExited, TasksFailed, UsageError
from workpool_aws.executor.deadline import Phase, TimedContext, TimeLeft, time_left
from workpool_aws.executor.records import Task, TaskFailure, Unstarted, name_of
from workpool_aws.model import events
from workpool_aws.settings import read_settings
from workpool_aws.task_pool.durable import DurablePool, hand_over
from workpool_aws.text import answer_or, type_name

if TYPE_CHECKING:
    from workpool_aws.api.caller import LambdaContext

__all__ = ["OnError", "Oversight", "TimedContext", "as_group", "note_beside"]

OnError = Callable[[TaskFailure], object]

_UNLIMITED: Final = TimeLeft(Phase.OPEN, None)


@runtime_checkable
class _Timed(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


@runtime_checkable
class _Caller(Protocol):
    """A context that names its caller: the pool stores it, and resolves function names by it."""

    @property
    def aws_request_id(self) -> str: ...
    @property
    def invoked_function_arn(self) -> str: ...


@dataclass(slots=True, kw_only=True)
class Oversight:
    """Answers an executor's questions (see `ExecutorHooks`). Only `follow` changes it."""

    on_error: OnError | None
    spill_to: DurablePool | None
    limit_ms: float | None
    reserve_ms: float
    _context: TimedContext | None = None

    def follow(self, context: TimedContext | None) -> None:
        """Keep to the time that this invocation has left. `None` means no invocation's.

        Raises:
            UsageError: the context does not report the time left.
        """
        if context is not None:
            if not isinstance(context, _Timed):
                raise UsageError("context", context, "the context that Lambda gives to a handler")
            left: object = context.get_remaining_time_in_millis()
            if isinstance(left, bool) or not isinstance(left, int | float):
                raise UsageError(
                    "context.get_remaining_time_in_millis()", left, "a number of milliseconds"
                )
        self._context = context

    def time_left(self, busy_since_ms: float, now_ms: float) -> TimeLeft:
        """See `ExecutorHooks`."""
        context = self._context
        if context is None and self.limit_ms is None:
            return _UNLIMITED
        return time_left(
            context_ms=None if context is None else context.get_remaining_time_in_millis(),
            limit_ms=None if self.limit_ms is None else self.limit_ms - (now_ms - busy_since_ms),
            reserve_ms=self.reserve_ms,
        )

    def raised(self, task: Task, error: BaseException) -> tuple[TaskFailure, ...]:
        """See `ExecutorHooks`.

        A failure that `on_error` received is not reported again, unless `on_error` raised itself.
        """
        failure = TaskFailure(task, _as_exception(error))
        _note(failure.error, f"background task: {failure.name}")
        if self.on_error is None:
            return (failure,)
        try:
            self.on_error(failure)
        except BaseException as second:  # noqa: BLE001 - it must not hide the first, nor end the thread
            if second is failure.error:
                return (failure,)
            raised = _as_exception(second)
            _note(raised, f"raised by on_error for background task: {failure.name}")
            return (failure, TaskFailure(task, raised))
        return ()

    def unstarted(self, tasks: Sequence[Task]) -> Sequence[Unstarted]:
        """See `ExecutorHooks`. What is handed over is no failure."""
        context = self._context
        caller: LambdaContext | None = context if isinstance(context, _Caller) else None
        refusals = hand_over(self.spill_to, caller, tasks)
        return [
            Unstarted(spilled=True, failures=())
            if refusal is None
            else Unstarted(spilled=False, failures=self.raised(task, refusal))
            for task, refusal in zip(tasks, refusals, strict=True)
        ]


def _as_exception(error: BaseException) -> Exception:
    """Return an Exception that a group can hold, so that a drain ends no process by itself."""
    if isinstance(error, Exception):
        return error
    if type_name(error) == "CancelledError":
        wrapped: Exception = TaskCanceled("the coroutine was canceled")
    else:
        shown = answer_or(type_name(error), partial(repr, error))
        wrapped = TaskExited(f"the task raised {shown}: the process goes on")
    wrapped.__cause__ = error
    return wrapped


def _note(error: BaseException, text: str) -> None:
    # A frozen dataclass may be an exception. It refuses notes, and goes out without one. Whatever
    # its class does then, the thread goes on. Without the thread the task would never be over, and
    # every drain would wait for it.
    with suppress(BaseException):
        error.add_note(text)


def as_group(failures: Sequence[TaskFailure]) -> TasksFailed:
    """Return every error in one group. Each has the name of its task as a note."""
    count = "1 failure" if len(failures) == 1 else f"{len(failures)} failures"
    return TasksFailed(f"{count} of background tasks", [failure.error for failure in failures])


def note_beside(error: BaseException, failures: Sequence[TaskFailure], pool: str) -> None:
    """Note failures on the error that already goes out, and log them without their texts."""
    if not failures:
        return
    _note(
        error, f"background tasks failed as well: {', '.join(failure.name for failure in failures)}"
    )
    from workpool_aws.adapters.telemetry import LoggerTelemetry  # noqa: PLC0415 - logging is rarely needed here

    telemetry = LoggerTelemetry(read_settings().log_level)
    for failure in failures:
        telemetry.emit(
            events.TaskFailed(
                pool=pool, task=name_of(failure.task), error_type=type_name(failure.error)
            )
        )
