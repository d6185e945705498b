"""Bounds the stored parts of an error: its text and the name of its type.

Both contain only characters that can be stored.
"""

from __future__ import annotations

from workpool_aws.core import limits

__all__ = ["kept_text", "kept_type"]


def kept_text(text: str) -> str:
    """Returns at most `limits.ERROR_TEXT_MAX` characters of an error's text; `…` marks a cut.

    Half a surrogate pair (of an undecodable file name, for example) is spelled by its code, since
    DynamoDB would refuse it together with the report.
    """
    storable = _storable(text, limits.ERROR_TEXT_MAX)
    return (
        storable
        if len(storable) <= limits.ERROR_TEXT_MAX
        else storable[: limits.ERROR_TEXT_MAX - 1] + "…"
    )


def kept_type(name: str) -> str:
    """Returns the name of an error's type, at most `limits.ERROR_TYPE_MAX` characters long."""
    return _storable(name, limits.ERROR_TYPE_MAX)[: limits.ERROR_TYPE_MAX]


def _storable(text: str, limit: int) -> str:
    # One character more than is kept shows that the text is cut. A code is longer than what it
    # spells, so one is enough.
    return text[: limit + 1].encode(errors="backslashreplace").decode()
