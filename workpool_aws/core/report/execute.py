"""Decides if a worker may begin, and reports its return value or exception."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.error_text import kept_text
from workpool_aws.core.payload import encode_result
from workpool_aws.core.report.raised import (
    delay_of,
    is_final,
    leaves_of,
    text_of,
    text_with_causes,
    type_name,
)
from workpool_aws.errors import Snooze, TimedOut, UsageError
from workpool_aws.model.messages import Assignment, Report, ReportKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.model.ids import EpochMs

__all__ = [
    "is_too_late",
    "report_invalid_arguments",
    "report_not_run",
    "report_raised",
    "report_returned",
    "report_unknown_job",
]


def is_too_late(assignment: Assignment, *, now: EpochMs) -> bool:
    """True if this start may not run any more.

    Its time may not suffice before recovery judges it [WP-14].
    """
    return now > assignment.start_by


def report_not_run(reason: str, *, claim: str | None = None) -> Report:
    """Returns the report that no user code ran for this start, and none will. It is requeued.

    `claim`: a token that may be on the work item.
    """
    return Report(kind=ReportKind.NEVER_DELIVERED, error=reason, claim=claim)


def report_unknown_job(job: str, known: Sequence[str], *, claim: str | None) -> Report:
    """Returns the failure for a job that the function does not have. No user code ran."""
    return Report(
        kind=ReportKind.FAILED,
        error=kept_text(
            f"the function has no job {job!r}; its jobs are {', '.join(sorted(known))}"
        ),
        error_type="not_invocable",
        retryable=False,
        claim=claim,
    )


def report_invalid_arguments(problems: Sequence[str], *, claim: str | None) -> Report:
    """Returns the failure for arguments that do not fit the function.

    No attempt could ever succeed.
    """
    return Report(
        kind=ReportKind.FAILED,
        error=kept_text("; ".join(problems)),
        error_type="invalid_arguments",
        retryable=False,
        claim=claim,
    )


def report_raised(error: Exception, *, claim: str | None) -> Report:
    """Returns the report of an exception that the function raised.

    Never raises, whatever the exception's own code does. In a group every exception counts, at any
    depth. `NonRetryableError` and the marker win over `RetryLater`, and the longest of several
    delays counts. A delay beyond a year counts as a year, since a later due time cannot be stored.
    A `Snooze`, or a group of nothing else, is no failure. Beside other errors it is an ordinary
    error.
    """
    causes = list(leaves_of(error))
    snoozed = all(isinstance(each, Snooze) for each in causes)
    retryable = not any(is_final(each) for each in (error, *causes))
    delays = (
        [delay for each in causes if (delay := delay_of(each)) is not None] if retryable else []
    )
    return Report(
        kind=ReportKind.SNOOZED if snoozed and retryable else ReportKind.FAILED,
        error=kept_text(text_with_causes(error, causes)),
        error_type="timeout" if isinstance(error, TimedOut) else type_name(error),
        retryable=retryable,
        delay_ms=max(delays, default=None),
        claim=claim,
    )


def report_returned(value: object, *, claim: str | None) -> Report:
    """Returns the report of a return value: a success, or `invalid_result`.

    A value that is not JSON, or too large, is never retried, since the function ran.
    """
    try:
        return Report(
            kind=ReportKind.SUCCESS,
            result=encode_result(value, limits.PAYLOAD_BYTES_MAX),
            claim=claim,
        )
    except BaseException as error:  # noqa: BLE001 - also whatever the value's own code raises while it is turned into JSON: the function ran
        return Report(
            kind=ReportKind.FAILED,
            error=kept_text(
                text_of(error)
                if isinstance(error, UsageError)
                else f"result: its own code raised {type_name(error)}"
            ),
            error_type="invalid_result",
            retryable=False,
            claim=claim,
        )
