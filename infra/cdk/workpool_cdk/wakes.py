"""Schedules of EventBridge Scheduler: the watchdog's tick, and a group for the loop's far wakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from workpool_cdk.failures import FailureQueues
from workpool_cdk.naming import group_name
from workpool_cdk.permissions import invoke_statement

__all__ = ["FarWakes", "WatchdogTick"]


class FarWakes(Construct):
    """A schedule group for far wakes, and the role that they fire in.

    The loop may order and drop schedules of this group, and touch no other.
    """

    def __init__(self, scope: Construct, construct_id: str, *, loop_arn: str) -> None:
        super().__init__(scope, construct_id)
        self.group = _group(self)
        self.role = _scheduler_role(
            self,
            self.group.schedule_group_arn,
            "Role of the far wakes of pools, which may invoke their loop.",
        )
        self.role.add_to_principal_policy(invoke_statement(loop_arn))
        self.schedule_arns = Stack.of(self).format_arn(
            service="scheduler",
            resource="schedule",
            resource_name=f"{self.group.schedule_group_name}/*",
        )


class WatchdogTick(Construct):
    """One tick a minute for the whole table and all its pools, at about five cents a month.

    It names the pools of the deployment, so that the watchdog looks at them whatever the table's
    registry says, and declares their schedules (decision 34).

    It is in a group of its own. The loop, which may drop schedules of its group, cannot drop this
    one.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        watchdog_arn: str,
        table: str,
        pools: Sequence[str],
        failures: FailureQueues,
    ) -> None:
        super().__init__(scope, construct_id)
        group = _group(self)
        role = _scheduler_role(
            self,
            group.schedule_group_arn,
            "Role of the watchdog's tick, which may invoke the watchdog.",
        )
        role.add_to_principal_policy(invoke_statement(watchdog_arn))
        for statement in failures.send_statements(failures.ticks):
            role.add_to_principal_policy(statement)
        self._table, self._pools = table, sorted(pools)
        self._minute = scheduler.CfnSchedule(
            self,
            "Minute",
            description="Has the watchdog look at every pool of the table.",
            group_name=group.schedule_group_name,
            schedule_expression="rate(1 minute)",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=watchdog_arn,
                role_arn=role.role_arn,
                input=self._input({}),
                # A tick that is late is worth less than the next one.
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=60, maximum_retry_attempts=2
                ),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                    arn=failures.ticks.queue_arn
                ),
            ),
        )
        # The group's name is known before the group is there, and a role before it may do anything.
        self._minute.node.add_dependency(group, role)

    def declare(self, schedules: Mapping[str, Sequence[object]]) -> None:
        """Let the tick declare these schedules, by pool. They replace those before."""
        self._minute.add_property_override("Target.Input", self._input(schedules))

    def _input(self, schedules: Mapping[str, Sequence[object]]) -> str:
        order = {"table": self._table, "pools": self._pools, "schedules": schedules}
        return Stack.of(self).to_json_string({"workpool_watchdog": order})


def _group(scope: Construct) -> scheduler.ScheduleGroup:
    return scheduler.ScheduleGroup(
        scope,
        "Group",
        schedule_group_name=group_name(scope),
        removal_policy=RemovalPolicy.DESTROY,
    )


def _scheduler_role(scope: Construct, group_arn: str, description: str) -> iam.Role:
    # Scheduler may act for this account and this group only. Otherwise the schedule of another
    # account could use the role.
    conditions = {
        "StringEquals": {"aws:SourceAccount": Stack.of(scope).account, "aws:SourceArn": group_arn}
    }
    principal = iam.ServicePrincipal("scheduler.amazonaws.com", conditions=conditions)
    return iam.Role(scope, "Role", assumed_by=principal, description=description)
