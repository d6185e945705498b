"""The settings of the environment, and their refusals."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from workpool_aws.errors import UsageError
from workpool_aws.settings import Settings, read_settings

FULL = {
    "WORKPOOL_LOOP_ARN": "arn:aws:lambda:eu-west-1:123456789012:function:loop:live",
    "WORKPOOL_COMPLETION_ARN": "arn:aws-cn:lambda:cn-north-1:123456789012:function:completion:$LATEST",
    "WORKPOOL_SCHEDULE_GROUP": "group_1.x-y",
    "WORKPOOL_SCHEDULER_ROLE_ARN": "arn:aws:iam::123456789012:role/path/scheduler",
    "WORKPOOL_ACKNOWLEDGING": "told, arn:aws:lambda:eu-west-1:123456789012:function:also,told,",
    "WORKPOOL_JOBS": "send_email=mailer:live,, mail.receive=arn:aws:lambda:eu-west-1:123456789012:function:in,",
    "WORKPOOL_POOLS": '{"sms": {"max_parallelism": 0}, "email": {"max_parallelism": 500}, "free": {}}',
    "WORKPOOL_LOG_LEVEL": "debug",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_LAMBDA_FUNCTION_NAME": "loop",
    "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793",
    "WORKPOOL_TABLE": "my-table",
    "WORKPOOL_POOL": "email_1",
}


def test_every_variable_has_its_field():
    assert read_settings(FULL) == Settings(
        loop_arn=FULL["WORKPOOL_LOOP_ARN"],
        completion_arn=FULL["WORKPOOL_COMPLETION_ARN"],
        schedule_group="group_1.x-y",
        scheduler_role_arn=FULL["WORKPOOL_SCHEDULER_ROLE_ARN"],
        acknowledging=("arn:aws:lambda:eu-west-1:123456789012:function:also", "told"),
        jobs=(
            ("mail.receive", "arn:aws:lambda:eu-west-1:123456789012:function:in"),
            ("send_email", "mailer:live"),
        ),
        pools=(("email", 500), ("sms", 0)),
        log_level=logging.DEBUG,
        region="eu-west-1",
        function_name="loop",
        trace_id=FULL["_X_AMZN_TRACE_ID"],
        table="my-table",
        pool="email_1",
    )


@pytest.mark.parametrize("environ", [{}, dict.fromkeys(FULL, "")], ids=["unset", "empty"])
def test_settings_without_variables_are_empty_with_warnings_logged(environ):
    assert read_settings(environ) == Settings(log_level=logging.WARNING)


def test_default_region_stands_in_for_region():
    assert read_settings({"AWS_DEFAULT_REGION": "us-east-1"}).region == "us-east-1"


def test_default_region_that_cannot_be_meant_is_refused_where_it_counts():
    with pytest.raises(UsageError) as caught:
        read_settings({"AWS_DEFAULT_REGION": "r" * 65})
    assert caught.value.field == "AWS_DEFAULT_REGION"
    assert (
        read_settings({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "r" * 65}).region
        == "eu-west-1"
    )


def test_settings_read_this_process_by_default(monkeypatch):
    monkeypatch.setenv("WORKPOOL_POOL", "first")
    before = read_settings().pool
    monkeypatch.setenv("WORKPOOL_POOL", "second")
    assert (before, read_settings().pool) == ("first", "second")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKPOOL_LOG_LEVEL", "loud"),
        ("WORKPOOL_LOG_LEVEL", "30"),
        ("WORKPOOL_LOOP_ARN", "my-function"),
        ("WORKPOOL_LOOP_ARN", "arn:aws:sqs:eu-west-1:123456789012:queue"),
        ("WORKPOOL_LOOP_ARN", FULL["WORKPOOL_LOOP_ARN"] + "\n"),
        ("WORKPOOL_COMPLETION_ARN", "arn:aws:lambda:eu-west-1:123:function:x"),
        ("WORKPOOL_SCHEDULE_GROUP", "a/b"),
        ("WORKPOOL_SCHEDULE_GROUP", "g" * 65),
        ("WORKPOOL_SCHEDULER_ROLE_ARN", "role/x"),
        ("WORKPOOL_ACKNOWLEDGING", "told;also"),
        ("WORKPOOL_ACKNOWLEDGING", "arn:aws:sqs:eu-west-1:123456789012:queue"),
        ("WORKPOOL_JOBS", "send_email"),
        ("WORKPOOL_JOBS", "send email=mailer"),
        ("WORKPOOL_JOBS", "send_email=a/b"),
        ("WORKPOOL_JOBS", "=mailer"),
        ("WORKPOOL_JOBS", "send_email=mailer,send_email=other"),
        ("WORKPOOL_POOLS", "{"),
        ("WORKPOOL_POOLS", "[]"),
        ("WORKPOOL_POOLS", '{"a b": {}}'),
        ("WORKPOOL_POOLS", '{"email": 3}'),
        ("WORKPOOL_POOLS", '{"email": {"parallelism": 3}}'),
        ("WORKPOOL_POOLS", '{"email": {"max_parallelism": 10001}}'),
        ("WORKPOOL_POOLS", '{"email": {"max_parallelism": -1}}'),
        ("WORKPOOL_POOLS", '{"email": {"max_parallelism": true}}'),
        ("WORKPOOL_POOLS", '{"email": {"max_parallelism": null}}'),
        ("WORKPOOL_POOLS", '{"email": {"rate_limit": "0/1m"}}'),
        ("WORKPOOL_POOLS", '{"email": {"rate_limit": null}}'),
        ("AWS_REGION", "EU WEST"),
        ("WORKPOOL_TABLE", "a b"),
        ("WORKPOOL_POOL", "p" * 41),
        ("WORKPOOL_POOL", "a.b"),
        ("WORKPOOL_JSON", "maybe"),
        ("WORKPOOL_METRICS", "Table"),
        ("WORKPOOL_METRICS", "all"),
    ],
)
def test_bad_value_is_refused_by_name_of_its_variable(name, value):
    with pytest.raises(UsageError) as caught:
        read_settings({**FULL, name: value})
    assert caught.value.field == name
    assert name in str(caught.value)


def test_pools_of_settings_have_their_rate_limits():
    pools = '{"b": {"rate_limit": "5/1m"}, "a": {"rate_limit": "7/1h", "max_parallelism": 3}}'

    assert [
        (pool, str(rate)) for pool, rate in read_settings({**FULL, "WORKPOOL_POOLS": pools}).rates
    ] == [("a", "7/1h"), ("b", "5/1m")]


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_level_has_number_of_logging_module_in_either_case(level):
    numbers = {
        read_settings({"WORKPOOL_LOG_LEVEL": word}).log_level for word in (level, level.lower())
    }
    assert numbers == {logging.getLevelNamesMapping()[level]}


@pytest.mark.parametrize(("value", "means"), [("", None), ("table", "table"), ("pools", "pools")])
def test_metrics_are_of_table_or_of_its_pools(value, means):
    assert read_settings({"WORKPOOL_METRICS": value}).metrics == means


@pytest.mark.parametrize("value", [" , ,", ","])
def test_list_of_nothing_names_no_function(value):
    assert read_settings({"WORKPOOL_ACKNOWLEDGING": value}).acknowledging == ()


@pytest.mark.parametrize(
    ("value", "means"),
    [
        (None, False),
        ("", False),
        ("0", False),
        ("no", False),
        ("False", False),
        ("1", True),
        ("True", True),
        ("yes", True),
    ],
)
def test_json_is_yes_or_no(value: str | None, means: bool) -> None:
    assert read_settings({} if value is None else {"WORKPOOL_JSON": value}).json is means


def test_every_setting_stands_in_documents_and_nothing_else_does() -> None:
    settings = Path(read_settings.__code__.co_filename)
    read = set(re.findall(r'"(_?[A-Z]{3,}(?:_[A-Z]+)+)"', settings.read_text(encoding="utf-8")))
    told = set(
        re.findall(
            r"`(_?[A-Z]{3,}(?:_[A-Z]+)+)`",
            (settings.parents[1] / "docs" / "settings.md").read_text(encoding="utf-8"),
        )
    )

    assert told == read
