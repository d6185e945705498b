"""Evaluates conditions and updates on an item in memory: DynamoDB's semantics, on plain values.

Every part of a condition is checked for sense even where another part has decided already, because
DynamoDB refuses a senseless expression whatever the item looks like.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeGuard, assert_never

from workpool_aws.adapters.items.records import attribute_of, encode_field, number_attribute_of
from workpool_aws.model.writes import Above, All, Below, Condition, Either, Is, IsAbsent, IsNot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.adapters.items.codec import Change, Item
    from workpool_aws.adapters.items.forms import Value
    from workpool_aws.model.record import Record

__all__ = ["applied", "holds"]


def holds(
    condition: Condition | None, kind: type[Record], item: Mapping[str, Value] | None
) -> bool:
    """Return True if a condition on a record of a type holds for the item as it stands.

    A condition of `None` always holds. An item of `None` means that there is none.

    Raises:
        ValueError: the condition names no stored field, compares what is no number, or has no
            parts.
    """
    found = item or {}
    match condition:
        case None:
            return True
        case IsAbsent():
            return item is None
        case Is():
            return _same(
                found.get(attribute_of(kind, condition.field)),
                encode_field(kind, condition.field, condition.value),
            )
        case IsNot():
            return not _same(
                found.get(attribute_of(kind, condition.field)),
                encode_field(kind, condition.field, condition.value),
            )
        case Below():
            stored = found.get(number_attribute_of(kind, condition.field))
            return _number_or_nan(stored) < condition.value
        case Above():
            stored = found.get(number_attribute_of(kind, condition.field))
            return _number_or_nan(stored) > condition.value
        case All():
            return all(_parts(condition.parts, kind, item))
        case Either():
            return any(_parts(condition.parts, kind, item))
        case _:
            assert_never(condition)


def applied(change: Change, item: Item) -> Item:
    """Return a new item, which is the old one with the change.

    Raises:
        ValueError: the change adds to an attribute that is no number. The old item is as it was.
    """
    after = {**item, **change.assign}
    for attribute in change.remove:
        after.pop(attribute, None)
    for attribute, amount in change.add.items():
        before = item.get(attribute, 0)
        if not _is_number(before):
            raise ValueError(f"attribute {attribute}: what stands there is no number to add to")
        after[attribute] = before + amount
    return after


def _parts(
    parts: tuple[Condition, ...], kind: type[Record], item: Mapping[str, Value] | None
) -> list[bool]:
    if not parts:
        raise ValueError("a condition of parts must have at least one")
    return [holds(part, kind, item) for part in parts]


def _same(stored: Value | None, wanted: Value | None) -> bool:
    # In Python True == 1; in DynamoDB values of two types are never equal.
    return type(stored) is type(wanted) and stored == wanted


def _is_number(value: Value | None) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _number_or_nan(value: Value | None) -> float:
    # No number is below or above NaN.
    return value if _is_number(value) else math.nan
