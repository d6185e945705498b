"""Schedules that the construct declares: what the tick says, and what is refused when it is synthesized."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_

from tests.infra.deployment import Deployed
from workpool_aws import RetryPolicy
from workpool_aws.api.caller import Caller
from workpool_aws.api.declared import from_json, read_declared
from workpool_cdk import ConfigurationError
from workpool_cdk.config import read_config
from workpool_cdk.plain import PlainStack
from workpool_cdk.template import CONTEXT

ONE = {"email": {"max_parallelism": 10}}


def text_of(value: Any) -> str:
    """Text of a template, with resources by their logical ids."""
    if isinstance(value, str):
        return value
    if "Ref" in value:
        return f"<{value['Ref']}>"
    return "".join(map(text_of, value["Fn::Join"][1]))


def declared(deployed: Deployed) -> dict[str, Any]:
    [tick] = deployed.of_type("AWS::Scheduler::Schedule").values()
    order = json.loads(text_of(tick["Target"]["Input"]))["workpool_watchdog"]
    return dict(order["schedules"])


def test_tick_declares_schedule_of_function_by_its_name() -> None:
    deployed = Deployed(ONE)
    function = deployed.function("Report")
    deployed.pool.add_action(function)
    deployed.pool.add_schedule("report", function, {"n": 1}, cron="30 6 * * MON-FRI")

    [schedule] = declared(deployed)["email"]
    assert re.fullmatch(r"<Report\w+>", schedule.pop("fn"))
    assert schedule == {"name": "report", "args": {"n": 1}, "cron": "30 6 * * MON-FRI"}


def test_function_of_one_job_is_named_by_it() -> None:
    deployed = Deployed(ONE)
    function = deployed.function("Report")
    deployed.pool.add_action(function, name="daily_report")
    for name, target in (("a", function), ("b", "daily_report")):
        deployed.pool.add_schedule(name, target, cron="@daily")

    assert [each["fn"] for each in declared(deployed)["email"]] == ["daily_report"] * 2


def test_alias_is_named_with_its_qualifier() -> None:
    deployed = Deployed(ONE)
    alias = deployed.function("Report", function_name="reports").add_alias("live")
    deployed.pool.add_action(alias)
    deployed.pool.add_schedule("report", alias, cron="@daily")

    [schedule] = declared(deployed)["email"]
    assert schedule["fn"] == "reports:live"


def test_watchdog_reads_what_construct_wrote() -> None:
    deployed = Deployed(ONE)
    function = deployed.function("Report", function_name="reports")
    deployed.pool.add_action(function)
    options: dict[str, Any] = {
        "every": timedelta(minutes=15),
        "start": datetime(2026, 3, 1, tzinfo=UTC),
        "jitter": timedelta(seconds=30),
        "catch_up": "spread",
        "spread": timedelta(hours=1),
        "overlap": "queue_one",
        "expires_after": timedelta(hours=2),
        "retry": RetryPolicy(max_attempts=3, max_backoff=timedelta(minutes=1)),
        "on_complete": "arn:aws:sqs:us-east-1:123456789012:told",
        "on_complete_exclude": {"success", "canceled"},
    }
    deployed.pool.add_schedule("report", function, {"n": 1}, **options)

    [written] = declared(deployed)["email"]
    read = from_json(written)
    expected = {"name": "report", "fn": "reports", "args": {"n": 1}, **options}
    assert {**read, "on_complete_exclude": set(read["on_complete_exclude"])} == expected
    name, _ = read_declared(read, caller=Caller(), find=lambda name, *, field, decorated: name)
    assert name == "report"


def test_pools_have_schedules_of_their_own() -> None:
    deployed = Deployed()
    function = deployed.function("Report")
    deployed.pool.add_action(function)
    for pool in ("reports", "email"):
        deployed.pool.add_schedule("daily", function, pool=pool, cron="@daily")

    assert {pool: len(each) for pool, each in declared(deployed).items()} == {
        "email": 1,
        "reports": 1,
    }


def test_schedule_needs_no_permission_of_its_own() -> None:
    def statements(*, scheduled: bool) -> list[Any]:
        deployed = Deployed(ONE)
        function = deployed.function("Report")
        deployed.pool.add_action(function)
        if scheduled:
            deployed.pool.add_schedule("daily", function, cron="@daily")
        return list(deployed.of_type("AWS::IAM::Policy").values())

    assert statements(scheduled=True) == statements(scheduled=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "cron must be given"),
        ({"cron": "99 * * * *"}, "cron must be a cron expression"),
        ({"cron": "@daily", "timezone": "Mars"}, "timezone must be"),
        ({"every": timedelta(0)}, "every must be a timedelta from 1 s"),
        ({"cron": "@daily", "run_after": timedelta(1)}, "run_after must be None"),
        ({"cron": "@daily", "owner": "me"}, "owner"),
        ({"cron": "@daily", "pool": "sms"}, "pools must be"),
        ({"cron": "@daily", "name": "a b"}, "name must be"),
        ({"cron": "@daily", "args": {"text": "x" * 4_100}}, "args must be at most 4096 bytes"),
        ({"cron": "@daily", "target": "unknown"}, "a job that was added: none"),
    ],
)
def test_bad_schedule_is_refused_and_nothing_added(options: dict[str, Any], words: str) -> None:
    deployed = Deployed(ONE)
    function = deployed.function("Report")
    deployed.pool.add_action(function)
    given = {"name": "daily", "target": function, **options}

    with pytest.raises(ConfigurationError, match=words):
        deployed.pool.add_schedule(given.pop("name"), given.pop("target"), **given)
    assert declared(deployed) == {}


def test_target_must_be_added_for_pool_first() -> None:
    deployed = Deployed()
    function = deployed.function("Report")
    with pytest.raises(ConfigurationError, match=r"add_action must add it for the pool 'email'"):
        deployed.pool.add_schedule("daily", function, pool="email", cron="@daily")
    deployed.pool.add_action(function, pools=["reports"])
    with pytest.raises(ConfigurationError, match=r"add_action must add it for the pool 'email'"):
        deployed.pool.add_schedule("daily", function, pool="email", cron="@daily")
    with pytest.raises(ConfigurationError, match=r"pool must be one of email, reports; got None"):
        deployed.pool.add_schedule("daily", function, cron="@daily")


def test_function_of_many_jobs_is_not_enough() -> None:
    deployed = Deployed(ONE)
    function = deployed.function("Reports")
    deployed.pool.add_handler(function, jobs=["daily", "weekly"])
    with pytest.raises(ConfigurationError, match="one of its jobs: daily, weekly"):
        deployed.pool.add_schedule("daily", function, cron="@daily")


def test_function_of_another_stack_needs_a_name() -> None:
    deployed = Deployed(ONE)
    other = Stack(deployed.app, "Other")
    function = deployed.function("Report", stack=other)
    deployed.pool.add_action(function)
    with pytest.raises(ConfigurationError, match="give it a function_name"):
        deployed.pool.add_schedule("daily", function, cron="@daily")


def test_name_is_given_once_in_a_pool() -> None:
    deployed = Deployed(ONE)
    function = deployed.function("Report")
    deployed.pool.add_action(function)
    deployed.pool.add_schedule("daily", function, cron="@daily")
    with pytest.raises(ConfigurationError, match="has a schedule of this name already"):
        deployed.pool.add_schedule("daily", function, cron="@hourly")


def test_more_schedules_than_a_tick_holds_are_refused() -> None:
    deployed = Deployed(ONE)
    function = deployed.function("Report")
    deployed.pool.add_action(function)

    def fill() -> None:
        for number in range(60):
            text = {"text": "x" * 4_000}
            deployed.pool.add_schedule(f"daily-{number}", function, text, cron="@daily")

    with pytest.raises(ConfigurationError, match="take more than 200000 bytes"):
        fill()
    assert 45 <= len(declared(deployed)["email"]) < 60


CONFIG = """
[pools.email]
max_parallelism = 3

[pools.email.schedules.report]
fn = "report"
cron = "30 6 * * MON-FRI"
timezone = "Europe/London"
args = { n = 1 }

[pools.email.schedules.poll]
fn = "arn:aws:lambda:us-east-1:123456789012:function:poll"
every_ms = 900_000
start = 2026-03-01T00:00:00Z
"""


def test_plain_template_has_schedules_of_configuration(tmp_path: Path) -> None:
    path = tmp_path / "workpool.toml"
    path.write_text(CONFIG, encoding="utf-8")
    app = App(context={**CONTEXT, "aws:cdk:bundling-stacks": []}, outdir=str(tmp_path / "out"))
    stack = PlainStack(app, read_config(path))
    template = app.synth().get_stack_by_name(stack.stack_name).template

    [tick] = [
        each["Properties"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Scheduler::Schedule"
    ]
    order = json.loads(text_of(tick["Target"]["Input"]))["workpool_watchdog"]
    assert order["schedules"] == {
        "email": [
            {
                "name": "report",
                "fn": "report",
                "args": {"n": 1},
                "cron": "30 6 * * MON-FRI",
                "timezone": "Europe/London",
            },
            {
                "name": "poll",
                "fn": "arn:aws:lambda:us-east-1:123456789012:function:poll",
                "every_ms": 900_000,
                "start": "2026-03-01T00:00:00+00:00",
            },
        ]
    }


@pytest.mark.parametrize(
    ("schedules", "words"),
    [
        ("daily", "a mapping of names to options"),
        ({"daily": "@daily"}, "a mapping of options, fn among them"),
        ({"daily": {"cron": "@daily"}}, "target must be"),
        ({"daily": {"fn": "report", "every_ms": "1"}}, "every_ms must be a whole number"),
        ({"daily": {"fn": "report", "cron": "@dail"}}, "cron must be"),
    ],
)
def test_bad_schedules_of_configuration_are_refused(schedules: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Deployed({"email": {"schedules": schedules}})


def test_function_may_be_of_any_kind_that_was_added() -> None:
    deployed = Deployed(ONE)
    legacy: lambda_.IFunction = deployed.function("Legacy", function_name="legacy")
    deployed.pool.add_action(legacy, decorated=False)
    deployed.pool.add_schedule("daily", legacy, cron="@daily")

    assert declared(deployed)["email"][0]["fn"] == "legacy"
