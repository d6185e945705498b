"""Encodes what a handler returns as Lambda's runtime for Python does.

Modelled on `lambda_runtime_marshaller.py` of aws/aws-lambda-python-runtime-interface-client 4.0,
which encodes by simplejson: beyond the standard library, `Decimal` is a number, `bytes` are text,
and whatever has `_asdict` (a named tuple) is an object. NaN and the infinities are written as such,
although they are no JSON.
"""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import TYPE_CHECKING, Final

from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ASCII_ONLY", "marshal", "text_of"]

ASCII_ONLY: Final = sys.version_info < (3, 12)
"""From Python 3.12 on, Lambda's runtime writes other characters as they are."""
_text: Final[Callable[[str], str]] = encode_basestring_ascii if ASCII_ONLY else encode_basestring


def marshal(value: object) -> str:
    """Return JSON text of a value.

    Raises:
        Exception: it cannot be encoded, or code of its own raised.
    """
    return _Encoder(set()).text(value)


def text_of(value: bytes) -> str:
    """Return bytes that a handler returned as text, which is all that a destination's record holds.

    A waiting caller gets them as they are.
    """
    return value.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class _Encoder:
    """Encodes values inside of others; those by their identities, to notice a circle."""

    inside: set[int]

    def text(self, value: object) -> str:
        """Return JSON text of a value inside of these."""
        inside = self.inside
        scalar = _scalar(value)
        if scalar is not None:
            return scalar
        if id(value) in inside:
            raise ValueError("Circular reference detected")
        inside.add(id(value))
        as_dict = getattr(value, "_asdict", None)
        if callable(as_dict):
            fields = as_dict()
            if not isinstance(fields, dict):
                raise TypeError(f"_asdict() must return a dict, not {type(fields).__name__}")
            text = self._object(fields)
        elif isinstance(value, list | tuple):
            text = self._array(value)
        elif isinstance(value, dict):
            text = self._object(value)
        else:
            raise TypeError(f"Object of type {value.__class__.__name__} is not JSON serializable")
        inside.discard(id(value))
        return text

    def _array(self, values: list[object] | tuple[object, ...]) -> str:
        parts: list[str] = []
        for value in values:
            parts.append(self.text(value))  # noqa: PERF401 - a comprehension would need a frame more for each level
        return f"[{', '.join(parts)}]"

    def _object(self, fields: dict[object, object]) -> str:
        parts: list[str] = []
        for name, value in fields.items():
            parts.append(f"{_text(self._key(name))}: {self.text(value)}")
        return f"{{{', '.join(parts)}}}"

    @staticmethod
    def _key(name: object) -> str:
        match name:
            case str():
                return name
            case bytes():
                return name.decode()
            case float():
                return _number(name)
            case None | bool() | int():
                return _scalar(name) or ""
            case _:
                raise TypeError(
                    f"keys must be str, int, float, bool or None, not {name.__class__.__name__}"
                )


def _scalar(value: object) -> str | None:
    """Return the text of what holds nothing else.

    `None` means that it holds something, or cannot be encoded.
    """
    match value:
        case str():
            return _text(value)
        case bytes():
            return _text(value.decode())
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return int.__repr__(value)
        case float():
            return _number(value)
        case Decimal():
            return "NaN" if value.is_nan() else str(value)
        case _:
            return None


def _number(value: float) -> str:
    if math.isfinite(value):
        return float.__repr__(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
