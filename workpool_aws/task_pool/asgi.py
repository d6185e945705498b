"""ASGI middleware that drains a task pool before an answer is complete.

FastAPI, Starlette and any other ASGI application can use it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Final

from workpool_aws.errors import UsageError
from workpool_aws.task_pool.pool import TaskPool

__all__ = ["STATE_KEY", "TaskPoolMiddleware"]

Message = MutableMapping[str, object]
Scope = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STATE_KEY: Final = "task_pool"
"""Name of a request's pool in its state: `request.state.task_pool`."""
_BODIES: Final = frozenset({"http.response.body", "http.response.zerocopysend"})
"""The messages that end an answer, unless they say that more follows."""


class TaskPoolMiddleware:
    """Drains before the last part of each answer goes out, and when the application has ended.

    The pool stands at `request.state.task_pool`. A failure of tasks that no `on_error` received is
    raised through the application. If nothing of the answer went out before, the client gets a 500.
    A streamed answer goes out as it comes, but for its end. An error of the application goes out
    before those of tasks.

    Waits in a thread of asyncio's, never in the event loop, and also for a request that was
    canceled: its tasks end first.

    Args:
        app: The application.
        pool: A factory, such as `TaskPool` itself, makes a pool for each request, closed with it.
            A pool serves all requests. Each request then waits for all that was added before its
            own drain, and may raise the error of another request's task. Give it an `on_error`.

    Raises:
        UsageError: `pool` is neither.
    """

    def __init__(self, app: App, pool: TaskPool | Callable[[], TaskPool] = TaskPool) -> None:
        if not isinstance(pool, TaskPool) and not callable(pool):
            raise UsageError("pool", pool, "a TaskPool or a callable that makes TaskPools")
        self._app = app
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application around the one given."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        pool = self._pool_of_request()
        end = pool.drain if pool is self._pool else pool.done
        state = scope.setdefault("state", {})
        if isinstance(state, MutableMapping):
            state[STATE_KEY] = pool
        answer = _Answer(send, pool)
        failed: BaseException | None = None
        try:
            await self._app(scope, receive, answer.send)
        except BaseException as error:
            failed = error
            raise
        finally:
            await _in_thread(lambda: end(beside=failed))
        await answer.end()

    def _pool_of_request(self) -> TaskPool:
        if isinstance(self._pool, TaskPool):
            return self._pool
        made: object = self._pool()
        if isinstance(made, TaskPool):
            return made
        raise UsageError("pool", made, "a TaskPool or a callable that makes TaskPools")


class _Answer:
    """Holds back the start of an answer until its first part, and drains before the last one."""

    def __init__(self, send: Send, pool: TaskPool) -> None:
        self._send = send
        self._pool = pool
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        """See ASGI. Raises TasksFailed: this message was not sent."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        ends = message["type"] in _BODIES and not message.get("more_body", False)
        if ends or message["type"] == "http.response.pathsend":
            await _in_thread(self._pool.drain)
        await self.end()
        await self._send(message)

    async def end(self) -> None:
        """Send what is held back."""
        if self._start is not None:
            start, self._start = self._start, None
            await self._send(start)


async def _in_thread(call: Callable[[], None]) -> None:
    """Wait for a blocking call without blocking the event loop.

    A cancellation waits for its end, and then goes on.
    """
    running = asyncio.ensure_future(asyncio.to_thread(call))
    canceled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError as error:
            canceled = error
        except BaseException:  # noqa: BLE001, S110 - the call's own: raised below
            pass
    running.result()
    if canceled is not None:
        raise canceled
