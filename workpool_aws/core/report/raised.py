"""Reads exceptions of a user's function. Nothing here raises, whatever their own code does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.core.error_text import kept_type
from workpool_aws.errors import NON_RETRYABLE_MARKER, NonRetryableError, RetryLater, Snooze
from workpool_aws.text import answer_or

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["delay_of", "is_final", "leaves_of", "text_of", "text_with_causes", "type_name"]

_MILLISECOND: Final = timedelta(milliseconds=1)
_DELAY_MAX: Final = timedelta(milliseconds=limits.DELAY_MS_MAX)
_PARTS_OF: Final[Callable[[BaseException], tuple[BaseException, ...]]] = (
    BaseExceptionGroup.exceptions.__get__
)
_NAME_OF: Final[Callable[[type], str]] = type.__dict__["__name__"].__get__


def type_name(error: BaseException) -> str:
    """Returns the name of an exception's class, without running code of its metaclass."""
    return kept_type(_NAME_OF(type(error)))


def leaves_of(error: BaseException) -> Iterator[BaseException]:
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


def is_final(error: BaseException) -> bool:
    """True if the error forbids another attempt, by its class or by the marker."""
    # An attribute of the instance or its class counts. A `__getattr__` may answer anything.
    return isinstance(error, NonRetryableError) or answer_or(
        default=False, ask=lambda: bool(object.__getattribute__(error, NON_RETRYABLE_MARKER))
    )


def delay_of(error: BaseException) -> int | None:
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


def text_with_causes(error: BaseException, causes: Sequence[BaseException]) -> str:
    """Returns the text of an error. That of a group has the texts of its first errors."""
    text = text_of(error)
    if not isinstance(error, BaseExceptionGroup):
        return text
    texts = [f"{type_name(each)}: {text_of(each)}" for each in causes[: limits.ERROR_CAUSES_MAX]]
    more = (
        [f"and {len(causes) - limits.ERROR_CAUSES_MAX} more"]
        if len(causes) > limits.ERROR_CAUSES_MAX
        else []
    )
    return "; ".join([f"{text}: {texts[0]}", *texts[1:], *more]) if texts else text


def text_of(error: BaseException) -> str:
    """Returns the text of an error, or else why it cannot be read."""
    try:
        # Past what a subclass of str makes of these calls; and cut before it is joined to others.
        text = str.__str__(str(error)) or str.__str__(repr(error)) or type_name(error)
        return text[: limits.ERROR_TEXT_MAX + 1]
    except BaseException as unprintable:  # noqa: BLE001 - an exception's own __str__ may fail, and its failure must be reported all the same
        return f"{type_name(error)} (its text could not be read: {type_name(unprintable)})"
