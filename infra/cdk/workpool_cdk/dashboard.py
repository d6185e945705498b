"""The dashboard, with one row for each question that people ask of a pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from workpool_aws.adapters.metrics import Metric
from workpool_cdk.alarms import Watched, pool_metric

__all__ = ["METRICS_MAX", "WIDGET_METRICS_MAX", "PoolDashboard"]

_MINUTE: Final = Duration.minutes(1)
_HOUR: Final = Duration.hours(1)
_WRITE_PRICE: Final = 0.625e-6
_READ_PRICE: Final = 0.125e-6
_REQUEST_PRICE: Final = 0.2e-6
_LOOP_PRICE_PER_GB_S: Final = 13.3334e-6
_WIDTH: Final = 8


METRICS_MAX: Final = 2_500
WIDGET_METRICS_MAX: Final = 500
"""The bounds that CloudWatch sets a dashboard, and one widget."""
_PAGE: Final = 100
"""Pools of one dashboard: fifteen metrics each, three of them in one widget at most."""


class PoolDashboard(Construct):
    """$3 a month each, beyond the three that an account has free.

    One for every hundred pools. The first also has the graphs of the whole table.
    """

    def __init__(self, scope: Construct, construct_id: str, watched: Watched) -> None:
        super().__init__(scope, construct_id)
        self._watched = watched
        for first in range(0, len(watched.pools), _PAGE):
            name = "Dashboard" if first == 0 else f"Dashboard{first // _PAGE + 1}"
            dashboard = cloudwatch.Dashboard(self, name, default_interval=Duration.hours(3))
            self._add_pools(dashboard, watched.pools[first : first + _PAGE])
            if first == 0:
                dashboard.add_widgets(self._throttles(), self._cost(), self._failures())
                dashboard.add_widgets(self._requests())

    def _add_pools(self, dashboard: cloudwatch.Dashboard, pools: Sequence[str]) -> None:
        def each(title: str, metrics: Sequence[tuple[Metric, str]]) -> cloudwatch.GraphWidget:
            return self._each(title, metrics, pools)

        dashboard.add_widgets(
            each("Backlog: work items that are due and have no slot", [("Backlog", "Maximum")]),
            each("Oldest due work item (s)", [("OldestDue", "Maximum")]),
            each("Start lag (ms)", [("StartLag", "p50"), ("StartLag", "p95")]),
        )
        dashboard.add_widgets(
            each("In flight against the limit", [("InFlight", "Maximum"), ("Limit", "Maximum")]),
            each(
                "Success, failure and retry rates (%)",
                [("SuccessRate", "Average"), ("FailureRate", "Average"), ("RetryRate", "Average")],
            ),
            each(
                "Work items that ended, and dead letters",
                [("Succeeded", "Sum"), ("Failed", "Sum"), ("DeadLetters", "Sum")],
            ),
        )
        dashboard.add_widgets(
            each("Loop generations a minute", [("Generations", "Sum")]),
            each("Watchdog actions", [("WatchdogActed", "Sum"), ("NoProgress", "Sum")]),
        )

    def _each(
        self, title: str, metrics: Sequence[tuple[Metric, str]], pools: Sequence[str]
    ) -> cloudwatch.GraphWidget:
        lines = [
            pool_metric(self._watched, pool, name, statistic)
            for pool in pools
            for name, statistic in metrics
        ]
        return cloudwatch.GraphWidget(title=title, left=lines, width=_WIDTH)

    def _throttles(self) -> cloudwatch.GraphWidget:
        functions = (self._watched.loop, self._watched.completion, self._watched.watchdog)
        lines = [function.metric_throttles(period=_MINUTE) for function in functions]
        table = [
            self._of_table(name, _MINUTE) for name in ("WriteThrottleEvents", "ReadThrottleEvents")
        ]
        return cloudwatch.GraphWidget(
            title="Throttles of Lambda (left) and DynamoDB (right)",
            left=lines,
            right=table,
            width=_WIDTH,
        )

    def _cost(self) -> cloudwatch.GraphWidget:
        """Dollars an hour of table, loop and completion, without the workers."""
        duration = self._watched.loop.metric_duration(period=_HOUR, statistic="Sum")
        invocations = self._watched.loop.metric_invocations(period=_HOUR, statistic="Sum")
        used: dict[str, cloudwatch.IMetric] = {
            "writes": self._of_table("ConsumedWriteCapacityUnits", _HOUR),
            "reads": self._of_table("ConsumedReadCapacityUnits", _HOUR),
            "loop_ms": duration,
            "loops": invocations,
        }
        terms = [
            f"FILL(writes,0)*{_WRITE_PRICE:.9f}",
            f"FILL(reads,0)*{_READ_PRICE:.9f}",
            (
                "FILL(loop_ms,0)/1000"
                f"*{self._watched.loop_memory_mb / 1024}*{_LOOP_PRICE_PER_GB_S:.9f}"
            ),
            f"FILL(loops,0)*{_REQUEST_PRICE:.9f}",
        ]
        estimate = cloudwatch.MathExpression(
            expression="+".join(terms),
            using_metrics=used,
            label="$ an hour, at the prices of us-east-1",
            period=_HOUR,
        )
        return cloudwatch.GraphWidget(
            title="Cost of table and loop, without the workers", left=[estimate], width=_WIDTH
        )

    def _failures(self) -> cloudwatch.GraphWidget:
        queues = (self._watched.failed_events, self._watched.undelivered_ticks)
        lines = [
            queue.metric_approximate_number_of_messages_visible(period=_MINUTE) for queue in queues
        ]
        return cloudwatch.GraphWidget(
            title="Failed events and undelivered ticks", left=lines, width=_WIDTH
        )

    def _requests(self) -> cloudwatch.GraphWidget:
        functions = (self._watched.loop, self._watched.completion, self._watched.watchdog)
        lines = [function.metric_invocations(period=_MINUTE) for function in functions]
        errors = [function.metric_errors(period=_MINUTE) for function in functions]
        return cloudwatch.GraphWidget(
            title="Invocations (left) and errors (right)", left=lines, right=errors, width=_WIDTH
        )

    def _of_table(self, name: str, period: Duration) -> cloudwatch.Metric:
        dimensions = {"TableName": self._watched.table.table_name}
        return cloudwatch.Metric(
            namespace="AWS/DynamoDB",
            metric_name=name,
            dimensions_map=dimensions,
            statistic="Sum",
            period=period,
        )
