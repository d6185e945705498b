"""Decides about marks of errors: the marks after a change, and the state of an error under one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, get_args

from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.model.error_marks import ErrorMark, ErrorMarks, MarkKind

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs

__all__ = ["ErrorState", "check_mark", "marked", "state_under"]

ErrorState = Literal["open", "resolved", "ignored"]

_STATES: Final = get_args(ErrorState)
_FINGERPRINT: Final = re.compile("[0-9a-f]{16}", re.ASCII)


def check_mark(fingerprint: object, state: object) -> tuple[str, ErrorState]:
    """Returns the checked fingerprint and state. Raises UsageError for one that is not allowed."""
    if not isinstance(fingerprint, str) or _FINGERPRINT.fullmatch(fingerprint) is None:
        raise UsageError("fingerprint", fingerprint, "16 hexadecimal digits, as a list shows it")
    for known in _STATES:
        if known == state:
            return fingerprint, known
    raise UsageError("state", state, f"one of {', '.join(_STATES)}")


def marked(
    old: ErrorMarks | None,
    pool: str,
    fingerprint: str,
    state: ErrorState,
    *,
    by: str,
    now: EpochMs,
    seen: EpochMs,
) -> ErrorMarks:
    """Returns the marks of a pool after a change; `open` removes the mark of an error.

    `seen`: the time of the newest dead letter with it. A full list drops its oldest mark, whose error is
    open again.
    """
    before = () if old is None else old.marks
    marks = [mark for mark in before if mark.fingerprint != fingerprint]
    if state != "open":
        author = by[: limits.MARK_AUTHOR_MAX] or "unknown"
        marks.append(ErrorMark(fingerprint, MarkKind(state), now, seen, author))
    version = 1 if old is None else old.version + 1
    return ErrorMarks(pool=pool, version=version, marks=tuple(marks[-limits.ERROR_MARKS_MAX :]))


def state_under(mark: ErrorMark | None, later: int) -> ErrorState:
    """Returns the state of an error with `later` dead letters since its mark."""
    if mark is None or (mark.kind is MarkKind.RESOLVED and later):
        return "open"
    return "resolved" if mark.kind is MarkKind.RESOLVED else "ignored"
