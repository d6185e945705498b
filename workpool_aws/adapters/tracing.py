"""Chooses between OpenTelemetry and no tracing, so that only a process that traces loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.errors import UsageError
from workpool_aws.ports import NoTracing

if TYPE_CHECKING:
    from workpool_aws.ports import Clock, Tracing

__all__ = ["tracing_for"]


def tracing_for(*, on: bool, clock: Clock, stamps: bool = False) -> Tracing:
    """Return the sink of spans.

    `stamps`: spans have the time of `clock`, as in a LocalCloud. Else OpenTelemetry reads the
    system's.

    Raises:
        UsageError: It is on, and OpenTelemetry is not installed.
    """
    if not on:
        return NoTracing()
    try:
        from workpool_aws.adapters.opentelemetry import OpenTelemetryTracing
    except ModuleNotFoundError as missing:
        allowed = "empty, or the package opentelemetry-api installed (extra otel)"
        raise UsageError("WORKPOOL_TRACING", "1", allowed) from missing
    return OpenTelemetryTracing(clock, stamps=stamps)
