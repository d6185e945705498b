"""Times as people type them: an ISO time in UTC, or a span before now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from workpool_aws.errors import UsageError

__all__ = ["moment_of", "span_of"]

_SPAN: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_SPANS: Final = "a span such as 90s, 15m, 2h or 3d"
_MOMENTS: Final = "an ISO time, or a span before now such as 90s, 15m, 2h or 3d"


def span_of(field: str, text: str) -> timedelta:
    """Returns the span that a text means.

    Raises UsageError for a text that means none.

        >>> str(span_of("run_after", "90s"))
        '0:01:30'
    """
    span = _SPAN.fullmatch(text)
    if span is None:
        raise UsageError(field, text, _SPANS)
    return int(span[1]) * _UNITS[span[2]]


def moment_of(field: str, text: str, now: datetime) -> datetime:
    """Returns the time that a text means; without an offset it is one in UTC.

    Raises UsageError for a text that means none.

        >>> now = datetime(2026, 1, 2, tzinfo=UTC)
        >>> str(moment_of("since", "2h", now)), str(moment_of("since", "2026-01-01T10:00", now))
        ('2026-01-01 22:00:00+00:00', '2026-01-01 10:00:00+00:00')
    """
    try:
        at = now - span_of(field, text) if _SPAN.fullmatch(text) else datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(field, text, _MOMENTS) from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
