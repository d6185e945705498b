"""Trace contexts, by which spans of many processes become one trace (W3C Trace Context)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from workpool_aws.model.bounds import TRACE_STATE_LENGTH_MAX
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs

__all__ = [
    "TRACE_PARENT",
    "TRACE_STATE",
    "TraceContext",
    "TraceStep",
    "TracedOperation",
    "trace_id_of",
]

TRACE_PARENT: Final = re.compile(
    r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII
)
"""A `traceparent` of version 00: 55 characters, with the ids of a trace and of a span."""
TRACE_STATE: Final = re.compile(
    rf"(?=.{{1,{TRACE_STATE_LENGTH_MAX}}}\Z)[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII
)
"""A `tracestate` as it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """A span, by which later spans name it as their parent, or link to it."""

    parent: str
    """The span as a `traceparent`."""
    state: str | None = None
    """The vendors' `tracestate`. `None` means none."""
    linked: bool = False
    """True if later spans only link to it, since they begin a trace of their own."""

    @classmethod
    def read(cls, parent: object, state: object, *, linked: object = False) -> TraceContext | None:
        """Returns the context that a message or another process gave; `None` means that it has none.

        Never raises, since no work item depends on it. Of a long `tracestate` the first entries are
        kept, which are the latest.
        """
        if not isinstance(parent, str) or TRACE_PARENT.fullmatch(parent) is None:
            return None
        kept = state if isinstance(state, str) else ""
        if len(kept) > TRACE_STATE_LENGTH_MAX:
            kept = kept[: TRACE_STATE_LENGTH_MAX + 1].rpartition(",")[0].rstrip()
        while kept and TRACE_STATE.fullmatch(kept) is None:
            kept = kept.rpartition(",")[0].rstrip()
        return cls(parent=parent, state=kept or None, linked=linked is True)

    def as_link(self) -> TraceContext:
        """Returns the same span, to which later ones only link."""
        return replace(self, linked=True)


def trace_id_of(trace: TraceContext | None) -> str | None:
    """Returns the id of the trace to which later spans belong, 32 hexadecimal digits.

    `None` means that nothing is traced, or that later spans begin a trace of their own.
    """
    return None if trace is None or trace.linked else trace.parent.split("-")[1]


class TracedOperation(StrEnum):
    """Steps of a work item that are spans."""

    ENQUEUE = "enqueue"
    REDRIVE = "redrive"
    START = "start"
    ATTEMPT = "attempt"
    CALLBACK = "callback"
    ON_COMPLETE = "on_complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStep:
    """One step of a work item, as its span describes it. It has nothing that a user gave as data."""

    operation: TracedOperation
    table: str
    pool: str
    work_id: str | None = None
    """`None` means that it is not known yet, or that there are several."""
    job: str | None = None
    attempt: int | None = None
    sent_at: EpochMs | None = None
    """Time at which the loop sent the start; `None` means that it did not say."""
