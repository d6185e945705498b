"""Functions, roles and keys with which a deployment could not work, at once or changed later, are refused or said to lack something."""

import re
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

import jsii
from aws_cdk import App, Aspects, Duration, Environment, IAspect, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import IConstruct

from tests.infra.deployment import FLAGS, Deployed
from workpool_cdk import ConfigurationError, Workpool

OURS = Environment(account="111111111111", region="us-east-1")
MANAGED = lambda_.CfnFunction.CapacityProviderConfigProperty(
    lambda_managed_instances_capacity_provider_config=lambda_.CfnFunction.LambdaManagedInstancesCapacityProviderConfigProperty(
        capacity_provider_arn="arn:aws:lambda:us-east-1:111111111111:capacity-provider:c"
    )
)


def said(node: IConstruct, kind: str) -> str:
    """The annotations of a construct; `aws_cdk.assertions.Annotations` depends on which of two packages was installed last."""
    return "\n".join(
        str(entry.data) for entry in node.node.metadata if entry.type == f"aws:cdk:{kind}"
    )


def resource_of(function: lambda_.Function) -> lambda_.CfnFunction:
    resource = function.node.default_child
    assert isinstance(resource, lambda_.CfnFunction)
    return resource


def managed(deployed: Deployed, name: str) -> lambda_.Function:
    function = deployed.function(name)
    resource_of(function).capacity_provider_config = MANAGED
    return function


def durable(deployed: Deployed, name: str) -> lambda_.Function:
    config = lambda_.DurableConfig(
        execution_timeout=Duration.days(30), retention_period=Duration.days(1)
    )
    return deployed.function(name, durable_config=config)


def of_tenants(deployed: Deployed, name: str) -> lambda_.Function:
    return deployed.function(name, tenancy_config=lambda_.TenancyConfig.PER_TENANT)


UNFIT = {"Managed Instances": managed, "durable function": durable, "isolates tenants": of_tenants}


@pytest.mark.parametrize("says", UNFIT)
def test_function_whose_starts_cannot_be_followed_is_refused(says: str) -> None:
    deployed = Deployed()
    function = UNFIT[says](deployed, "Unfit")
    for each in (function, function.add_alias("live"), function.current_version):
        for add in (deployed.pool.add_action, deployed.pool.add_on_complete):
            with pytest.raises(ConfigurationError, match=f"Mail/Unfit: .*{says}"):
                add(each)


def test_only_targets_that_cannot_take_event_are_refused_as_plain_ones() -> None:
    deployed = Deployed()
    deployed.pool.add_on_complete(managed(deployed, "Managed"), decorated=False)
    deployed.pool.add_on_complete(durable(deployed, "Durable").add_alias("live"), decorated=False)
    with pytest.raises(ConfigurationError, match="isolates tenants"):
        deployed.pool.add_on_complete(of_tenants(deployed, "Tenants"), decorated=False)
    with pytest.raises(ConfigurationError, match="by version or alias only"):
        deployed.pool.add_on_complete(durable(deployed, "Bare"), decorated=False)


def make_managed(deployed: Deployed, function: lambda_.Function) -> None:
    resource_of(function).capacity_provider_config = MANAGED


def make_stopping(deployed: Deployed, function: lambda_.Function) -> None:
    resource_of(function).recursive_loop = "Terminate"


def configure(deployed: Deployed, function: lambda_.Function) -> None:
    function.configure_async_invoke(retry_attempts=1)


def configure_beside(deployed: Deployed, function: lambda_.Function) -> None:
    lambda_.EventInvokeConfig(deployed.stack, "Twice", function=function, retry_attempts=1)


def configure_by_template(deployed: Deployed, function: lambda_.Function) -> None:
    lambda_.CfnEventInvokeConfig(
        deployed.stack, "Twice", function_name=function.function_name, qualifier="$LATEST"
    )


def configure_by_name(deployed: Deployed, function: lambda_.Function) -> None:
    lambda_.CfnEventInvokeConfig(
        deployed.stack, "Twice", function_name="send-email", qualifier="$LATEST"
    )


def configure_by_arn_elsewhere(deployed: Deployed, function: lambda_.Function) -> None:
    there = Stack(deployed.app, "There")
    lambda_.CfnEventInvokeConfig(
        there, "Twice", function_name=function.function_arn, qualifier="$LATEST"
    )


@jsii.implements(IAspect)
class Configures:
    def visit(self, node: IConstruct) -> None:
        if (
            isinstance(node, lambda_.Function)
            and node.node.id == "SendEmail"
            and node.node.try_find_child("EventInvokeConfig") is None
        ):
            node.configure_async_invoke(retry_attempts=1)


def configure_by_aspect(deployed: Deployed, function: lambda_.Function) -> None:
    Aspects.of(deployed.stack).add(Configures())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (make_managed, "Managed Instances"),
        (make_stopping, "RecursiveLoop was changed"),
        (configure, "SendEmail/EventInvokeConfig gives it asynchronous settings a second time"),
        (configure_beside, "Mail/Twice gives it"),
        (configure_by_template, "Mail/Twice gives it"),
        (configure_by_name, "Mail/Twice gives it"),
        (configure_by_arn_elsewhere, "There/Twice gives it"),
        (configure_by_aspect, "SendEmail/EventInvokeConfig gives it"),
    ],
)
def test_what_is_changed_after_function_was_added_is_found_at_synth(
    change: Callable[[Deployed, Any], None], says: str
) -> None:
    deployed = Deployed()
    function = deployed.function("SendEmail", function_name="send-email")
    deployed.pool.add_action(function)
    change(deployed, function)

    with pytest.raises(Exception, match=says):
        deployed.app.synth()


def test_settings_of_alias_or_version_are_refused_before_and_found_after() -> None:
    deployed = Deployed()
    function = deployed.function("SendEmail")
    alias, version = function.add_alias("live", retry_attempts=2), function.current_version
    with pytest.raises(
        ConfigurationError,
        match=r"Mail/SendEmail/Aliaslive: it has asynchronous settings of its own",
    ):
        deployed.pool.add_action(alias)
    deployed.pool.add_action(version)
    deployed.pool.add_action(function.add_alias("canary"))
    version.configure_async_invoke(retry_attempts=2)
    function.configure_async_invoke(retry_attempts=2)

    with pytest.raises(Exception, match="CurrentVersion/EventInvokeConfig gives it") as found:
        deployed.app.synth()
    # The function itself was not added: its own settings are its owner's.
    assert str(found.value).count("a second time") == 1


def test_settings_of_others_do_no_harm() -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("SendEmail"))
    deployed.function("Other").configure_async_invoke(retry_attempts=2)
    deployed.function("Next", retry_attempts=1)

    deployed.app.synth()


def in_one_account(**roles: Any) -> tuple[Workpool, Stack]:
    stack = Stack(App(context=dict(FLAGS), analytics_reporting=False), "Mail", env=OURS)
    return Workpool(stack, "Pools", {"email": {}}), stack


def role_of_the_app(stack: Stack) -> iam.IRole:
    return iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


ROLES: dict[str, Callable[[Stack], Any]] = {
    "immutable": lambda stack: iam.Role.from_role_arn(
        stack, "Role", "arn:aws:iam::111111111111:role/r", mutable=False
    ),
    "without updates": lambda stack: role_of_the_app(stack).without_policy_updates(),
    "another account": lambda stack: iam.Role.from_role_arn(
        stack, "Role", "arn:aws:iam::222222222222:role/r"
    ),
}
GRANTEES: dict[str, Callable[[Stack], Any]] = {
    **ROLES,
    "by ARN": lambda stack: lambda_.Function.from_function_arn(
        stack, "F", "arn:aws:lambda:us-east-1:111111111111:function:f"
    ),
    "by name": lambda stack: lambda_.Function.from_function_name(stack, "F", "f"),
    "imported version": lambda stack: lambda_.Version.from_version_arn(
        stack, "V", "arn:aws:lambda:us-east-1:111111111111:function:f:3"
    ),
    "a service": lambda stack: iam.ServicePrincipal("lambda.amazonaws.com"),
    "an account": lambda stack: iam.AccountRootPrincipal(),
    "an ARN": lambda stack: iam.ArnPrincipal("arn:aws:iam::111111111111:role/r"),
    "anybody": lambda stack: iam.AnyPrincipal(),
}


@pytest.mark.parametrize("name", GRANTEES)
def test_grant_that_would_be_lost_is_refused_and_names_what_is_missing(name: str) -> None:
    pool, stack = in_one_account()
    grantee = GRANTEES[name](stack)
    for grant in (pool.grant_enqueue, pool.grant_read, pool.grant_manage):
        with pytest.raises(ConfigurationError, match=r"would be lost.*Missing: dynamodb:"):
            grant(grantee)


@pytest.mark.parametrize("name", ROLES)
def test_function_whose_role_takes_nothing_is_refused(name: str) -> None:
    pool, stack = in_one_account()
    code = lambda_.Code.from_inline("def handler(event, context): return None")
    role = ROLES[name](stack)
    function = lambda_.Function(
        stack,
        "SendEmail",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=code,
        role=role,
    )
    with pytest.raises(
        ConfigurationError,
        match=r"permissions for Mail/.* would be lost.*Missing: lambda:InvokeFunction",
    ):
        pool.add_action(function, decorated=False)


def test_roles_that_take_permissions_are_granted_them() -> None:
    pool, stack = in_one_account()
    pool.grant_enqueue(
        iam.Role.from_role_arn(stack, "Imported", "arn:aws:iam::111111111111:role/r")
    )
    pool.grant_read(iam.User(stack, "User"))
    pool.grant_read(iam.ManagedPolicy(stack, "Policy"))
    role = iam.Role.from_role_arn(stack, "Theirs", "arn:aws:iam::111111111111:role/theirs")
    arn = "arn:aws:lambda:us-east-1:111111111111:function:theirs"
    function = lambda_.Function.from_function_attributes(
        stack, "Function", function_arn=arn, role=role
    )
    pool.grant_enqueue(function)

    assert "set WORKPOOL_TABLE there" in said(function, "info")


@pytest.mark.parametrize(
    "make",
    [
        lambda stack: sqs.Queue.from_queue_arn(
            stack, "Target", "arn:aws:sqs:eu-west-1:111111111111:q"
        ),
        lambda stack: sns.Topic.from_topic_arn(
            stack, "Target", "arn:aws:sns:eu-west-1:111111111111:t"
        ),
        lambda stack: lambda_.Function.from_function_arn(
            stack, "Target", "arn:aws:lambda:eu-west-1:111111111111:function:f"
        ),
    ],
)
def test_target_in_another_region_is_refused(make: Callable[[Stack], Any]) -> None:
    pool, stack = in_one_account()
    with pytest.raises(
        ConfigurationError,
        match="Mail/Target: it is in region eu-west-1, and the pools' table in us-east-1",
    ):
        pool.add_on_complete(make(stack), decorated=False)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda stack: sqs.Queue.from_queue_arn(
                stack, "Target", "arn:aws:sqs:us-east-1:222222222222:q"
            ),
            "sqs:GetQueueUrl and sqs:SendMessage",
        ),
        (
            lambda stack: sns.Topic.from_topic_arn(
                stack, "Target", "arn:aws:sns:us-east-1:222222222222:t"
            ),
            "sns:Publish on arn:aws:sns",
        ),
        (
            lambda stack: lambda_.Function.from_function_arn(
                stack, "Target", "arn:aws:lambda:us-east-1:222222222222:function:f"
            ),
            "lambda:InvokeFunction",
        ),
    ],
)
def test_what_another_account_must_allow_is_said(make: Callable[[Stack], Any], says: str) -> None:
    pool, stack = in_one_account()
    target = make(stack)
    pool.add_on_complete(target, decorated=False)

    assert re.search(f"must allow account 111111111111 .*{says}", said(target, "warning"))


KEY = "arn:aws:kms:us-east-1:111111111111:key/k"


def imported_queue(stack: Stack) -> sqs.IQueue:
    return sqs.Queue.from_queue_attributes(
        stack, "Target", queue_arn="arn:aws:sqs:us-east-1:111111111111:q", key_arn=KEY
    )


def imported_topic(stack: Stack) -> sns.ITopic:
    return sns.Topic.from_topic_attributes(
        stack, "Target", topic_arn="arn:aws:sns:us-east-1:111111111111:t", key_arn=KEY
    )


def queue_of_the_app(stack: Stack) -> sqs.IQueue:
    return sqs.Queue(stack, "Target", encryption_master_key=kms.Key.from_key_arn(stack, "Key", KEY))


def topic_of_the_app(stack: Stack) -> sns.ITopic:
    return sns.Topic(stack, "Target", master_key=kms.Key.from_key_arn(stack, "Key", KEY))


@pytest.mark.parametrize(
    ("make", "service"),
    [
        (imported_queue, "sqs"),
        (queue_of_the_app, "sqs"),
        (imported_topic, "sns"),
        (topic_of_the_app, "sns"),
    ],
)
def test_all_who_send_to_encrypted_target_may_use_its_key_through_its_service(
    make: Callable[[Stack], Any], service: str
) -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("SendEmail"))
    deployed.pool.add_on_complete(make(deployed.stack))

    users = set()
    for name, policy in deployed.of_type("AWS::IAM::Policy").items():
        for each in policy["PolicyDocument"]["Statement"]:
            if each["Resource"] == KEY:
                assert sorted(each["Action"]) == ["kms:Decrypt", "kms:GenerateDataKey"]
                assert (
                    each["Condition"]["StringEquals"]["kms:ViaService"]["Fn::Join"][1][0]
                    == f"{service}."
                )
                users.add(name.partition("Callbacks")[0][-10:] if "Callbacks" in name else name[:9])
    assert {"SendEmail"} < users
    assert len(users) == 3


def test_target_whose_key_is_not_known_is_said_to_need_one() -> None:
    deployed = Deployed()
    target = sns.Topic.from_topic_arn(
        deployed.stack, "Target", "arn:aws:sns:us-east-1:111111111111:t"
    )
    deployed.pool.add_on_complete(target)

    assert "import it by from_topic_attributes" in said(target, "info")


def test_awss_own_key_needs_no_permission_and_alias_of_ones_own_is_refused() -> None:
    deployed = Deployed()
    theirs = sqs.Queue(deployed.stack, "Plain", encryption=sqs.QueueEncryption.KMS_MANAGED)
    deployed.pool.add_on_complete(theirs)
    alias = kms.Alias.from_alias_name(deployed.stack, "Alias", "alias/mine")

    with pytest.raises(
        ConfigurationError,
        match="Mail/Named: its master_key must be a KMS key that is named by the key's own ARN",
    ):
        deployed.pool.add_on_complete(sns.Topic(deployed.stack, "Named", master_key=alias))


def test_alarms_may_use_key_of_their_topic_or_say_that_they_may_not() -> None:
    deployed = Deployed()
    key = kms.Key(deployed.stack, "Key")
    Workpool(
        deployed.stack,
        "Loud",
        {"email": {}},
        alarm_topic=sns.Topic(deployed.stack, "Pager", master_key=key),
    )
    dumb = topic_of_the_app(Stack(deployed.app, "There"))
    Workpool(deployed.stack, "Dumb", {"email": {}}, alarm_topic=dumb)

    (document,) = (each["KeyPolicy"] for each in deployed.of_type("AWS::KMS::Key").values())
    assert [
        each["Action"]
        for each in document["Statement"]
        if each["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    ] == [["kms:Decrypt", "kms:GenerateDataKey*"]]
    assert "cloudwatch.amazonaws.com" in said(dumb, "warning")


def test_loop_may_read_variables_of_function_that_encrypts_them() -> None:
    deployed = Deployed()
    deployed.pool.add_action(
        deployed.function(
            "SendEmail", environment_encryption=kms.Key.from_key_arn(deployed.stack, "Key", KEY)
        )
    )

    policies = deployed.of_type("AWS::IAM::Policy")
    readers = [
        name
        for name, policy in policies.items()
        if any(
            each["Action"] == "kms:Decrypt" and each["Resource"] == KEY
            for each in policy["PolicyDocument"]["Statement"]
        )
    ]
    assert any("LoopStarts" in name for name in readers)


def test_failures_are_under_given_key_for_as_long_as_asked() -> None:
    deployed = Deployed()
    key = kms.Key(deployed.stack, "Key")
    Workpool(
        deployed.stack,
        "Locked",
        {"email": {}},
        encryption_key=key,
        failure_retention=Duration.days(2),
    )

    queues = {
        name: each
        for name, each in deployed.of_type("AWS::SQS::Queue").items()
        if name.startswith("Locked")
    }
    assert [
        ("KmsMasterKeyId" in each, each["MessageRetentionPeriod"]) for each in queues.values()
    ] == [(True, 2 * 86_400)] * 2
    roles = {
        name
        for name, policy in deployed.of_type("AWS::IAM::Policy").items()
        for each in policy["PolicyDocument"]["Statement"]
        if "kms:GenerateDataKey" in each["Action"] and "sqs." in str(each.get("Condition"))
    }
    assert sorted(each[6:11] for each in roles) == ["Compl", "LoopR", "TickR", "Watch"]
