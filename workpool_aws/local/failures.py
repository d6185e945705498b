"""Finds work items of a cloud that failed, with the traceback and the log of their last attempt."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from workpool_aws.core.report.history import attempts_of
from workpool_aws.core.views.status import instant
from workpool_aws.local.kernel.kernel import LocalCloudError
from workpool_aws.local.stored_work import enqueued_work
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import AttemptEnd, State
from workpool_aws.text import answer_or, as_line, as_text, type_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from types import TracebackType

    from workpool_aws.local.services.attempt_notes import AttemptNotes
    from workpool_aws.local.stored_work import EnqueuedWork
    from workpool_aws.model.work import PastAttempt, WorkItem
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
    """A work item failed without an error of its function, as by a timeout or invalid arguments.

    If its function raised an error all the same, that is the cause.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A work item whose last attempt failed."""

    work: EnqueuedWork
    attempts: int
    """The attempts that were made."""
    failed_at: datetime
    error_type: str
    """As in `Result`."""
    error: str
    """The error's text, perhaps cut. Empty for an error without one."""
    exception: BaseException | None
    """The error that its function raised in the last attempt. `None` means that it raised none."""
    trace: TracebackType | None = field(repr=False)
    """The traceback of that error, from the function on."""
    log: tuple[str, ...] = ()
    """The last lines that its code logged, under the fixture `workpool_cloud`."""

    def __str__(self) -> str:
        work = self.work
        tried = (
            "its only attempt"
            if work.retry is None
            else f"attempt {self.attempts} of {work.retry.max_attempts}"
        )
        after = "" if work.state == "finished" else f" and is {work.state}"
        reason = as_line(": ".join(filter(None, (self.error_type, self.error))), limit=_ERROR_MAX)
        return f"{work.call} failed in {tried}{after}: {reason} (pool {work.pool}, {work.work_id})"

    def restored(self) -> BaseException | None:
        """Return the error with its own traceback, which raising it again had lengthened."""
        error = self.exception
        return None if error is None else BaseException.with_traceback(error, self.trace)


def failed_attempts(
    store: Store, works: Iterable[WorkItem], notes: AttemptNotes
) -> Iterator[Failure]:
    """Yield the work items whose last attempt failed. Those to be tried again are among them."""
    for work in works:
        last = _last_failure(work)
        if last is not None:
            yield _failure(store, work, last, notes)


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
    return "\n\n".join([*("\n".join(_lines_of(each)) for each in failures[:_SHOWN]), *more])


def _failure(store: Store, work: WorkItem, last: PastAttempt, notes: AttemptNotes) -> Failure:
    raised = notes.error_of(work.id)
    if raised is not None and raised.attempt != last.number:
        raised = None
    return Failure(
        work=enqueued_work(store, work),
        attempts=last.number,
        failed_at=instant(last.ended_at),
        error_type=last.error_type or "",
        error=last.error or "",
        exception=None if raised is None else raised.error,
        trace=None if raised is None else raised.trace,
        log=notes.log_of(work.id),
    )


def _last_failure(work: WorkItem) -> PastAttempt | None:
    if work.state is State.FINISHED and work.outcome is not Outcome.FAILED:
        return None
    last = next(reversed(attempts_of(work)), None)
    return last if last is not None and last.outcome is AttemptEnd.FAILED else None


def _lines_of(failure: Failure) -> Iterator[str]:
    yield str(failure)
    error = failure.restored()
    if error is not None:
        yield f"  {as_text(_trace_of(error), limit=_TRACE_MAX, indent=2)}"
    if failure.log:
        yield "  Log of its code:"
        yield from (f"    {as_text(line, limit=_LINE_MAX, indent=4)}" for line in failure.log)


def _trace_of(error: BaseException) -> str:
    unreadable = f"(the traceback of {type_name(error)} could not be read)"
    return answer_or(unreadable, lambda: "".join(traceback.format_exception(error)).rstrip())
