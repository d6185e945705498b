"""Permissions for queues and topics that receive callbacks, and hints for their owners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aws_cdk import Annotations, Resource, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from workpool_aws.core.callback.targets import QUEUE, TOPIC, CallbackTarget
from workpool_cdk.checks import has, key_of_ones_own
from workpool_cdk.errors import ConfigurationError
from workpool_cdk.permissions import sealed_statement
from workpool_cdk.targets import is_another

__all__ = ["MESSAGE_TARGETS", "let_alarms_publish", "statements_for"]

_AWS_MANAGED: Final = ":alias/aws/"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One kind of target, with the names of its attributes.

    `own`: the class of those that an app makes, which know their key.
    """

    resource: type[Resource]
    own: type[Resource]
    target: CallbackTarget
    arn: str
    key: str


_KINDS: Final = (
    _Kind(
        resource=sqs.QueueBase,
        own=sqs.Queue,
        target=QUEUE,
        arn="queue_arn",
        key="encryption_master_key",
    ),
    _Kind(resource=sns.TopicBase, own=sns.Topic, target=TOPIC, arn="topic_arn", key="master_key"),
)
MESSAGE_TARGETS: Final = tuple(kind.resource for kind in _KINDS)
"""The classes of all targets that receive messages."""


def statements_for(target: Resource, stack: Stack) -> list[iam.PolicyStatement]:
    """Return the statements that a sender of this account needs.

    The target is annotated with permissions that only another owner can add.

    Raises:
        ConfigurationError: The target is in another region, or its key is known by an alias only.
    """
    path = target.node.path
    if is_another(target.env.region, stack.region):
        raise ConfigurationError(
            f"{path}: it is in region {target.env.region}, and the pools' table in "
            f"{stack.region}: both must be in one"
        )
    kind = _kind_of(target)
    arn, actions = getattr(target, kind.arn), list(kind.target.actions)
    if is_another(target.env.account, stack.account):
        Annotations.of(target).add_warning_v2(
            "workpool:other-account",
            f"It is in account {target.env.account}: its own policy there must allow account "
            f"{stack.account} {' and '.join(actions)} on {arn}, and the policy of its key, if it "
            "has one, kms:Decrypt and kms:GenerateDataKey",
        )
    sends = iam.PolicyStatement(actions=actions, resources=[arn])
    key = _key_of(target)
    if key is not None:
        return [sends, sealed_statement(key.key_arn, kind.target.service, stack.region)]
    if not isinstance(target, kind.own):
        Annotations.of(target).add_info(
            "If a KMS key of your own encrypts it, import it by "
            f"from_{kind.target.noun.split()[-1]}_attributes with key_arn. Without that, no sender of "
            "this app is allowed kms:Decrypt and kms:GenerateDataKey, and no callback arrives"
        )
    return [sends]


def _kind_of(target: Resource) -> _Kind:
    return next(kind for kind in _KINDS if isinstance(target, kind.resource))


def _key_of(target: Resource) -> kms.IKey | None:
    """Returns the key that its senders must be allowed.

    `None` means none, or AWS's own, whose policy admits the account's senders.
    """
    name = _kind_of(target).key
    key = getattr(target, name, None)
    if (
        key is not None
        and has(key, "key_arn")
        and not isinstance(key, kms.Alias)
        and _AWS_MANAGED in str(key.key_arn)
    ):
        return None
    return key_of_ones_own(f"{target.node.path}: its {name}", key)


def let_alarms_publish(topic: sns.ITopic) -> None:
    """Let CloudWatch use the key of an encrypted topic.

    Where the key's policy is not ours, a warning names the statement that it must have.
    """
    key = getattr(topic, "master_key", None)
    if key is None:
        return
    said = (
        "alarms reach it only if the policy of a key of your own allows "
        "cloudwatch.amazonaws.com kms:Decrypt and kms:GenerateDataKey*"
    )
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
