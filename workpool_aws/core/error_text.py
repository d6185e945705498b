"""Bounds what is kept of an error.

Its text and the name of its type, in characters that can be stored.
"""

from __future__ import annotations

from workpool_aws.core import limits

__all__ = ["kept_text", "kept_type"]


def kept_text(text: str) -> str:
    """At most `limits.ERROR_TEXT_MAX` characters of an error's text; `…` marks a cut.

    Half a surrogate pair (of an undecodable file name, say), which DynamoDB would refuse together
    with the report, is spelled by its code.
    """
    storable = _storable(text, limits.ERROR_TEXT_MAX)
    return (
        storable
        if len(storable) <= limits.ERROR_TEXT_MAX
        else storable[: limits.ERROR_TEXT_MAX - 1] + "…"
    )


def kept_type(name: str) -> str:
    """Return the name of an error's type, at most `limits.ERROR_TYPE_MAX` characters long."""
    return _storable(name, limits.ERROR_TYPE_MAX)[: limits.ERROR_TYPE_MAX]


def _storable(text: str, limit: int) -> str:
    # One character more than is kept, which tells that there were more. A code is longer than what
    # it spells, so that is enough.
    return text[: limit + 1].encode(errors="backslashreplace").decode()
