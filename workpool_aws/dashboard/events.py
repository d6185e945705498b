"""Server-sent events by which an open page refreshes itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["refreshes"]

_EVERY_S: Final = (2, 5, 15, 60)
_EVENTS_MAX: Final = 120
"""A stream ends after so many, so that none outlives its page for long. The page opens another."""


async def refreshes(request: Request) -> Response:
    """Return a stream with an event each time that the page should read again."""
    asked = request.query_params.get("every", "")
    every_s = int(asked) if asked in map(str, _EVERY_S) else _EVERY_S[1]
    return StreamingResponse(_events(every_s), media_type="text/event-stream")


async def _events(every_s: int) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    for _ in range(_EVENTS_MAX):
        await asyncio.sleep(every_s)
        yield "event: refresh\ndata:\n\n"
