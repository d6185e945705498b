"""Encodes records as items, and decodes items as records.

A record's names (pool, id) are in its key alone and never stored twice. `None` and `False` are
stored as absence.

Reading never raises: a damaged or foreign item, one with a number that cannot be meant, or one so
large that no update of it would fit (`core/limits.py`), becomes an `Unreadable`, whose reason names
attributes but never shows what they hold [WP-12]. Attributes that no table knows are ignored, so
that an older program can read what a newer one wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workpool_aws.adapters.items.attributes import PARTITION_KEY, SORT_KEY
from workpool_aws.adapters.items.capacity import item_size
from workpool_aws.adapters.items.field import REQUIRED
from workpool_aws.adapters.items.forms import Value
from workpool_aws.adapters.items.keys import Key, place_of
from workpool_aws.adapters.items.records import (
    TAG,
    RecordKind,
    encode_field,
    field_of,
    kind_in,
    kind_of,
    number_attribute_of,
    record_type,
)
from workpool_aws.model.refs import Unreadable
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.record import Record
    from workpool_aws.model.writes import Update

__all__ = ["Change", "Item", "change_of", "decode", "encode", "key_in"]

Item = dict[str, Value]
"""An item as plain values, its key included."""


def encode(record: Record) -> Item:
    """Return the item of a record, with its key.

    Raises:
        ValueError: a field has a value of another form, or one far beyond what can be read. Nothing
            was stored. What is a little beyond comes back as `Unreadable`: it was counted up from a
            damaged item, and stops nothing but its own.
    """
    kind = kind_of(type(record))
    key = kind.key.key(*kind.names(record))
    item: Item = {PARTITION_KEY: key.pk, SORT_KEY: key.sk}
    if kind.tag is not None:
        item[TAG] = kind.tag
    values = kind.values(record)
    for name, field in kind.fields.items():
        given = values[name]
        if given is field.absent:
            continue  # most fields of most records
        value = encode_field(kind.record, name, given)
        if value is not None:
            item[field.attribute] = value
        elif field.required:
            raise ValueError(f"{kind.record.__name__}.{name}: must not be None")
    kind.check(record)
    return item


@dataclass(frozen=True, slots=True)
class Change:
    """Changes of an update to the attributes of an item."""

    assign: Mapping[str, Value]
    remove: tuple[str, ...]
    add: Mapping[str, int]


def change_of(update: Update) -> Change:
    """Return an update, in attributes.

    Raises:
        ValueError: it changes nothing, names a field twice or one of the key, or gives a field a
            value that it cannot have.
    """
    kind = record_type(update.ref)
    if not update.set and not update.add:
        raise ValueError("an update must change something")
    if twice := set(update.set) & set(update.add):
        raise ValueError(f"{min(twice)}: set and added to in one update")
    assign: Item = {}
    remove: list[str] = []
    for name, value in update.set.items():
        field = field_of(kind, name)
        stored = encode_field(kind, name, value)
        if stored is not None:
            assign[field.attribute] = stored
        elif field.required:
            raise ValueError(f"{kind.__name__}.{name}: cannot be removed")
        else:
            remove.append(field.attribute)
    add: dict[str, int] = {}
    for name, amount in update.add.items():
        add[number_attribute_of(kind, name)] = amount
        encode_field(kind, name, amount)
    return Change(assign, tuple(remove), add)


def key_in(item: Mapping[str, object]) -> Key:
    """Return the key of an item. An attribute that is no string counts as ""."""
    partition, sort = item.get(PARTITION_KEY), item.get(SORT_KEY)
    return Key(
        partition if isinstance(partition, str) else "", sort if isinstance(sort, str) else ""
    )


def decode(item: Mapping[str, object]) -> Record | Unreadable:
    """Return the record of an item, or the reason why it cannot be read. Never raises."""
    key = key_in(item)
    try:
        place = place_of(key.pk)
        kind = kind_in(place.partition_kind, key.sk, item)
        names = zip(kind.ref.__match_args__, kind.key.names(place, key.sk), strict=True)
        record: Record = kind.make({**dict(names), **_fields(kind, item)})
    except (ValueError, OverflowError) as error:
        return Unreadable(key.pk, key.sk, str(error))
    return record


def _fields(kind: RecordKind[Any], item: Mapping[str, object]) -> dict[str, Any]:
    # Attributes that no field reads count, too. An update that DynamoDB refuses for the size of its
    # item would stop the loop.
    if item_size(item) > kind.bytes_max:
        raise ValueError(f"larger than {kind.bytes_max} bytes, so that it could not be updated")
    values = dict(kind.absences)
    for attribute, stored in item.items():
        field = kind.by_attribute.get(attribute)
        if field is not None and stored is not None:
            name, form = field
            try:
                values[name] = form.decode(stored)
            except (ValueError, OverflowError):
                raise ValueError(f"{attribute} ({name}): not {form.name}") from None
    if REQUIRED in values.values():
        name = next(name for name, value in values.items() if value is REQUIRED)
        raise ValueError(f"{kind.fields[name].attribute} ({name}): missing")
    return values
