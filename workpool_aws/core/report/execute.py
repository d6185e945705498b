"""Decides if a worker may begin, and reports its return value or exception."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.core.error_text import kept_text, kept_type
from workpool_aws.core.payload import encode_result
from workpool_aws.errors import (
    NON_RETRYABLE_MARKER,
    NonRetryableError,
    RetryLater,
    Snooze,
    UsageError,
)
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.text import answer_or

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workpool_aws.model.ids import EpochMs

__all__ = [
    "is_too_late",
    "report_invalid_arguments",
    "report_not_run",
    "report_raised",
    "report_returned",
    "type_name",
]

_MILLISECOND: Final = timedelta(milliseconds=1)
_DELAY_MAX: Final = timedelta(milliseconds=limits.DELAY_MS_MAX)
_PARTS_OF: Final[Callable[[BaseException], tuple[BaseException, ...]]] = (
    BaseExceptionGroup.exceptions.__get__
)
_NAME_OF: Final[Callable[[type], str]] = type.__dict__["__name__"].__get__


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
    causes = list(_leaves_of(error))
    snoozed = all(isinstance(each, Snooze) for each in causes)
    retryable = not any(_is_final(each) for each in (error, *causes))
    delays = (
        [delay for each in causes if (delay := _delay_of(each)) is not None] if retryable else []
    )
    return Report(
        kind=ReportKind.SNOOZED if snoozed and retryable else ReportKind.FAILED,
        error=kept_text(_text_with_causes(error, causes)),
        error_type=type_name(error),
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
                _text_of(error)
                if isinstance(error, UsageError)
                else f"result: its own code raised {type_name(error)}"
            ),
            error_type="invalid_result",
            retryable=False,
            claim=claim,
        )


def type_name(error: BaseException) -> str:
    """Returns the name of an exception's class, without running code of its metaclass."""
    return kept_type(_NAME_OF(type(error)))


def _leaves_of(error: BaseException) -> Iterator[BaseException]:
    """Yields the errors in a group that are not groups, at any depth.

    An error that is no group is its own leaf.
    """
    seen: set[int] = set()
    left = [error]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue  # groups that share groups unfold to more than anyone could look at
        seen.add(id(each))
        if isinstance(each, BaseExceptionGroup):
            # Past a property of the same name, which may do anything.
            left.extend(reversed(_PARTS_OF(each)))
        else:
            yield each


def _is_final(error: BaseException) -> bool:
    # What the instance or its class has, and no answer of a `__getattr__`, which may answer
    # anything.
    return isinstance(error, NonRetryableError) or answer_or(
        default=False, ask=lambda: bool(object.__getattribute__(error, NON_RETRYABLE_MARKER))
    )


def _delay_of(error: BaseException) -> int | None:
    """Returns the delay in milliseconds.

    `None` means that the policy decides: the error names no delay, or one that is no timedelta.
    """
    if not isinstance(error, RetryLater | Snooze):
        return None

    def delay_ms() -> int | None:
        delay = object.__getattribute__(error, "delay")
        if not isinstance(delay, timedelta):
            return None
        return -(-min(max(delay, timedelta(0)), _DELAY_MAX) // _MILLISECOND)

    # A subclass may call no base `__init__`, or make the delay a property.
    return answer_or(None, delay_ms)


def _text_with_causes(error: BaseException, causes: Sequence[BaseException]) -> str:
    text = _text_of(error)
    if not isinstance(error, BaseExceptionGroup):
        return text
    told = [f"{type_name(each)}: {_text_of(each)}" for each in causes[: limits.ERROR_CAUSES_MAX]]
    more = (
        [f"and {len(causes) - limits.ERROR_CAUSES_MAX} more"]
        if len(causes) > limits.ERROR_CAUSES_MAX
        else []
    )
    return "; ".join([f"{text}: {told[0]}", *told[1:], *more]) if told else text


def _text_of(error: BaseException) -> str:
    try:
        # Past what a subclass of str makes of these calls; and cut before it is joined to others.
        text = str.__str__(str(error)) or str.__str__(repr(error)) or type_name(error)
        return text[: limits.ERROR_TEXT_MAX + 1]
    except BaseException as unprintable:  # noqa: BLE001 - an exception's own __str__ may fail, and its failure must be reported all the same
        return f"{type_name(error)} (its text could not be read: {type_name(unprintable)})"
