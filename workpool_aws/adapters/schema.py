"""Owns the tables of what is stored: one per record type, from field to attribute.

Conditions and updates are spelled through the same tables as whole records, so a field and its attribute cannot drift apart. Attributes are
short, because every write of an item costs by its whole size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from workpool_aws.adapters import forms
from workpool_aws.adapters.forms import Form, Value
from workpool_aws.adapters.keys import DEAD_KEY, TTL_ATTRIBUTE
from workpool_aws.model.loop import Config, Deployment, Done, DoneKind, Ledger, LoopState, MinuteReport, Registration, Status
from workpool_aws.model.refs import (
    ChunkRef,
    ConfigRef,
    DeploymentRef,
    DoneRef,
    LedgerRef,
    MinuteReportRef,
    PointerRef,
    Record,
    Ref,
    RegistrationRef,
    StatusRef,
    WorkRef,
)
from workpool_aws.model.work import CallbackState, Chunk, Kind, Outcome, Pointer, State, Work

__all__ = ["Field", "attribute_of", "encode_field", "field_of", "fields_of", "number_attribute_of", "record_type"]


class _Required:
    """A field that is never absent from an item."""


_REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Field:
    """Where a field of a record is stored, and how. `absent` is what its absence means."""

    attribute: str
    form: Form
    absent: int | tuple[()] | _Required | None = _REQUIRED

    @property
    def required(self) -> bool:
        """Whether an item without it is damaged."""
        return self.absent is _REQUIRED


_FIELDS: Final[Mapping[type[Record], Mapping[str, Field]]] = {
    Work: {
        "target": Field("fn", forms.TEXT),
        "args": Field("a", forms.TEXT, absent=None),
        "args_chunks": Field("ac", forms.CHUNKS, absent=None),
        "kind": Field("k", forms.choice(Kind)),
        "retry": Field("rp", forms.RETRY, absent=None),
        "claimed": Field("cl", forms.FLAG, absent=False),
        "state": Field("s", forms.choice(State)),
        "due_at": Field("due", forms.WORK_MOMENT),
        "enqueued_at": Field("enq", forms.WORK_MOMENT),
        "retention_s": Field("keep", forms.RETENTION, absent=None),
        "attempts_made": Field("n", forms.STARTS),
        "starts": Field("st", forms.STARTS),
        "undelivered": Field("un", forms.STARTS),
        "snoozes": Field("sn", forms.STARTS, absent=0),
        "history": Field("h", forms.HISTORY, absent=()),
        "refused_since": Field("ref", forms.WORK_MOMENT, absent=None),
        "started_by": Field("by", forms.TEXT, absent=None),
        "started_at": Field("at", forms.WORK_MOMENT, absent=None),
        "proof": Field("pf", forms.TEXT, absent=None),
        "claim": Field("cm", forms.TEXT, absent=None),
        "deadline": Field("dl", forms.WORK_MOMENT, absent=None),
        "cancel_requested": Field("cr", forms.FLAG, absent=False),
        "link": Field("ln", forms.TEXT, absent=None),
        "suspected_type": Field("sut", forms.TEXT, absent=None),
        "suspected_error": Field("sue", forms.TEXT, absent=None),
        "on_complete": Field("oc", forms.TEXT, absent=None),
        "context": Field("cx", forms.TEXT, absent=None),
        "context_chunks": Field("cc", forms.CHUNKS, absent=None),
        "callback_for": Field("cf", forms.OUTCOMES, absent=()),
        "callback": Field("cb", forms.choice(CallbackState), absent=None),
        "callback_nonce": Field("cn", forms.TEXT, absent=None),
        "outcome": Field("o", forms.choice(Outcome), absent=None),
        "result": Field("r", forms.TEXT, absent=None),
        "result_chunks": Field("rc", forms.CHUNKS, absent=None),
        "error": Field("e", forms.TEXT, absent=None),
        "error_type": Field("et", forms.TEXT, absent=None),
        "finished_at": Field("fin", forms.WORK_MOMENT, absent=None),
        "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS, absent=None),
        "dead": Field(DEAD_KEY, forms.TEXT, absent=None),
        "redrive_of": Field("ro", forms.ULID, absent=None),
        "redriven_as": Field("ra", forms.ULID, absent=None),
        "epoch": Field("ep", forms.COUNT, absent=0),
    },
    Chunk: {
        "text": Field("x", forms.TEXT),
        "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS, absent=None),
    },
    Pointer: {
        "work_id": Field("w", forms.ULID),
    },
    Done: {
        "work_id": Field("w", forms.ULID),
        "start": Field("st", forms.STARTS),
        "kind": Field("k", forms.choice(DoneKind)),
        "pointer": Field("p", forms.ULID, absent=None),
        "callback": Field("cb", forms.choice(CallbackState), absent=None),
        "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS, absent=None),
        "outcome": Field("o", forms.choice(Outcome), absent=None),
    },
    MinuteReport: {
        "tally": Field("ta", forms.TALLY),
        "expires_at": Field(TTL_ATTRIBUTE, forms.SECONDS, absent=None),
    },
    Status: {
        "state": Field("s", forms.choice(LoopState)),
        "generation": Field("g", forms.GENERATION),
        "lease_until": Field("l", forms.MOMENT),
        "wake_at": Field("wk", forms.MOMENT, absent=None),
        "saturated": Field("sat", forms.FLAG, absent=False),
        "timer_at": Field("tm", forms.MOMENT, absent=None),
        "written_by": Field("by", forms.TEXT, absent=None),
        "epoch": Field("ep", forms.COUNT, absent=0),
    },
    Ledger: {
        "holder": Field("h", forms.TEXT),
        "generation": Field("g", forms.GENERATION),
        "version": Field("v", forms.GENERATION),
        "entries": Field("en", forms.ENTRIES),
        "shards": Field("sh", forms.SHARD_MARKS),
        "callbacks": Field("cb", forms.OWED, absent=()),
        "committed_by": Field("by", forms.TEXT, absent=None),
        "tally": Field("ta", forms.TALLY, absent=None),
        "epoch": Field("ep", forms.COUNT, absent=0),
    },
    Config: {
        "version": Field("v", forms.GENERATION),
        "max_parallelism": Field("max", forms.PARALLELISM),
        "base_by": Field("bb", forms.TEXT),
        "base_at": Field("ba", forms.MOMENT),
        "override_parallelism": Field("omax", forms.PARALLELISM, absent=None),
        "override_paused": Field("op", forms.FLAG, absent=None),
        "override_by": Field("ob", forms.TEXT, absent=None),
        "override_at": Field("oa", forms.MOMENT, absent=None),
        "epoch": Field("ep", forms.COUNT, absent=0),
        "epoch_at": Field("ea", forms.MOMENT, absent=None),
        "deployed_parallelism": Field("dmax", forms.PARALLELISM, absent=None),
        "deployed_at": Field("da", forms.MOMENT, absent=None),
    },
    Registration: {
        "registered_at": Field("at", forms.MOMENT),
    },
    Deployment: {
        "loop_arn": Field("loop", forms.TEXT),
        "completion_arn": Field("done", forms.TEXT, absent=None),
        "schedule_group": Field("grp", forms.TEXT, absent=None),
        "scheduler_role_arn": Field("role", forms.TEXT, absent=None),
        "acknowledging": Field("ack", forms.TEXTS, absent=()),
        "limits": Field("lim", forms.DEPLOYED_LIMITS, absent=()),
        "version": Field("v", forms.GENERATION, absent=0),
        "replaced": Field("rep", forms.TEXTS, absent=()),
        "replaced_at": Field("ra", forms.MOMENT, absent=None),
    },
}


def fields_of(record_type: type[Record]) -> Mapping[str, Field]:
    """All stored fields of a type of record, by name."""
    return _FIELDS[record_type]


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
    if field.form not in forms.NUMBERS:
        raise ValueError(f"{record_type.__name__}.{name}: not a number")
    return field.attribute


def record_type(ref: Ref) -> type[Record]:  # noqa: C901 - one a kind of record
    """The type of record that a name is for."""
    match ref:
        case WorkRef():
            return Work
        case ChunkRef():
            return Chunk
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
        case MinuteReportRef():
            return MinuteReport
        case RegistrationRef():
            return Registration
        case DeploymentRef():
            return Deployment
        case _:
            assert_never(ref)


def encode_field(record_type: type[Record], name: str, value: object) -> Value | None:
    """The stored value of one field; None when it is stored as absence.

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
    if field.form in forms.NUMBERS and value == 0 and field.absent == 0:
        return None
    try:
        return field.form.encode(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{record_type.__name__}.{name}: not {field.form.name} ({error})") from None
