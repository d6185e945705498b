"""Texts of values on the dashboard's pages."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from math import floor, log10
from typing import TYPE_CHECKING, Final

from workpool_aws.text import as_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from workpool_aws.core.views.job_stats import JobMinute
    from workpool_aws.core.views.stats import MinuteStats

__all__ = ["bars", "chart", "dollars", "moment", "notice", "pieces", "share", "span", "stamp"]

_UNITS_A_DOLLAR: Final = 8_000_000
"""Strongly consistent on-demand reads in us-east-1: 0.125 dollars a million units."""
_MINUTES: Final = 30
_COUNT: Final = re.compile("[0-9]{1,8}")
_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))
_NOTICES: Final = {
    "canceled": "Canceled or asked to cancel",
    "redriven": "Redriven",
    "limit": "The limit was set",
    "rate": "The rate limit was set",
    "reset": "The override was dropped",
    "paused": "The pool is paused",
    "resumed": "The pool is resumed",
    "error_resolved": "The error is resolved, until it comes again",
    "error_ignored": "The error is ignored",
    "error_opened": "The error is open again",
    "called_off": "Every older work item is canceled",
    "enqueued": "Enqueued",
    "schedule_paused": "The schedule is paused",
    "schedule_resumed": "The schedule is resumed",
    "skipped": "The clock was put forward",
    "failing": "Runs that will fail",
    "killed": "Loops that die at their next call",
    "misbehaving": "Deliveries go wrong at these rates",
}


def notice(query: Mapping[str, str]) -> str | None:
    """Return the result of the act that led to a page. Only known words and numbers come back."""
    words, count = _NOTICES.get(query.get("done", "")), query.get("count", "")
    if words is None:
        return None
    return f"{words}: {count}." if _COUNT.fullmatch(count) else f"{words}."


def pieces(text: str) -> list[str]:
    """Return the parts of a sentence, of which every second one stood between backticks."""
    return as_line(text).split("`")


def stamp(at: datetime | None) -> str:
    """Return a time, to the second."""
    return "–" if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def share(rate: float | None) -> str:
    """Return a rate in percent."""
    return "–" if rate is None else f"{rate:.1%}"


def span(length: timedelta | float | None) -> str:
    """Return a span of time in one unit; a number is one of seconds."""
    if length is None:
        return "–"
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    for size, unit in _SPANS:
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.3g} s"


def moment(at: datetime, now: datetime) -> str:
    """Return the distance of a moment from now, in whole units."""
    seconds = round((at - now).total_seconds())
    if seconds == 0:
        return "now"
    return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"


def dollars(units: float) -> str:
    """Return the price of read units, with two digits that count."""
    price = units / _UNITS_A_DOLLAR
    return f"${price:.{max(2, 1 - floor(log10(price)))}f}" if price else "$0"


@dataclass(frozen=True, slots=True)
class Bar:
    """One minute of a small chart, in its units: 30 minutes are 90 wide, the busiest is 20 high."""

    x: int
    ended: float
    """Height of the attempts that ended."""
    failed: float
    """Height of those with an error."""


def bars(minutes: Sequence[MinuteStats | JobMinute], now: datetime) -> list[Bar]:
    """Return the bars of the last half an hour."""
    counts: list[tuple[int, int, int]] = []
    for each in minutes:
        at = _MINUTES - 1 - int((now - each.began_at).total_seconds() // 60)
        failed = each.failed + each.retried
        if at >= 0 and each.succeeded + failed:
            counts.append((at, each.succeeded + failed, failed))
    unit = 20 / max((ended for _, ended, _ in counts), default=1)
    return [
        Bar(3 * at, round(ended * unit, 1), round(failed * unit, 1)) for at, ended, failed in counts
    ]


def chart(minutes: Sequence[MinuteStats | JobMinute]) -> str:
    """Return the data of the chart of a pool or a job, as JSON made here, so that no number is rounded."""
    return json.dumps(
        {
            "at": [each.began_at.timestamp() for each in minutes],
            "succeeded": [each.succeeded for each in minutes],
            "failed": [each.failed + each.retried for each in minutes],
        }
    )
