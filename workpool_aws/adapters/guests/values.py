"""Values of users' items, as DynamoDB types them: boto3's own rules, with the path in each refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import (
    Clamped,
    Context,
    Decimal,
    DecimalException,
    Inexact,
    Overflow,
    Rounded,
    Underflow,
)
from typing import Any, Final

from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.text import Words, kind_of

__all__ = ["Typed", "bytes_of", "from_typed", "to_typed", "to_typed_map"]

Typed = Mapping[str, Any]
"""One value, such as `{"S": "text"}`."""

_NUMBERS: Final = Context(
    Emin=-128, Emax=126, prec=38, traps=[Clamped, Overflow, Inexact, Rounded, Underflow]
)
"""DynamoDB's numbers."""
_ALLOWED: Final = (
    "a str, bool, None, int, Decimal, bytes, list, tuple, dict with str keys, "
    "or a set of strs, numbers or bytes"
)
_NUMBER_ALLOWED: Final = "a number of at most 38 digits, from 1E-130 to 9.9E+125"


def to_typed_map(item: object, path: str) -> dict[str, Typed]:
    """Returns an item or a key. Raises UsageError, which names the path of a value."""
    if not isinstance(item, Mapping):
        raise UsageError(path, kind_of(item), "a dict of attributes")
    return {_name(name, path): to_typed(value, f"{path}.{name}") for name, value in item.items()}


def to_typed(value: object, path: str, depth: int = 1) -> Typed:
    """Returns one value. Raises UsageError, which names its path."""
    if depth > limits.GUEST_DEPTH_MAX:
        raise UsageError(path, Words("a deeper one"), f"at most {limits.GUEST_DEPTH_MAX} levels")
    if type(value).__name__ == "Binary":  # boto3's, which need not be loaded for that
        value = getattr(value, "value", value)
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": _text(value, path)}
        case int() | Decimal():
            return {"N": _number(value, path)}
        case bytes() | bytearray():
            return {"B": bytes(value)}
        case _:
            return _collection(value, path, depth)


def from_typed(item: Mapping[str, Typed]) -> dict[str, Any]:
    """Returns an item as boto3's resources do: numbers as Decimal, bytes as Binary, sets as set."""
    from boto3.dynamodb.types import TypeDeserializer

    read: Callable[[Any], Any] = TypeDeserializer().deserialize
    return {name: read(value) for name, value in item.items()}


def bytes_of(typed: Typed) -> int:
    """Returns about the bytes that DynamoDB counts for a value."""
    ((kind, value),) = typed.items()
    match kind:
        case "M":
            return 3 + sum(1 + len(name) + bytes_of(each) for name, each in value.items())
        case "L":
            return 3 + sum(1 + bytes_of(each) for each in value)
        case "SS" | "NS" | "BS":
            return sum(map(len, value))
        case "S":
            return len(value.encode())
        case "B":
            return len(value)
        case "N":
            return len(value) // 2 + 2
        case _:
            return 1


def _collection(value: object, path: str, depth: int) -> Typed:
    match value:
        case Mapping():
            members = {
                _name(name, path): to_typed(each, f"{path}.{name}", depth + 1)
                for name, each in value.items()
            }
            return {"M": members}
        case set() | frozenset():
            return _set(value, path)
        case list() | tuple():
            elements = [to_typed(each, f"{path}[{n}]", depth + 1) for n, each in enumerate(value)]
            return {"L": elements}
        case _:
            raise UsageError(path, kind_of(value), _ALLOWED)


def _name(name: object, path: str) -> str:
    if not isinstance(name, str):
        raise UsageError(path, Words(f"a key of type {type(name).__name__}"), "a dict of str keys")
    return _text(name, path)


def _text(value: str, path: str) -> str:
    text = str.__str__(value)  # also of an enumeration's member
    if not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text):
        raise UsageError(path, kind_of(value), "text without lone surrogates")
    return text


def _number(value: int | Decimal, path: str) -> str:
    try:
        number = _NUMBERS.create_decimal(value)
    except (DecimalException, ValueError):
        raise UsageError(path, kind_of(value), _NUMBER_ALLOWED) from None
    if not number.is_finite():
        raise UsageError(path, Words(str(number)), _NUMBER_ALLOWED)
    return str(number)


def _set(value: set[Any] | frozenset[Any], path: str) -> Typed:
    typed = [to_typed(each, f"{path}{{}}") for each in value]
    kinds = {kind for each in typed for kind in each}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        got = "an empty set" if not value else f"a set of {len(kinds)} kinds, or of one not allowed"
        raise UsageError(path, Words(got), "a set of at least one str, or number, or bytes")
    (kind,) = kinds
    return {f"{kind}S": sorted(each[kind] for each in typed)}
