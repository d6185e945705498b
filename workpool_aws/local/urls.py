"""Recognises URLs of engines."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["is_endpoint"]


def is_endpoint(text: str) -> bool:
    """Return True for the URL of a DynamoDB endpoint, such as `http://localhost:8000`."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
