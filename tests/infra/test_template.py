"""The deployed resources: the table, the library's functions, the wakes."""

from typing import Any

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms

from tests.infra.deployment import Deployed
from workpool_aws.settings import read_settings
from workpool_cdk import ConfigurationError


@pytest.fixture(scope="module")
def deployed() -> Deployed:
    return Deployed()


def only(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    assert len(found) == 1
    return next(iter(found.values()))


def ours(deployed: Deployed, kind: str, role: str) -> dict[str, Any]:
    return only(
        {name: properties for name, properties in deployed.of_type(kind).items() if role in name}
    )


def plain(value: object) -> str:
    """A text with its references written out."""
    match value:
        case {"Fn::Join": [str(between), list(parts)]}:
            return between.join(plain(part) for part in parts)
        case {"Ref": "AWS::Partition"}:
            return "aws"
        case {"Ref": "AWS::Region"}:
            return "us-east-1"
        case {"Ref": "AWS::AccountId"}:
            return "111122223333"
        case {"Fn::GetAtt": [str(resource), "Arn"]}:
            return f"arn:aws:iam::111122223333:role/{resource}"
        case {"Ref": str(resource)}:
            return resource
        case str():
            return value
        case _:
            raise AssertionError(value)


def test_table_is_kept_backed_up_and_billed_on_demand(deployed: Deployed) -> None:
    table = only(deployed.of_type("AWS::DynamoDB::Table"))
    resource = only(
        {
            name: each
            for name, each in deployed.template()["Resources"].items()
            if each["Type"] == "AWS::DynamoDB::Table"
        }
    )

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"] is True
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["dead_letters"]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def test_table_for_trying_out_goes_with_its_stack() -> None:
    deployed = Deployed(deletion_protection=False, removal_policy=RemovalPolicy.DESTROY)
    resource = only(
        {
            name: each
            for name, each in deployed.template()["Resources"].items()
            if each["Type"] == "AWS::DynamoDB::Table"
        }
    )

    assert resource["Properties"]["DeletionProtectionEnabled"] is False
    assert resource["DeletionPolicy"] == "Delete"


def test_key_of_ones_own_may_be_used_through_dynamodb_only() -> None:
    deployed = Deployed()
    key = kms.Key(deployed.stack, "Key")
    from workpool_cdk import Workpool  # noqa: PLC0415 - after the skip

    pool = Workpool(deployed.stack, "Locked", {"email": {}}, encryption_key=key)
    pool.grant_enqueue(deployed.function("Api"))

    table = only(
        {
            name: each
            for name, each in deployed.of_type("AWS::DynamoDB::Table").items()
            if name.startswith("Locked")
        }
    )
    policy = only(
        {
            name: each
            for name, each in deployed.of_type("AWS::IAM::Policy").items()
            if name.startswith("Api")
        }
    )
    uses = [
        each for each in policy["PolicyDocument"]["Statement"] if "kms:Decrypt" in each["Action"]
    ]
    assert table["SSESpecification"]["SSEType"] == "KMS"
    assert [plain(use["Condition"]["StringEquals"]["kms:ViaService"]) for use in uses] == [
        "dynamodb.us-east-1.amazonaws.com"
    ]


@pytest.mark.parametrize(
    ("role", "handler", "timeout", "retries", "age"),
    [
        ("Loop", "workpool_aws.handlers.main_loop.handler", 900, 0, 60),
        ("Completion", "workpool_aws.handlers.completion.handler", 60, 2, 21_600),
        ("Watchdog", "workpool_aws.handlers.watchdog.handler", 60, 0, 60),
    ],
)
def test_each_function_is_what_protocol_wants(
    deployed: Deployed, role: str, handler: str, timeout: int, retries: int, age: int
) -> None:
    function = ours(deployed, "AWS::Lambda::Function", role)
    events = ours(deployed, "AWS::Lambda::EventInvokeConfig", role)
    log = ours(deployed, "AWS::Logs::LogGroup", role)

    assert (function["Handler"], function["Timeout"], function["Runtime"]) == (
        handler,
        timeout,
        "python3.13",
    )
    assert (function["Architectures"], function["RecursiveLoop"], function["MemorySize"]) == (
        ["arm64"],
        "Allow",
        256,
    )
    assert (events["MaximumRetryAttempts"], events["MaximumEventAgeInSeconds"]) == (retries, age)
    assert list(events["DestinationConfig"]) == ["OnFailure"]
    assert log["RetentionInDays"] == 30


@pytest.mark.parametrize("role", ["Loop", "Completion", "Watchdog"])
def test_library_reads_what_deployment_says(deployed: Deployed, role: str) -> None:
    variables = ours(deployed, "AWS::Lambda::Function", role)["Environment"]["Variables"]

    settings = read_settings({name: plain(value) for name, value in variables.items()})

    names = {
        name: each["FunctionName"]
        for name, each in deployed.of_type("AWS::Lambda::Function").items()
    }
    loop, completion = (
        next(value for name, value in names.items() if which in name)
        for which in ("Loop", "Completion")
    )
    assert settings.loop_arn == f"arn:aws:lambda:us-east-1:111122223333:function:{loop}"
    assert settings.completion_arn == f"arn:aws:lambda:us-east-1:111122223333:function:{completion}"
    assert settings.pools == ((("email", 10),) if role == "Watchdog" else ())
    if role == "Completion":
        assert (settings.schedule_group, settings.metrics) == (None, None)
    else:
        assert settings.schedule_group in {
            group["Name"] for group in deployed.of_type("AWS::Scheduler::ScheduleGroup").values()
        }
        assert settings.scheduler_role_arn is not None
        assert settings.metrics == "table"


def test_watchdog_ticks_every_minute_for_table(deployed: Deployed) -> None:
    schedule = only(deployed.of_type("AWS::Scheduler::Schedule"))
    table = next(iter(deployed.of_type("AWS::DynamoDB::Table")))

    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert (
        plain(schedule["Target"]["Input"])
        == f'{{"workpool_watchdog":{{"table":"{table}","pools":["email","reports"],"schedules":{{}}}}}}'
    )
    assert "DeadLetterConfig" in schedule["Target"]


def test_loop_cannot_touch_watchdogs_schedule(deployed: Deployed) -> None:
    tick = only(deployed.of_type("AWS::Scheduler::Schedule"))["GroupName"]
    policy = ours(deployed, "AWS::IAM::Policy", "LoopRole")
    reach = [
        plain(each["Resource"])
        for each in policy["PolicyDocument"]["Statement"]
        if "scheduler:DeleteSchedule" in each["Action"]
    ]

    assert len(reach) == 1
    assert f":schedule/{tick}/" not in reach[0]


def test_only_our_schedules_may_use_roles(deployed: Deployed) -> None:
    trusts = [
        each["AssumeRolePolicyDocument"]["Statement"]
        for each in deployed.of_type("AWS::IAM::Role").values()
    ]
    scheduler = [
        each for (each,) in trusts if each["Principal"] == {"Service": "scheduler.amazonaws.com"}
    ]

    assert len(scheduler) == 2
    for trust in scheduler:
        assert set(trust["Condition"]["StringEquals"]) == {"aws:SourceAccount", "aws:SourceArn"}


def test_queues_refuse_what_is_not_encrypted_on_way(deployed: Deployed) -> None:
    denied = [
        statement
        for each in deployed.of_type("AWS::SQS::QueuePolicy").values()
        for statement in each["PolicyDocument"]["Statement"]
    ]

    assert [(each["Effect"], each["Condition"]) for each in denied] == [
        ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    ] * 2


def test_everything_but_table_goes_with_stack(deployed: Deployed) -> None:
    kept = {
        each["Type"]
        for each in deployed.template()["Resources"].values()
        if each.get("DeletionPolicy", "Delete") != "Delete"
    }

    assert kept == {"AWS::DynamoDB::Table"}


@pytest.mark.parametrize(
    ("pools", "says"),
    [
        ({}, "pools must be a mapping of at least one pool"),
        ({"e mail": {}}, "must be 1 to 40 of A-Z a-z 0-9 _ -; got 'e mail'"),
        (
            {"email": {"max_paralelism": 1}},
            r"pools\['email'\]: an option must be one of max_parallelism, rate_limit, schedules; got 'max_paralelism'",
        ),
        (
            {"email": {"max_parallelism": 10_001}},
            "max_parallelism must be an int from 0 to 10000; got 10001",
        ),
        (
            {"email": {"max_parallelism": True}},
            "max_parallelism must be an int from 0 to 10000; got True",
        ),
        (
            {f"{n:040}": {"max_parallelism": 1} for n in range(60)},
            "3400 bytes of a function's environment",
        ),
    ],
)
def test_pools_that_cannot_be_are_refused(pools: dict[str, dict[str, object]], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Deployed(pools)


def test_unknown_log_level_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"log_level must be one of DEBUG, .*; got 'LOUD'"):
        Deployed(log_level="LOUD")
