"""A browser without scripts, for an ASGI application in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from starlette.types import ASGIApp


class Client:
    """Makes requests of an application, each in an event loop of its own, and follows redirects."""

    def __init__(
        self, app: ASGIApp, *, base_url: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._app = app
        self._base_url = base_url
        self._headers = headers or {}

    def get(self, url: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._request("GET", url, options))

    def post(self, url: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._request("POST", url, options))

    async def _request(self, method: str, url: str, options: dict[str, Any]) -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self._app),
            base_url=self._base_url,
            headers=self._headers,
            follow_redirects=True,
        ) as client:
            return await client.request(method, url, **options)
