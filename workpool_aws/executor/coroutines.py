"""Runs coroutines on a worker thread's own event loop.

The first coroutine makes the loop, and the end of the thread closes it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable
    from contextvars import Context

__all__ = ["CoroutineHost"]


class CoroutineHost:
    """The event loop of one thread. All but `cancel` are for that thread alone.

    Each worker has its own loop. So a coroutine counts against the limit like any task, one that
    blocks holds up no other task, and the loop ends with its thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runner: asyncio.Runner | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancel_asked = False

    def run(self, awaitable: Awaitable[object], context: Context) -> None:
        """Await it to its end, in this context.

        Raises what it raises. asyncio tasks that it left behind are canceled and awaited.
        """
        import asyncio

        if self._runner is None:
            self._runner = asyncio.Runner()
        runner = self._runner
        try:
            runner.run(self._host(awaitable), context=context)
        finally:
            if left := asyncio.all_tasks(runner.get_loop()):
                runner.run(self._end(left))

    def cancel(self) -> None:
        """Cancel the coroutine that runs, or the one that this thread's task is about to return.

        From any thread, once a task.
        """
        with self._lock:
            self._cancel_asked = True
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def forget(self) -> None:
        """Drop a request to cancel, which was for the task before."""
        with self._lock:
            self._cancel_asked = False

    def close(self) -> None:
        """Close the loop, if there is one."""
        if self._runner is not None:
            self._runner.close()

    @property
    def is_open(self) -> bool:
        """True if a loop was made, which the thread has to close."""
        return self._runner is not None

    async def _host(self, awaitable: Awaitable[object]) -> None:
        import asyncio

        task = cast("asyncio.Task[object]", asyncio.current_task())
        with self._lock:
            self._task = task
            if self._cancel_asked:
                task.cancel()
        try:
            await awaitable
        finally:
            with self._lock:
                self._task = None

    @staticmethod
    async def _end(tasks: set[asyncio.Task[object]]) -> None:
        import asyncio

        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
