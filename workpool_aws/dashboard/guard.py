"""Guards of the dashboard: headers of every answer, and the origin of every act.

A page of another site can make a browser send requests here. It can read none of the answers, and
its acts are refused: a browser names the origin of a request, and no page can change that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from workpool_aws.core import limits

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOOPBACK", "GuardHeaders", "form_of", "is_own_request"]

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
"""The hosts that a dashboard answers to unless others are named."""
_FIELDS_MAX: Final = limits.BULK_FORM_MAX + 20
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class GuardHeaders:
    """Adds the guard's headers to every answer. Only static files may be cached."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application around the one given."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                if "etag" not in headers:
                    headers["cache-control"] = "no-store"
            await send(message)

        await self._app(scope, receive, guarded)


async def form_of(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form, of which no more is read than one may have.

    Raises HTTPException for a form that is too large or damaged.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.FORM_BYTES_MAX:
            raise HTTPException(413, "The form is too large. Nothing was changed.")
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError as error:
        raise HTTPException(400, "The form is damaged. Nothing was changed.") from error


def is_own_request(request: Request) -> bool:
    """True if a page of the dashboard itself made the request.

    `Sec-Fetch-Site` says so. Browsers send it to a loopback address and over HTTPS; elsewhere
    `Origin` has to name this host. A request with neither is refused.
    """
    headers = Headers(scope=request.scope)
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return headers.get("origin") == f"{request.url.scheme}://{headers.get('host')}"
