"""The fields of a stored work item, which lie flat in its item however deep the record holds them.

Conditions and updates name these fields. A new one is a row here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.items import forms
from workpool_aws.adapters.items.field import Field
from workpool_aws.adapters.items.keys import DEAD_KEY, TTL_ATTRIBUTE
from workpool_aws.model.payload import Part, payload_of, stored_fields
from workpool_aws.model.work import CallbackState, Kind, Outcome, State, WorkItem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["WORK_FIELDS", "flatten_work", "work_of"]

WORK_FIELDS: Final[Mapping[str, Field]] = {
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
}

_OF_PAYLOADS: Final = frozenset(name for part in Part for name in stored_fields(part, None))
_PLAIN: Final = [name for name in WORK_FIELDS if name not in _OF_PAYLOADS]


def flatten_work(work: WorkItem) -> Mapping[str, object]:
    """Return the values of a work item's fields."""
    return {
        **{name: getattr(work, name) for name in _PLAIN},
        **stored_fields(Part.ARGS, work.args),
        **stored_fields(Part.CONTEXT, work.context),
        **stored_fields(Part.RESULT, work.result),
    }


def work_of(values: dict[str, Any]) -> WorkItem:
    """Return the work item of these values.

    Raises ValueError: with no arguments it could not run, with some both in its item and in chunks
    it would be open which hold.
    """
    if (values["args"] is None) == (values["args_chunks"] is None):
        place = "missing" if values["args"] is None else "here and in chunks"
        raise ValueError(f"{WORK_FIELDS['args'].attribute} (args): {place}")
    own = {name: value for name, value in values.items() if name not in _OF_PAYLOADS}
    for part in Part:
        own[part.value] = payload_of(*(values[name] for name in stored_fields(part, None)))
    return WorkItem(**own)
