"""The door of the watchdog: a Lambda that one recurring schedule for the whole table invokes each minute."""

from __future__ import annotations

from collections.abc import Mapping

from workpool_aws.compose import ports_for
from workpool_aws.errors import UsageError
from workpool_aws.flow.deploy import keep_deployment, keep_limits
from workpool_aws.flow.survey import survey
from workpool_aws.flow.watch import watch
from workpool_aws.handlers.main_loop import InvocationContext
from workpool_aws.model.loop import Deployment
from workpool_aws.ports import Ports
from workpool_aws.settings import Settings, read_settings

__all__ = ["handler"]


def handler(event: Mapping[str, object], context: InvocationContext) -> None:  # noqa: ARG001 - Lambda's signature
    """Look after every pool of the table that the event names, and keep what the deployment says of it in it.

    Raises UsageError for an event without a table; nothing was read or written. Raises StoreUnavailable when what the deployment says could
    not be kept: the pools were looked after all the same, and the next tick tries again.
    """
    order = event.get("workpool_watchdog")
    table = order.get("table") if isinstance(order, Mapping) else None
    if not isinstance(table, str) or not table:
        raise UsageError("event", sorted(event), "a table, under the key 'workpool_watchdog'")
    ports, settings = ports_for(table), read_settings()
    try:
        _keep(ports, settings)
    finally:
        watch(ports)
        if settings.metrics is not None:
            survey(ports)


def _keep(ports: Ports, settings: Settings) -> None:
    if settings.loop_arn is None:
        return  # nobody said where the functions are, so nobody deployed this one
    deployment = Deployment(
        loop_arn=settings.loop_arn,
        completion_arn=settings.completion_arn,
        schedule_group=settings.schedule_group,
        scheduler_role_arn=settings.scheduler_role_arn,
    )
    keep_deployment(ports, deployment)
    keep_limits(ports, settings.limits)
