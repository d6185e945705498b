"""Functions, roles and targets that are somewhere else: in other stacks, accounts and regions, or named by version and alias."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from aws_cdk import App, Duration, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from tests.infra.deployment import FLAGS, Deployed
from workpool_cdk import ConfigurationError, Monitoring, Workpool

OURS = Environment(account="111111111111", region="us-east-1")


def waits_for(deployed: Deployed, stack: str) -> list[str]:
    found = deployed.app.synth().get_stack_by_name(stack).dependencies
    return [each.manifest.display_name or each.id for each in found if "assets" not in each.id]


@pytest.mark.parametrize("targets_first", [False, True])
@pytest.mark.parametrize("kind", ["queue", "function"])
def test_worker_of_ours_tells_target_in_another_stack_and_makes_no_circle(
    kind: str, targets_first: bool
) -> None:
    deployed = Deployed()
    others = Stack(deployed.app, "Others")
    target = (
        sqs.Queue(others, "Told") if kind == "queue" else deployed.function("Told", stack=others)
    )
    steps = [
        lambda: deployed.pool.add_action(deployed.function("SendEmail")),
        lambda: deployed.pool.add_on_complete(target),
    ]
    for step in reversed(steps) if targets_first else steps:
        step()

    assert (waits_for(deployed, "Mail"), waits_for(deployed, "Others")) == ([], ["Mail"])
    resources = deployed.app.synth().get_stack_by_name("Others").template["Resources"].values()
    policies = [
        json.dumps(each["Properties"]) for each in resources if each["Type"] == "AWS::IAM::Policy"
    ]
    allowed = "sqs:SendMessage" if kind == "queue" else "lambda:InvokeFunction"
    assert [
        any(role in policy and allowed in policy for policy in policies)
        for role in ("SendEmail", "Loop", "Completion")
    ] == [True] * 3


@pytest.mark.parametrize("qualifier", ["version", "alias", "alias elsewhere"])
def test_version_or_alias_has_asynchronous_settings_of_its_own(qualifier: str) -> None:
    deployed = Deployed()
    function = deployed.function("SendEmail")
    if qualifier == "version":
        deployed.pool.add_action(function.current_version)
    elif qualifier == "alias":
        deployed.pool.add_action(function.add_alias("live"))
    else:
        deployed.pool.add_action(
            lambda_.Alias(
                deployed.stack, "Live", alias_name="live", version=function.current_version
            )
        )

    (settings,) = (
        each
        for name, each in deployed.of_type("AWS::Lambda::EventInvokeConfig").items()
        if name.startswith("SendEmail")
    )
    assert settings["Qualifier"] != "$LATEST"
    assert settings["MaximumRetryAttempts"] == 0


def test_function_that_enqueues_by_its_alias_is_told_table_too() -> None:
    deployed = Deployed()
    deployed.pool.grant_enqueue(deployed.function("Api").add_alias("live"))

    (api,) = (
        each
        for name, each in deployed.of_type("AWS::Lambda::Function").items()
        if name.startswith("Api")
    )
    assert {"WORKPOOL_TABLE", "WORKPOOL_LOOP_ARN"} <= api["Environment"]["Variables"].keys()


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (
            Environment(account="222222222222", region="us-east-1"),
            "account 222222222222, and the pools' table in 111111111111",
        ),
        (
            Environment(account="111111111111", region="eu-west-1"),
            "region eu-west-1, and the pools' table in us-east-1",
        ),
    ],
)
def test_function_of_another_account_or_region_is_refused(place: Environment, says: str) -> None:
    app = App(context=dict(FLAGS), analytics_reporting=False)
    pool = Workpool(Stack(app, "Mail", env=OURS), "Pools", {"email": {}})
    code = lambda_.Code.from_inline("def handler(event, context): return None")
    there = lambda_.Function(
        Stack(app, "There", env=place),
        "SendEmail",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=code,
    )

    with pytest.raises(ConfigurationError, match=says):
        pool.add_action(there)
    with pytest.raises(ConfigurationError, match=says):
        pool.add_on_complete(there)


def test_grant_that_would_come_to_nothing_is_refused() -> None:
    app = App(context=dict(FLAGS), analytics_reporting=False)
    stack = Stack(app, "Mail", env=OURS)
    pool = Workpool(stack, "Pools", {"email": {}})
    theirs = iam.Role.from_role_arn(stack, "Theirs", "arn:aws:iam::222222222222:role/theirs")

    with pytest.raises(ConfigurationError, match="permissions for Mail/Theirs would be lost"):
        pool.grant_enqueue(theirs)
    pool.grant_enqueue(
        iam.Role.from_role_arn(stack, "Imported", "arn:aws:iam::111111111111:role/imported")
    )


def test_handler_that_becomes_action_later_is_refused_with_reason() -> None:
    deployed = Deployed()
    function = deployed.function("Both")
    deployed.pool.add_on_complete(function)

    with pytest.raises(
        ConfigurationError, match="a function that is both is added by add_action first"
    ):
        deployed.pool.add_action(function)


@pytest.mark.parametrize("event_age", [Duration.seconds(59), Duration.minutes(361)])
def test_event_age_that_lambda_would_refuse_is_refused(event_age: Duration) -> None:
    deployed = Deployed()

    with pytest.raises(
        ConfigurationError, match="event_age must be a Duration from 1 minute to 6 hours"
    ):
        deployed.pool.add_action(deployed.function("SendEmail"), event_age=event_age)


@pytest.mark.parametrize("memory_mb", [127, 10_241])
def test_memory_that_lambda_would_refuse_is_refused(memory_mb: int) -> None:
    with pytest.raises(
        ConfigurationError,
        match=f"loop_memory_mb must be an int from 128 to 10240; got {memory_mb}",
    ):
        Deployed(loop_memory_mb=memory_mb)


@pytest.mark.parametrize(
    ("limits", "memory_mb"),
    [((None,), 256), ((10,), 256), ((3, 60), 600), ((0, None, 100), 1_000), ((500,), 1_769)],
)
def test_loop_gets_memory_that_largest_limit_needs(
    limits: tuple[int | None, ...], memory_mb: int
) -> None:
    pools = {
        f"p{number}": {} if limit is None else {"max_parallelism": limit}
        for number, limit in enumerate(limits)
    }
    assert _loop_of(Deployed(pools))["MemorySize"] == memory_mb
    assert _loop_of(Deployed(pools, loop_memory_mb=300))["MemorySize"] == 300


def test_loop_makes_lean_calls() -> None:
    assert _loop_of(Deployed())["Environment"]["Variables"]["WORKPOOL_LEAN_CALLS"] == "1"


def _loop_of(deployed: Deployed) -> dict[str, Any]:
    """Return the properties of the loop's function."""
    functions = deployed.of_type("AWS::Lambda::Function").values()
    (loop,) = [each for each in functions if "main_loop" in each["Handler"]]
    properties: dict[str, Any] = loop
    return properties


def test_update_never_replaces_table_of_earlier_deployment() -> None:
    """Its logical id is deployed, too: another one is another table, without the work items."""
    plain, full = Deployed(), Deployed(monitoring=Monitoring.FULL, loop_memory_mb=512)
    full.pool.add_action(full.function("SendEmail"))

    assert [list(each.of_type("AWS::DynamoDB::Table")) for each in (plain, full)] == [
        ["PoolsStoreTable06AA86E3"]
    ] * 2


def test_nothing_that_is_deployed_can_be_called_from_outside() -> None:
    kinds = {each["Type"] for each in Deployed().template()["Resources"].values()}

    assert (
        not {"AWS::Lambda::Url", "AWS::Lambda::Permission", "AWS::IAM::User", "AWS::IAM::AccessKey"}
        & kinds
    )


def test_failures_are_kept_encrypted_for_as_long_as_queue_can() -> None:
    queues = Deployed().of_type("AWS::SQS::Queue").values()

    assert [(each["SqsManagedSseEnabled"], each["MessageRetentionPeriod"]) for each in queues] == [
        (True, 14 * 86_400)
    ] * 2
