"""Spans of OpenTelemetry, by its semantic conventions of messaging.

The library uses the API alone. Without an SDK in the process, no span is recorded.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from workpool_aws.model.trace import TRACE_PARENT, TraceContext, TracedOperation, TraceStep
from workpool_aws.text import type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.ports import Clock, Span

__all__ = ["OpenTelemetryTracing"]

_SYSTEM: Final = "workpool"
_NS: Final = 1_000_000
"""Nanoseconds of a millisecond."""
_ATTEMPTS_KEPT: Final = 64
"""More than the starts of one invocation, whose callbacks may come after the last of them."""


class _Kind(NamedTuple):
    """A span's kind, and its `messaging.operation.type`."""

    kind: SpanKind
    operation_type: str


_KINDS: Final[Mapping[TracedOperation, _Kind]] = {
    TracedOperation.ENQUEUE: _Kind(SpanKind.PRODUCER, "send"),
    TracedOperation.REDRIVE: _Kind(SpanKind.PRODUCER, "send"),
    TracedOperation.START: _Kind(SpanKind.CLIENT, "receive"),
    TracedOperation.ATTEMPT: _Kind(SpanKind.CONSUMER, "process"),
    TracedOperation.CALLBACK: _Kind(SpanKind.PRODUCER, "send"),
    TracedOperation.ON_COMPLETE: _Kind(SpanKind.CONSUMER, "process"),
}


class OpenTelemetryTracing:
    """OpenTelemetry behind `ports.Tracing`.

    Spans carry names of tables, pools, jobs and error classes, and ids. They carry no arguments, no
    results and no texts of errors.

    Args:
        clock: The clock of this process.
        stamps: True if spans have the time of `clock`. Else they have the SDK's own, which is finer.
    """

    def __init__(self, clock: Clock, *, stamps: bool) -> None:
        self._clock = clock
        self._stamps = stamps
        own_version = None
        with suppress(PackageNotFoundError):  # run from its sources
            own_version = version("workpool-aws")
        self._tracer = trace.get_tracer("workpool_aws", own_version)
        self._attempts: OrderedDict[str, SpanContext] = OrderedDict()
        """The latest attempts of this process by their work items, for the callbacks that it sends."""

    @contextmanager
    def span(self, step: TraceStep, parent: TraceContext | None = None) -> Iterator[Span]:
        """See Tracing."""
        span = self._begin(step, parent)
        if step.operation is TracedOperation.ATTEMPT and step.work_id is not None:
            self._remember(step.work_id, span.get_span_context())
        own = _OpenSpan(span, self._now_ns)
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            try:
                yield own
            except BaseException as error:
                own.end("failed", type_name(error))
                raise
            finally:
                own.end("success")

    def _begin(self, step: TraceStep, parent: TraceContext | None) -> trace.Span:
        place = self._place(step, parent)
        links = [*place.beside]
        if parent is not None and (step.attempt or 1) > 1:
            # Each attempt but the first is long after the enqueue.
            links.append(Link(_span_context(parent), {"workpool.link": TracedOperation.ENQUEUE}))
        return self._tracer.start_span(
            f"{step.operation} {step.pool}",
            context=place.under
            if step.sent_at is None
            else self._note_start(step, step.sent_at, place),
            kind=_KINDS[step.operation].kind,
            attributes=_attributes(step, step.operation),
            links=links,
            start_time=self._now_ns(),
        )

    def current(self) -> TraceContext | None:
        """See Tracing."""
        return _trace_context(trace.get_current_span().get_span_context())

    def _place(self, step: TraceStep, parent: TraceContext | None) -> _Place:
        """Return the place of a span: after the attempt in this process, for a callback of that."""
        attempt = None
        if step.operation is TracedOperation.CALLBACK:
            attempt = self._attempts.pop(step.work_id or "", None)
        if attempt is None:
            return _Place.of(parent)
        return _Place(trace.set_span_in_context(NonRecordingSpan(attempt)), ())

    def _remember(self, work_id: str, attempt: SpanContext) -> None:
        # Most attempts have no callback, or that of a process that ended.
        while len(self._attempts) >= _ATTEMPTS_KEPT:
            self._attempts.popitem(last=False)
        self._attempts[work_id] = attempt

    def _note_start(self, step: TraceStep, sent_at: EpochMs, place: _Place) -> Context:
        """Record the span of the loop, which sent the start, and return it as the parent."""
        now = self._now_ns()
        span = self._tracer.start_span(
            f"{TracedOperation.START} {step.pool}",
            context=place.under,
            kind=_KINDS[TracedOperation.START].kind,
            attributes=_attributes(step, TracedOperation.START),
            links=place.beside,
            start_time=min(sent_at, self._clock.now()) * _NS,
        )
        span.end(now)
        return trace.set_span_in_context(span)

    def _now_ns(self) -> int | None:
        """Return the time of a span; `None` means that the SDK reads it."""
        return self._clock.now() * _NS if self._stamps else None


class _Place(NamedTuple):
    """The place of a span: the context that has its parent, and the spans that it links to."""

    under: Context | None
    """`None` means the surrounding code's."""
    beside: tuple[Link, ...]

    @classmethod
    def of(cls, parent: TraceContext | None) -> _Place:
        """Return the place of a span that follows from one of another process.

        The surrounding span is the nearer parent if it is of the same trace. One of another trace,
        such as that of AWS for an asynchronous invocation, is linked.
        """
        if parent is None:
            return cls(None, ())
        given, around = _span_context(parent), trace.get_current_span().get_span_context()
        if parent.linked:
            return cls(None, (Link(given, {"workpool.link": "schedule"}),))
        if around.is_valid and around.trace_id == given.trace_id:
            return cls(None, ())
        links = (Link(around, {"workpool.link": "invocation"}),) if around.is_valid else ()
        return cls(trace.set_span_in_context(NonRecordingSpan(given)), links)


class _OpenSpan:
    """See Span."""

    def __init__(self, span: trace.Span, now_ns: Callable[[], int | None]) -> None:
        self._span = span
        self._now_ns = now_ns
        self._ended = False

    @property
    def context(self) -> TraceContext | None:
        """See Span."""
        return _trace_context(self._span.get_span_context())

    def name_works(self, ids: Sequence[str]) -> None:
        """See Span."""
        if len(ids) == 1:
            self._span.set_attribute("messaging.message.id", ids[0])
        else:
            self._span.set_attribute("messaging.batch.message_count", len(ids))

    def end(self, outcome: str, error_type: str | None = None) -> None:
        """See Span."""
        if self._ended:
            return
        self._ended = True
        self._span.set_attribute("workpool.outcome", outcome)
        if outcome == "failed":
            self._span.set_attribute("error.type", error_type or "_OTHER")
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end(self._now_ns())


def _attributes(step: TraceStep, operation: TracedOperation) -> dict[str, AttributeValue]:
    optional: dict[str, AttributeValue | None] = {
        "messaging.message.id": step.work_id,
        "workpool.job": step.job,
        "workpool.attempt": step.attempt,
    }
    return {
        "messaging.system": _SYSTEM,
        "messaging.operation.name": str(operation),
        "messaging.operation.type": _KINDS[operation].operation_type,
        "messaging.destination.name": step.pool,
        "workpool.table": step.table,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _span_context(given: TraceContext) -> SpanContext:
    found = TRACE_PARENT.fullmatch(given.parent)
    if found is None:
        raise ValueError("a traceparent expected")
    trace_id, span_id, flags = (int(each, 16) for each in found.groups())
    state = TraceState.from_header([given.state]) if given.state is not None else None
    return SpanContext(
        trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags), trace_state=state
    )


def _trace_context(found: SpanContext) -> TraceContext | None:
    """Return a span as it is kept; `None` means that it is none."""
    if not found.is_valid:
        return None
    parent = f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"
    return TraceContext.read(parent, found.trace_state.to_header())
