"""The saved queries of CloudWatch Logs Insights, for questions that people ask in trouble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aws_cdk import Names
from aws_cdk import aws_logs as logs
from constructs import Construct

from workpool_cdk.alarms import Watched

__all__ = ["QUERIES", "SavedQueries"]

QUERIES: Final[Mapping[str, tuple[str, ...]]] = {
    "Is it backlogged": (
        "filter ispresent(Backlog)",
        (
            "stats max(Backlog) as backlog, max(OldestDue) as oldest_due_s, "
            "max(InFlight) as in_flight, max(Limit) as limit by Pool, bin(5m)"
        ),
    ),
    "Are functions failing": (
        "filter ispresent(SuccessRate)",
        (
            "stats sum(Succeeded) as succeeded, sum(Failed) as failed, "
            "avg(FailureRate) as failure_rate by Pool, bin(5m)"
        ),
    ),
    "Are they retrying a lot": (
        "filter ispresent(RetryRate)",
        "stats sum(Retried) as retried, avg(RetryRate) as retry_rate by Pool, bin(5m)",
    ),
    "Is there a delay between due and start": (
        "filter ispresent(Started) and not ispresent(Job)",
        "stats sum(Started) as started, max(StartLagMax) as lag_ms_max by Pool, bin(5m)",
    ),
    "Which jobs fail, retry or wait": (
        "filter ispresent(Job)",
        (
            "stats sum(Succeeded), sum(Failed), sum(Retried), sum(Started), max(StartLagMax) "
            "by Pool, Job, bin(5m)"
        ),
    ),
    "What went wrong": (
        'filter level in ["WARNING", "ERROR"] and ispresent(pool)',
        "stats count(*) as times by message, pool, job",
        "sort times desc",
    ),
}
"""By title: the lines of each query. Names with a capital are metrics, others are fields of events
(docs/events.md)."""


class SavedQueries(Construct):
    """Free, until they are run: $0.005 for each GB of logs that they read."""

    def __init__(self, scope: Construct, construct_id: str, watched: Watched) -> None:
        super().__init__(scope, construct_id)
        folder = Names.unique_resource_name(self, max_length=100, separator="-")
        for number, (title, lines) in enumerate(QUERIES.items()):
            logs.CfnQueryDefinition(
                self,
                f"Query{number}",
                name=f"{folder}/{title}",
                query_string="\n| ".join(lines),
                log_group_names=[group.log_group_name for group in watched.log_groups],
            )
