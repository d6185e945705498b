"""One row for each kind of record: its type, its name, its key and its fields.

A row says everything about how a kind is stored.

Conditions and updates are spelled through the same rows as whole records, so a field and its
attribute cannot drift apart. Attributes are short, because every write of an item costs by its
whole size.
"""

from __future__ import annotations

from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from workpool_aws.adapters.items import (
    forms,
    job_tallies,
    keys,
    ledger,
    ledger_forms,
    rates,
    reported_ends,
)
from workpool_aws.adapters.items.attributes import TTL_ATTRIBUTE
from workpool_aws.adapters.items.config import CONFIG_FIELDS
from workpool_aws.adapters.items.error_marks import ERROR_MARKS
from workpool_aws.adapters.items.field import Field
from workpool_aws.adapters.items.group import GROUP_END, GROUP_FIELDS, flatten_group, group_of
from workpool_aws.adapters.items.keys import Key, KeySpelling, PartitionKind
from workpool_aws.adapters.items.schedule import SCHEDULE_FIELDS, flatten_schedule, schedule_of
from workpool_aws.adapters.items.work import WORK_FIELDS, flatten_work, work_of
from workpool_aws.core import limits
from workpool_aws.model.error_marks import ErrorMarks
from workpool_aws.model.group import GroupItem
from workpool_aws.model.ids import shard_of
from workpool_aws.model.loop import (
    Config,
    Deployment,
    Heartbeat,
    Ledger,
    LoopState,
    LoopStatus,
    MinuteReport,
    Notice,
    NoticeKind,
    Registration,
)
from workpool_aws.model.names import GROUP, SCHEDULE
from workpool_aws.model.pages import LedgerPage
from workpool_aws.model.payload import Chunk
from workpool_aws.model.receipt import Receipt, Void
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import (
    ChunkRef,
    ConfigRef,
    DeploymentRef,
    ErrorMarksRef,
    GroupRef,
    HeartbeatRef,
    LedgerPageRef,
    LedgerRef,
    MinuteReportRef,
    NoticeRef,
    PointerRef,
    ReceiptRef,
    RegistrationRef,
    RequestRef,
    ScheduleRef,
    StatusRef,
    TickRef,
    UniqueRef,
    Unreadable,
    VoidRef,
    WorkRef,
)
from workpool_aws.model.schedule import ScheduleItem, Tick
from workpool_aws.model.spec import Outcome
from workpool_aws.model.unique import RequestMark, UniqueLock
from workpool_aws.model.work import CallbackState, Pointer, WorkItem
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.adapters.items.forms import Value

__all__ = [
    "RECORDS",
    "TAG",
    "RecordKind",
    "attribute_of",
    "encode_field",
    "field_of",
    "fields_of",
    "found_for",
    "key_of",
    "kind_in",
    "kind_of",
    "number_attribute_of",
    "record_type",
    "ref_of",
    "step_name",
]

R = TypeVar("R", bound=Record)

TAG: Final = "t"
"""Distinguishes the kinds of record that share a partition: work items, pointers and voids."""


def _check_shard(record: Pointer | Notice) -> None:
    # Every loop reads shard 0, and the work item's while it has a start in flight there.
    if shard_of(record.at) not in {0, shard_of(record.work_id)}:
        raise ValueError("the key lies in a shard of neither the work item nor every loop")


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordKind(Generic[R]):
    """Row of one kind of record: how it is stored. The names in its key are stored nowhere else."""

    record: type[R]
    ref: type[Ref[R]]
    """Its name. Each field of it is a field of the record."""
    key: KeySpelling
    fields: Mapping[str, Field]
    """All of its other fields."""
    tag: str | None = None
    """The value of `TAG`. `None` means that its items have none."""
    bytes_max: int = limits.STORED_ITEM_BYTES_MAX
    """Larger items are not read."""
    check: Callable[[R], None] = lambda _: None
    """Raises ValueError for a record whose fields contradict each other."""
    flatten: Callable[[R], Mapping[str, object]] | None = None
    """Returns the values of the fields. `None` means that they are the record's own attributes."""
    build: Callable[[dict[str, Any]], R] | None = None
    """Makes the record of its names and the values of its fields; raises ValueError for values that
    contradict each other. `None` means that they are the record's own attributes."""

    @cached_property
    def absences(self) -> Mapping[str, object]:
        """The value that each field has where its attribute is absent."""
        return {name: field.absent for name, field in self.fields.items()}

    @cached_property
    def by_attribute(self) -> Mapping[str, tuple[str, forms.FieldCodec]]:
        """The name and form of the field of each attribute."""
        return {field.attribute: (name, field.form) for name, field in self.fields.items()}

    @cached_property
    def names(self) -> Callable[[R | Ref[R]], tuple[Any, ...]]:
        """Returns the names in the key of a record."""
        names = self.ref.__match_args__
        if len(names) > 1:
            return attrgetter(*names)
        return lambda of: tuple(getattr(of, name) for name in names)

    def values(self, record: R) -> Mapping[str, object]:
        """Returns the values of a record's fields, by name."""
        if self.flatten is not None:
            return self.flatten(record)
        return {name: getattr(record, name) for name in self.fields}

    def make(self, values: dict[str, Any]) -> R:
        """Returns the record of these names and values of fields.

        Raises ValueError for values that contradict each other.
        """
        made = self.record(**values) if self.build is None else self.build(values)
        self.check(made)
        return made


RECORDS: Final[tuple[RecordKind[Any], ...]] = (
    RecordKind(
        record=WorkItem,
        ref=WorkRef,
        key=keys.InShard(PartitionKind.WORK),
        tag="w",
        fields=WORK_FIELDS,
        flatten=flatten_work,
        build=work_of,
    ),
    RecordKind(
        record=Chunk,
        ref=ChunkRef,
        key=keys.OfWork(PartitionKind.PAYLOAD),
        bytes_max=limits.STORED_CHUNK_BYTES_MAX,
        fields={
            "text": Field("x", forms.TEXT),
            "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS, absent=None),
        },
    ),
    RecordKind(
        record=Pointer,
        ref=PointerRef,
        key=keys.InShard(PartitionKind.WORK),
        tag="p",
        check=_check_shard,
        fields={
            "work_id": Field("w", forms.ULID),
        },
    ),
    RecordKind(
        record=Void,
        ref=VoidRef,
        key=keys.InShard(PartitionKind.WORK),
        tag="v",
        fields={
            "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS),
        },
    ),
    RecordKind(
        record=Receipt,
        ref=ReceiptRef,
        key=keys.ByName(PartitionKind.RECEIPT, "r"),
        fields={
            "applied": Field("ap", forms.FLAG, absent=False),
            "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS),
        },
    ),
    RecordKind(
        record=UniqueLock,
        ref=UniqueRef,
        key=keys.ByName(PartitionKind.UNIQUE, "u"),
        fields={
            "work_id": Field("w", forms.ULID),
            "until": Field("un", forms.WORK_MOMENT, absent=None),
            "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS, absent=None),
        },
    ),
    RecordKind(
        record=RequestMark,
        ref=RequestRef,
        key=keys.ByName(PartitionKind.REQUEST, "r"),
        fields={
            "work_id": Field("w", forms.ULID),
            "digest": Field("dg", forms.TEXT, absent=None),
            "until": Field("un", forms.WORK_MOMENT, absent=None),
            "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS, absent=None),
        },
    ),
    RecordKind(
        record=Tick,
        ref=TickRef,
        key=keys.InShard(PartitionKind.WORK),
        tag="s",
        fields={
            "name": Field("nm", forms.TEXT),
        },
    ),
    RecordKind(
        record=ScheduleItem,
        ref=ScheduleRef,
        key=keys.OfName(PartitionKind.SCHEDULES, SCHEDULE, "a schedule's name"),
        fields=SCHEDULE_FIELDS,
        flatten=flatten_schedule,
        build=schedule_of,
    ),
    RecordKind(
        record=GroupItem,
        ref=GroupRef,
        key=keys.OfName(PartitionKind.GROUPS, GROUP, "a group's id"),
        fields=GROUP_FIELDS,
        flatten=flatten_group,
        build=group_of,
    ),
    RecordKind(
        record=Notice,
        ref=NoticeRef,
        key=keys.InShard(PartitionKind.DONE),
        check=_check_shard,
        fields={
            "work_id": Field("w", forms.ULID),
            "start": Field("st", forms.STARTS),
            "kind": Field("k", forms.choice(NoticeKind)),
            "pointer": Field("p", forms.ULID, absent=None),
            "callback": Field("cb", forms.choice(CallbackState), absent=None),
            "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS, absent=None),
            "outcome": Field("o", forms.choice(Outcome), absent=None),
            "job": Field("j", job_tallies.LABEL, absent=None),
            "ran_ms": Field("rm", forms.COUNT, absent=None),
            "more": Field("m", reported_ends.REPORTED_ENDS, absent=()),
            "group": Field("g", GROUP_END, absent=None),
        },
    ),
    RecordKind(
        record=MinuteReport,
        ref=MinuteReportRef,
        key=keys.ByMinute(PartitionKind.REPORTS),
        fields={
            "tally": Field("ta", ledger_forms.TALLY),
            "jobs": Field("tj", job_tallies.JOB_TALLIES, absent=None),
            "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS, absent=None),
        },
    ),
    RecordKind(
        record=LoopStatus,
        ref=StatusRef,
        key=keys.OfPool(PartitionKind.CONTROL, "status"),
        fields={
            "state": Field("s", forms.choice(LoopState)),
            "generation": Field("g", forms.GENERATION),
            "lease_until": Field("l", forms.MOMENT),
            "wake_at": Field("wk", forms.MOMENT, absent=None),
            "saturated": Field("sat", forms.FLAG, absent=False),
            "timer_at": Field("tm", forms.MOMENT, absent=None),
            "written_by": Field("by", forms.TEXT, absent=None),
            "epoch": Field("ep", forms.COUNT, absent=0),
            "shards": Field("sh", forms.SHARDS, absent=1),
            "shards_read": Field("sr", forms.SHARDS, absent=None),
            "beats": Field("hb", forms.FLAG, absent=False),
            "rate": Field("rt", rates.RATE_SPENT, absent=None),
            "guest": Field("qs", ledger_forms.GUEST_STARTS, absent=None),
        },
    ),
    RecordKind(
        record=Ledger,
        ref=LedgerRef,
        key=keys.OfPool(PartitionKind.CONTROL, "ledger"),
        fields=ledger.LEDGER_FIELDS,
        flatten=ledger.flatten_ledger,
        build=ledger.ledger_of,
    ),
    RecordKind(
        record=Config,
        ref=ConfigRef,
        key=keys.OfPool(PartitionKind.CONTROL, "config"),
        fields=CONFIG_FIELDS,
    ),
    RecordKind(
        record=ErrorMarks,
        ref=ErrorMarksRef,
        key=keys.OfPool(PartitionKind.CONTROL, "errors"),
        fields={
            "version": Field("v", forms.GENERATION),
            "marks": Field("m", ERROR_MARKS, absent=()),
        },
    ),
    RecordKind(
        record=LedgerPage,
        ref=LedgerPageRef,
        key=keys.OfPage(PartitionKind.CONTROL),
        fields=ledger.PAGE_FIELDS,
    ),
    RecordKind(
        record=Registration,
        ref=RegistrationRef,
        key=keys.InRegistry(PartitionKind.REGISTRY),
        fields={
            "registered_at": Field("at", forms.MOMENT),
        },
    ),
    RecordKind(
        record=Deployment,
        ref=DeploymentRef,
        key=keys.OfTable(PartitionKind.DEPLOYMENT, "current"),
        fields={
            "loop_arn": Field("loop", forms.TEXT),
            "completion_arn": Field("done", forms.TEXT, absent=None),
            "schedule_group": Field("grp", forms.TEXT, absent=None),
            "scheduler_role_arn": Field("role", forms.TEXT, absent=None),
            "acknowledging": Field("ack", forms.TEXTS, absent=()),
            "limits": Field("lim", ledger_forms.DEPLOYED_LIMITS, absent=()),
            "jobs": Field("jobs", ledger_forms.DEPLOYED_JOBS, absent=()),
            "schedules": Field("sch", forms.TEXT, absent=None),
            "rates": Field("rat", rates.DEPLOYED_RATES, absent=()),
            "version": Field("v", forms.GENERATION, absent=0),
            "replaced": Field("rep", forms.TEXTS, absent=()),
            "replaced_at": Field("ra", forms.MOMENT, absent=None),
        },
    ),
    RecordKind(
        record=Heartbeat,
        ref=HeartbeatRef,
        key=keys.OfTable(PartitionKind.DEPLOYMENT, "heartbeat"),
        fields={
            "at": Field("at", forms.MOMENT),
        },
    ),
)
"""A new kind of record is a class, its `Ref`, and a row here."""

_BY_TYPE: Final[Mapping[type[Record], RecordKind[Any]]] = {kind.record: kind for kind in RECORDS}
_BY_REF: Final[Mapping[type[Ref[Any]], RecordKind[Any]]] = {kind.ref: kind for kind in RECORDS}
_BY_PARTITION_KIND: Final[Mapping[PartitionKind, tuple[RecordKind[Any], ...]]] = {
    partition_kind: tuple(kind for kind in RECORDS if kind.key.partition_kind is partition_kind)
    for partition_kind in PartitionKind
}


def kind_of(record_type: type[R]) -> RecordKind[R]:
    """Returns the row of a type of record."""
    return _BY_TYPE[record_type]


def kind_in(
    partition_kind: PartitionKind, sort: str, item: Mapping[str, object]
) -> RecordKind[Any]:
    """Returns the kind of record that an item is. Raises ValueError if it is none of this package's."""
    kinds, tag = _BY_PARTITION_KIND[partition_kind], item.get(TAG)
    fits = [kind for kind in kinds if kind.key.sort in (None, sort)]
    for kind in fits:
        if kind.tag in (None, tag):
            return kind
    if fits:
        raise ValueError(
            f"{TAG}: neither a {' nor a '.join(step_name(kind.record) for kind in fits)}"
        )
    raise ValueError("no item of this package has this key")


def record_type(ref: Ref[R]) -> type[R]:
    """Returns the type of record that a name is for."""
    kind: RecordKind[R] = _BY_REF[type(ref)]
    return kind.record


def found_for(ref: Ref[R], found: Record | Unreadable | None) -> R | Unreadable | None:
    """Returns the record that a name leads to.

    `None` means that none is stored there, or one of another kind, which has another name.
    """
    return found if isinstance(found, (record_type(ref), Unreadable)) else None


def ref_of(record: R) -> Ref[R]:
    """Returns the name under which a record is stored."""
    kind = kind_of(type(record))
    return kind.ref(*kind.names(record))


def key_of(ref: Ref[Record]) -> Key:
    """Returns the key of a record. Raises ValueError: the pool or the id cannot be part of a key."""
    kind = _BY_REF[type(ref)]
    return kind.key.key(*kind.names(ref))


def fields_of(record_type: type[Record]) -> Mapping[str, Field]:
    """Returns all stored fields of a type of record, by name."""
    return _BY_TYPE[record_type].fields


def field_of(record_type: type[Record], name: str) -> Field:
    """Returns the row of a field. Raises ValueError: it has none, or the field is of its key."""
    try:
        return _BY_TYPE[record_type].fields[name]
    except KeyError:
        raise ValueError(f"{record_type.__name__} has no stored field {name!r}") from None


def attribute_of(record_type: type[Record], name: str) -> str:
    """Returns the attribute of a field. Raises ValueError as `field_of` does."""
    return field_of(record_type, name).attribute


def number_attribute_of(record_type: type[Record], name: str) -> str:
    """Returns the attribute of a field that is a number.

    Raises ValueError as `field_of` does, and when the field is no number.
    """
    field = field_of(record_type, name)
    if field.form not in forms.NUMBERS:
        raise ValueError(f"{record_type.__name__}.{name}: not a number")
    return field.attribute


_STEP_NAMES: Final = {kind: kind.__name__.lower().removesuffix("item") for kind in _BY_TYPE}
_STEP_NAMES.update({WorkItem: "work", LoopStatus: "status", Notice: "done"})


def step_name(record_type: type[Record]) -> str:
    """Returns the name of a type of record in meters and messages."""
    return _STEP_NAMES[record_type]


def encode_field(record_type: type[Record], name: str, value: object) -> Value | None:
    """Returns the stored value of one field. `None` means that its absence stands for it.

    Raises:
        ValueError: no such field, or a value that it cannot have.
    """
    field = field_of(record_type, name)
    if value is None or value is False:
        if field.form is not forms.FLAG and value is False:
            raise ValueError(f"{record_type.__name__}.{name}: False is not {field.form.name}")
        return None
    if value == () and field.absent == ():
        return None
    if field.form in forms.NUMBERS and value == field.absent:
        return None
    try:
        return field.form.encode(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{record_type.__name__}.{name}: not {field.form.name} ({error})"
        ) from None
