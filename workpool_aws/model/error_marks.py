"""Marks of people on the errors of a pool: resolved, or ignored."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from workpool_aws.model.record import Record
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs

__all__ = ["ErrorMark", "ErrorMarks", "MarkKind"]


class MarkKind(StrEnum):
    """Statement of a person about one error."""

    RESOLVED = "resolved"
    """Its cause is mended. A later dead letter opens it again."""
    IGNORED = "ignored"
    """It needs no one, however often it comes."""


class ErrorMark(NamedTuple):
    """The mark of one error."""

    fingerprint: str
    """The fingerprint of the error (`insights/errors.py`): 16 hexadecimal digits."""
    kind: MarkKind
    at: EpochMs
    seen: EpochMs
    """The time of the newest dead letter with it that was known then. Later ones open a resolved error."""
    by: str
    """The caller that set it, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorMarks(Record):
    """The marks of a pool's errors, the oldest first.

    Written by: people who mark an error. Read by: views of errors, and nothing that runs work items.
    Removed by: nothing; a full item drops its oldest mark. An item of its own, because the config,
    which people write, too, is read by every pass.
    """

    pool: str
    version: int
    """Raised by each write."""
    marks: tuple[ErrorMark, ...] = ()
