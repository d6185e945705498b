"""Lock of an executor, with an inbox for tasks that arrive while it is held; adding never waits.

Finalizers and signal handlers run anywhere: in a thread that holds the lock, and in one for which
its holder waits (a thread that is just being started). They may also wait for a lock of the user's,
whose holder adds. So `add` puts its tasks into the inbox, and takes them in only if the lock is
free. Otherwise the lock's holder does that, at the latest after letting go of it.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from workpool_aws.executor.threads import Added

__all__ = ["Entrance"]


class Entrance:
    """Guards each change of the executor: `with entrance.settling, entrance.lock:`, then `take_in()`.

    The lock stands there by itself, since only its own entry cannot be interrupted between taking
    it and entering the block that lets go of it.

    Args:
        queue: Queues the tasks of one `add`. Called under the lock; raises RuntimeError if nothing
            can run them.
        unable: Receives those for which it raised, when the caller of `add` is gone.
    """

    def __init__(
        self, queue: Callable[[Added], None], unable: Callable[[Added, RuntimeError], None]
    ) -> None:
        self._queue = queue
        self._unable = unable
        self._inbox: deque[Added] = deque()
        self._changing: dict[int, int] = {}
        self._sealed = False
        self.lock: Final = threading.Lock()
        self.settling: Final = _Settling(self)
        self.opened: Final = _Opened(self)
        """Lets go of the lock in a block, within a change."""

    @property
    def is_mine(self) -> bool:
        """True while this thread is changing the executor, so that waiting for the lock would hang."""
        return threading.get_ident() in self._changing and self.lock.locked()

    @property
    def is_sealed(self) -> bool:
        """True once nothing is taken in any more."""
        return self._sealed

    def put(self, added: Added) -> None:
        """Have it queued, now or by the holder of the lock. Never waits.

        Raises:
            RuntimeError: nothing can run it, and it is not queued.
        """
        self._inbox.append(added)
        self.settle(added)

    def take_back(self, added: Added) -> bool:
        """Undo `put`, if it was not queued yet."""
        try:
            self._inbox.remove(added)
        except ValueError:
            return False
        return True

    def settle(self, mine: Added | None = None) -> None:
        """Queue what is in the inbox, unless another thread holds the lock."""
        while self._inbox and not self._sealed:
            self.begin()
            try:
                if not self.lock.acquire(blocking=False):
                    return
                try:
                    self._take_in(mine)
                finally:
                    self.lock.release()
            finally:
                self.end()

    def seal(self) -> bool:
        """Queue the tasks of the inbox and seal it; True if there were any.

        For the lock's holder. A later `put` sees the seal and takes its tasks back. Those that are
        put in the same moment are either queued or taken back.
        """
        if self._sealed:
            return False
        self._sealed = True
        return self._take_in(None, last=True)

    def begin(self) -> None:
        """Note that this thread is about to take the lock.

        Noted before, since a signal may strike in the moment after.
        """
        ident = threading.get_ident()
        self._changing[ident] = self._changing.get(ident, 0) + 1

    def end(self) -> None:
        """Note that this thread has let go of the lock."""
        ident = threading.get_ident()
        left = self._changing.get(ident, 0) - 1
        if left > 0:
            self._changing[ident] = left
        else:
            self._changing.pop(ident, None)

    def take_in(self) -> None:
        """Queue the tasks of the inbox, so that the lock's holder acts after every earlier `add`."""
        self._take_in(None)

    def _take_in(self, mine: Added | None, *, last: bool = False) -> bool:
        refused: RuntimeError | None = None
        any_queued = False
        while last or not self._sealed:
            try:
                added = self._inbox.popleft()
            except IndexError:
                break  # empty, or taken back meanwhile
            any_queued = True
            try:
                self._queue(added)
            except RuntimeError as no_thread:
                if added is mine:
                    refused = no_thread
                else:
                    self._unable(added, no_thread)
        if refused is not None:
            raise refused
        return any_queued


class _Part:
    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance


class _Settling(_Part):
    def __enter__(self) -> None:
        self._entrance.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self._entrance.end()
        self._entrance.settle()


class _Opened(_Part):
    def __enter__(self) -> None:
        self._entrance.lock.release()
        self._entrance.end()
        self._entrance.settle()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self._entrance.begin()
        self._entrance.lock.acquire()
        self._entrance.take_in()
