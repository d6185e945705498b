"""Every level of monitoring: what it brings, and that it looks at what the library really writes."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from aws_cdk import aws_sns as sns

from tests.infra.deployment import POOLS, Deployed, everything
from workpool_aws.adapters.metrics import TABLE_METRICS, Metric
from workpool_cdk import Monitoring
from workpool_cdk.queries import QUERIES

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def alarms_of(deployed: Deployed) -> list[dict[str, Any]]:
    return list(deployed.of_type("AWS::CloudWatch::Alarm").values())


def name_of(alarm: dict[str, Any]) -> str:
    return str(alarm["AlarmDescription"]).rpartition(" ")[2]


def test_without_monitoring_nothing_is_watched_nor_written() -> None:
    deployed = everything(monitoring=Monitoring.NONE)

    assert alarms_of(deployed) == []
    variables = [
        each["Environment"]["Variables"]
        for name, each in deployed.of_type("AWS::Lambda::Function").items()
        if "Pools" in name
    ]
    assert {each.get("WORKPOOL_METRICS", "") for each in variables} == {""}


def test_minimal_is_nine_alarms_on_metrics_of_table() -> None:
    alarms = alarms_of(everything())

    assert len(alarms) == 9
    ours = [each for each in alarms if each["Namespace"] == "Workpool"]
    assert {each["MetricName"] for each in ours} == TABLE_METRICS
    assert [[dimension["Name"] for dimension in each["Dimensions"]] for each in ours] == [
        ["Table"]
    ] * len(ours)


@pytest.mark.parametrize("level", [Monitoring.MINIMAL, Monitoring.FULL])
def test_no_alarm_calculates(level: Monitoring) -> None:
    assert [each for each in alarms_of(everything(monitoring=level)) if "Metrics" in each] == []


def test_full_brings_dashboard_queries_and_alarm_for_each_worker() -> None:
    deployed = everything(monitoring=Monitoring.FULL)

    names = [name_of(each) for each in alarms_of(deployed)]
    assert len(names) == 9 + 4 + 2
    assert names.count("DestinationDeliveryFailures") == 2
    assert len(deployed.of_type("AWS::CloudWatch::Dashboard")) == 1
    assert len(deployed.of_type("AWS::Logs::QueryDefinition")) == len(QUERIES)


def test_dashboard_has_every_metric_of_every_pool() -> None:
    dashboard = next(
        iter(everything(monitoring=Monitoring.FULL).of_type("AWS::CloudWatch::Dashboard").values())
    )
    text = json.dumps(dashboard)
    shown = {(name, pool) for pool, name in re.findall(r'label\\+":\\+"(\w+) (\w+)\\+"', text)}

    assert {pool for _, pool in shown} == set(POOLS)
    assert {name for name, _ in shown} == set(get_args(Metric)) - {"Canceled", "Retried", "Started"}


def test_every_alarm_has_its_page() -> None:
    names = {name_of(each) for each in alarms_of(everything(monitoring=Monitoring.FULL))}
    headings = set(re.findall(r"^### (\w+)$", OPERATIONS.read_text(encoding="utf-8"), re.MULTILINE))

    assert names <= headings


def test_queries_ask_for_what_is_written() -> None:
    known = {*get_args(Metric), "StartLagMax", "Pool", "Job", "WARNING", "ERROR"}
    asked = {
        word
        for lines in QUERIES.values()
        for line in lines
        for word in re.findall(r"\b[A-Z]\w+", line)
    }

    assert asked <= known


def test_topic_is_told_of_every_alarm() -> None:
    deployed = Deployed()
    topic = sns.Topic(deployed.stack, "Pager")
    from workpool_cdk import Workpool  # noqa: PLC0415 - after the skip

    Workpool(deployed.stack, "Loud", {"email": {}}, alarm_topic=topic)

    told = [each for each in alarms_of(deployed) if "AlarmActions" in each]
    assert len(told) == 9
    assert all(each["AlarmActions"] == each["OKActions"] for each in told)


def test_threshold_can_be_changed() -> None:
    deployed = Deployed()
    alarm = deployed.pool.alarms["DeadLetters"]
    alarm.node.default_child.threshold = 10

    assert [
        each["Threshold"] for each in alarms_of(deployed) if name_of(each) == "DeadLetters"
    ] == [10]
    assert len(deployed.pool.alarms) == 9
