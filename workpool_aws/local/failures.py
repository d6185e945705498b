"""Finds work items and callbacks of a cloud that failed, with the traceback and the log of the last try."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from workpool_aws.core.report.history import attempts_of
from workpool_aws.core.views.instants import instant
from workpool_aws.local.kernel.kernel import LocalCloudError
from workpool_aws.local.services.attempt_notes import callback_of
from workpool_aws.local.stored_work import enqueued_work, name_in
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import AttemptEnd, CallbackState, State
from workpool_aws.text import answer_or, as_line, as_text, type_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from types import TracebackType

    from workpool_aws.local.services.attempt_notes import AttemptNotes
    from workpool_aws.local.stored_work import EnqueuedWork
    from workpool_aws.model.work import WorkItem
    from workpool_aws.ports import Store

__all__ = [
    "Failure",
    "WorkFailed",
    "describe_failures",
    "failed_attempts",
    "in_order",
    "raise_failure",
]

_SHOWN: Final = 10
_ERROR_MAX: Final = 500
_TRACE_MAX: Final = 10_000
_LINE_MAX: Final = 500


class WorkFailed(LocalCloudError):
    """A work item or its callback failed, without an error that could be raised in its place.

    Examples are a timeout, a crash, and invalid arguments. If the function raised an error all the
    same, that is the cause.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A work item whose last attempt failed, or whose callback failed."""

    work: EnqueuedWork
    callback: str | None
    """Target of the callback that failed. `None` means that the function failed."""
    final: bool
    """True if it will not be tried again."""
    attempts: int
    """The attempts that the function has made."""
    failed_at: datetime
    """The end of the last attempt."""
    error_type: str
    """As in `Result`. For a callback the class of its handler's error, or `dead` without one."""
    error: str
    """The error's text, perhaps cut. Empty for an error without one."""
    exception: BaseException | None
    """The error that the code raised the last time. `None` means that it raised none."""
    trace: TracebackType | None = field(repr=False)
    """The traceback of that error, from the function on."""
    log: tuple[str, ...] = ()
    """The last lines that its code logged, under the fixture `workpool_cloud`."""

    def __str__(self) -> str:
        work = self.work
        reason = as_line(": ".join(filter(None, (self.error_type, self.error))), limit=_ERROR_MAX)
        return f"{self._subject} failed{self._place}: {reason} (pool {work.pool}, {work.work_id})"

    @property
    def _subject(self) -> str:
        if self.callback is None:
            return self.work.call
        return f"the callback of {self.work.call} to {name_in(self.callback)}"

    @property
    def _place(self) -> str:
        if self.callback is not None:
            return "" if self.final else " and will be tried again"
        policy, again = self.work.retry, "" if self.final else f" and is {self.work.state}"
        tried = (
            f"attempt {self.attempts} of {policy.max_attempts}" if policy else "its only attempt"
        )
        return f" in {tried}{again}"

    def restored(self) -> BaseException | None:
        """Return the error with its own traceback, which raising it again had lengthened."""
        error = self.exception
        return None if error is None else BaseException.with_traceback(error, self.trace)

    def lines(self) -> Iterator[str]:
        """Yield the failure, its traceback and its log, for people."""
        yield str(self)
        error = self.restored()
        if error is not None:
            unreadable = f"(the traceback of {type_name(error)} could not be read)"
            trace = answer_or(
                unreadable, lambda: "".join(traceback.format_exception(error)).rstrip()
            )
            yield f"  {as_text(trace, limit=_TRACE_MAX, indent=2)}"
        if self.log:
            yield "  Log of its code:"
            yield from (f"    {as_text(line, limit=_LINE_MAX, indent=4)}" for line in self.log)


def failed_attempts(
    store: Store, works: Iterable[WorkItem], notes: AttemptNotes
) -> Iterator[Failure]:
    """Yield the last failure of each work item, and that of its callback.

    Those to be tried again are among them. A callback that was delivered at last did not fail.
    """
    for work in works:
        look = _Attempts(store, work, notes)
        yield from look.failure()
        if work.callback not in {None, CallbackState.DELIVERED}:
            yield from look.callback_failure()


@dataclass(frozen=True, slots=True)
class _Attempts:
    """The attempts of one work item and of its callback, with what their code raised."""

    store: Store
    work: WorkItem
    notes: AttemptNotes

    def failure(self) -> Iterator[Failure]:
        """Yield the last attempt, if it failed and was not followed by success or cancel."""
        work = self.work
        last = next(reversed(attempts_of(work)), None)
        ended_well = work.state is State.FINISHED and work.outcome is not Outcome.FAILED
        if ended_well or last is None or last.outcome is not AttemptEnd.FAILED:
            return
        raised = self.notes.error_of(work.id)
        if raised is not None and raised.attempt != last.number:
            raised = None
        yield Failure(
            work=enqueued_work(self.store, work),
            callback=None,
            final=work.state is State.FINISHED,
            attempts=last.number,
            failed_at=instant(last.ended_at),
            error_type=last.error_type or "",
            error=last.error or "",
            exception=None if raised is None else raised.error,
            trace=None if raised is None else raised.trace,
            log=self.notes.log_of(work.id),
        )

    def callback_failure(self) -> Iterator[Failure]:
        """Yield the last delivery, if its handler raised an error or it was given up."""
        work = self.work
        raised = self.notes.error_of(callback_of(work.id))
        dead = work.callback is CallbackState.DEAD
        if raised is None and not dead:
            return
        yield Failure(
            work=enqueued_work(self.store, work),
            callback=work.spec.callback_target,
            final=dead,
            attempts=work.attempts_made,
            failed_at=instant(work.finished_at or work.due_at),
            error_type="dead" if raised is None else type_name(raised.error),
            error="" if raised is None else answer_or("", partial(str, raised.error)),
            exception=None if raised is None else raised.error,
            trace=None if raised is None else raised.trace,
            log=self.notes.log_of(callback_of(work.id)),
        )


def in_order(failures: Iterable[Failure]) -> list[Failure]:
    """Return the failures, the earliest first."""
    return sorted(failures, key=lambda each: (each.failed_at, each.work.work_id))


def raise_failure(failure: Failure) -> None:
    """Raise the error of the function with its own traceback, or else `WorkFailed`."""
    __tracebackhide__ = True
    error = failure.restored()
    if isinstance(error, Exception) and type_name(error) == failure.error_type:
        answer_or(None, lambda: BaseException.add_note(error, str(failure)))
        raise error
    raise WorkFailed(str(failure)) from error


def describe_failures(failures: Sequence[Failure]) -> str:
    """Return the failures with their tracebacks and logs, for people."""
    more = [f"and {len(failures) - _SHOWN} more"] if len(failures) > _SHOWN else []
    return "\n\n".join([*("\n".join(each.lines()) for each in failures[:_SHOWN]), *more])
