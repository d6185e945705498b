"""The alarms, each on one metric, without arithmetic.

docs/operations.md has the steps to take after each, under its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from workpool_aws.adapters.metrics import NAMESPACE, Metric

__all__ = ["FullAlarms", "MinimalAlarms", "Watched", "pool_metric", "table_metric"]

_MINUTE: Final = Duration.minutes(1)
_FIVE: Final = Duration.minutes(5)
_AT_LEAST: Final = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_LESS: Final = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
_QUIET: Final = cloudwatch.TreatMissingData.NOT_BREACHING
_SPINNING_PER_POOL: Final = 100
"""Loop invocations a minute. One work item at a time makes at most some eighty, since a loop stays
up 0.7 s after each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The resources that alarms and dashboards watch."""

    table: dynamodb.ITable
    pools: tuple[str, ...]
    loop: lambda_.IFunction
    loop_memory_mb: int
    completion: lambda_.IFunction
    watchdog: lambda_.IFunction
    log_groups: tuple[logs.ILogGroup, ...]
    failed_events: sqs.IQueue
    undelivered_ticks: sqs.IQueue


def table_metric(
    watched: Watched, name: Metric, statistic: str, period: Duration = _FIVE
) -> cloudwatch.Metric:
    """Returns a metric of all pools of the table together."""
    dimensions = {"Table": watched.table.table_name}
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map=dimensions,
        statistic=statistic,
        period=period,
    )


def pool_metric(
    watched: Watched, pool: str, name: Metric, statistic: str, period: Duration = _MINUTE
) -> cloudwatch.Metric:
    """Returns a metric of one pool, which is written at level `full`."""
    dimensions = {"Table": watched.table.table_name, "Pool": pool}
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map=dimensions,
        statistic=statistic,
        period=period,
        label=f"{pool} {name}",
    )


class MinimalAlarms(Construct):
    """Nine alarms on late and failed work items, spinning loops, and a silent watchdog."""

    def __init__(self, scope: Construct, construct_id: str, watched: Watched) -> None:
        super().__init__(scope, construct_id)
        self.alarms: list[cloudwatch.Alarm] = []
        self._watch_works(watched)
        self._watch_loops(watched)
        self._watch_nets(watched)

    def _watch_works(self, watched: Watched) -> None:
        self._add(
            "OldestDue",
            table_metric(watched, "OldestDue", "Maximum", _MINUTE),
            "A work item has been due for a quarter of an hour and has no slot. The backlog grows, "
            "or a pool stands still.",
            threshold=900,
            periods=3,
        )
        self._add(
            "FailureRate",
            table_metric(watched, "FailureRate", "Average"),
            "More than half of the work items that ended in a quarter of an hour failed for good.",
            threshold=50,
            periods=3,
        )
        self._add(
            "DeadLetters",
            table_metric(watched, "DeadLetters", "Sum"),
            "A work item failed for good, or a callback was given up. It waits until a person "
            "looks at it and redrives it.",
            threshold=1,
            periods=1,
        )

    def _watch_loops(self, watched: Watched) -> None:
        self._add(
            "WatchdogActed",
            table_metric(watched, "WatchdogActed", "Sum"),
            "The watchdog keeps finding pools that should be at work and are not. Kicks do not "
            "arrive, or loops die.",
            threshold=1,
            periods=3,
            of=4,
        )
        self._add(
            "LoopSpins",
            table_metric(watched, "Generations", "Sum", _MINUTE),
            "Loops are started far more often than work items can explain. Each start costs, and "
            "something makes them.",
            threshold=_SPINNING_PER_POOL * len(watched.pools),
            periods=5,
        )
        self._add(
            "NoProgress",
            table_metric(watched, "NoProgress", "Sum"),
            "A loop finds something to do and achieves nothing, pass after pass. It has slowed "
            "itself down.",
            threshold=1,
            periods=2,
        )

    def _watch_nets(self, watched: Watched) -> None:
        self._add(
            "WatchdogSilent",
            watched.watchdog.metric_invocations(period=_FIVE, statistic="Sum"),
            "The watchdog has not run for five minutes. A work item whose kick is lost now waits.",
            threshold=1,
            periods=1,
            comparison=_LESS,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        for name, queue, what in (
            (
                "FailedEvents",
                watched.failed_events,
                "Loop, completion or watchdog failed on an event, or could not be started for it.",
            ),
            (
                "UndeliveredTicks",
                watched.undelivered_ticks,
                "EventBridge Scheduler could not deliver a tick to the watchdog.",
            ),
        ):
            visible = queue.metric_approximate_number_of_messages_visible(
                period=_FIVE, statistic="Maximum"
            )
            self._add(name, visible, what, threshold=1, periods=1)

    def _add(
        self,
        name: str,
        metric: cloudwatch.Metric,
        description: str,
        *,
        threshold: float,
        periods: int,
        of: int | None = None,
        comparison: cloudwatch.ComparisonOperator = _AT_LEAST,
        missing: cloudwatch.TreatMissingData = _QUIET,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            alarm_description=f"{description} docs/operations.md, {name}",
            threshold=threshold,
            datapoints_to_alarm=periods,
            evaluation_periods=of or periods,
            comparison_operator=comparison,
            treat_missing_data=missing,
        )
        self.alarms.append(alarm)


class FullAlarms(Construct):
    """The alarms that level `full` adds.

    They watch throttled writes, throttled functions of the library, and workers whose outcomes
    Lambda does not deliver.
    """

    def __init__(self, scope: Construct, construct_id: str, watched: Watched) -> None:
        super().__init__(scope, construct_id)
        name = watched.table.table_name
        throttles = cloudwatch.Metric(
            namespace="AWS/DynamoDB",
            metric_name="WriteThrottleEvents",
            dimensions_map={"TableName": name},
            statistic="Sum",
            period=_FIVE,
        )
        functions: Mapping[str, lambda_.IFunction] = {
            "Loop": watched.loop,
            "Completion": watched.completion,
            "Watchdog": watched.watchdog,
        }
        self.alarms = [
            self._alarm(
                "WriteThrottles",
                throttles,
                "DynamoDB refused writes: a partition or the table is over its rate.",
                periods=2,
            ),
            *(
                self._alarm(
                    f"{name}Throttles",
                    function.metric_throttles(period=_FIVE, statistic="Sum"),
                    f"The {name.lower()} could not be started, since the account's concurrency "
                    "is used up.",
                    periods=2,
                )
                for name, function in functions.items()
            ),
        ]

    def add_worker(self, function: lambda_.IFunction) -> cloudwatch.Alarm:
        """Add an alarm on outcomes of a worker that Lambda could not deliver to the completion."""
        lost = function.metric("DestinationDeliveryFailures", period=_FIVE, statistic="Sum")
        what = (
            f"Lambda could not deliver outcomes of {function.node.path}. Their work items wait for "
            "recovery at their deadline."
        )
        return self._alarm(
            f"Undelivered{function.node.addr[-8:]}",
            lost,
            what,
            periods=1,
            named="DestinationDeliveryFailures",
        )

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.Metric,
        description: str,
        *,
        periods: int,
        named: str | None = None,
    ) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            alarm_description=f"{description} docs/operations.md, {named or name}",
            threshold=1,
            evaluation_periods=periods,
            comparison_operator=_AT_LEAST,
            treat_missing_data=_QUIET,
        )
