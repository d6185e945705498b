"""The monitoring of the pools: its levels, and the alarms, dashboard and saved queries of each."""

from __future__ import annotations

from enum import StrEnum

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from workpool_cdk.alarms import FullAlarms, MinimalAlarms, Watched
from workpool_cdk.dashboard import PoolDashboard
from workpool_cdk.queries import SavedQueries

__all__ = ["Monitor", "Monitoring", "metrics_scope"]


class Monitoring(StrEnum):
    """The level of monitoring. docs/operations.md has the costs."""

    NONE = "none"
    """Nothing: no alarm, and no metric of our own."""
    MINIMAL = "minimal"
    """Alarms for the whole table: $0.90 a month while idle, at most $2.70."""
    FULL = "full"
    """In addition metrics of each pool, alarms for its functions, a dashboard and saved queries:
    $3.40 more, and up to $5.10 for each busy pool."""


def metrics_scope(level: Monitoring) -> str:
    """Returns the value of WORKPOOL_METRICS at a level. "" means no metrics."""
    match level:
        case Monitoring.NONE:
            return ""
        case Monitoring.MINIMAL:
            return "table"
        case Monitoring.FULL:
            return "pools"


class Monitor(Construct):
    """The monitoring of one `Workpool`. At level `none` there is no such construct."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        watched: Watched,
        *,
        level: Monitoring,
        topic: sns.ITopic | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._topic = topic
        self._workers: set[str] = set()
        self._full = FullAlarms(self, "Detail", watched) if level is Monitoring.FULL else None
        self.alarms: dict[str, cloudwatch.Alarm] = {}
        """By the name that docs/operations.md has them under; those of single functions are not
        here."""
        self._add(MinimalAlarms(self, "Alarms", watched).alarms)
        if self._full is not None:
            self._add(self._full.alarms)
            PoolDashboard(self, "Dashboard", watched)
            SavedQueries(self, "Queries", watched)

    def add_worker(self, function: lambda_.IFunction) -> None:
        """Watch the delivery of a worker's outcomes to the completion function, at level `full`."""
        if self._full is not None and function.node.path not in self._workers:
            self._workers.add(function.node.path)
            self._notify([self._full.add_worker(function)])

    def _add(self, alarms: list[cloudwatch.Alarm]) -> None:
        self.alarms |= {alarm.node.id: alarm for alarm in alarms}
        self._notify(alarms)

    def _notify(self, alarms: list[cloudwatch.Alarm]) -> None:
        if self._topic is not None:
            for alarm in alarms:
                alarm.add_alarm_action(actions.SnsAction(self._topic))
                alarm.add_ok_action(actions.SnsAction(self._topic))
