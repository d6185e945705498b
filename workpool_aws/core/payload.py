"""Encodes payloads as JSON, within a size, and names the path of a value that is refused.

A refusal names the place and the type of a value, never the value, since its text ends up in logs
and in the work item's `error`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Final, Protocol

from workpool_aws.errors import PayloadTooLarge, UsageError
from workpool_aws.text import Words, kind_of

__all__ = [
    "DEPTH_MAX",
    "RESERVED_KEY",
    "JsonValue",
    "checked_json",
    "encode_object",
    "encode_result",
    "encode_value",
]

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]
"""A JSON value, as Python has it after decoding."""

DEPTH_MAX: Final = 100
"""Levels of nested objects and lists. A cycle ends here, too."""
RESERVED_KEY: Final = "_workpool"
"""The only top-level argument that users cannot have. The assignment travels under it."""

_INT_BITS_MAX: Final = 14_284
"""4,300 decimal digits, which Python itself prints and reads at most."""
_GIVE_UP_FACTOR: Final = 16
"""A value this many times too large is not measured to its end."""
_ANY_SIZE: Final = 6 * 1024 * 1024
"""More than any event that Lambda takes."""
_PLAIN: Final = "a JSON value: str, int, float, bool, None, or a list or dict of them"
_HIDDEN: Final = "left out, or given a serializer of its own: pydantic would write asterisks in place of a secret"
_WORDS: Final = (date, time, timedelta, Decimal)
"""Types with a JSON form that pydantic writes and reads. They are allowed in a result, and in
arguments inside of a model or a dataclass."""


def encode_object(value: object, field: str, limit: int) -> str:
    """Returns compact JSON of a mapping with str keys.

    Decoding it gives an equal value, except that tuples become lists. Pydantic models and
    dataclasses become objects, at any place, and also as the whole.

    Raises:
        PayloadTooLarge: more than `limit` bytes of UTF-8.
        UsageError: something in it is not JSON; the message names its path, as in
            `args.items[2].price`.
    """
    plain = _Walk(field, limit, opens_words=False).visit(value, field, 0)
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
            return _whole(value, path)
        if isinstance(value, float):
            return _finite(value, path)
        if depth >= DEPTH_MAX:
            raise UsageError(
                path,
                Words(type(value).__name__),
                f"nested at most {DEPTH_MAX} levels deep, and free of what contains itself",
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
                item, _path_to(path, key), depth + 1
            )
        return checked

    def _other(self, value: object, path: str, depth: int) -> JsonValue:
        # Of its very class: a subclass of a pydantic dataclass that is none itself has fields that
        # the inherited serializer leaves out.
        serializer: _Serializer | None = vars(type(value)).get("__pydantic_serializer__")
        if serializer is not None:
            return self.visit(_dumped(serializer, value, path), path, depth + 1)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [(item.name, getattr(value, item.name)) for item in dataclasses.fields(value)]
            outside, self._opens_words = self._opens_words, True
            plain = self._object(fields, path, depth + 1)
            self._opens_words = outside
            return plain
        if self._opens_words and isinstance(value, Enum):
            return self.visit(value.value, path, depth + 1)
        if self._opens_words and (isinstance(value, _WORDS) or _is_uuid(value)):
            return _word(value, path)
        raise UsageError(path, kind_of(value), _HIDDEN if _is_secret(value) else _PLAIN)

    def _text(self, value: str, path: str) -> str:
        try:
            self._count(len(value.encode()))
        except UnicodeEncodeError:
            raise UsageError(
                path, kind_of(value), "valid Unicode, without lone surrogates"
            ) from None
        return value

    def _count(self, size_bytes: int) -> None:
        # A few lists that hold each other many times over unfold to more than memory can hold.
        self._size_min += size_bytes
        if self._size_min > self._limit * _GIVE_UP_FACTOR:
            raise PayloadTooLarge(self._field, self._size_min, self._limit)


class _Serializer(Protocol):
    """The part of pydantic's serializer that is used here."""

    def to_python(self, value: object, *, mode: str, by_alias: bool, warnings: bool) -> object: ...


def _dumped(serializer: _Serializer, value: object, path: str) -> object:
    """Returns a pydantic model or dataclass as plain values, by alias, as validation reads them."""
    try:
        plain = serializer.to_python(value, mode="json", by_alias=True, warnings=True)
        shown = serializer.to_python(value, mode="python", by_alias=True, warnings=False)
    except Exception as error:
        # Without its text, which may quote the value: the class of the error, and the error itself
        # as the cause.
        raise UsageError(
            path,
            kind_of(value),
            f"something that pydantic can write as JSON (it raised {type(error).__name__})",
        ) from error
    _refuse_secrets(shown, plain, path, 0)
    return plain


def _refuse_secrets(shown: object, plain: object, path: str, depth: int) -> None:
    """Raises if pydantic wrote asterisks for a secret; `shown` is the value, `plain` its JSON."""
    if depth > DEPTH_MAX:
        return
    if _is_secret(shown):
        if isinstance(plain, str) and plain and not plain.strip("*"):
            raise UsageError(path, kind_of(shown), _HIDDEN)
    elif isinstance(shown, Mapping) and isinstance(plain, dict):
        for inner, (key, written) in zip(shown.values(), plain.items(), strict=False):
            _refuse_secrets(inner, written, _path_to(path, str(key)), depth + 1)
    elif isinstance(shown, Iterable) and isinstance(plain, list):
        for index, (inner, written) in enumerate(zip(shown, plain, strict=False)):
            _refuse_secrets(inner, written, f"{path}[{index}]", depth + 1)


def _is_secret(value: object) -> bool:
    return callable(getattr(type(value), "get_secret_value", None))


def _is_uuid(value: object) -> bool:
    # By name: making ids is forbidden here, and the module that holds the class makes them.
    return any(
        kind.__module__ == "uuid" and kind.__qualname__ == "UUID" for kind in type(value).__mro__
    )


def _word(value: object, path: str) -> JsonValue:
    if isinstance(value, Decimal) and not value.is_finite():
        raise UsageError(path, value, "a finite number")
    from pydantic_core import to_jsonable_python  # noqa: PLC0415 - slow to load, and few values need it

    try:
        return str(to_jsonable_python(value))
    except Exception as error:  # a time zone of the user's own, say
        raise UsageError(
            path,
            kind_of(value),
            f"something that pydantic can write as JSON (it raised {type(error).__name__})",
        ) from error


def _whole(value: int, path: str) -> int:
    if value.bit_length() > _INT_BITS_MAX:
        raise UsageError(
            path,
            Words(f"an int of {value.bit_length()} bits"),
            f"an int of at most {_INT_BITS_MAX} bits (4,300 digits)",
        )
    return value


def _finite(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise UsageError(path, value, "a finite number")
    return value


def _path_to(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]"
