"""The fields of a stored work item, which lie flat in its item however deep the record holds them.

Conditions and updates name these fields. A new one is a row here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

from workpool_aws.adapters.items import forms
from workpool_aws.adapters.items.attributes import DEAD_KEY, TTL_ATTRIBUTE
from workpool_aws.adapters.items.field import Field
from workpool_aws.adapters.items.forms import (
    FieldCodec,
    list_of,
    matched,
    read_text,
    read_whole,
    read_work_moment,
    work_id,
    write_base36,
)
from workpool_aws.adapters.items.spec import OF_PAYLOADS, SPEC_FIELDS, flatten_spec, spec_of
from workpool_aws.core import limits
from workpool_aws.model.ids import ID_LENGTH, EpochMs
from workpool_aws.model.names import POOL
from workpool_aws.model.payload import Part, payload_of, stored_fields
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import (
    AttemptEnd,
    CallbackState,
    PastAttempt,
    Spawned,
    State,
    WorkItem,
)
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.adapters.items.forms import Value

__all__ = ["HISTORY", "SPAWNED", "WORK_FIELDS", "flatten_work", "work_of"]


class _Attempt:
    """`number:started:took:end:error type:error`, times in base 36."""

    _PARTS: Final = 6
    _LETTERS: Final = {
        AttemptEnd.SUCCESS: "s",
        AttemptEnd.FAILED: "f",
        AttemptEnd.CANCELED: "c",
        AttemptEnd.SNOOZED: "z",
        AttemptEnd.NEVER_DELIVERED: "n",
    }
    _ENDS: Final = {letter: end for end, letter in _LETTERS.items()}
    _NUMBER: Final = re.compile(r"[0-9a-z]{1,12}", re.ASCII)

    @classmethod
    def encode(cls, attempt: PastAttempt) -> str:
        started = write_base36(attempt.started_at)
        took = write_base36(attempt.ended_at - attempt.started_at)
        # A class's name has no colon, and the text comes last.
        error_type = (attempt.error_type or "").replace(":", ".")
        head = f"{attempt.number}:{started}:{took}:{cls._LETTERS[attempt.outcome]}"
        text = f"{head}:{error_type}:{read_text(attempt.error or '')}"
        cls.decode(text)
        return text

    @classmethod
    def decode(cls, value: object) -> PastAttempt:
        text = read_text(value)
        parts = text.split(":", cls._PARTS - 1)
        if (
            len(parts) != cls._PARTS
            or len(text) > limits.ATTEMPTS_BYTES_MAX
            or parts[3] not in cls._ENDS
        ):
            raise ValueError("not of the expected form")
        number, started, took = (
            int(matched(cls._NUMBER, part).group(), base)
            for part, base in zip(parts, (10, 36, 36), strict=False)
        )
        return PastAttempt(
            # the attempt after as many as can be read
            number=read_whole(number, below=limits.STORED_STARTS_BELOW + 1),
            started_at=EpochMs(read_work_moment(started)),
            ended_at=EpochMs(read_work_moment(started + took)),
            outcome=cls._ENDS[parts[3]],
            error_type=parts[4] or None,
            error=parts[5] or None,
        )

    @classmethod
    def encode_all(cls, attempts: tuple[PastAttempt, ...]) -> Value:
        texts = [cls.encode(attempt) for attempt in attempts]
        size = sum(len(text.encode()) for text in texts)
        if size > limits.ATTEMPTS_BYTES_MAX or len(texts) > limits.ATTEMPTS_KEPT:
            raise ValueError("more than is kept of attempts")
        return texts


_ATTEMPTS: Final = list_of(
    FieldCodec("an attempt", _Attempt.encode, _Attempt.decode),
    "a list of attempts",
    at_most=limits.ATTEMPTS_KEPT,
)
HISTORY: Final = replace(_ATTEMPTS, encode=_Attempt.encode_all)

_IDS: Final = re.compile(rf"(?:.{{{ID_LENGTH}}})+", re.ASCII)


def _decode_spawned(value: object) -> Spawned:
    pool, _, text = read_text(value).partition(":")
    ids = matched(_IDS, text).group()
    starts = range(0, len(ids), ID_LENGTH)
    return Spawned(
        matched(POOL, pool).group(), tuple(work_id(ids[at : at + ID_LENGTH]) for at in starts)
    )


_SPAWNED: Final = list_of(
    FieldCodec(
        "ids of a pool",
        lambda spawned: f"{spawned.pool}:{''.join(spawned.ids)}",
        _decode_spawned,
    ),
    "ids by pool",
    at_most=limits.TRANSACTION_ITEMS_MAX,
)


def _read_spawned(value: object) -> tuple[Spawned, ...]:
    spawned = cast("tuple[Spawned, ...]", _SPAWNED.decode(value))
    ids = [(each.pool, work_id) for each in spawned for work_id in each.ids]
    if len(ids) > limits.TRANSACTION_ITEMS_MAX or len(set(ids)) < len(ids):
        raise ValueError("more than one transaction stores")
    return spawned


SPAWNED: Final = replace(_SPAWNED, decode=_read_spawned)

_OWN_FIELDS: Final[Mapping[str, Field]] = {
    "state": Field("s", forms.choice(State)),
    "due_at": Field("due", forms.WORK_MOMENT),
    "enqueued_at": Field("enq", forms.WORK_MOMENT),
    "attempts_made": Field("n", forms.STARTS),
    "starts": Field("st", forms.STARTS),
    "undelivered": Field("un", forms.STARTS),
    "snoozes": Field("sn", forms.STARTS, absent=0),
    "history": Field("h", HISTORY, absent=()),
    "refused_since": Field("ref", forms.WORK_MOMENT, absent=None),
    "started_by": Field("by", forms.TEXT, absent=None),
    "started_at": Field("at", forms.WORK_MOMENT, absent=None),
    "proof": Field("pf", forms.TEXT, absent=None),
    "permit": Field("pm", forms.TEXT, absent=None),
    "claim": Field("cm", forms.TEXT, absent=None),
    "deadline": Field("dl", forms.WORK_MOMENT, absent=None),
    "beat_at": Field("bt", forms.WORK_MOMENT, absent=None),
    "progress": Field("pg", forms.COUNT, absent=None),
    "note": Field("nt", forms.TEXT, absent=None),
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
    "rev": Field("rv", forms.COUNT, absent=0),
    "postponed": Field("po", forms.FLAG, absent=False),
    "spawned": Field("sp", SPAWNED, absent=()),
    "epoch": Field("ep", forms.COUNT, absent=0),
}

WORK_FIELDS: Final[Mapping[str, Field]] = {**SPEC_FIELDS, **_OWN_FIELDS}

_OWN_PLAIN: Final = tuple(name for name in _OWN_FIELDS if name not in OF_PAYLOADS)
"""Fields that are attributes of the work item itself."""


def flatten_work(work: WorkItem) -> Mapping[str, object]:
    """Returns the values of a work item's fields."""
    return {
        **flatten_spec(work.spec),
        **{name: getattr(work, name) for name in _OWN_PLAIN},
        **stored_fields(Part.RESULT, work.result),
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
