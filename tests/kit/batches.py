"""Fewer messages between the processes of pytest-xdist: those about one test travel together, marshalled in C.

xdist sends six a test, each through a serializer in Python, a pipe and a thread: more than a quick test itself takes.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable
from typing import Any, Final

import pytest

__all__ = ["Batches", "unpacking"]

BATCH: Final = "batch"
_KEPT: Final = {"logstart", "testreport", "logfinish"}
_OF_ANOTHER_THREAD: Final = "unscheduled"

Event = tuple[str, dict[str, Any]]


class Batches:
    """The `sendevent` of a worker: keeps what is said about a test until it is complete."""

    def __init__(
        self, send: Callable[..., None], send_batch: Callable[[tuple[str, bytes]], None]
    ) -> None:
        self._send = send
        self._send_batch = send_batch
        self._kept: list[Event] = []

    def __call__(self, name: str, **kwargs: Any) -> None:
        if name in _KEPT:
            self._kept.append((name, kwargs))
            return
        if self._kept and name != _OF_ANOTHER_THREAD:
            kept, self._kept = self._kept, []
            self._send_batch((BATCH, marshal.dumps(kept)))
        self._send(name, **kwargs)


def unpacking(process: Callable[[Any], None]) -> Callable[[Any], None]:
    """Wrap what a controller does with one event of a worker."""

    def take(event: Any) -> None:
        if isinstance(event, tuple) and event[0] == BATCH:
            for each in marshal.loads(event[1]):  # noqa: S302 - by a process of our own
                process(each)
        else:
            process(event)

    return take


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Batch the events of a worker; of any other process nothing changes."""
    for plugin in session.config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":
            plugin.sendevent = Batches(plugin.sendevent, plugin.channel.send)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Unpack in the controller, which xdist asks before it starts a worker."""
    node.process_from_remote = unpacking(node.process_from_remote)
