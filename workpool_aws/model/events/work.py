"""Events of work items and their attempts."""

from __future__ import annotations

from logging import ERROR, INFO, WARNING

from workpool_aws.model.events.event import WorkEvent


class Enqueued(WorkEvent, level=INFO):
    """A work item was stored and acknowledged."""

    target: str
    kind: str
    delay_ms: int


class Replaced(WorkEvent, level=INFO):
    """A pending work item got other arguments, and another due time, by its unique key."""

    rev: int
    """Number of its replacements so far."""


class Started(WorkEvent, level=INFO):
    """A worker was invoked."""

    attempt: int
    lag_ms: int
    """From the due time to the start write; of a start that the worker makes, to the invoke."""


class StartUnanswered(WorkEvent, level=WARNING):
    """Lambda did not answer an invoke: the worker may run or not.

    Its report, or recovery after the deadline, decides.
    """

    start: int
    error: str


class DuplicateRefused(WorkEvent, level=INFO):
    """A second or late delivery of a start was turned away before user code ran."""

    start: int
    reason: str


class AttemptRaised(WorkEvent, level=WARNING):
    """A decorated worker's function raised.

    The error's text is left out, because it may quote arguments; the work item's result has it.
    """

    attempt: int
    error_type: str
    stack: str
    """The frames of the traceback, the innermost last."""


class CancelAsked(WorkEvent, level=INFO):
    """A caller canceled a work item that was not finished."""

    answer: str


class Expired(WorkEvent, level=WARNING):
    """A work item failed without a further start, since its time to start was over."""

    late_ms: int
    """From the end of that time to this one."""


class Completed(WorkEvent, level=INFO):
    """A work item reached its end."""

    outcome: str
    attempts_made: int
    error_type: str | None
    lag_ms: int | None = None
    """Time from due to the start write of its last start, after which a decorated worker runs user code.
    `None` means that the end was written without a look at the work item."""


class Retrying(WorkEvent, level=INFO):
    """An attempt failed and another one will follow."""

    attempts_made: int
    delay_ms: int
    error_type: str | None


class PutBack(WorkEvent, level=WARNING):
    """A start was never delivered; the work item is pending again, and no attempt is spent."""

    undelivered: int
    delay_ms: int
    reason: str


class Snoozed(WorkEvent, level=INFO):
    """A worker asked to be run again later.

    The work item is pending again, and no attempt is spent.
    """

    snoozes: int
    """In a row, this one included."""
    delay_ms: int


class ReportIgnored(WorkEvent, level=INFO):
    """A late or duplicate report changed nothing."""

    start: int
    reason: str


class ReportUnproven(WorkEvent, level=WARNING):
    """A report or an acknowledgement without the secret of what it names changed nothing.

    It was forged, or lost the secret.
    """

    by: str
    """The kind of reporter that it came through."""


class Recovered(WorkEvent, level=WARNING):
    """A start that never reported was judged lost."""

    start: int


class RecordUnreadable(WorkEvent, level=ERROR):
    """A destination record with this library's mark could not be read: recovery ends its start.

    `pool` and `work_id` may be empty.
    """

    reason: str


class Redriven(WorkEvent, level=INFO):
    """A new work item was made from one that had failed for good."""

    redrive_of: str
    target: str
