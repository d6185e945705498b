"""Guards of the dashboard: headers of every answer, and the origin of every act.

A page of another site can make a browser send requests here. It can read none of the answers, and
its acts are refused: a browser names the origin of a request, and no page can change that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOOPBACK", "GuardHeaders", "is_own_request"]

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
"""The hosts that a dashboard answers to unless others are named."""
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
