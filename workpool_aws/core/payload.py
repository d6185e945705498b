"""Encodes payloads as JSON, within a size, and names the path of a value that is refused.

A refusal names the place and the type of a value, never the value, since its text ends up in logs
and in the work item's `error`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

from workpool_aws.core import limits
from workpool_aws.core.pydantic_values import (
    HIDDEN,
    dumped,
    is_secret,
    is_word,
    path_to,
    serializer_of,
    word,
)
from workpool_aws.errors import PayloadTooLarge, UsageError
from workpool_aws.model.names import RESERVED_KEY
from workpool_aws.text import Words, kind_of

__all__ = [
    "JsonValue",
    "checked_json",
    "encode_object",
    "encode_result",
    "encode_value",
]

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]
"""A JSON value, as Python has it after decoding."""

_INT_BITS_MAX: Final = 14_284
"""4,300 decimal digits, which Python itself prints and reads at most."""
_GIVE_UP_FACTOR: Final = 16
"""A value this many times too large is not measured to its end."""
_ANY_SIZE: Final = 6 * 1024 * 1024
"""More than any event that Lambda takes."""
_PLAIN: Final = "a JSON value: str, int, float, bool, None, or a list or dict of them"


def encode_object(value: object, field: str, limit: int, *, opens_words: bool = False) -> str:
    """Returns compact JSON of a mapping with str keys.

    Decoding it gives an equal value, except that tuples become lists. Pydantic models and
    dataclasses become objects, at any place, and also as the whole. With `opens_words`, dates,
    times, durations, Decimals, UUIDs and enumerations are written as in a result, for a reader
    whose annotations read them back.

    Raises:
        PayloadTooLarge: more than `limit` bytes of UTF-8.
        UsageError: something in it is not JSON; the message names its path, as in
            `args.items[2].price`.
    """
    plain = _Walk(field, limit, opens_words=opens_words).visit(value, field, 0)
    if not isinstance(plain, dict):
        raise UsageError(field, kind_of(value), "a JSON object: a dict with str keys")
    if RESERVED_KEY in plain:
        raise UsageError(
            f"{field}.{RESERVED_KEY}",
            kind_of(plain[RESERVED_KEY]),
            "absent, since the pool keeps this key for itself",
        )
    return _encode(plain, field, limit)


def encode_value(value: object, field: str, limit: int) -> str:
    """Returns compact JSON of any JSON value, as `encode_object`."""
    return _encode(_Walk(field, limit, opens_words=False).visit(value, field, 0), field, limit)


def checked_json(value: object, field: str) -> JsonValue:
    """Returns a decoded JSON value.

    Raises UsageError if something in it is not JSON.
    """
    return _Walk(field, _ANY_SIZE, opens_words=False).visit(value, field, 0)


def encode_result(value: object, limit: int) -> str:
    """Returns compact JSON of a return value, as `encode_object`; `None` is `null`.

    Dates, times, durations, Decimals, UUIDs and enumerations are written as by pydantic, so that
    the next worker's annotations read them. Sets and bytes are allowed in models only, since
    nothing else defines how to read them back.
    """
    return _encode(
        _Walk("result", limit, opens_words=True).visit(value, "result", 0), "result", limit
    )


def _encode(value: JsonValue, field: str, limit: int) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    size_bytes = len(text.encode())
    if size_bytes > limit:
        raise PayloadTooLarge(field, size_bytes, limit)
    return text


class _Walk:
    """Copies a value into plain JSON, or names the part that is not JSON."""

    def __init__(self, field: str, limit: int, *, opens_words: bool) -> None:
        self._field = field
        self._limit = limit
        self._opens_words = opens_words
        self._size_min = 0

    def visit(self, value: object, path: str, depth: int) -> JsonValue:
        self._count(1)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, int):
            return self._whole(value, path)
        if isinstance(value, float):
            return self._finite(value, path)
        if depth >= limits.PAYLOAD_DEPTH_MAX:
            raise UsageError(
                path,
                Words(type(value).__name__),
                f"nested at most {limits.PAYLOAD_DEPTH_MAX} levels deep, and free of what contains itself",
            )
        if isinstance(value, Mapping):
            return self._object(value.items(), path, depth)
        if isinstance(value, list | tuple):
            return [
                self.visit(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)
            ]
        return self._other(value, path, depth)

    def _object(self, items: Iterable[tuple[object, object]], path: str, depth: int) -> JsonValue:
        checked: dict[str, JsonValue] = {}
        for key, item in items:
            if not isinstance(key, str):
                raise UsageError(
                    f"{path} key", kind_of(key), "a str, as every key of a JSON object"
                )
            checked[self._text(key, f"{path} key")] = self.visit(
                item, path_to(path, key), depth + 1
            )
        return checked

    def _other(self, value: object, path: str, depth: int) -> JsonValue:
        serializer = serializer_of(value)
        if serializer is not None:
            return self.visit(dumped(serializer, value, path), path, depth + 1)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [(item.name, getattr(value, item.name)) for item in dataclasses.fields(value)]
            outside, self._opens_words = self._opens_words, True
            plain = self._object(fields, path, depth + 1)
            self._opens_words = outside
            return plain
        if self._opens_words and isinstance(value, Enum):
            return self.visit(value.value, path, depth + 1)
        if self._opens_words and is_word(value):
            return word(value, path)
        raise UsageError(path, kind_of(value), HIDDEN if is_secret(value) else _PLAIN)

    def _text(self, value: str, path: str) -> str:
        try:
            self._count(len(value.encode()))
        except UnicodeEncodeError:
            raise UsageError(
                path, kind_of(value), "valid Unicode, without lone surrogates"
            ) from None
        return value

    @staticmethod
    def _whole(value: int, path: str) -> int:
        if value.bit_length() > _INT_BITS_MAX:
            raise UsageError(
                path,
                Words(f"an int of {value.bit_length()} bits"),
                f"an int of at most {_INT_BITS_MAX} bits (4,300 digits)",
            )
        return value

    @staticmethod
    def _finite(value: float, path: str) -> float:
        if not math.isfinite(value):
            raise UsageError(path, value, "a finite number")
        return value

    def _count(self, size_bytes: int) -> None:
        # A few lists that hold each other many times over unfold to more than memory can hold.
        self._size_min += size_bytes
        if self._size_min > self._limit * _GIVE_UP_FACTOR:
            raise PayloadTooLarge(self._field, self._size_min, self._limit)
