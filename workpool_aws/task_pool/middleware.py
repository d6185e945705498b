"""`@with_task_pool`: Powertools middleware that drains a pool before a handler answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import cache, partial, update_wrapper
from types import AsyncGeneratorType, GeneratorType
from typing import Final, TypeVar, overload

from workpool_aws.errors import UsageError
from workpool_aws.task_pool.oversight import TimedContext
from workpool_aws.task_pool.pool import TaskPool

__all__ = ["with_task_pool"]

E = TypeVar("E")
C = TypeVar("C", bound=TimedContext)
R = TypeVar("R")

_LATER: Final = (
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
)
"""Calling one of these runs nothing of its body."""


@overload
def with_task_pool(handler: Callable[[E, C], R], /) -> Callable[[E, C], R]: ...
@overload
def with_task_pool(*, pool: TaskPool) -> Callable[[Callable[[E, C], R]], Callable[[E, C], R]]: ...
def with_task_pool(
    handler: Callable[[E, C], R] | None = None, /, *, pool: TaskPool | None = None
) -> Callable[[E, C], R] | Callable[[Callable[[E, C], R]], Callable[[E, C], R]]:
    """Drain before the handler's answer goes out, also when it raises.

    Until then the pool keeps to the invocation's time.

    For Lambda handlers, with or without brackets. `@with_task_pool` alone drains
    `TaskPool.shared()`.

    When tasks fail, and no `on_error` receives that, the invocation fails with `TasksFailed`, and
    Lambda may retry it. Give the pool an `on_error` if the answer should go out all the same. When
    the handler raises, its own error goes out, and those of tasks are noted on it and logged.

    Raises:
        UsageError: `handler` is not callable (a pool goes by name: `@with_task_pool(pool=pool)`),
            or is a coroutine or generator function, whose body would run after the drain; or `pool`
            is no TaskPool. When called: the handler returned a coroutine or generator.
    """
    if pool is not None and not isinstance(pool, TaskPool):
        raise UsageError("pool", pool, "a TaskPool, or None (TaskPool.shared())")
    if handler is not None and not callable(handler):
        raise UsageError(
            "handler",
            handler,
            "a Lambda handler (a pool is given by name: with_task_pool(pool=pool))",
        )
    if handler is not None:
        return _decorator()(_plain(handler))
    return lambda handler: _decorator()(_plain(handler), pool=pool)


def _plain(handler: Callable[[E, C], R]) -> Callable[[E, C], R]:
    """Return the handler as a function, since Powertools' factory wraps nothing else."""
    function = inspect.unwrap(handler)
    called = (
        function
        if inspect.isroutine(function) or isinstance(function, partial)
        else getattr(type(function), "__call__", function)  # noqa: B004 - not whether, but which
    )
    if any(kind(called) for kind in _LATER):
        raise UsageError(
            "handler",
            handler,
            "a function that does its work when it is called: the body of this one would run after the drain",
        )
    if inspect.isfunction(handler):
        return handler

    def plain(event: E, context: C) -> R:
        return handler(event, context)

    with suppress(AttributeError):  # a partial has no name of its own
        update_wrapper(plain, handler)
    return plain


def _drain_after(
    handler: Callable[[E, C], R], event: E, context: C, pool: TaskPool | None = None
) -> R:
    # The shared pool is looked up for each invocation, since the one before may have been closed.
    with (TaskPool.shared() if pool is None else pool).draining(context):
        returned = handler(event, context)
        if isinstance(returned, Coroutine):
            returned.close()  # without Python's warning that it was never awaited
        # A wrapper can hide from `_plain` that the answer has not run yet.
        if isinstance(returned, Coroutine | GeneratorType | AsyncGeneratorType):
            raise UsageError(
                "handler",
                type(returned).__name__,
                "a function that does its work when it is called: "
                "this was made and nothing of it ran",
            )
        return returned


@cache
def _decorator() -> Callable[..., Callable[[E, C], R]]:
    # When the first handler is decorated, not on import: Powertools loads botocore, which callers
    # of other names need not.
    from aws_lambda_powertools.middleware_factory import lambda_handler_decorator  # noqa: PLC0415

    return lambda_handler_decorator(_drain_after)
