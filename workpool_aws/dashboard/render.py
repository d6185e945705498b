"""Renders the dashboard's pages: templates, and the texts of values in them."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from workpool_aws.core import limits
from workpool_aws.core.views.why.answer import short_name
from workpool_aws.text import as_line, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from workpool_aws.core.views.stats import MinuteStats
    from workpool_aws.insights.answers import ReadCost

__all__ = ["STATIC", "Pages"]

_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"
_UNITS_A_DOLLAR: Final = 8_000_000
"""Strongly consistent on-demand reads in us-east-1: 0.125 dollars a million units."""
_COUNT: Final = re.compile("[0-9]{1,8}")

_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


class Pages:
    """Renders templates for one dashboard.

    Foreign text is escaped, and its invisible and reordering characters are spelled out.
    """

    def __init__(self, *, table: str, read_only: bool) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            line=as_line,
            text=as_text,
            cut=lambda text: as_line(text, limit=limits.WHY_ERROR_MAX),
            stamp=_stamp,
            share=_share,
            moment=_moment,
            span=_span,
            lag=lambda lag_ms: "–" if lag_ms is None else _span(lag_ms / 1000),
            short=short_name,
            chart=_chart,
            dollars=_dollars,
        )
        self._environment.globals.update(table=table, read_only=read_only)

    def page(
        self,
        request: Request,
        template: str,
        *,
        now: datetime,
        status: int = 200,
        cost: ReadCost | None = None,
        **values: object,
    ) -> HTMLResponse:
        """Return a page. `cost` is shown on it; `None` means that nothing was read."""
        values.setdefault("bench", getattr(request.app.state, "bench", False))
        root = request.scope.get("root_path", "")
        query = f"?{request.url.query}" if request.url.query else ""
        text = self._environment.get_template(template).render(
            root=root,
            here=f"{request.url.path}{query}",
            now=now,
            cost=cost,
            notice=_notice_of(request),
            **values,
        )
        return HTMLResponse(text, status_code=status)


def _notice_of(request: Request) -> str | None:
    """Return the result of the act that led here. Only known words and numbers come back."""
    done, count = request.query_params.get("done"), request.query_params.get("count", "")
    words = {
        "canceled": "Canceled or asked to cancel",
        "redriven": "Redriven",
        "limit": "The limit was set",
        "reset": "The override was dropped",
        "paused": "The pool is paused",
        "resumed": "The pool is resumed",
        "called_off": "Every older work item is canceled",
        "skipped": "The clock was put forward",
        "failing": "Runs that will fail",
        "misbehaving": "Deliveries go wrong at these rates",
    }.get(done or "")
    if words is None:
        return None
    return f"{words}: {count}." if _COUNT.fullmatch(count) else f"{words}."


def _stamp(at: datetime | None) -> str:
    return "–" if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def _share(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.1%}"


def _span(span: timedelta | float | None) -> str:
    """Return a span of time in one unit; a number is one of seconds."""
    if span is None:
        return "–"
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    for size, unit in _SPANS:
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.3g} s"


def _moment(at: datetime, now: datetime) -> str:
    """Return the distance of a moment from now, in whole units."""
    seconds = round((at - now).total_seconds())
    if seconds == 0:
        return "now"
    return f"in {_span(seconds)}" if seconds > 0 else f"{_span(-seconds)} ago"


def _dollars(units: float) -> str:
    return f"${units / _UNITS_A_DOLLAR:.6f}"


def _chart(minutes: Sequence[MinuteStats]) -> str:
    """Return the data of the chart of a pool, as JSON made here, so that no number is rounded."""
    return json.dumps(
        {
            "at": [each.began_at.timestamp() for each in minutes],
            "succeeded": [each.succeeded for each in minutes],
            "failed": [each.failed + each.retried for each in minutes],
            "lag": [each.start_lag_p95_ms for each in minutes],
        }
    )
