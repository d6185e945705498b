"""The composition root: the one place that chooses adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import boto3

    from workpool_aws.ports import Ports

__all__ = ["PortsFactory", "ports_for", "use_ports"]

PortsFactory = "Callable[[str], Ports]"

_factory: ContextVar[Callable[[str], Ports] | None] = ContextVar("workpool_ports_factory", default=None)
_cache: dict[str, Ports] = {}


def ports_for(table: str, session: boto3.Session | None = None) -> Ports:
    """The ports for a table: the surrounding cloud's if there is one (tests, `LocalCloud`), else AWS by boto3.

    Without a session of one's own they are made once per process and table: making boto3 clients is slow.
    """
    factory = _factory.get()
    if factory is not None:
        return factory(table)
    from workpool_aws.adapters.aws import aws_ports  # noqa: PLC0415 - boto3 is loaded when it is needed, not on import

    if session is not None:
        return aws_ports(table, session)
    if table not in _cache:
        _cache[table] = aws_ports(table, None)
    return _cache[table]


@contextmanager
def use_ports(factory: Callable[[str], Ports]) -> Iterator[None]:
    """In this thread and context, every pool uses these ports."""
    token = _factory.set(factory)
    try:
        yield
    finally:
        _factory.reset(token)
