"""A stack that goes leaves the table, and nothing else."""

from __future__ import annotations

import boto3
import pytest

from tests.e2e import deployment
from tests.emulator.server import MiniStack, running


@pytest.fixture
def account_of_its_own(cloud: MiniStack, monkeypatch: pytest.MonkeyPatch):
    """Another account, since the others' stack is still needed."""
    del cloud  # it says whether servers are wanted, and can be had
    with running() as server:
        for name, value in deployment.account(server).items():
            monkeypatch.setenv(name, value)
        deployment.bootstrap(server)
        yield server


def found_in_the_account() -> dict[str, list[str]]:
    resources = {
        "functions": [
            each["FunctionName"] for each in boto3.client("lambda").list_functions()["Functions"]
        ],
        "queues": boto3.client("sqs").list_queues().get("QueueUrls", []),
        "schedules": [
            each["Name"] for each in boto3.client("scheduler").list_schedules()["Schedules"]
        ],
        "groups": [
            each["Name"]
            for each in boto3.client("scheduler").list_schedule_groups()["ScheduleGroups"]
            if each["Name"] != "default"
        ],
        "roles": [
            each["RoleName"]
            for each in boto3.client("iam").list_roles()["Roles"]
            if each["RoleName"].startswith("E2e")
        ],
        "logs": [
            each["logGroupName"] for each in boto3.client("logs").describe_log_groups()["logGroups"]
        ],
        "alarms": [
            each["AlarmName"]
            for each in boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
        ],
        "tables": boto3.client("dynamodb").list_tables()["TableNames"],
    }
    return {kind: names for kind, names in resources.items() if names}


def halt_the_watchdog() -> None:
    """A function that logs after its log group has gone makes that again here. In AWS it may not."""
    scheduler = boto3.client("scheduler")
    for each in scheduler.list_schedules()["Schedules"]:
        found = scheduler.get_schedule(Name=each["Name"], GroupName=each["GroupName"])
        kept = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
        scheduler.update_schedule(**{name: found[name] for name in kept}, State="DISABLED")


def test_what_is_left_is_what_is_kept_on_purpose(account_of_its_own: MiniStack) -> None:
    deployed = deployment.deploy(account_of_its_own)
    before = found_in_the_account()
    halt_the_watchdog()
    deployment.destroy(account_of_its_own)

    assert before.keys() == {
        "functions",
        "queues",
        "schedules",
        "groups",
        "roles",
        "logs",
        "alarms",
        "tables",
    }
    assert found_in_the_account() == {"tables": [deployed.table]}
