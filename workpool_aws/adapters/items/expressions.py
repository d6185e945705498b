"""DynamoDB's syntax: plain values as typed ones, conditions and updates as expressions.

Every name and value is passed beside its expression, never inside it, so that no attribute can be a
reserved word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, assert_never

from workpool_aws.adapters.items.attributes import PARTITION_KEY, SORT_KEY
from workpool_aws.adapters.items.records import attribute_of, encode_field, number_attribute_of
from workpool_aws.model.writes import Above, All, Below, Condition, Either, Is, IsAbsent, IsNot

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from workpool_aws.adapters.items.codec import Change
    from workpool_aws.adapters.items.forms import Value
    from workpool_aws.model.record import Record

__all__ = ["Expressions", "item_from_wire", "item_to_wire"]

_SIMPLE: Final = ("S", "BOOL")


class Expressions:
    """Builds the expressions of one request and collects the names and values that they use."""

    def __init__(self) -> None:
        """Begin without names and values."""
        self.names: dict[str, str] = {}
        self.values: dict[str, AttributeValueTypeDef] = {}

    def condition(self, condition: Condition, kind: type[Record]) -> str:
        """Return a condition on a record of a type, as an expression.

        Raises:
            ValueError: the condition names no stored field, compares what is no number, or has no
                parts.
        """
        match condition:
            case IsAbsent():
                return f"attribute_not_exists({self._name(PARTITION_KEY)})"
            case Is():
                return self._is(condition, kind)
            case IsNot():
                return self._is_not(condition, kind)
            case Below():
                return f"{self._name(number_attribute_of(kind, condition.field))} < {self._value(condition.value)}"
            case Above():
                return f"{self._name(number_attribute_of(kind, condition.field))} > {self._value(condition.value)}"
            case All():
                _check_parts(condition.parts)
                return " AND ".join(self._conjunct(part, kind) for part in condition.parts)
            case Either():
                _check_parts(condition.parts)
                return " OR ".join(self.condition(part, kind) for part in condition.parts)
            case _:
                assert_never(condition)

    def existing(self, condition: Condition | None, kind: type[Record]) -> str:
        """Return that the item exists and the condition holds, since an update never creates an item."""
        exists = f"attribute_exists({self._name(PARTITION_KEY)})"
        return exists if condition is None else f"{exists} AND {self._conjunct(condition, kind)}"

    def change(self, change: Change) -> str:
        """Return an update as an expression."""
        sets = [
            f"{self._name(attribute)} = {self._value(value)}"
            for attribute, value in change.assign.items()
        ]
        removes = [self._name(attribute) for attribute in change.remove]
        adds = [
            f"{self._name(attribute)} {self._value(amount)}"
            for attribute, amount in change.add.items()
        ]
        clauses = (("SET", sets), ("REMOVE", removes), ("ADD", adds))
        return " ".join(f"{word} {', '.join(parts)}" for word, parts in clauses if parts)

    def key_range(self, partition: str, low: str, high: str | None, *, sort: str = SORT_KEY) -> str:
        """Return a condition for the keys of a partition from `low` to `high`, both included.

        "" and `None` are no bounds. `sort` is the attribute of the keys.
        """
        where = f"{self._name(PARTITION_KEY)} = {self._value(partition)}"
        # DynamoDB takes one condition on the sort key, and no empty strings in it.
        if low and high is not None:
            return (
                f"{where} AND {self._name(sort)} BETWEEN {self._value(low)} AND {self._value(high)}"
            )
        if low:
            return f"{where} AND {self._name(sort)} >= {self._value(low)}"
        if high is not None:
            return f"{where} AND {self._name(sort)} <= {self._value(high)}"
        return where

    def _is(self, condition: Is, kind: type[Record]) -> str:
        name = self._name(attribute_of(kind, condition.field))
        wanted = encode_field(kind, condition.field, condition.value)
        return (
            f"attribute_not_exists({name})" if wanted is None else f"{name} = {self._value(wanted)}"
        )

    def _is_not(self, condition: IsNot, kind: type[Record]) -> str:
        name = self._name(attribute_of(kind, condition.field))
        unwanted = encode_field(kind, condition.field, condition.value)
        if unwanted is None:
            return f"attribute_exists({name})"
        # Absence is spelled out, since engines differ in the meaning of `<>` for an absent attribute.
        return f"attribute_not_exists({name}) OR {name} <> {self._value(unwanted)}"

    def _conjunct(self, condition: Condition, kind: type[Record]) -> str:
        # DynamoDB refuses doubled parentheses, so they stand only where OR would otherwise bind
        # weaker than the AND around it.
        text = self.condition(condition, kind)
        return f"({text})" if _is_alternative(condition) else text

    def _name(self, attribute: str) -> str:
        alias = f"#{attribute}"
        self.names[alias] = attribute
        return alias

    def _value(self, value: Value) -> str:
        alias = f":{len(self.values)}"
        self.values[alias] = _to_wire(value)
        return alias


def _check_parts(parts: tuple[Condition, ...]) -> None:
    if not parts:
        raise ValueError("a condition of parts must have at least one")


def _is_alternative(condition: Condition) -> bool:
    if isinstance(condition, IsNot):
        return True
    if isinstance(condition, Either):
        return len(condition.parts) > 1 or _is_alternative(condition.parts[0])
    return False


def item_to_wire(item: Mapping[str, Value]) -> dict[str, AttributeValueTypeDef]:
    """Return an item as DynamoDB takes it."""
    return {name: _to_wire(value) for name, value in item.items()}


def item_from_wire(item: Mapping[str, object]) -> dict[str, object]:
    """Return an item as plain values.

    What this package never writes stays as it came, for the codec to refuse. Never raises.
    """
    return {name: _from_wire(value) for name, value in item.items()}


def _to_wire(value: Value) -> AttributeValueTypeDef:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case list():
            return {"L": [{"S": text} for text in value]}
        case _:
            assert_never(value)


def _from_wire(typed: object) -> object:
    if not isinstance(typed, Mapping) or len(typed) != 1:
        return typed
    ((name, value),) = typed.items()
    if name in _SIMPLE or (name == "B" and isinstance(value, bytes)):
        return value
    if name == "N" and isinstance(value, str):
        return _number(value, typed)
    if name == "L" and isinstance(value, list):
        return [_from_wire(element) for element in value]
    return typed


def _number(text: str, otherwise: object) -> object:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() else otherwise
