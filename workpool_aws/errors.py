"""Every error this package raises, split by who must act. Bottom of the import graph: only `text` is below.

The caller made a mistake, nothing was written:

* WorkpoolError
  * UsageError (also a ValueError)       a value is not allowed: "FIELD must be ALLOWED; got VALUE"
    * PayloadTooLarge                    arguments, context or result above the limit
    * UnknownOption (also a TypeError)   a keyword argument that the call does not have
  * NotFound                             no work of this id is known (never enqueued, or past its retention)
  * TaskPoolClosed (also a RuntimeError) a task was added to a pool that is done: nothing of it was added

AWS did not answer; try again, or let the pool's own repair do it:

  * StoreUnavailable                     says what may have been written

Background tasks of this process went wrong; each error says what became of its task:

  * TasksFailed (also an ExceptionGroup) the errors of all tasks that a drain has to report: what they raised, or
    * TaskExited                         a task raised what is no Exception (SystemExit, say); the process went on
    * TaskCanceled                       a coroutine was canceled, by itself or because time ran out
    * TaskNotStarted                     no time was left to start it: it did not run, and will not
    * TaskStillRunning                   it had started, and nobody could wait any longer: it may or may not end

Raised by user code inside a worker, read by the pool (not WorkpoolErrors: `except WorkpoolError` must not swallow them):

* NonRetryableError                      fail now, whatever the retry policy says
* RetryLater                             fail this attempt, try again after a delay of the worker's choosing
* Snooze                                 run this attempt again after a delay; nothing failed, no attempt is spent
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Final

from workpool_aws.text import as_line, kind_of, shown

__all__ = [
    "NON_RETRYABLE_MARKER",
    "NonRetryableError",
    "NotFound",
    "PayloadTooLarge",
    "RetryLater",
    "Snooze",
    "StoreUnavailable",
    "TaskCanceled",
    "TaskExited",
    "TaskNotStarted",
    "TaskPoolClosed",
    "TaskStillRunning",
    "TasksFailed",
    "UnknownOption",
    "UsageError",
    "WorkpoolError",
]

NON_RETRYABLE_MARKER: Final = "workpool_non_retryable"
_FIELD_MAX: Final = 300
_ALLOWED_MAX: Final = 4_000
_MESSAGE_MAX: Final = 4_000


class WorkpoolError(Exception):
    """Root of the errors that the package's own calls raise."""


class UsageError(WorkpoolError, ValueError):
    """A value is not allowed. Nothing was stored, sent or started.

    The message is "FIELD must be ALLOWED; got VALUE", on one line and of bounded length, whatever the value's `repr` does.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{as_line(field, limit=_FIELD_MAX)} must be {as_line(allowed, limit=_ALLOWED_MAX)}; got {shown(value)}")
        self.field = field
        self.value = value
        self.allowed = allowed


class PayloadTooLarge(UsageError):
    """Arguments or a result are larger than the limit. Nothing was stored, sent or started."""

    def __init__(self, field: str, size_bytes: int, limit_bytes: int) -> None:
        WorkpoolError.__init__(
            self, f"{as_line(field, limit=_FIELD_MAX)} must be at most {limit_bytes} bytes as JSON; got {size_bytes} bytes"
        )
        self.field = field
        self.value = size_bytes
        self.allowed = f"at most {limit_bytes} bytes"
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class UnknownOption(UsageError, TypeError):
    """The call has no option of this name. Nothing was stored, sent or started.

    A `TypeError` as well, as for any other Python function. The message lists the options, and suggests one that is spelled alike. It
    does not quote the value, which may be secret.
    """

    def __init__(self, name: str, value: object, options: Sequence[str]) -> None:
        near = get_close_matches(name, options, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        super().__init__(name, kind_of(value), f"one of the options {', '.join(options)}{hint}")


class NotFound(WorkpoolError):
    """No work of this id is known: it was never enqueued, or its retention is over. Or, as `missing` says, something of it is gone."""

    def __init__(self, work_id: str, missing: str | None = None) -> None:
        unknown = f"no work {shown(work_id)} is known: it was never enqueued, or its retention is over"
        super().__init__(unknown if missing is None else f"work {shown(work_id)}: {missing}")
        self.work_id = work_id


class StoreUnavailable(WorkpoolError):
    """DynamoDB did not answer, after the SDK's own retries.

    `maybe_enqueued` holds the ids of works that may have been stored before the failure (empty unless enqueueing): each of them
    either runs, or never existed; `Workpool.status` tells which.
    """

    def __init__(self, message: str, *, maybe_enqueued: tuple[str, ...] = ()) -> None:
        super().__init__(as_line(message, limit=_MESSAGE_MAX))
        self.maybe_enqueued = maybe_enqueued


class TaskPoolClosed(WorkpoolError, RuntimeError):
    """The task pool is done, or being so: nothing of this call was added."""


class TaskExited(WorkpoolError):
    """A background task raised what is no Exception, as SystemExit: its `__cause__`. Neither the process nor the pool's thread ended."""


class TaskCanceled(WorkpoolError):
    """A coroutine was canceled: it ended by CancelledError, wherever it stood."""


class TaskNotStarted(WorkpoolError):
    """A background task was not started, because no time was left: it did not run and will not, here.

    A `__cause__` says why it could not be handed over to the durable pool; if that is a `StoreUnavailable`, it may be there all the same.
    """


class TaskStillRunning(WorkpoolError):
    """A background task had been started and was not over when nobody could wait any longer. A thread cannot be ended: it may go on."""


class TasksFailed(ExceptionGroup[Exception], WorkpoolError):
    """All that went wrong with the background tasks that a drain waited for: `except* ValueError` picks from it.

    Each error has a note that names its task; `TaskPool(on_error=...)` receives the task itself. Parts of it are plain ExceptionGroups.
    """


class NonRetryableError(Exception):
    """Raise in a worker to fail the work now, whatever attempts are left.

    Subclasses count too, and so does any exception with a true attribute `workpool_non_retryable`
    (an error from another copy of this package, say).
    """

    workpool_non_retryable = True


class RetryLater(Exception):
    """Raise in a worker to end this attempt and be tried again after `delay`.

    Spends an attempt. Without a retry policy, or with no attempt left, the work fails.
    `delay` is taken without jitter; a negative one counts as zero, one beyond 366 days as 366 days.
    """

    def __init__(self, delay: timedelta, message: str = "") -> None:
        if not isinstance(delay, timedelta):
            raise UsageError("delay", delay, "a timedelta")
        super().__init__(message or f"retry after {delay.total_seconds():g} s")
        self.delay = delay


class Snooze(Exception):
    """Raise in a decorated worker to be run again after `delay`, without spending an attempt.

    Needs no retry policy, and works for claimed work items too: this start is over, and the next one has a claim of its own. At most 100
    times in a row; after that the work item fails with `error_type` `snoozed_too_often`. An attempt that fails begins the count anew.
    `delay` is taken without jitter; a negative one counts as zero, one beyond 366 days as 366 days.

    After a request to cancel, the work item ends as canceled instead.
    """

    def __init__(self, delay: timedelta, message: str = "") -> None:
        if not isinstance(delay, timedelta):
            raise UsageError("delay", delay, "a timedelta")
        super().__init__(message or f"snoozed for {delay.total_seconds():g} s")
        self.delay = delay
