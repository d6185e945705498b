"""Owns how records become items: one table per record type, from field to attribute.

A record's names (pool, id) are in its key alone and never stored twice. `None` and `False` are stored as absence. Conditions and updates
are spelled through the same tables, so a field and its attribute cannot drift apart.

Reading never raises: a damaged or foreign item becomes an `Unreadable`, whose reason names attributes but never shows their contents.
Attributes that no table knows are ignored, so that an older program can read what a newer one wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never

from workpool_aws.adapters import forms
from workpool_aws.adapters.forms import Form, Value
from workpool_aws.adapters.keys import (
    CONFIG_SORT,
    DEPLOYMENT_SORT,
    LEDGER_SORT,
    PARTITION_KEY,
    SORT_KEY,
    STATUS_SORT,
    TTL_ATTRIBUTE,
    Key,
    Place,
    Room,
    key_of,
    place_of,
)
from workpool_aws.model.ids import is_ulid, shard_of
from workpool_aws.model.loop import Config, Deployment, Done, DoneKind, Ledger, LoopState, Registration, Status
from workpool_aws.model.refs import (
    ConfigRef,
    DeploymentRef,
    DoneRef,
    LedgerRef,
    PointerRef,
    Record,
    Ref,
    RegistrationRef,
    StatusRef,
    Unreadable,
    WorkRef,
    ref_of,
)
from workpool_aws.model.work import Kind, Outcome, Pointer, State, Work
from workpool_aws.model.writes import Update

__all__ = [
    "Change",
    "Field",
    "Item",
    "attribute_of",
    "change_of",
    "decode",
    "encode",
    "encode_field",
    "field_of",
    "key_in",
    "number_attribute_of",
    "record_type",
]

Item = dict[str, Value]
"""An item as plain values, its key included."""

_TAG: Final = "t"
"""Tells a work from a pointer: they share a partition."""
_WORK_TAG: Final = "w"
_POINTER_TAG: Final = "p"


class _Required:
    """A field that is never absent from an item."""


_REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Field:
    """Where a field of a record is stored, and how. `absent` is what its absence means."""

    attribute: str
    form: Form
    absent: bool | _Required | None = _REQUIRED


_FIELDS: Final[Mapping[type[Record], Mapping[str, Field]]] = {
    Work: {
        "target": Field("fn", forms.TEXT),
        "args": Field("a", forms.TEXT),
        "kind": Field("k", forms.choice(Kind)),
        "retry": Field("rp", forms.RETRY, absent=None),
        "claimed": Field("cl", forms.FLAG, absent=False),
        "state": Field("s", forms.choice(State)),
        "due_at": Field("due", forms.WHOLE),
        "enqueued_at": Field("enq", forms.WHOLE),
        "retention_s": Field("keep", forms.WHOLE, absent=None),
        "attempts_made": Field("n", forms.WHOLE),
        "starts": Field("st", forms.WHOLE),
        "undelivered": Field("un", forms.WHOLE),
        "refused_since": Field("ref", forms.WHOLE, absent=None),
        "started_by": Field("by", forms.TEXT, absent=None),
        "started_at": Field("at", forms.WHOLE, absent=None),
        "claim": Field("cm", forms.TEXT, absent=None),
        "deadline": Field("dl", forms.WHOLE, absent=None),
        "cancel_requested": Field("cr", forms.FLAG, absent=False),
        "link": Field("ln", forms.TEXT, absent=None),
        "outcome": Field("o", forms.choice(Outcome), absent=None),
        "result": Field("r", forms.TEXT, absent=None),
        "error": Field("e", forms.TEXT, absent=None),
        "error_type": Field("et", forms.TEXT, absent=None),
        "finished_at": Field("fin", forms.WHOLE, absent=None),
        "expires_at": Field(TTL_ATTRIBUTE, forms.WHOLE, absent=None),
    },
    Pointer: {
        "work_id": Field("w", forms.ULID),
    },
    Done: {
        "work_id": Field("w", forms.ULID),
        "start": Field("st", forms.WHOLE),
        "kind": Field("k", forms.choice(DoneKind)),
        "pointer": Field("p", forms.ULID, absent=None),
        "expires_at": Field(TTL_ATTRIBUTE, forms.WHOLE, absent=None),
    },
    Status: {
        "state": Field("s", forms.choice(LoopState)),
        "generation": Field("g", forms.WHOLE),
        "lease_until": Field("l", forms.WHOLE),
        "wake_at": Field("wk", forms.WHOLE, absent=None),
        "saturated": Field("sat", forms.FLAG, absent=False),
        "timer_at": Field("tm", forms.WHOLE, absent=None),
        "written_by": Field("by", forms.TEXT, absent=None),
    },
    Ledger: {
        "holder": Field("h", forms.TEXT),
        "generation": Field("g", forms.WHOLE),
        "version": Field("v", forms.WHOLE),
        "entries": Field("en", forms.ENTRIES),
        "shards": Field("sh", forms.SHARD_MARKS),
        "committed_by": Field("by", forms.TEXT, absent=None),
    },
    Config: {
        "version": Field("v", forms.WHOLE),
        "max_parallelism": Field("max", forms.WHOLE),
        "base_by": Field("bb", forms.TEXT),
        "base_at": Field("ba", forms.WHOLE),
        "override_parallelism": Field("omax", forms.WHOLE, absent=None),
        "override_paused": Field("op", forms.FLAG, absent=None),
        "override_by": Field("ob", forms.TEXT, absent=None),
        "override_at": Field("oa", forms.WHOLE, absent=None),
    },
    Registration: {
        "registered_at": Field("at", forms.WHOLE),
    },
    Deployment: {
        "loop_arn": Field("loop", forms.TEXT),
        "completion_arn": Field("done", forms.TEXT, absent=None),
        "schedule_group": Field("grp", forms.TEXT, absent=None),
        "scheduler_role_arn": Field("role", forms.TEXT, absent=None),
    },
}


def field_of(record_type: type[Record], name: str) -> Field:
    """Where a field is stored.

    Raises:
        ValueError: records of this type have no such field, or it is part of their key.
    """
    try:
        return _FIELDS[record_type][name]
    except KeyError:
        raise ValueError(f"{record_type.__name__} has no stored field {name!r}") from None


def attribute_of(record_type: type[Record], name: str) -> str:
    """The attribute of a field. Raises ValueError as `field_of` does."""
    return field_of(record_type, name).attribute


def number_attribute_of(record_type: type[Record], name: str) -> str:
    """The attribute of a field that is a number. Raises ValueError as `field_of` does, and when the field is no number."""
    field = field_of(record_type, name)
    if field.form is not forms.WHOLE:
        raise ValueError(f"{record_type.__name__}.{name}: not a number")
    return field.attribute


def record_type(ref: Ref) -> type[Record]:
    """The type of record that a name is for."""
    match ref:
        case WorkRef():
            return Work
        case PointerRef():
            return Pointer
        case DoneRef():
            return Done
        case StatusRef():
            return Status
        case LedgerRef():
            return Ledger
        case ConfigRef():
            return Config
        case RegistrationRef():
            return Registration
        case DeploymentRef():
            return Deployment
        case _:
            assert_never(ref)


def encode(record: Record) -> Item:
    """The item of a record, with its key.

    Raises:
        ValueError: a field has a value that could not be read back. Nothing was stored.
    """
    key = key_of(ref_of(record))
    _check_home(record)
    item: Item = {PARTITION_KEY: key.pk, SORT_KEY: key.sk}
    if isinstance(record, Work):
        item[_TAG] = _WORK_TAG
    elif isinstance(record, Pointer):
        item[_TAG] = _POINTER_TAG
    kind = type(record)
    for name, field in _FIELDS[kind].items():
        value = _encoded(kind, name, field, getattr(record, name))
        if value is not None:
            item[field.attribute] = value
        elif isinstance(field.absent, _Required):
            raise ValueError(f"{kind.__name__}.{name}: must not be None")
    return item


def encode_field(record_type: type[Record], name: str, value: object) -> Value | None:
    """The stored value of one field; None when it is stored as absence.

    Raises:
        ValueError: no such field, or a value that it cannot have.
    """
    return _encoded(record_type, name, field_of(record_type, name), value)


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
        elif isinstance(field.absent, _Required):
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
        record = _read(key, place_of(key.pk), item)
        _check_home(record)
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
        case Room.CONTROL:
            return _read_control(key, place, item)
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
    for name, field in _FIELDS[kind].items():
        stored = item.get(field.attribute)
        if stored is None:
            if isinstance(field.absent, _Required):
                raise ValueError(f"{field.attribute} ({name}): missing")
            values[name] = field.absent
            continue
        try:
            values[name] = field.form.decode(stored)
        except (ValueError, OverflowError):
            raise ValueError(f"{field.attribute} ({name}): not {field.form.name}") from None
    return values


def _encoded(kind: type[Record], name: str, field: Field, value: object) -> Value | None:
    if value is None or value is False:
        if field.form is not forms.FLAG and value is False:
            raise ValueError(f"{kind.__name__}.{name}: False is not {field.form.name}")
        return None
    try:
        return field.form.encode(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{kind.__name__}.{name}: not {field.form.name} ({error})") from None


def _check_ulid_key(key: Key, place: Place) -> None:
    if not is_ulid(key.sk):
        raise ValueError("the key is not an id")
    if shard_of(key.sk) != place.shard:
        raise ValueError("the id belongs to another shard")


def _check_home(record: Record) -> None:
    # A pointer or report in another shard than its work would move a cursor that never passes the work.
    if isinstance(record, Pointer | Done) and shard_of(record.at) != shard_of(record.work_id):
        raise ValueError("the key and the work it names are of different shards")
