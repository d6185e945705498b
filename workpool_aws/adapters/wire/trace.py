"""The span that a message follows from, as the message names it."""

from __future__ import annotations

from workpool_aws.model.trace import TraceContext

__all__ = ["trace_attributes", "trace_from_wire", "trace_to_wire"]


def trace_to_wire(trace: TraceContext) -> dict[str, object]:
    """Returns a span as worker's events and tickets carry it."""
    return {**trace_attributes(trace), **({"linked": True} if trace.linked else {})}


def trace_attributes(trace: TraceContext) -> dict[str, str]:
    """Returns a span under the names of W3C Trace Context, as queues and topics carry it."""
    state = {} if trace.state is None else {"tracestate": trace.state}
    return {"traceparent": trace.parent, **state}


def trace_from_wire(value: object) -> TraceContext | None:
    """Reads a span. Never raises: a message without a legible one is as good."""
    fields = value if isinstance(value, dict) else {}
    return TraceContext.read(
        fields.get("traceparent"), fields.get("tracestate"), linked=fields.get("linked")
    )
