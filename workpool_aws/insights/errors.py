"""Groups dead letters by a fingerprint of their error: function, type, and text without values."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.core.views.error_marks import state_under
from workpool_aws.core.views.instants import instant
from workpool_aws.core.views.why.answer import short_name
from workpool_aws.insights.answers import ErrorGroup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workpool_aws.core.views.listing import ListedWork
    from workpool_aws.model.error_marks import ErrorMark, ErrorMarks

__all__ = ["fingerprint_of", "gone", "grouped"]

_CALLBACK: Final = "callback"
_VALUES: Final = (
    (re.compile(r"'[^']*'|\"[^\"]*\""), "'…'"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "#"),
    (re.compile(r"\b(?=\w*\d)\w+\b"), "#"),
)
"""Quoted text, UUIDs, and words with a digit, which differ between occurrences of one error."""


def fingerprint_of(label: str, error_type: str, error: str) -> str:
    """Returns the same short text for errors that differ only in quoted text, ids and numbers."""
    text = error[: limits.FINGERPRINT_CHARACTERS]
    for pattern, mark in _VALUES:
        text = pattern.sub(mark, text)
    return sha256(repr((label, error_type, text)).encode()).hexdigest()[:16]


def grouped(works: Iterable[ListedWork], marks: ErrorMarks | None) -> tuple[ErrorGroup, ...]:
    """Returns the groups: open ones first, then the largest. `works` come with the newest first."""
    found: dict[str, list[ListedWork]] = {}
    for work in works:
        found.setdefault(fingerprint_of(*_error_of(work)), []).append(work)
    by_error = {} if marks is None else {mark.fingerprint: mark for mark in marks.marks}
    groups = [_group(each, members, by_error.get(each)) for each, members in found.items()]
    return tuple(
        sorted(groups, key=lambda each: (each.state != "open", -each.count, each.fingerprint))
    )


def gone(fingerprint: str) -> ErrorGroup:
    """Returns an error of which there are no dead letters any more: its texts are not known."""
    return ErrorGroup(
        fingerprint=fingerprint,
        label="",
        error_type="",
        error="",
        work_ids=(),
        first_at=None,
        last_at=None,
        state="open",
        marked_at=None,
        marked_by=None,
        since=0,
    )


def _error_of(work: ListedWork) -> tuple[str, str, str]:
    """Returns the label, the type and the text of the error for which a work item is dead."""
    label = work.job or short_name(work.target)
    if work.error_type is None or work.outcome != "failed" or work.redriven_as is not None:
        return label, _CALLBACK, "Its callback was given up."
    return label, work.error_type, work.error or ""


def _group(fingerprint: str, members: list[ListedWork], mark: ErrorMark | None) -> ErrorGroup:
    label, error_type, error = _error_of(members[0])
    times = [work.dead_at for work in members if work.dead_at is not None]
    # By the times of the dead letters alone: the caller that sets a mark has another clock.
    later = 0 if mark is None else sum(each > instant(mark.seen) for each in times)
    return ErrorGroup(
        fingerprint=fingerprint,
        label=label,
        error_type=error_type,
        error=error,
        work_ids=tuple(work.work_id for work in members),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        state=state_under(mark, later),
        marked_at=None if mark is None else instant(mark.at),
        marked_by=None if mark is None else mark.by,
        since=later,
    )
