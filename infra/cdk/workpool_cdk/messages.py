"""Queues and topics that callbacks are sent to: the statements for them, and what only their owner can add."""

from __future__ import annotations

from typing import Final

from aws_cdk import Annotations, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from workpool_aws.core.callback.targets import QUEUE, TOPIC, CallbackTarget
from workpool_cdk.checks import has, key_of_ones_own
from workpool_cdk.errors import ConfigurationError
from workpool_cdk.permissions import sealed_statement
from workpool_cdk.targets import is_another

__all__ = ["key_of", "let_alarms_publish", "statements_for"]

_AWS_MANAGED: Final = ":alias/aws/"


def statements_for(
    target: sqs.QueueBase | sns.TopicBase, stack: Stack
) -> list[iam.PolicyStatement]:
    """Return what a sender of this account needs, and annotate the target with what only another owner can add.

    Raises:
        ConfigurationError: the target is in another region, or its key is known by an alias only.
    """
    path = target.node.path
    if is_another(target.env.region, stack.region):
        raise ConfigurationError(
            f"{path}: it is in region {target.env.region}, and the pools' table in {stack.region}: both must be in one"
        )
    kind, arn = _kind_and_arn(target)
    actions = list(kind.actions)
    if is_another(target.env.account, stack.account):
        Annotations.of(target).add_warning_v2(
            "workpool:other-account",
            f"It is in account {target.env.account}: its own policy there must allow account {stack.account} {' and '.join(actions)} "
            f"on {arn}, and the policy of its key, if it has one, kms:Decrypt and kms:GenerateDataKey",
        )
    sends = iam.PolicyStatement(actions=actions, resources=[arn])
    key = key_of(target)
    if key is not None:
        return [sends, sealed_statement(key.key_arn, kind.service, stack.region)]
    if _is_imported_without_a_key(target):
        Annotations.of(target).add_info(
            f"If a KMS key of your own encrypts it, import it by from_{kind.noun.split()[-1]}_attributes with key_arn: "
            "without that, nobody here is allowed kms:Decrypt and kms:GenerateDataKey, and no callback arrives"
        )
    return [sends]


def _kind_and_arn(target: sqs.QueueBase | sns.TopicBase) -> tuple[CallbackTarget, str]:
    if isinstance(target, sqs.QueueBase):
        return QUEUE, target.queue_arn
    return TOPIC, target.topic_arn


def key_of(target: sqs.QueueBase | sns.TopicBase | sns.ITopic) -> kms.IKey | None:
    """The key that its senders must be allowed; `None` where it has none, or AWS's own, whose policy lets the account's senders pass."""
    name = "encryption_master_key" if isinstance(target, sqs.QueueBase) else "master_key"
    key = getattr(target, name, None)
    if (
        key is not None
        and has(key, "key_arn")
        and not isinstance(key, kms.Alias)
        and _AWS_MANAGED in str(key.key_arn)
    ):
        return None
    return key_of_ones_own(f"{target.node.path}: its {name}", key)


def _is_imported_without_a_key(target: sqs.QueueBase | sns.TopicBase) -> bool:
    return not isinstance(target, sqs.Queue | sns.Topic)


def let_alarms_publish(topic: sns.ITopic) -> None:
    """Let CloudWatch use the key of an encrypted topic; where the key's policy is not ours, say what it must hold."""
    key = getattr(topic, "master_key", None)
    if key is None:
        return
    said = "alarms reach it only if the policy of a key of your own allows cloudwatch.amazonaws.com kms:Decrypt and kms:GenerateDataKey*"
    if isinstance(key, kms.Key):
        _add_once(key)
    else:
        Annotations.of(topic).add_warning_v2(
            "workpool:alarm-key", f"It is encrypted with a key that is deployed elsewhere: {said}"
        )


def _add_once(key: kms.Key) -> None:
    account = Stack.of(key).account
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="WorkpoolAlarms",
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=["kms:Decrypt", "kms:GenerateDataKey*"],
            resources=["*"],
            conditions={"StringEquals": {"aws:SourceAccount": account}},
        )
    )
