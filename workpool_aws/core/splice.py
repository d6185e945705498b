"""Verifies stored JSON before it becomes part of an event [WP-28].

Arguments, context and result are put into events as they are spelled, since a second encoding could
spell a number differently. A text that is more than one value could then add keys to the event:
`null,"_workpool":{…}`. Each is therefore parsed first, and spliced only if it is exactly one value.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from workpool_aws.core.payload import JsonValue

__all__ = ["decoded", "one_object", "one_value"]

_BLANKS: Final = " \t\n\r"
"""JSON's own, and no others."""


def one_value(text: str) -> str:
    """Returns the text of exactly one JSON value, without blanks around it.

    Raises ValueError for any other text.
    """
    _parsed(text)
    return text.strip(_BLANKS)


def one_object(text: str, *, reserved: str) -> str:
    """Returns the text of exactly one JSON object that has no key `reserved`, in any spelling.

    Raises ValueError for any other text.
    """
    value = _parsed(text)
    if not isinstance(value, dict):
        raise ValueError("it is not the text of a JSON object")
    if reserved in value:
        raise ValueError(f"it has the key {reserved}, which belongs to the pool")
    return text.strip(_BLANKS)


def decoded(text: str) -> JsonValue:
    """Returns the value of exactly one JSON value.

    Raises ValueError for any other text, or for a value that Python cannot hold (an int of 4,301
    digits).
    """
    try:
        value: JsonValue = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return value


def _parsed(text: str) -> object:
    text.encode()  # half a surrogate pair could not be sent
    try:
        # Numbers are not converted: they stay as they are spelled, and a long one takes long.
        value: object = json.loads(
            text, parse_constant=_refuse, parse_int=_spelled, parse_float=_spelled
        )
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return value


def _spelled(number: str) -> str:
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it has {constant}, which is no JSON")
