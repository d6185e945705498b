"""Decides which time limit holds, which failures are reported, and which tasks are handed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from workpool_aws.errors import TaskCanceled, TaskExited, TasksFailed, UsageError
from workpool_aws.executor.deadline import Phase, TimedContext, TimeLeft, time_left
from workpool_aws.executor.records import Task, TaskFailure, Unstarted, name_of
from workpool_aws.model import events
from workpool_aws.settings import read_settings
from workpool_aws.task_pool.durable import DurablePool, hand_over
from workpool_aws.text import type_name

if TYPE_CHECKING:
    from workpool_aws.api.caller import LambdaContext

__all__ = ["OnError", "Oversight", "TimedContext", "as_group", "tell_beside"]

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
    """See `ExecutorHooks`. `follow` is all that changes."""

    on_error: OnError | None
    spill_to: DurablePool | None
    limit_ms: float | None
    reserve_ms: float
    _context: TimedContext | None = None

    def follow(self, context: TimedContext | None) -> None:
        """From now on time is what this invocation has left; `None` means no invocation's.

        Raises UsageError: it tells no time.
        """
        if context is not None and not isinstance(context, _Timed):
            raise UsageError("context", context, "the context that Lambda gives to a handler")
        if context is not None and not _is_number(left := context.get_remaining_time_in_millis()):
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

        What `on_error` was told of is not reported again, unless it raised itself.
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
            told = _as_exception(second)
            _note(told, f"raised by on_error, told of background task: {failure.name}")
            return (failure, TaskFailure(task, told))
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
        wrapped = TaskExited(f"the task raised {_shown(error)}: the process goes on")
    wrapped.__cause__ = error
    return wrapped


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(error: BaseException) -> str:
    try:
        return repr(error)
    except BaseException:  # noqa: BLE001 - the error of a task must be reported, whatever its class does
        return type_name(error)


def _note(error: BaseException, text: str) -> None:
    # A frozen dataclass may be an exception, and refuses notes: it goes out without. Whatever its
    # class does then, the thread goes on: with the thread the task would never be over, and every
    # drain would wait for it.
    with suppress(BaseException):
        error.add_note(text)


def as_group(failures: Sequence[TaskFailure]) -> TasksFailed:
    """Every error; each has the name of its task as a note."""
    count = "1 failure" if len(failures) == 1 else f"{len(failures)} failures"
    return TasksFailed(f"{count} of background tasks", [failure.error for failure in failures])


def tell_beside(error: BaseException, failures: Sequence[TaskFailure], pool: str) -> None:
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
