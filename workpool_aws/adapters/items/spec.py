"""The fields of a stored spec, which lie flat in the items of work items and schedules.

Conditions and updates name these fields. A new option of an enqueue is a row here.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.items import forms
from workpool_aws.adapters.items.field import Field
from workpool_aws.adapters.items.forms import FieldCodec, matched
from workpool_aws.model.payload import Part, payload_of, stored_fields
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import CallbackSpec, Kind, Outcome, Spec, UniqueSpec
from workpool_aws.model.trace import TRACE_PARENT, TRACE_STATE, TraceContext

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "OF_PAYLOADS",
    "OUTCOMES",
    "RETRY",
    "SPEC_FIELDS",
    "TRACE_PARENT_TEXT",
    "TRACE_STATE_TEXT",
    "flatten_spec",
    "spec_of",
]


class _Outcomes:
    """The initials of outcomes, in one text."""

    _BY_LETTER: Final = {outcome.value[0]: outcome for outcome in Outcome}
    _PATTERN: Final = re.compile(rf"[{''.join(_BY_LETTER)}]{{1,{len(_BY_LETTER)}}}", re.ASCII)

    @staticmethod
    def encode(outcomes: tuple[Outcome, ...]) -> str:
        return "".join(Outcome(outcome).value[0] for outcome in outcomes)

    @classmethod
    def decode(cls, value: object) -> tuple[Outcome, ...]:
        letters = matched(cls._PATTERN, value).group()
        return tuple(cls._BY_LETTER[letter] for letter in letters)


class _Policy:
    """`attempts:initial:base:cap:jitter`, durations in milliseconds."""

    _PATTERN: Final = re.compile(
        r"([0-9]{1,9}):([0-9]{1,15}(?:\.[0-9]{3})?):([0-9.e+]{1,30})"
        r":([0-9]{1,15}(?:\.[0-9]{3})?)?:(j?)",
        re.ASCII,
    )

    @classmethod
    def encode(cls, policy: RetryPolicy) -> str:
        if not isinstance(policy, RetryPolicy):
            raise ValueError("a RetryPolicy expected")
        initial = cls._write_ms(policy.initial_backoff)
        cap = "" if policy.max_backoff is None else cls._write_ms(policy.max_backoff)
        jitter = "j" if policy.jitter else ""
        return f"{policy.max_attempts}:{initial}:{float(policy.base)!r}:{cap}:{jitter}"

    @classmethod
    def decode(cls, value: object) -> RetryPolicy:
        attempts, initial, base, cap, jitter = matched(cls._PATTERN, value).groups()
        return RetryPolicy(
            int(attempts),
            cls._read_ms(initial),
            float(base),
            None if cap is None else cls._read_ms(cap),
            jitter == "j",
        )

    @staticmethod
    def _write_ms(duration: timedelta) -> str:
        whole, rest = divmod(duration, timedelta(milliseconds=1))
        return f"{whole}.{rest.microseconds:03d}" if rest else f"{whole}"

    @staticmethod
    def _read_ms(text: str) -> timedelta:
        whole, _, rest = text.partition(".")
        return timedelta(milliseconds=int(whole), microseconds=int(rest or 0))


TRACE_PARENT_TEXT: Final = forms.matching(TRACE_PARENT, "a traceparent")
TRACE_STATE_TEXT: Final = forms.matching(TRACE_STATE, "a tracestate")
RETRY: Final = FieldCodec("a retry policy", _Policy.encode, _Policy.decode)
OUTCOMES: Final = FieldCodec("initials of outcomes", _Outcomes.encode, _Outcomes.decode)

SPEC_FIELDS: Final[Mapping[str, Field]] = {
    "target": Field("fn", forms.TEXT),
    "args": Field("a", forms.TEXT, absent=None),
    "args_chunks": Field("ac", forms.CHUNKS, absent=None),
    "kind": Field("k", forms.choice(Kind)),
    "retry": Field("rp", RETRY, absent=None),
    "claimed": Field("cl", forms.FLAG, absent=False),
    "retention_s": Field("keep", forms.RETENTION, absent=None),
    "job": Field("j", forms.TEXT, absent=None),
    "schedule": Field("sc", forms.TEXT, absent=None),
    "awaited": Field("aw", forms.FLAG, absent=False),
    "group": Field("g", forms.TEXT, absent=None),
    "expires_after_ms": Field("xa", forms.EXPIRY, absent=None),
    "unique_key": Field("uk", forms.TEXT, absent=None),
    "unique_until_started": Field("us", forms.FLAG, absent=False),
    "unique_for_ms": Field("uf", forms.EXPIRY, absent=None),
    "timeout_ms": Field("to", forms.EXPIRY, absent=None),
    "heartbeat_ms": Field("hb", forms.EXPIRY, absent=None),
    "origin": Field("ln", forms.TEXT, absent=None),
    "trace_parent": Field("tp", TRACE_PARENT_TEXT, absent=None),
    "trace_state": Field("ts", TRACE_STATE_TEXT, absent=None),
    "trace_linked": Field("tl", forms.FLAG, absent=False),
    "callback_target": Field("oc", forms.TEXT, absent=None),
    "context": Field("cx", forms.TEXT, absent=None),
    "context_chunks": Field("cc", forms.CHUNKS, absent=None),
    "callback_outcomes": Field("cf", OUTCOMES, absent=()),
    "callback_job": Field("oj", forms.TEXT, absent=None),
}
"""The fields of what was asked for."""

OF_PAYLOADS: Final = frozenset(name for part in Part for name in stored_fields(part, None))
"""Fields of payloads, which a record holds as one value each."""
_OF_CALLBACK: Final = frozenset({"callback_target", "callback_outcomes", "callback_job"})
_OF_TRACE: Final = frozenset({"trace_parent", "trace_state", "trace_linked"})
_OF_UNIQUE: Final = frozenset({"unique_key", "unique_until_started", "unique_for_ms"})
_SPEC_PLAIN: Final = tuple(
    name for name in SPEC_FIELDS if name not in OF_PAYLOADS | _OF_CALLBACK | _OF_TRACE | _OF_UNIQUE
)
"""Fields that are attributes of the spec itself."""


def flatten_spec(spec: Spec) -> Mapping[str, object]:
    """Returns the values of a spec's fields."""
    unique = spec.unique
    return {
        **{name: getattr(spec, name) for name in _SPEC_PLAIN},
        "unique_key": None if unique is None else unique.key,
        "unique_until_started": unique is not None and unique.until_started,
        "unique_for_ms": None if unique is None else unique.for_ms,
        **stored_fields(Part.ARGS, spec.args),
        "callback_target": spec.callback_target,
        **stored_fields(Part.CONTEXT, spec.context),
        "callback_outcomes": spec.callback_outcomes,
        "callback_job": spec.callback_job,
        "trace_parent": None if spec.trace is None else spec.trace.parent,
        "trace_state": None if spec.trace is None else spec.trace.state,
        "trace_linked": spec.trace is not None and spec.trace.linked,
    }


def spec_of(values: Mapping[str, Any]) -> Spec:
    """Returns the spec of these values.

    A context or outcomes without a target ask for nothing, and are left out. So are the terms of a
    unique key that is not there.

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
    unique = None
    if values["unique_key"] is not None:
        unique = UniqueSpec(
            key=values["unique_key"],
            until_started=values["unique_until_started"],
            for_ms=values["unique_for_ms"],
        )
    trace = TraceContext.read(
        values["trace_parent"], values["trace_state"], linked=values["trace_linked"]
    )
    plain = {name: values[name] for name in _SPEC_PLAIN}
    return Spec(args=args, callback=callback, unique=unique, trace=trace, **plain)
