"""Composition root: the only module that chooses adapters."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from threading import current_thread
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from workpool_aws.errors import UsageError
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3

    from workpool_aws.adapters.items.capacity import Meter
    from workpool_aws.ports import Ports, Telemetry

__all__ = [
    "Connection",
    "keep_from_aws",
    "metered",
    "ports_for",
    "session_for",
    "stands_in",
    "use_ports",
]


@runtime_checkable
class _Leveled(Protocol):
    """Telemetry that logs."""

    def at_level(self, level: int) -> Telemetry: ...


_factories: ContextVar[tuple[Callable[[str], Ports], ...]] = ContextVar(
    "workpool_ports_factories", default=()
)
_cache: dict[str, Ports] = {}
_kept_from_aws: list[str] = []
"""The reasons for which no thread of this process may call AWS at present, one for each cloud that
stands in for it."""


def ports_for(
    table: str, session: boto3.Session | None = None, *, kept: dict[str, Ports] | None = None
) -> Ports:
    """Return the ports of a table: those of the surrounding `LocalCloud`, else AWS through boto3.

    boto3 clients are slow to make. They are kept by table in `kept`, whose owner must always give
    the same session. Without `kept` they are kept for the process, or not at all with a session.

    Raises:
        UsageError: A cloud stands in for AWS, and does not know this thread. Nothing was sent
            anywhere.
    """
    if factories := _factories.get():
        return factories[-1](table)
    if _kept_from_aws:
        raise UsageError("thread", current_thread().name, _kept_from_aws[-1])
    from workpool_aws.adapters.aws.clients import aws_ports

    if kept is None:
        kept = _cache if session is None else {}
    if table not in kept:
        kept[table] = aws_ports(table, session)
    return kept[table]


def session_for(*, profile: str | None, region: str | None) -> boto3.Session | None:
    """Return the session of a profile and a region, for `ports_for`.

    `None` means that a cloud stands in for AWS.

    Raises:
        UsageError: There is no such profile.
    """
    if _factories.get():
        return None
    from workpool_aws.adapters.aws.clients import session_of

    return session_of(profile=profile, region=region)


def metered(ports: Ports) -> tuple[Ports, Meter]:
    """Return the same ports with a store that counts its reads, and the meter of these."""
    from workpool_aws.adapters.items.capacity import Meter
    from workpool_aws.adapters.items.metered import MeteredStore

    meter = Meter()
    return replace(ports, store=MeteredStore(ports.store, meter)), meter


def stands_in() -> bool:
    """True while a cloud of this process stands in for AWS."""
    return bool(_kept_from_aws)


class Connection:
    """Finds the ports of a table for one pool object.

    Args:
        session: As for `ports_for`. Its clients are kept with this object.
        ports: Used for their own table in place of AWS.
        log_level: Ports log from this level of the logging module on. `None` means as they are.
    """

    __slots__ = ("_kept", "_log_level", "_ports", "_session")

    def __init__(
        self, *, session: boto3.Session | None, ports: Ports | None, log_level: int | None
    ) -> None:
        self._session = session
        self._kept: dict[str, Ports] | None = None if session is None else {}
        self._ports = ports
        self._log_level = log_level

    def __call__(self, table: str) -> Ports:
        """Return the ports of a table; raises as `ports_for`."""
        own = self._ports
        ports = (
            own
            if own is not None and own.table == table
            else ports_for(table, self._session, kept=self._kept)
        )
        # Ports that do not log, as a test's list, stay as they are.
        if self._log_level is None or not isinstance(ports.telemetry, _Leveled):
            return ports
        return replace(ports, telemetry=ports.telemetry.at_level(self._log_level))


@contextmanager
def keep_from_aws(allowed: str) -> Iterator[None]:
    """Let no pool of this process call AWS.

    A thread without ports is refused; `allowed` names the threads that are not.
    """
    _kept_from_aws.append(allowed)
    try:
        yield
    finally:
        _kept_from_aws.remove(allowed)


@contextmanager
def use_ports(factory: Callable[[str], Ports]) -> Iterator[None]:
    """Let every pool of this thread and context use these ports.

    Blocks may end in any order. The block that began last, of those that have not ended, counts.
    """
    _factories.set((*_factories.get(), factory))
    try:
        yield
    finally:
        used = _factories.get()
        at = max(at for at, each in enumerate(used) if each == factory)
        _factories.set(used[:at] + used[at + 1 :])
