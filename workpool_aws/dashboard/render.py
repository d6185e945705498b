"""Renders the dashboard's pages: templates, and the texts of values in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from workpool_aws.core import limits
from workpool_aws.core.views.why.answer import short_name
from workpool_aws.dashboard import texts
from workpool_aws.errors import AlreadyEnqueued, NotFound, UsageError
from workpool_aws.text import as_line, as_text, many

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request

    from workpool_aws.insights.answers import ReadCost

__all__ = ["STATIC", "Pages"]

_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"


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
            pieces=texts.pieces,
            many=many,
            stamp=texts.stamp,
            share=texts.share,
            moment=texts.moment,
            span=texts.span,
            lag=lambda lag_ms: "–" if lag_ms is None else texts.span(lag_ms / 1000),
            short=short_name,
            bars=texts.bars,
            chart=texts.chart,
            dollars=texts.dollars,
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
        values.setdefault("stream", None)
        values.setdefault("bench", getattr(request.app.state, "bench", False))
        root = request.scope.get("root_path", "")
        query = f"?{request.url.query}" if request.url.query else ""
        text = self._environment.get_template(template).render(
            root=root,
            here=f"{request.url.path}{query}",
            now=now,
            cost=cost,
            notice=texts.notice(request.query_params),
            **values,
        )
        return HTMLResponse(text, status_code=status)

    def failure(self, request: Request, error: Exception, *, now: datetime) -> HTMLResponse:
        """Return the page for an error, with a status of its kind."""
        match error:
            case HTTPException():
                status, text = error.status_code, error.detail
            case NotFound():
                status, text = 404, str(error)
            case UsageError():
                status, text = 400, str(error)
            case AlreadyEnqueued():
                status, text = 409, str(error)
            case _:
                status, text = 502, str(error)
        return self.page(request, "error.html", now=now, status=status, error=text)
