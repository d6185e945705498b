"""The options of a stored work item, as an enqueue takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workpool_aws.api.options import RetryableOptions
    from workpool_aws.core.views.details import WorkDetails

__all__ = ["OF_ONE_ENQUEUE", "options_of"]

OF_ONE_ENQUEUE: Final = frozenset(
    {
        "run_after",
        "run_at",
        "on_conflict",
        "max_wait",
        "debounce",
        "debounce_max",
        "request_id",
        "dedupe",
    }
)
"""Options that no later enqueue repeats: its time, its name, and its answer to a held key."""


def options_of(details: WorkDetails) -> RetryableOptions:
    """Returns the options of an enqueue that asks for the same as a work item.

    All options are there, but for those of `OF_ONE_ENQUEUE`. `details` must have the context.
    """
    calls_back = details.on_complete is not None
    return {
        "retry": details.retry or False,
        "expires_after": details.expires_after,
        "unique_key": details.unique_key,
        "unique_until": details.unique_until,
        "unique_for": details.unique_for,
        "timeout": details.timeout,
        "heartbeat_timeout": details.heartbeat_timeout,
        "on_complete": details.on_complete_job or details.on_complete,
        "on_complete_exclude": details.on_complete_exclude if calls_back else None,
        "context": None if details.context is None else details.context.value,
    }
