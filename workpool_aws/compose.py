"""The composition root: the one place that chooses adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import boto3

    from workpool_aws.ports import Ports, Telemetry

__all__ = ["at_log_level", "ports_for", "use_ports"]


@runtime_checkable
class _Leveled(Protocol):
    """Telemetry that logs."""

    def at_level(self, level: int) -> Telemetry: ...


_factory: ContextVar[Callable[[str], Ports] | None] = ContextVar("workpool_ports_factory", default=None)
_cache: dict[str, Ports] = {}


def ports_for(table: str, session: boto3.Session | None = None, *, kept: dict[str, Ports] | None = None) -> Ports:
    """The ports for a table: the surrounding cloud's if there is one (tests, `LocalCloud`), else AWS by boto3.

    Making boto3 clients is slow, so they are kept by table: in `kept`, whose owner must always give the same session. None: without a
    session they are kept for the process, with one they are not kept.
    """
    factory = _factory.get()
    if factory is not None:
        return factory(table)
    from workpool_aws.adapters.aws import aws_ports  # noqa: PLC0415 - boto3 is loaded when it is needed, not on import

    if kept is None:
        kept = _cache if session is None else {}
    if table not in kept:
        kept[table] = aws_ports(table, session)
    return kept[table]


def at_log_level(ports: Ports, level: int) -> Ports:
    """The same ports, logging from this level of the logging module on. Ports that do not log (a test's list) stay as they are."""
    telemetry = ports.telemetry
    return replace(ports, telemetry=telemetry.at_level(level)) if isinstance(telemetry, _Leveled) else ports


@contextmanager
def use_ports(factory: Callable[[str], Ports]) -> Iterator[None]:
    """In this thread and context, every pool uses these ports."""
    token = _factory.set(factory)
    try:
        yield
    finally:
        _factory.reset(token)
