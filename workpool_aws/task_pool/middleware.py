"""Owns `@with_task_pool`: a Powertools middleware that drains a task pool before a handler's answer goes out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar, overload

from workpool_aws.errors import UsageError
from workpool_aws.task_pool.oversight import TimedContext
from workpool_aws.task_pool.pool import TaskPool

__all__ = ["with_task_pool"]

E = TypeVar("E")
C = TypeVar("C", bound=TimedContext)
R = TypeVar("R")


@overload
def with_task_pool(handler: Callable[[E, C], R], /) -> Callable[[E, C], R]: ...
@overload
def with_task_pool(*, pool: TaskPool) -> Callable[[Callable[[E, C], R]], Callable[[E, C], R]]: ...
def with_task_pool(
    handler: Callable[[E, C], R] | None = None, /, *, pool: TaskPool | None = None
) -> Callable[[E, C], R] | Callable[[Callable[[E, C], R]], Callable[[E, C], R]]:
    """Drain before the handler's answer goes out, also when it raises; until then the pool keeps to the invocation's time.

    For Lambda handlers, with or without brackets. `@with_task_pool` alone drains `TaskPool.shared()`.

    When tasks fail, and no `on_error` is told of it, the invocation fails with `TasksFailed`, and Lambda may retry it: give the pool an
    `on_error` if the answer should go out all the same. When the handler raises, its own error goes out; those of tasks are noted on it
    and logged.

    Raises:
        UsageError: `handler` is not callable (a pool goes by name: `@with_task_pool(pool=pool)`), or `pool` is no TaskPool.
    """
    if pool is not None and not isinstance(pool, TaskPool):
        raise UsageError("pool", pool, "a TaskPool, or None: TaskPool.shared()")
    if handler is not None and not callable(handler):
        raise UsageError("handler", handler, "a Lambda handler; a pool goes by name: with_task_pool(pool=pool)")
    if handler is not None:
        return _decorator()(handler)
    return lambda handler: _decorator()(handler, pool=pool)


def _drain_after(handler: Callable[[E, C], R], event: E, context: C, pool: TaskPool | None = None) -> R:
    # The shared pool is looked up for each invocation: somebody may have closed the one before.
    with (TaskPool.shared() if pool is None else pool).draining(context):
        return handler(event, context)


@cache
def _decorator() -> Callable[..., Callable[[E, C], R]]:
    # When the first handler is decorated, not on import: Powertools loads botocore, which callers of other names need not.
    from aws_lambda_powertools.middleware_factory import lambda_handler_decorator  # noqa: PLC0415

    return lambda_handler_decorator(_drain_after)
