"""`TaskPool`: a handler's own background tasks, in process, none lost.

Names load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workpool_aws.executor.records import CrewStats, TaskFailure
    from workpool_aws.task_pool.asgi import TaskPoolMiddleware
    from workpool_aws.task_pool.durable import DurablePool, DurableTask
    from workpool_aws.task_pool.middleware import with_task_pool
    from workpool_aws.task_pool.pool import TaskPool

__all__ = [
    "CrewStats",
    "DurablePool",
    "DurableTask",
    "TaskFailure",
    "TaskPool",
    "TaskPoolMiddleware",
    "with_task_pool",
]

_HOMES: Final = {
    "CrewStats": "executor.records",
    "DurablePool": "task_pool.durable",
    "DurableTask": "task_pool.durable",
    "TaskFailure": "executor.records",
    "TaskPool": "task_pool.pool",
    "TaskPoolMiddleware": "task_pool.asgi",
    "with_task_pool": "task_pool.middleware",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"workpool_aws.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
