"""Background work for AWS Lambda on one DynamoDB table.

Public names load when they are first used: importing this loads no SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workpool_aws.api.caller import LambdaContext
    from workpool_aws.api.groups import GroupOptions
    from workpool_aws.api.on_complete import OnCompleteEvent
    from workpool_aws.api.options import EnqueueOptions, RetryableOptions
    from workpool_aws.api.pool import Workpool
    from workpool_aws.api.queries import ListConditions
    from workpool_aws.api.schedule_options import ScheduleDefinition, ScheduleOptions
    from workpool_aws.api.transaction import Transaction
    from workpool_aws.api.work import Work
    from workpool_aws.core.views.details import PoolSummary, StoredPayload, WorkDetails
    from workpool_aws.core.views.groups import Group, GroupPage
    from workpool_aws.core.views.job_stats import JobMinute, JobStats
    from workpool_aws.core.views.listing import ListedWork, Page
    from workpool_aws.core.views.schedules import CatchUpPreview, Schedule
    from workpool_aws.core.views.stats import MinuteStats, Stats
    from workpool_aws.core.views.status import Attempt, PoolConfig, Result, Status
    from workpool_aws.core.views.why.answer import Why, WhyReason
    from workpool_aws.errors import (
        AlreadyEnqueued,
        NonRetryableError,
        NotFound,
        NotKicked,
        PayloadTooLarge,
        RetryLater,
        Snooze,
        StoreUnavailable,
        TasksFailed,
        TransactionCanceled,
        TransactionConflict,
        UnknownOption,
        UsageError,
        WorkpoolError,
    )
    from workpool_aws.model.group import GroupId
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.rate import RateLimit
    from workpool_aws.model.retry import RetryPolicy
    from workpool_aws.task_pool.middleware import with_task_pool
    from workpool_aws.task_pool.pool import TaskPool

__all__ = [
    "AlreadyEnqueued",
    "Attempt",
    "CatchUpPreview",
    "EnqueueOptions",
    "Group",
    "GroupId",
    "GroupOptions",
    "GroupPage",
    "JobMinute",
    "JobStats",
    "LambdaContext",
    "ListConditions",
    "ListedWork",
    "MinuteStats",
    "NonRetryableError",
    "NotFound",
    "NotKicked",
    "OnCompleteEvent",
    "Page",
    "PayloadTooLarge",
    "PoolConfig",
    "PoolSummary",
    "RateLimit",
    "Result",
    "RetryLater",
    "RetryPolicy",
    "RetryableOptions",
    "Schedule",
    "ScheduleDefinition",
    "ScheduleOptions",
    "Snooze",
    "Stats",
    "Status",
    "StoreUnavailable",
    "StoredPayload",
    "TaskPool",
    "TasksFailed",
    "Transaction",
    "TransactionCanceled",
    "TransactionConflict",
    "UnknownOption",
    "UsageError",
    "Why",
    "WhyReason",
    "Work",
    "WorkDetails",
    "WorkId",
    "Workpool",
    "WorkpoolError",
    "with_task_pool",
]

_HOMES: Final = {
    "AlreadyEnqueued": "errors",
    "Attempt": "core.views.status",
    "CatchUpPreview": "core.views.schedules",
    "EnqueueOptions": "api.options",
    "Group": "core.views.groups",
    "GroupId": "model.group",
    "GroupOptions": "api.groups",
    "GroupPage": "core.views.groups",
    "LambdaContext": "api.caller",
    "ListConditions": "api.queries",
    "ListedWork": "core.views.listing",
    "MinuteStats": "core.views.stats",
    "JobMinute": "core.views.job_stats",
    "JobStats": "core.views.job_stats",
    "NonRetryableError": "errors",
    "NotFound": "errors",
    "NotKicked": "errors",
    "OnCompleteEvent": "api.on_complete",
    "Page": "core.views.listing",
    "PayloadTooLarge": "errors",
    "PoolConfig": "core.views.status",
    "PoolSummary": "core.views.details",
    "RateLimit": "model.rate",
    "Result": "core.views.status",
    "RetryLater": "errors",
    "RetryPolicy": "model.retry",
    "RetryableOptions": "api.options",
    "Schedule": "core.views.schedules",
    "ScheduleDefinition": "api.schedule_options",
    "ScheduleOptions": "api.schedule_options",
    "Snooze": "errors",
    "Stats": "core.views.stats",
    "Status": "core.views.status",
    "StoreUnavailable": "errors",
    "StoredPayload": "core.views.details",
    "TaskPool": "task_pool.pool",
    "TasksFailed": "errors",
    "Transaction": "api.transaction",
    "TransactionCanceled": "errors",
    "TransactionConflict": "errors",
    "UnknownOption": "errors",
    "UsageError": "errors",
    "Why": "core.views.why.answer",
    "WhyReason": "core.views.why.answer",
    "Work": "api.work",
    "WorkDetails": "core.views.details",
    "WorkId": "model.ids",
    "Workpool": "api.pool",
    "WorkpoolError": "errors",
    "with_task_pool": "task_pool.middleware",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
