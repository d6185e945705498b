"""Evaluates conditions and updates on an item in memory: DynamoDB's semantics, on plain values.

Every part of a condition is checked for sense even where another part has decided already, because
DynamoDB refuses a senseless expression whatever the item looks like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from workpool_aws.adapters.items.records import attribute_of, encode_field, number_attribute_of
from workpool_aws.model.writes import Above, All, Below, Condition, Either, Is, IsAbsent, IsNot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.adapters.items.codec import Change, Item
    from workpool_aws.adapters.items.forms import Value
    from workpool_aws.model.refs import Record

__all__ = ["applied", "holds"]


def holds(
    condition: Condition | None, kind: type[Record], item: Mapping[str, Value] | None
) -> bool:
    """True if a condition on a record of a type holds for the item as it stands.

    `None` means there is none. No condition always holds.

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
            wanted = encode_field(kind, condition.field, condition.value)
            return _same(found.get(attribute_of(kind, condition.field)), wanted)
        case IsNot():
            return not _same(
                found.get(attribute_of(kind, condition.field)),
                encode_field(kind, condition.field, condition.value),
            )
        case Below():
            number = _number(found.get(number_attribute_of(kind, condition.field)))
            return number is not None and number < condition.value
        case Above():
            number = _number(found.get(number_attribute_of(kind, condition.field)))
            return number is not None and number > condition.value
        case All():
            return all(_parts(condition.parts, kind, item))
        case Either():
            return any(_parts(condition.parts, kind, item))
        case _:
            assert_never(condition)


def applied(change: Change, item: Item) -> Item:
    """A new item: the old one with the change.

    Raises:
        ValueError: something that is no number was to be added to. The old item is as it was.
    """
    after = {**item, **change.assign}
    for attribute in change.remove:
        after.pop(attribute, None)
    for attribute, amount in change.add.items():
        before = _number(item.get(attribute, 0))
        if before is None:
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


def _number(value: Value | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
