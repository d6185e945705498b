"""Values of users' items, as DynamoDB types them: boto3's rules, with the path in each refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, Rounded
from typing import Any, Final

from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.text import Words, kind_of

__all__ = ["Typed", "bytes_of", "from_typed", "to_typed", "to_typed_map"]

Typed = Mapping[str, Any]
"""One value, such as `{"S": "text"}`."""

_NUMBERS: Final = Context(prec=38, traps=[Rounded])
_EXPONENTS: Final = range(-130, 126)
"""Of the first digit of DynamoDB's numbers. boto3 lets more through, which DynamoDB refuses."""
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


def to_typed(value: object, path: str) -> Typed:
    """Returns one value. Raises UsageError, which names its path."""
    return _Place(path, 1).typed(value)


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
        case "S" | "B":
            return len(value.encode() if kind == "S" else value)
        case "N":
            return len(value) // 2 + 2
        case _:
            return 1


def _name(name: object, path: str) -> str:
    if not isinstance(name, str):
        raise UsageError(path, Words(f"a key of type {type(name).__name__}"), "a dict of str keys")
    return _text(name, path)


def _text(value: str, path: str) -> str:
    text = str.__str__(value)  # also of an enumeration's member
    if not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text):
        raise UsageError(path, kind_of(value), "text without lone surrogates")
    return text


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a value in an item."""

    path: str
    depth: int
    """The place of an attribute's own value is 1 deep."""

    def typed(self, value: object) -> Typed:
        """Returns the value here. Raises UsageError, which names its path."""
        if self.depth > limits.GUEST_DEPTH_MAX:
            allowed = f"at most {limits.GUEST_DEPTH_MAX} levels"
            raise UsageError(self.path, Words("a deeper one"), allowed)
        if type(value).__name__ == "Binary":  # boto3's, which need not be loaded for that
            value = getattr(value, "value", value)
        return self._scalar(value)

    def _scalar(self, value: object) -> Typed:
        match value:
            case None:
                return {"NULL": True}
            case bool():
                return {"BOOL": value}
            case str():
                return {"S": _text(value, self.path)}
            case int() | Decimal():
                return {"N": self._number(value)}
            case bytes() | bytearray():
                return {"B": bytes(value)}
            case _:
                return self._collection(value)

    def _collection(self, value: object) -> Typed:
        match value:
            case Mapping():
                members = {
                    _name(name, self.path): self._inner(f".{name}").typed(each)
                    for name, each in value.items()
                }
                return {"M": members}
            case set() | frozenset():
                return self._set(value)
            case list() | tuple():
                return {"L": [self._inner(f"[{n}]").typed(each) for n, each in enumerate(value)]}
            case _:
                raise UsageError(self.path, kind_of(value), _ALLOWED)

    def _inner(self, step: str) -> _Place:
        return _Place(f"{self.path}{step}", self.depth + 1)

    def _number(self, value: int | Decimal) -> str:
        try:
            number = _NUMBERS.create_decimal(value)
        except Rounded:
            raise UsageError(self.path, kind_of(value), _NUMBER_ALLOWED) from None
        if not number.is_finite() or number.adjusted() not in _EXPONENTS:
            raise UsageError(self.path, Words(str(number)), _NUMBER_ALLOWED)
        return str(number)

    def _set(self, value: set[Any] | frozenset[Any]) -> Typed:
        typed = [to_typed(each, f"{self.path}{{}}") for each in value]
        kinds = {kind for each in typed for kind in each}
        if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
            got = (
                "an empty set"
                if not value
                else f"a set of {len(kinds)} kinds, or of one not allowed"
            )
            raise UsageError(
                self.path, Words(got), "a set of at least one str, or number, or bytes"
            )
        (kind,) = kinds
        return {f"{kind}S": sorted(each[kind] for each in typed)}
