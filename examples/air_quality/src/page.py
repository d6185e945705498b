"""The page, for a function URL: the week in a chart, the schedule, its queue, and three buttons.

Drawn on the server. It has no script, and its policy allows none.
"""

import base64
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import plan
import readings
from air import pool
from openweather import LONDON
from view import View, render

from workpool_aws import LambdaContext, NotFound

_STYLE: Final = Path(__file__).with_name("style.css")
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_ACTS: Final[Mapping[str, Callable[[LambdaContext | None, str], object]]] = {
    "/run": pool.run_now,
    "/pause": pool.pause_schedule,
    "/resume": pool.resume_schedule,
}
_RECENT: Final = 8


def handler(event: Mapping[str, Any], context: LambdaContext | None) -> dict[str, Any]:
    """Answer a request of the page. The event has Lambda's payload format 2.0."""
    request = event["requestContext"]
    method, path = request["http"]["method"], event.get("rawPath", "/")
    if method in {"GET", "HEAD"}:
        if path == "/":
            now = datetime.fromtimestamp(request["timeEpoch"] / 1000, UTC)
            return _answer(HTTPStatus.OK, render(look(context, now)), "text/html")
        if path == "/style.css":
            return _answer(HTTPStatus.OK, _STYLE.read_text(encoding="utf-8"), "text/css")
        return _answer(HTTPStatus.NOT_FOUND, "There is one page, at /.")
    if method != "POST" or path not in _ACTS:
        return _answer(HTTPStatus.METHOD_NOT_ALLOWED, "Not here.")
    if read_only():
        return _answer(HTTPStatus.FORBIDDEN, "This page only shows.")
    if not is_own(event.get("headers", {})):
        return _answer(
            HTTPStatus.FORBIDDEN, "The request came from another site. Nothing was done."
        )
    try:
        _ACTS[path](context, plan.NAME)
    except NotFound:
        return _answer(HTTPStatus.NOT_FOUND, "The schedule is not there yet.")
    return _answer(HTTPStatus.SEE_OTHER, "", location="/")


def read_only() -> bool:
    """True if the page has no buttons, for one that everybody may open."""
    return os.environ.get("AIR_READ_ONLY") == "1"


def is_own(headers: Mapping[str, str]) -> bool:
    """True if the page itself made a request: the browser says so, and no other page can change that.

    `Sec-Fetch-Site` says it over HTTPS and to a loopback address. Elsewhere `Origin` has to name
    this host. A request with neither is refused.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(headers.get("origin", "")).netloc
    return bool(origin) and origin == headers.get("host")


def look(context: LambdaContext | None, now: datetime) -> View:
    """Read everything that the page shows."""
    schedules = [each for each in pool.schedules(context) if each.name == plan.NAME]
    return View(
        place=LONDON.name,
        now=now,
        readings=readings.week(LONDON.name, now),
        schedule=schedules[0] if schedules else None,
        stats=pool.stats(context, timedelta(hours=1)),
        recent=pool.list(context, order="newest", limit=_RECENT).items,
        buttons=not read_only(),
        refresh_s=int(os.environ.get("AIR_REFRESH_S", "30")),
    )


def _answer(
    status: HTTPStatus, body: str, kind: str = "text/plain", *, location: str | None = None
) -> dict[str, Any]:
    headers = _HEADERS | {"content-type": f"{kind}; charset=utf-8"}
    if location is not None:
        headers["location"] = location
    # Lambda sends a body that is encoded as the bytes that it stands for.
    encoded = base64.b64encode(body.encode()).decode()
    return {
        "statusCode": status.value,
        "headers": headers,
        "body": encoded,
        "isBase64Encoded": True,
    }
