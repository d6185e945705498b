"""The fields of a stored work item, which lie flat in its item however deep the record holds them.

Conditions and updates name these fields. A new one is a row here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.items import forms
from workpool_aws.adapters.items.attributes import DEAD_KEY, TTL_ATTRIBUTE
from workpool_aws.adapters.items.field import Field
from workpool_aws.model.payload import Part, payload_of, stored_fields
from workpool_aws.model.spec import CallbackSpec, Kind, Outcome, Spec
from workpool_aws.model.work import CallbackState, State, WorkItem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SPEC_FIELDS", "WORK_FIELDS", "flatten_spec", "flatten_work", "spec_of", "work_of"]

SPEC_FIELDS: Final[Mapping[str, Field]] = {
    "target": Field("fn", forms.TEXT),
    "args": Field("a", forms.TEXT, absent=None),
    "args_chunks": Field("ac", forms.CHUNKS, absent=None),
    "kind": Field("k", forms.choice(Kind)),
    "retry": Field("rp", forms.RETRY, absent=None),
    "claimed": Field("cl", forms.FLAG, absent=False),
    "retention_s": Field("keep", forms.RETENTION, absent=None),
    "job": Field("j", forms.TEXT, absent=None),
    "schedule": Field("sc", forms.TEXT, absent=None),
    "awaited": Field("aw", forms.FLAG, absent=False),
    "expires_after_ms": Field("xa", forms.EXPIRY, absent=None),
    "origin": Field("ln", forms.TEXT, absent=None),
    "callback_target": Field("oc", forms.TEXT, absent=None),
    "context": Field("cx", forms.TEXT, absent=None),
    "context_chunks": Field("cc", forms.CHUNKS, absent=None),
    "callback_outcomes": Field("cf", forms.OUTCOMES, absent=()),
    "callback_job": Field("oj", forms.TEXT, absent=None),
}
"""The fields of what was asked for."""

_OWN_FIELDS: Final[Mapping[str, Field]] = {
    "state": Field("s", forms.choice(State)),
    "due_at": Field("due", forms.WORK_MOMENT),
    "enqueued_at": Field("enq", forms.WORK_MOMENT),
    "attempts_made": Field("n", forms.STARTS),
    "starts": Field("st", forms.STARTS),
    "undelivered": Field("un", forms.STARTS),
    "snoozes": Field("sn", forms.STARTS, absent=0),
    "history": Field("h", forms.HISTORY, absent=()),
    "refused_since": Field("ref", forms.WORK_MOMENT, absent=None),
    "started_by": Field("by", forms.TEXT, absent=None),
    "started_at": Field("at", forms.WORK_MOMENT, absent=None),
    "proof": Field("pf", forms.TEXT, absent=None),
    "permit": Field("pm", forms.TEXT, absent=None),
    "claim": Field("cm", forms.TEXT, absent=None),
    "deadline": Field("dl", forms.WORK_MOMENT, absent=None),
    "cancel_requested": Field("cr", forms.FLAG, absent=False),
    "suspected_type": Field("sut", forms.TEXT, absent=None),
    "suspected_error": Field("sue", forms.TEXT, absent=None),
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
}

WORK_FIELDS: Final[Mapping[str, Field]] = {**SPEC_FIELDS, **_OWN_FIELDS}

_OF_PAYLOADS: Final = frozenset(name for part in Part for name in stored_fields(part, None))
_OF_CALLBACK: Final = frozenset({"callback_target", "callback_outcomes", "callback_job"})
_SPEC_PLAIN: Final = tuple(
    name for name in SPEC_FIELDS if name not in _OF_PAYLOADS and name not in _OF_CALLBACK
)
"""Fields that are attributes of the spec itself."""
_OWN_PLAIN: Final = tuple(name for name in _OWN_FIELDS if name not in _OF_PAYLOADS)
"""Fields that are attributes of the work item itself."""


def flatten_work(work: WorkItem) -> Mapping[str, object]:
    """Returns the values of a work item's fields."""
    return {
        **flatten_spec(work.spec),
        **{name: getattr(work, name) for name in _OWN_PLAIN},
        **stored_fields(Part.RESULT, work.result),
    }


def flatten_spec(spec: Spec) -> Mapping[str, object]:
    """Returns the values of a spec's fields."""
    return {
        **{name: getattr(spec, name) for name in _SPEC_PLAIN},
        **stored_fields(Part.ARGS, spec.args),
        "callback_target": spec.callback_target,
        **stored_fields(Part.CONTEXT, spec.context),
        "callback_outcomes": spec.callback_outcomes,
        "callback_job": spec.callback_job,
    }


def work_of(values: Mapping[str, Any]) -> WorkItem:
    """Returns the work item of these names and values. Raises ValueError as `spec_of` does."""
    return WorkItem(
        pool=values["pool"],
        id=values["id"],
        spec=spec_of(values),
        result=payload_of(values["result"], values["result_chunks"]),
        **{name: values[name] for name in _OWN_PLAIN},
    )


def spec_of(values: Mapping[str, Any]) -> Spec:
    """Returns the spec of these values.

    A context or outcomes without a target ask for nothing, and are left out.

    Raises ValueError: with no arguments it could not run, with some both in its item and in chunks
    it would be open which hold.
    """
    args = payload_of(values["args"], values["args_chunks"])
    if args is None or None not in (values["args"], values["args_chunks"]):
        place = "missing" if args is None else "here and in chunks"
        raise ValueError(f"{SPEC_FIELDS['args'].attribute} (args): {place}")
    callback = None
    if values["callback_target"] is not None:
        callback = CallbackSpec(
            target=values["callback_target"],
            context=payload_of(values["context"], values["context_chunks"]),
            outcomes=values["callback_outcomes"],
            job=values["callback_job"],
        )
    return Spec(
        args=args,
        callback=callback,
        **{name: values[name] for name in _SPEC_PLAIN},
    )
