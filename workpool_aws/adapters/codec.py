"""Owns how records become items and items become records again.

A record's names (pool, id) are in its key alone and never stored twice. `None` and `False` are stored as absence.

Reading never raises: a damaged or foreign item, one with a number that cannot be meant, or one so large that no update of it would fit
(`core/limits.py`), becomes an `Unreadable`, whose reason names attributes but never shows what they hold [WP-12].
Attributes that no table knows are ignored, so that an older program can read what a newer one wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never

from workpool_aws.adapters import forms
from workpool_aws.adapters.capacity import item_size
from workpool_aws.adapters.forms import Value
from workpool_aws.adapters.keys import (
    CONFIG_SORT,
    DEPLOYMENT_SORT,
    LEDGER_SORT,
    PARTITION_KEY,
    SORT_KEY,
    STATUS_SORT,
    Key,
    Place,
    Room,
    chunk_in,
    key_of,
    place_of,
)
from workpool_aws.adapters.schema import encode_field, field_of, fields_of, number_attribute_of, record_type
from workpool_aws.core import limits
from workpool_aws.model.ids import shard_of
from workpool_aws.model.loop import Config, Deployment, Done, Ledger, MinuteReport, Registration, Status
from workpool_aws.model.refs import Record, Unreadable, ref_of
from workpool_aws.model.work import Chunk, Pointer, Work
from workpool_aws.model.writes import Update

__all__ = ["Change", "Item", "change_of", "decode", "encode", "key_in"]

Item = dict[str, Value]
"""An item as plain values, its key included."""

_TAG: Final = "t"
"""Tells a work from a pointer: they share a partition."""
_WORK_TAG: Final = "w"
_POINTER_TAG: Final = "p"


def encode(record: Record) -> Item:
    """The item of a record, with its key.

    Raises:
        ValueError: a field has a value of another form, or one far beyond what can be read. Nothing was stored. What is a little
            beyond comes back as `Unreadable`: it was counted up from a damaged item, and stops nothing but its own.
    """
    key = key_of(ref_of(record))
    item: Item = {PARTITION_KEY: key.pk, SORT_KEY: key.sk}
    if isinstance(record, Work):
        item[_TAG] = _WORK_TAG
    elif isinstance(record, Pointer):
        item[_TAG] = _POINTER_TAG
    kind = type(record)
    for name, field in fields_of(kind).items():
        value = encode_field(kind, name, getattr(record, name))
        if value is not None:
            item[field.attribute] = value
        elif field.required:
            raise ValueError(f"{kind.__name__}.{name}: must not be None")
    _check_home(record)
    _check_args(record)
    return item


@dataclass(frozen=True, slots=True)
class Change:
    """What an update does to the attributes of an item."""

    assign: Mapping[str, Value]
    remove: tuple[str, ...]
    add: Mapping[str, int]


def change_of(update: Update) -> Change:
    """An update, in attributes.

    Raises:
        ValueError: it changes nothing, names a field twice or one of the key, or gives a field a value that it cannot have.
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
    """The key of an item; what is no string in it counts as ""."""
    partition, sort = item.get(PARTITION_KEY), item.get(SORT_KEY)
    return Key(partition if isinstance(partition, str) else "", sort if isinstance(sort, str) else "")


def decode(item: Mapping[str, object]) -> Record | Unreadable:
    """The record of an item, or why it cannot be read. Never raises."""
    key = key_in(item)
    try:
        place = place_of(key.pk)
        _check_size(place, item)
        record = _read(key, place, item)
        _check_home(record)
        _check_args(record)
    except (ValueError, OverflowError) as error:
        return Unreadable(key.pk, key.sk, str(error))
    return record


def _read(key: Key, place: Place, item: Mapping[str, object]) -> Record:
    match place.room:
        case Room.WORK:
            _check_ulid_key(key, place)
            return _read_work_or_pointer(key, place, item)
        case Room.DONE:
            _check_ulid_key(key, place)
            return Done(pool=place.pool, at=key.sk, **_fields(Done, item))
        case Room.PAYLOAD:
            part, number = chunk_in(key.sk)
            return Chunk(pool=place.pool, work_id=forms.work_id(place.work_id), part=part, number=number, **_fields(Chunk, item))
        case Room.CONTROL:
            return _read_control(key, place, item)
        case Room.REPORTS:
            _check_ulid(key.sk)
            return MinuteReport(pool=place.pool, at=key.sk, **_fields(MinuteReport, item))
        case Room.REGISTRY:
            registration = Registration(pool=key.sk, **_fields(Registration, item))
            key_of(ref_of(registration))
            return registration
        case Room.DEPLOYMENT:
            if key.sk != DEPLOYMENT_SORT:
                raise ValueError("no item of this package has this key")
            return Deployment(**_fields(Deployment, item))
        case _:
            assert_never(place.room)


def _read_work_or_pointer(key: Key, place: Place, item: Mapping[str, object]) -> Work | Pointer:
    tag = item.get(_TAG)
    if tag == _WORK_TAG:
        return Work(pool=place.pool, id=forms.work_id(key.sk), **_fields(Work, item))
    if tag == _POINTER_TAG:
        return Pointer(pool=place.pool, at=key.sk, **_fields(Pointer, item))
    raise ValueError(f"{_TAG}: neither a work nor a pointer")


def _read_control(key: Key, place: Place, item: Mapping[str, object]) -> Status | Ledger | Config:
    if key.sk == STATUS_SORT:
        return Status(pool=place.pool, **_fields(Status, item))
    if key.sk == LEDGER_SORT:
        return Ledger(pool=place.pool, **_fields(Ledger, item))
    if key.sk == CONFIG_SORT:
        return Config(pool=place.pool, **_fields(Config, item))
    raise ValueError("no item of this package has this key")


def _fields(kind: type[Record], item: Mapping[str, object]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in fields_of(kind).items():
        stored = item.get(field.attribute)
        if stored is None:
            # Most fields of most items are absent, and have a default.
            if field.absent is None:
                values[name] = None
            elif field.required:
                raise ValueError(f"{field.attribute} ({name}): missing")
            else:
                values[name] = field.absent
            continue
        try:
            values[name] = field.form.decode(stored)
        except (ValueError, OverflowError):
            raise ValueError(f"{field.attribute} ({name}): not {field.form.name}") from None
    return values


def _check_size(place: Place, item: Mapping[str, Any]) -> None:
    # Attributes that nobody reads count, too: DynamoDB refuses the update that would make the item too large, and so would stop its loop.
    most = limits.STORED_CHUNK_BYTES_MAX if place.room is Room.PAYLOAD else limits.STORED_ITEM_BYTES_MAX
    if item_size(item) > most:
        raise ValueError(f"larger than {most} bytes, so that it could not be updated")


def _check_ulid(text: str) -> None:
    try:
        forms.work_id(text)
    except ValueError:
        raise ValueError("the key is not an id") from None


def _check_ulid_key(key: Key, place: Place) -> None:
    _check_ulid(key.sk)
    if shard_of(key.sk) != place.shard:
        raise ValueError("the id belongs to another shard")


def _check_home(record: Record) -> None:
    # A pointer or report in another shard than its work would move a cursor that never passes the work.
    if isinstance(record, Pointer | Done) and shard_of(record.at) != shard_of(record.work_id):
        raise ValueError("the key and the work it names are of different shards")


def _check_args(record: Record) -> None:
    # A work has its arguments here or in chunks: with neither it could not run, with both nobody could say which hold.
    if isinstance(record, Work) and (record.args is None) == (record.args_chunks is None):
        raise ValueError("a (args): missing" if record.args is None else "a (args): here and in chunks")
