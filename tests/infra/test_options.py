"""Every option of the construct is checked by name before anything is made of it."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from aws_cdk import App, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs

from tests.infra.deployment import POOLS, Deployed
from workpool_cdk import ConfigurationError, Monitoring, Workpool
from workpool_cdk.checks import member, pool_names, seconds_within
from workpool_cdk.errors import must_be, shown


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.fixture(scope="module")
def deployed() -> Deployed:
    """Refusals change nothing, so one deployment takes them all."""
    return Deployed()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"pools": ["a"]},
            r"pools must be a mapping of at least one pool's name to its options, .*; got \['a'\]",
        ),
        ({"pools": "email"}, "pools must be a mapping"),
        ({"pools": None}, "pools must be a mapping .*; got None"),
        ({"pools": {"a": None}}, r"pools\['a'\] must be a mapping of options, .*; got None"),
        ({"pools": {"a": [1]}}, r"pools\['a'\] must be a mapping of options"),
        ({"pools": {1: {}}}, "pools: a name must be 1 to 40 .*; got 1"),
        (
            {"pools": {"a": {1: 2, "b": 3}}},
            r"pools\['a'\]: an option must be one of max_parallelism, rate_limit, schedules; got 1",
        ),
        (
            {"pools": {"a": {"max_parallelism": "10"}}},
            "max_parallelism must be an int from 0 to 10000; got '10'",
        ),
        (
            {"pools": {"a": {"rate_limit": "100"}}},
            r"pools\['a'\].rate_limit must be None, a RateLimit, or a text as",
        ),
        (
            {"pools": {"a": {"rate_limit": "5/1m/6"}}},
            "burst must be an int from 1 to 5, or None; got 6",
        ),
        ({"table_name": "a b"}, "table_name must be None, or a table's name"),
        ({"table_name": 7}, "table_name must be .*; got 7"),
        (
            {"encryption_key": "arn:aws:kms:us-east-1:111122223333:key/1"},
            "encryption_key must be None or a KMS key",
        ),
        ({"encryption_key": kms.Key}, "encryption_key must be None or a KMS key"),
        ({"deletion_protection": "no"}, "deletion_protection must be True or False; got 'no'"),
        ({"deletion_protection": None}, "deletion_protection must be True or False; got None"),
        ({"removal_policy": "destroy"}, "removal_policy must be one of .*DESTROY.*; got 'destroy'"),
        (
            {"removal_policy": RemovalPolicy.SNAPSHOT},
            "removal_policy must be RemovalPolicy.RETAIN or DESTROY",
        ),
        ({"log_retention": 30}, "log_retention must be one of .*ONE_MONTH.*; got 30"),
        ({"log_level": "info"}, "log_level must be one of DEBUG, INFO, .*; got 'info'"),
        ({"log_level": ["INFO"]}, "log_level must be one of"),
        ({"loop_memory_mb": "256"}, "loop_memory_mb must be an int from 128 to 10240; got '256'"),
        ({"loop_memory_mb": True}, "loop_memory_mb must be an int .*; got True"),
        ({"loop_memory_mb": 256.0}, "loop_memory_mb must be an int .*; got 256.0"),
        ({"monitoring": "FULL"}, "monitoring must be one of none, minimal, full; got 'FULL'"),
        ({"monitoring": None}, "monitoring must be one of none, minimal, full; got None"),
        (
            {"monitoring": Hostile()},
            "monitoring must be one of none, minimal, full; got a value of type Hostile",
        ),
        (
            {"alarm_topic": "arn:aws:sns:us-east-1:111122223333:t"},
            "alarm_topic must be None or an SNS topic",
        ),
        (
            {"failure_retention": 60},
            "failure_retention must be a Duration from 1 minute to 14 days; got 60",
        ),
        (
            {"failure_retention": Duration.seconds(59)},
            "failure_retention must be a Duration .*; got 59000 ms",
        ),
    ],
)
def test_option_that_cannot_be_meant_is_refused_by_name(options: dict[str, Any], says: str) -> None:
    pools = options.pop("pools") if "pools" in options else {"email": {}}

    with pytest.raises(ConfigurationError, match=says):
        Workpool(Stack(App(analytics_reporting=False), "Mail"), "Pools", pools, **options)


@pytest.mark.parametrize(
    ("scope", "construct_id", "says"),
    [
        (None, "Pools", "scope must be a Stack, or a construct in one; got None"),
        ("app", "Pools", "scope must be a Stack"),
        ("stack", None, "construct_id must be a name"),
        ("stack", "", "construct_id must be a name"),
    ],
)
def test_place_that_is_no_stack_is_refused(scope: str | None, construct_id: Any, says: str) -> None:
    app = App(analytics_reporting=False)
    places: dict[str | None, Any] = {None: None, "app": app, "stack": Stack(app, "Mail")}

    with pytest.raises(ConfigurationError, match=says):
        Workpool(places[scope], construct_id, {"email": {}})


CALLS: dict[str, tuple[Callable[[Deployed], object], str]] = {
    "no function": (
        lambda d: d.pool.add_action(None),
        "function must be a Lambda function of this app, or a version or alias of one; got None",
    ),
    "an ARN": (
        lambda d: d.pool.add_action("arn:aws:lambda:us-east-1:111122223333:function:f"),
        "function must be a Lambda function",
    ),
    "a role": (
        lambda d: d.pool.add_action(iam.Role(d.stack, "R", assumed_by=iam.AccountRootPrincipal())),
        "function must be",
    ),
    "a class": (lambda d: d.pool.add_action(lambda_.Function), "function must be"),
    "age: int": (
        lambda d: d.pool.add_action(d.function("A1"), event_age=60),
        "event_age must be a Duration from 1 minute to 6 hours; got 60",
    ),
    "age: text": (
        lambda d: d.pool.add_action(d.function("A2"), event_age="1m"),
        "event_age must be a Duration",
    ),
    "age: fraction": (
        lambda d: d.pool.add_action(d.function("A3"), event_age=Duration.millis(90_500)),
        "in whole seconds; got 90500 ms",
    ),
    "decorated: text": (
        lambda d: d.pool.add_action(d.function("A4"), decorated="no"),
        "decorated must be True or False; got 'no'",
    ),
    "pools: text": (
        lambda d: d.pool.add_action(d.function("A5"), pools="email"),
        r"pools must be None or a list of pools .*; got 'email'",
    ),
    "pools: empty": (
        lambda d: d.pool.add_action(d.function("A6"), pools=[]),
        r"pools must be None or a list .*; got \[\]",
    ),
    "pools: junk": (
        lambda d: d.pool.add_action(d.function("A7"), pools=["email", 3, None]),
        "pools must be None or a list",
    ),
    "pools: int": (
        lambda d: d.pool.add_action(d.function("A8"), pools=3),
        "pools must be None or a list .*; got 3",
    ),
    "pools: mapping": (
        lambda d: d.pool.add_action(d.function("A9"), pools={"email": {}}),
        "pools must be None or a list",
    ),
    "target: None": (
        lambda d: d.pool.add_on_complete(None),
        "target must be a Lambda function, an SQS queue or an SNS topic; got None",
    ),
    "target: text": (
        lambda d: d.pool.add_on_complete("arn:aws:sqs:us-east-1:1:q", decorated=False),
        "target must be",
    ),
    "target: decorated": (
        lambda d: d.pool.add_on_complete(sqs.Queue(d.stack, "Q"), decorated=1),
        "decorated must be True or False; got 1",
    ),
    "enqueue: None": (
        lambda d: d.pool.grant_enqueue(None),
        "grantee must be a function, a role or another principal of IAM; got None",
    ),
    "read: text": (lambda d: d.pool.grant_read("role"), "grantee must be"),
    "manage: queue": (lambda d: d.pool.grant_manage(sqs.Queue(d.stack, "Q2")), "grantee must be"),
    "enqueue: pools": (
        lambda d: d.pool.grant_enqueue(d.function("B1"), pools="email"),
        "pools must be None or a list",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_argument_that_cannot_be_meant_is_refused_by_name(deployed: Deployed, name: str) -> None:
    call, says = CALLS[name]

    with pytest.raises(ConfigurationError, match=says):
        call(deployed)


def test_pools_are_named_in_any_collection_and_once() -> None:
    assert pool_names(("email", "email"), POOLS) == ["email"]
    assert pool_names({"reports"}, POOLS) == ["reports"]
    assert pool_names(None, POOLS) == ["email", "reports"]
    assert (
        seconds_within(
            "age", Duration.minutes(1), Duration.minutes(1), Duration.hours(6)
        ).to_seconds()
        == 60
    )


def test_words_of_docs_are_as_good_as_members() -> None:
    assert member("monitoring", "full", Monitoring) is Monitoring.FULL
    assert member("log_retention", "ONE_WEEK", logs.RetentionDays) is logs.RetentionDays.ONE_WEEK
    texts = [
        Deployed(monitoring=each).template()["Resources"].keys()
        for each in ("none", "minimal", "full")
    ]
    members = [Deployed(monitoring=each).template()["Resources"].keys() for each in Monitoring]
    assert texts == members


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb\x1b[31m", r"'a\nb\x1b[31m'"),
        ("\u202e", r"'\u202e'"),
        (Hostile(), "a value of type Hostile"),
        ("x" * 10_000, f"'{'x' * 119}..."),
    ],
)
def test_value_is_shown_in_one_short_line(value: object, text: str) -> None:
    assert shown(value) == text
    assert str(must_be("field", "something", value)) == f"field must be something; got {text}"


def test_key_is_named_by_itself() -> None:
    deployed = Deployed()
    alias = kms.Alias(
        deployed.stack, "Alias", alias_name="alias/mine", target_key=kms.Key(deployed.stack, "Key")
    )
    pool = Workpool(deployed.stack, "Locked", {"email": {}}, encryption_key=alias)
    pool.grant_read(deployed.function("Board"))

    policy = next(
        each
        for name, each in deployed.of_type("AWS::IAM::Policy").items()
        if name.startswith("Board")
    )
    used = [
        each["Resource"]
        for each in policy["PolicyDocument"]["Statement"]
        if "kms:Decrypt" in each["Action"]
    ]
    assert [each["Fn::GetAtt"][0][:3] for each in used] == ["Key"]
    with pytest.raises(
        ConfigurationError,
        match="encryption_key must be a KMS key that is named by the key's own ARN, not by an alias",
    ):
        Workpool(
            deployed.stack,
            "More",
            {"email": {}},
            encryption_key=kms.Alias.from_alias_name(deployed.stack, "Imported", "alias/theirs"),
        )
