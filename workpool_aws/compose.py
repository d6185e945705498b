"""The composition root: the one place that chooses adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import boto3

    from workpool_aws.ports import Ports

__all__ = ["PortsFactory", "at_log_level", "ports_for", "use_ports"]

PortsFactory = "Callable[[str], Ports]"

_factory: ContextVar[Callable[[str], Ports] | None] = ContextVar("workpool_ports_factory", default=None)
_cache: dict[str, Ports] = {}
_session_cache: WeakKeyDictionary[boto3.Session, dict[str, Ports]] = WeakKeyDictionary()


def ports_for(table: str, session: boto3.Session | None = None) -> Ports:
    """The ports for a table: the surrounding cloud's if there is one (tests, `LocalCloud`), else AWS by boto3.

    They are made once per process, table and session: making boto3 clients is slow.
    """
    factory = _factory.get()
    if factory is not None:
        return factory(table)
    from workpool_aws.adapters.aws import aws_ports  # noqa: PLC0415 - boto3 is loaded when it is needed, not on import

    cache = _cache if session is None else _session_cache.setdefault(session, {})
    if table not in cache:
        cache[table] = aws_ports(table, session)
    return cache[table]


def at_log_level(ports: Ports, level: int) -> Ports:
    """The same ports, logging from this level of the logging module on. Ports that do not log (a cloud's) stay as they are."""
    from workpool_aws.adapters.telemetry import LoggerTelemetry  # noqa: PLC0415 - as above

    return replace(ports, telemetry=LoggerTelemetry(level)) if isinstance(ports.telemetry, LoggerTelemetry) else ports


@contextmanager
def use_ports(factory: Callable[[str], Ports]) -> Iterator[None]:
    """In this thread and context, every pool uses these ports."""
    token = _factory.set(factory)
    try:
        yield
    finally:
        _factory.reset(token)
