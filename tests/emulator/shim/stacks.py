"""Settings that MiniStack's CloudFormation drops silently.

They are limits of functions, TTL and recovery of tables, and ends of schedules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import dynamodb, lambda_svc, scheduler
from ministack.services.cloudformation import provisioners

Properties = Mapping[str, Any]

SCHEDULE_FIELDS = ("ActionAfterCompletion", "StartDate", "EndDate", "ScheduleExpressionTimezone")


def mend() -> None:
    """After each create and update, apply the properties that were dropped."""
    for kind, apply in (
        ("AWS::Lambda::Function", _function),
        ("AWS::DynamoDB::Table", _table),
        ("AWS::Scheduler::Schedule", _schedule),
    ):
        handlers = provisioners._RESOURCE_HANDLERS[kind]
        handlers["create"] = _followed_by(handlers["create"], apply, properties_at=1)
        handlers["update"] = _followed_by(handlers["update"], apply, properties_at=2)


def _followed_by(
    original: Callable[..., Any], apply: Callable[[str, Properties], None], *, properties_at: int
) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        apply(made[0], args[properties_at])
        return made

    return wrapped


def _function(name: str, properties: Properties) -> None:
    function = lambda_svc._functions.get(name)
    if function is None:
        return
    reserved = properties.get("ReservedConcurrentExecutions")
    function["concurrency"] = None if reserved is None else int(reserved)
    function["recursive_loop"] = properties.get("RecursiveLoop") or "Terminate"
    if properties.get("DeadLetterConfig"):
        function["config"]["DeadLetterConfig"] = properties["DeadLetterConfig"]


def _table(name: str, properties: Properties) -> None:
    for field, update in (
        ("TimeToLiveSpecification", dynamodb._update_ttl),
        ("PointInTimeRecoverySpecification", dynamodb._update_continuous_backups),
    ):
        if properties.get(field):
            update({"TableName": name, field: properties[field]})


def _schedule(name: str, properties: Properties) -> None:
    schedule = scheduler._schedules.get(f"{properties.get('GroupName', 'default')}/{name}")
    if schedule is not None:
        schedule.update(
            {field: properties[field] for field in SCHEDULE_FIELDS if field in properties}
        )
