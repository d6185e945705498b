"""Values that copies of a process must not share.

Copies are forked children, and clones of a snapshot (SnapStart).

A copy inherits every object of the original. Connections, the credentials of a session, and locks
that a thread held at the moment of the fork must be made again. Ids need nothing, since each draws
fresh randomness.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["ForkSafeLock", "PerIncarnation"]

T = TypeVar("T")


class ForkSafeLock:
    """A lock that is open in a forked child, even if a thread of the parent held it.

    It may guard only values that an interrupted change leaves usable.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self.open_anew()
        _locks.add(self)

    def open_anew(self) -> None:
        """Open the lock in a process that was just forked, and in which one thread is left."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self._lock.release()


class PerIncarnation(Generic[T]):
    """Makes its value at the first call, once for all threads of a copy of the process.

    All instances share one lock, since boto3 sessions are not safe in threads while they make a
    client.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: tuple[int, T] | None = None

    def __call__(self) -> T:
        """Return the value of this process."""
        made = self._made
        if made is not None and made[0] == _count.now:
            return made[1]
        with _count.making:
            made = self._made
            if made is None or made[0] != _count.now:
                made = self._made = (_count.now, self._make())
            return made[1]


class _Count:
    """The number of copies that lie between the first process and this one."""

    now = 0
    making = threading.RLock()
    """Lock of this copy, for making values."""


_count: Final = _Count()
_locks: Final[WeakSet[ForkSafeLock]] = WeakSet()


def _begin_copy() -> None:
    _count.now += 1


def _begin_in_child() -> None:
    # The thread that held the parent's lock does not exist here.
    _count.making = threading.RLock()
    for lock in list(_locks):
        lock.open_anew()
    _begin_copy()


def _register_restore() -> None:
    # Part of Lambda's Python runtimes. Elsewhere there are no snapshots.
    with suppress(ImportError, AttributeError):
        import_module("snapshot_restore_py").register_after_restore(_begin_copy)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
_register_restore()
