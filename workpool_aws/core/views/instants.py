"""Times as people and programs outside of the package read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.model.ids import EpochMs

__all__ = ["instant", "moment_in", "stamp"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at: EpochMs) -> datetime:
    """Returns the same moment as an aware datetime in UTC."""
    return _EPOCH + timedelta(milliseconds=at)


def stamp(at: EpochMs) -> str:
    """Returns a time in UTC as text, to the second."""
    return instant(at).strftime("%Y-%m-%d %H:%M:%SZ")


def moment_in(field: str, value: object) -> EpochMs | None:
    """Returns a time that a caller gave; `None` stays `None`. Raises UsageError for anything else."""
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise UsageError(field, value, "a timezone-aware datetime, or None")
    at = (value - _EPOCH) // timedelta(milliseconds=1)
    if not 0 < at < limits.STORED_WORK_MS_BELOW:
        raise UsageError(field, value, "between 1970 and 9998")
    return EpochMs(at)
