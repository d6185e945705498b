"""Times as people and programs outside of the package read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs

__all__ = ["instant", "stamp"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at: EpochMs) -> datetime:
    """Returns the same moment as an aware datetime in UTC."""
    return _EPOCH + timedelta(milliseconds=at)


def stamp(at: EpochMs) -> str:
    """Returns a time in UTC as text, to the second."""
    return instant(at).strftime("%Y-%m-%d %H:%M:%SZ")
