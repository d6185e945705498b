"""Every error of this package, by the one who has to act.

The caller made a mistake, and nothing was written:

* WorkpoolError
  * UsageError (also a ValueError)       a value is not allowed: "FIELD must be ALLOWED; got VALUE"
    * PayloadTooLarge                    arguments, context or result are above the limit
    * UnknownOption (also a TypeError)   a keyword argument that the call does not have
  * NotFound                             no work item of this id, or schedule, is known
  * TaskPoolClosed (also a RuntimeError) the pool is done, and nothing of this call was added

  * AlreadyEnqueued                      another work item holds the unique key
  * TransactionCanceled                  a condition of a transaction does not hold
  * TransactionConflict                  other writes were in the way of a transaction in every try

AWS did not answer; try again, or leave it to the pool's own repair:

  * StoreUnavailable                     names the ids that may have been written
    * NotKicked                          a transaction is applied, but its loop may not know

Background tasks of this process went wrong; each error describes the state of its task:

  * TasksFailed (also an ExceptionGroup) the errors of all tasks of a drain, their own or:
    * TaskExited                         a task raised SystemExit or the like
    * TaskCanceled                       a coroutine was canceled
    * TaskNotStarted                     no time was left to start the task; it will not run
    * TaskStillRunning                   no time was left to wait for the task; it may end

User code raises these inside a worker. They are no WorkpoolErrors, so that `except WorkpoolError`
does not swallow them:

* NonRetryableError                      fail now, without further retries
* RetryLater                             fail this attempt, and try again after a delay
* Snooze                                 run again after a delay, without spending an attempt
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.text import as_line, kind_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "NON_RETRYABLE_MARKER",
    "AlreadyEnqueued",
    "FailedAction",
    "NonRetryableError",
    "NotFound",
    "NotKicked",
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
    "TimedOut",
    "TransactionCanceled",
    "TransactionConflict",
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

    The message is "FIELD must be ALLOWED; got VALUE", on one line and of bounded length.

        >>> from workpool_aws import UsageError, Workpool
        >>> try:
        ...     Workpool("my-table", max_parallelism=-1)
        ... except UsageError as error:
        ...     print(error)
        max_parallelism must be an int from 0 to 10000; got -1
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(
            f"{as_line(field, limit=_FIELD_MAX)} must be "
            f"{as_line(allowed, limit=_ALLOWED_MAX)}; got {shown(value)}"
        )
        self.field = field
        self.value = value
        self.allowed = allowed


class PayloadTooLarge(UsageError):
    """Arguments, a context or a result are larger than the limit.

    Nothing was stored, sent or started.
    """

    def __init__(self, field: str, size_bytes: int, limit_bytes: int) -> None:
        WorkpoolError.__init__(
            self,
            f"{as_line(field, limit=_FIELD_MAX)} must be at most {limit_bytes} bytes as JSON; "
            f"got {size_bytes} bytes",
        )
        self.field = field
        self.value = size_bytes
        self.allowed = f"at most {limit_bytes} bytes"
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class UnknownOption(UsageError, TypeError):
    """The call has no option of this name. Nothing was stored, sent or started.

    Also a `TypeError`, as for any Python function. The message lists the options and suggests the
    closest one. It does not quote the value, which may be secret.

        >>> from workpool_aws import UnknownOption, Workpool
        >>> pool = Workpool("my-table")
        >>> try:
        ...     pool.enqueue_mutation(None, "charge", {}, run_afer=60)
        ... except UnknownOption as error:
        ...     print(error)
        run_afer must be one of the options run_after, ... (did you mean run_after?); got a value of
        type int
    """

    def __init__(self, name: str, value: object, options: Sequence[str]) -> None:
        near = get_close_matches(name, options, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        super().__init__(name, kind_of(value), f"one of the options {', '.join(options)}{hint}")


class NotFound(WorkpoolError):
    """No work item of this id is known: it was never enqueued, or its retention is over.

    Or part of its payload is missing. Calls for a schedule or group raise it where there is none of
    that name.

    Attributes:
        work_id: The id that was asked for. Empty for a schedule, a group or an error.
    """

    def __init__(self, work_id: str, missing: str | None = None) -> None:
        unknown = (
            f"no work item {shown(work_id)} is known: "
            "it was never enqueued, or its retention is over"
        )
        super().__init__(unknown if missing is None else f"work item {shown(work_id)}: {missing}")
        self.work_id = work_id

    @classmethod
    def of_schedule(cls, name: str, pool: str) -> NotFound:
        """Returns the error for a schedule that a pool does not have."""
        error = cls("")
        error.args = (f"no schedule {shown(name)} is known in pool {shown(pool)}",)
        return error

    @classmethod
    def of_group(cls, group_id: str, pool: str) -> NotFound:
        """Returns the error for a group that a pool does not have."""
        error = cls("")
        error.args = (f"no group {shown(group_id)} is known in pool {shown(pool)}",)
        return error

    @classmethod
    def of_error(cls, fingerprint: str, pool: str) -> NotFound:
        """Returns the error for a fingerprint that no dead letter of a pool has."""
        error = cls("")
        error.args = (f"no dead letter of pool {shown(pool)} has error {shown(fingerprint)}",)
        return error


class AlreadyEnqueued(WorkpoolError):
    """Another work item holds the unique key. Nothing was stored or changed.

    Attributes:
        work_id: The work item that holds the key.
    """

    def __init__(self, work_id: str) -> None:
        super().__init__(f"work item {shown(work_id)} holds the unique key")
        self.work_id = work_id


class StoreUnavailable(WorkpoolError):
    """DynamoDB did not answer, after the SDK's own retries.

    Attributes:
        maybe_enqueued: Ids of work items that an enqueue may have stored before the failure. Each
            of them either runs, or never existed; `Workpool.status` shows which.
        maybe_applied: True if a transaction may have been applied, or may still be.
            `Transaction.resolve` decides it.
        group_id: The group of which members may be missing. `None` means that none was enqueued.
        applied: True if a transaction was applied. See `NotKicked`.
    """

    applied = False

    def __init__(
        self,
        message: str,
        *,
        maybe_enqueued: tuple[str, ...] = (),
        maybe_applied: bool = False,
        group_id: str | None = None,
    ) -> None:
        super().__init__(as_line(message, limit=_MESSAGE_MAX))
        self.group_id = group_id
        self.maybe_enqueued = maybe_enqueued
        self.maybe_applied = maybe_applied


class NotKicked(StoreUnavailable):
    """A transaction is applied, but DynamoDB did not answer the steps that show it to the loop.

    Its work items run. Without `Workpool.kick(ctx, tx)` they may start a minute later, or up to an
    hour later if the transaction took long.
    """

    applied = True


@dataclass(frozen=True, slots=True)
class FailedAction:
    """One action of a transaction whose condition did not hold. It unpacks into its parts."""

    index: int
    """Its place among the actions of the transaction, those that only read last."""
    table: str
    key: Mapping[str, Any]
    """The key of the item; for a put the item's attributes, if no other action named the key."""
    action: str
    """"put", "update", "delete", "check", "get", "cancel" or "enqueue"."""
    condition: object
    """The condition as it was given. `None` means that an attribute that was read has changed."""
    item: Mapping[str, Any] | None
    """The item as it stood; `None` means that there was none."""

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the parts, in the order in which they are listed here."""
        return iter((self.index, self.table, self.key, self.action, self.condition, self.item))


class TransactionCanceled(WorkpoolError):
    """A condition of a transaction does not hold. Nothing was applied, and nothing will be.

    Attributes:
        failed: The actions whose conditions did not hold.
        stale: True if nothing but items that were read had changed, so that another run may
            succeed. `Workpool.run_transaction` makes that run.
    """

    def __init__(self, failed: tuple[FailedAction, ...], *, stale: bool) -> None:
        # A key by the names of its attributes: its values may be secret.
        names = ", ".join(
            f"{each.action} of the item by {', '.join(sorted(each.key))} in {each.table!r}"
            for each in failed
        )
        reason = "what it read has changed" if stale else "a condition does not hold"
        super().__init__(as_line(f"{reason}: {names}; nothing was applied", limit=_MESSAGE_MAX))
        self.failed = failed
        self.stale = stale


class TransactionConflict(WorkpoolError):
    """Other writes of the same items were in the way of a transaction in every try.

    Nothing was applied, and nothing will be.
    """

    def __init__(self, message: str = "other writes of the same items were in the way") -> None:
        super().__init__(f"{message}; nothing was applied")


class TaskPoolClosed(WorkpoolError, RuntimeError):
    """The task pool is done, or about to be. Nothing of this call was added."""


class TaskExited(WorkpoolError):
    """A background task raised an exception such as SystemExit, its `__cause__`.

    Process and thread of the pool went on.
    """


class TaskCanceled(WorkpoolError):
    """A coroutine was canceled. It ended by CancelledError, at any of its awaits."""


class TaskNotStarted(WorkpoolError):
    """A background task was not started, because no time was left.

    It did not run in this process, and will not.

    A `__cause__` is the reason for which the durable pool did not take it over. After a
    `StoreUnavailable` the pool may have it all the same.
    """


class TaskStillRunning(WorkpoolError):
    """A background task was still running when no time was left to wait.

    A thread cannot be ended, so it may go on.
    """


class TasksFailed(ExceptionGroup[Exception], WorkpoolError):
    """The errors of all background tasks of a drain; `except* ValueError` picks from it.

    Each error has a note that names its task. `TaskPool(on_error=...)` receives the task itself.
    Parts of the group are plain ExceptionGroups.
    """


class NonRetryableError(Exception):
    """Raise in a worker to fail the work item now, without the attempts that are left.

    Subclasses count too, and so does any exception with a true attribute `workpool_non_retryable`,
    such as an error from another copy of this package.

        >>> from workpool_aws import NonRetryableError
        >>> from workpool_aws.local import LocalCloud
        >>> with LocalCloud() as cloud:
        ...     pool = cloud.workpool()
        ...
        ...     @pool.action
        ...     def send_email(to: str) -> None:
        ...         if "@" not in to:
        ...             raise NonRetryableError("not an address")
        ...
        ...     send_arn = cloud.function(send_email)
        ...     work_id = pool.enqueue_action(None, send_arn, {"to": "Ann"}, retry=True)
        ...     cloud.run_until_idle()
        ...     [(each.number, each.outcome) for each in pool.status(None, work_id).attempts]
        [(1, 'failed')]
    """

    workpool_non_retryable = True


class RetryLater(Exception):
    """Raise in a worker to fail this attempt, and to try again after `delay`.

    Spends an attempt. Without a retry policy, or with no attempt left, the work item fails. The
    delay has no jitter. A negative one counts as zero, one beyond 366 days as 366 days.

        >>> from datetime import timedelta
        >>> from workpool_aws import RetryLater, Work
        >>> from workpool_aws.local import LocalCloud
        >>> with LocalCloud() as cloud:
        ...     pool, begun = cloud.workpool(), cloud.now
        ...
        ...     @pool.action
        ...     def fetch(work: Work) -> int:
        ...         if work.attempt == 1:
        ...             raise RetryLater(timedelta(hours=1), "asked to slow down")
        ...         return work.attempt
        ...
        ...     work_id = pool.enqueue_action(None, cloud.function(fetch), {}, retry=True)
        ...     cloud.run_until_idle()
        ...     pool.result(None, work_id).return_value, cloud.now - begun >= timedelta(hours=1)
        (2, True)
    """

    def __init__(self, delay: timedelta, message: str = "") -> None:
        if not isinstance(delay, timedelta):
            raise UsageError("delay", delay, "a timedelta")
        super().__init__(message or f"retry after {delay.total_seconds():g} s")
        self.delay = delay


class Snooze(Exception):
    """Raise in a decorated worker to run again after `delay`, without spending an attempt.

    Needs no retry policy, and is allowed for claimed work items: this start is over, and the next
    one has a claim of its own. After 100 snoozes in a row the work item fails with the `error_type`
    `snoozed_too_often`. An attempt that fails resets the count. The delay has no jitter. A negative
    one counts as zero, one beyond 366 days as 366 days.

    After a request to cancel, the work item ends as canceled instead.

        >>> from datetime import timedelta
        >>> from workpool_aws import Snooze, Work
        >>> from workpool_aws.local import LocalCloud
        >>> ready = iter([False, True])
        >>> with LocalCloud() as cloud:
        ...     pool = cloud.workpool()
        ...
        ...     @pool.action
        ...     def report(work: Work) -> int:
        ...         if not next(ready):
        ...             raise Snooze(timedelta(minutes=10))
        ...         return work.attempt
        ...
        ...     work_id = pool.enqueue_action(None, cloud.function(report), {})
        ...     cloud.run_until_idle()
        ...     pool.result(None, work_id).return_value
        1
    """

    def __init__(self, delay: timedelta, message: str = "") -> None:
        if not isinstance(delay, timedelta):
            raise UsageError("delay", delay, "a timedelta")
        super().__init__(message or f"snoozed for {delay.total_seconds():g} s")
        self.delay = delay


class TimedOut(TimeoutError):
    """Raised in user code when its attempt has run for longer than its own timeout.

    Its process ends a second later.
    """

    def __init__(self, timeout_ms: int) -> None:
        super().__init__(f"it ran for longer than its timeout of {timeout_ms / 1000:g} s")
