"""Owns what a worker makes of its own run: whether it may begin, and what a return value or an exception is reported as."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from workpool_aws.core import limits
from workpool_aws.core.payload import encode_result
from workpool_aws.errors import NON_RETRYABLE_MARKER, RetryLater
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Assignment, Report, ReportKind

__all__ = ["is_too_late", "report_invalid_arguments", "report_not_run", "report_raised", "report_returned"]

_TYPE_NAME_MAX: Final = 200
_MILLISECOND: Final = timedelta(milliseconds=1)
_DELAY_MAX: Final = timedelta(milliseconds=limits.DELAY_MS_MAX)


def is_too_late(assignment: Assignment, *, now: EpochMs) -> bool:
    """Whether this start may not run any more: the time it was given may not suffice before recovery judges it [WP-14]."""
    return now > assignment.start_by


def report_not_run(reason: str, *, claim: str | None = None) -> Report:
    """No user code ran for this start, and none will: put it back, no attempt is spent. `claim`: a token that may be on the work."""
    return Report(kind=ReportKind.NEVER_DELIVERED, error=reason, claim=claim)


def report_invalid_arguments(problems: Sequence[str], *, claim: str | None) -> Report:
    """The arguments do not fit the function: no attempt could ever succeed."""
    return Report(
        kind=ReportKind.FAILED,
        error=_cut("; ".join(problems)),
        error_type="invalid_arguments",
        retryable=False,
        claim=claim,
    )


def report_raised(error: Exception, *, claim: str | None) -> Report:
    """What an exception of the function's means. `NonRetryableError` and the marker win over `RetryLater`.

    A delay beyond a year counts as a year: what lies further ahead than an enqueue may ask for cannot be stored as a due time.
    """
    retryable = not getattr(error, NON_RETRYABLE_MARKER, False)
    delay_ms = None
    if retryable and isinstance(error, RetryLater):
        delay_ms = -(-min(max(error.delay, timedelta(0)), _DELAY_MAX) // _MILLISECOND)
    return Report(
        kind=ReportKind.FAILED,
        error=_cut(_text_of(error)),
        error_type=type(error).__name__[:_TYPE_NAME_MAX],
        retryable=retryable,
        delay_ms=delay_ms,
        claim=claim,
    )


def report_returned(value: object, *, claim: str | None) -> Report:
    """What a return value means: a success, or `invalid_result` when it is not JSON or too large: never retried, the function ran."""
    try:
        return Report(kind=ReportKind.SUCCESS, result=encode_result(value, limits.PAYLOAD_BYTES_MAX), claim=claim)
    except Exception as error:  # noqa: BLE001 - also whatever the value's own code raises while it is turned into JSON
        return Report(
            kind=ReportKind.FAILED,
            error=_cut(_text_of(error)),
            error_type="invalid_result",
            retryable=False,
            claim=claim,
        )


def _text_of(error: Exception) -> str:
    try:
        return str(error) or repr(error)
    except Exception as unprintable:  # noqa: BLE001 - an exception's own __str__ may fail, and its failure must be reported all the same
        return f"{type(error).__name__} (its text could not be read: {type(unprintable).__name__})"


def _cut(text: str) -> str:
    # Lone surrogates (from undecodable file names, say) cannot be stored.
    storable = text.encode("utf-8", "backslashreplace").decode()
    if len(storable) <= limits.ERROR_TEXT_MAX:
        return storable
    return storable[: limits.ERROR_TEXT_MAX - 1] + "…"
