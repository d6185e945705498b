"""Owns what may travel as arguments or as a result: JSON, checked with the path of what is wrong, and its size in bytes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Final

from workpool_aws.errors import PayloadTooLarge, UsageError

__all__ = ["DEPTH_MAX", "RESERVED_KEY", "JsonValue", "checked_json", "encode_object", "encode_result", "encode_value"]

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]
"""What JSON can say, as Python has it after decoding."""

DEPTH_MAX: Final = 100
"""Objects and lists inside each other. A cycle ends here, too."""
RESERVED_KEY: Final = "_workpool"
"""The one top-level argument that users cannot have: the assignment travels under it."""

_INT_BITS_MAX: Final = 14_284
"""4,300 decimal digits: what Python itself is willing to print or to read."""
_GIVE_UP_FACTOR: Final = 16
"""A value this many times too large is not measured to its end."""
_ANY_SIZE: Final = 6 * 1024 * 1024
"""More than any event that Lambda takes."""
_PLAIN: Final = "str, int, float, bool, None, and lists and dicts of them can be kept as JSON"


def encode_object(value: object, field: str, limit: int) -> str:
    """Compact JSON of a mapping with str keys: decoding it gives back an equal value, but for tuples, which come back as lists.

    Raises:
        PayloadTooLarge: more than `limit` bytes of UTF-8.
        UsageError: something in it is not JSON; the message names its path, as in `args.items[2].price`.
    """
    if not isinstance(value, Mapping):
        raise UsageError(field, value, "a JSON object: a dict with str keys")
    if RESERVED_KEY in value:
        raise UsageError(f"{field}.{RESERVED_KEY}", value[RESERVED_KEY], "this key belongs to the pool; any other is free")
    return _encode(_Walk(field, limit, opens_records=False).visit(value, field, 0), field, limit)


def encode_value(value: object, field: str, limit: int) -> str:
    """Compact JSON of any JSON value, as `encode_object`."""
    return _encode(_Walk(field, limit, opens_records=False).visit(value, field, 0), field, limit)


def checked_json(value: object, field: str) -> JsonValue:
    """A decoded JSON value, as one. Raises UsageError: something in it is not JSON."""
    return _Walk(field, _ANY_SIZE, opens_records=False).visit(value, field, 0)


def encode_result(value: object, limit: int) -> str:
    """Compact JSON of a return value. Pydantic models and dataclasses become objects, wherever they stand in it; `None` is `null`.

    Raises:
        PayloadTooLarge: more than `limit` bytes of UTF-8.
        UsageError: something in it is not JSON; the message names its path, as in `result[2].price`.
    """
    return _encode(_Walk("result", limit, opens_records=True).visit(value, "result", 0), "result", limit)


def _encode(value: JsonValue, field: str, limit: int) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    size_bytes = len(text.encode())
    if size_bytes > limit:
        raise PayloadTooLarge(field, size_bytes, limit)
    return text


class _Walk:
    """Copies a value into plain JSON, or says what in it is not JSON."""

    def __init__(self, field: str, limit: int, *, opens_records: bool) -> None:
        self._field = field
        self._limit = limit
        self._opens_records = opens_records
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
            # Not the value itself: printing something nested without end is what must not happen here.
            raise UsageError(path, type(value).__name__, f"nesting is allowed to {DEPTH_MAX} levels, and nothing may contain itself")
        if isinstance(value, Mapping):
            return self._object(value, path, depth)
        if isinstance(value, list | tuple):
            return [self.visit(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
        if self._opens_records:
            return self._record(value, path, depth)
        raise UsageError(path, value, _PLAIN)

    def _object(self, value: Mapping[object, object], path: str, depth: int) -> JsonValue:
        checked: dict[str, JsonValue] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise UsageError(f"{path} key", key, "the keys of a JSON object are str")
            checked[self._text(key, f"{path} key")] = self.visit(item, _path_to(path, key), depth + 1)
        return checked

    def _record(self, value: object, path: str, depth: int) -> JsonValue:
        # By its method and not by its class: this module loads for every caller, and pydantic is slow to load.
        dump = getattr(value, "model_dump", None)
        if callable(dump) and not isinstance(value, type):
            return self.visit(dump(mode="json"), path, depth + 1)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.visit({item.name: getattr(value, item.name) for item in dataclasses.fields(value)}, path, depth + 1)
        raise UsageError(path, value, _PLAIN)

    def _text(self, value: str, path: str) -> str:
        try:
            self._count(len(value.encode()))
        except UnicodeEncodeError:
            raise UsageError(path, value, "text must be valid Unicode, without lone surrogates") from None
        return value

    def _count(self, size_bytes: int) -> None:
        # A few lists that hold each other many times over unfold to more than memory can hold.
        self._size_min += size_bytes
        if self._size_min > self._limit * _GIVE_UP_FACTOR:
            raise PayloadTooLarge(self._field, self._size_min, self._limit)


def _whole(value: int, path: str) -> int:
    if value.bit_length() > _INT_BITS_MAX:
        raise UsageError(path, f"an int of {value.bit_length()} bits", f"at most {_INT_BITS_MAX} bits (4,300 digits) can be kept as JSON")
    return value


def _finite(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise UsageError(path, value, "JSON knows finite numbers only")
    return value


def _path_to(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]"
