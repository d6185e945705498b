"""Ports of an engine that reaches its cloud without HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.local.engines.direct import DirectInvoker, DirectTimer, SteppingStore
from workpool_aws.local.engines.inspector import DirectInspector
from workpool_aws.local.services.fan_out import TaskFanOut
from workpool_aws.local.services.mailboxes import DirectMessenger
from workpool_aws.ports import Ports, Store

if TYPE_CHECKING:
    from workpool_aws.local.services.platform import Platform

__all__ = ["direct_ports"]


def direct_ports(
    platform: Platform, table: str, store: Store, *, torn_batches: bool = False
) -> Ports:
    """Return the ports on a store whose requests are service calls.

    Lambda and Scheduler are reached directly. `torn_batches`: see SteppingStore.
    """
    at = platform.deployment
    return Ports(
        table=table,
        store=SteppingStore(platform.kernel.call, store, torn_batches=torn_batches),
        invoker=DirectInvoker(platform.kernel, platform.functions, platform.deliveries),
        messenger=DirectMessenger(
            platform.kernel, platform.deliveries, platform.mailbox, platform.aws
        ),
        timer=DirectTimer(
            platform.kernel,
            platform.schedules,
            table,
            group=at.schedule_group or "",
            loop_arn=at.loop_arn,
        ),
        clock=platform.clock,
        entropy=platform.entropy,
        telemetry=platform.telemetry,
        fan_out=TaskFanOut(platform.kernel),
        loop_arn=at.loop_arn,
        deployed=at,
        jobs=platform.jobs,
        tracing=platform.tracing,
        inspector=DirectInspector(platform.functions, platform.schedules),
    )
