"""Every IAM statement that the construct gives, from one table of actors, operations and items.

A tightening here is checked against the library itself: `tests/infra/test_permissions_suffice.py`
runs it and holds each of its calls against these statements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aws_cdk import aws_iam as iam

from workpool_aws.adapters.dynamodb.table import DEAD_INDEX, PartitionKind, leading_key
from workpool_cdk.errors import ConfigurationError

__all__ = [
    "Actor",
    "environment_statement",
    "fits_into_a_role",
    "invoke_statement",
    "key_statement",
    "limits_statement",
    "pass_role_statement",
    "schedule_statement",
    "sealed_statement",
    "table_statements",
]


class Actor(StrEnum):
    """A caller of the table."""

    ENQUEUER = "enqueuer"
    READER = "reader"
    MANAGER = "manager"
    WORKER = "worker"
    CALLBACK_HANDLER = "callback_handler"
    LOOP = "loop"
    COMPLETION = "completion"
    WATCHDOG = "watchdog"


@dataclass(frozen=True, slots=True)
class _Access:
    """Operations of DynamoDB on kinds of items.

    `index`: on the index of dead letters, instead of the table.
    """

    operations: tuple[str, ...]
    kinds: tuple[PartitionKind, ...]
    index: bool = False


_STATEMENT_KEYS_BYTES_MAX: Final = 2_600
"""Two fit into a managed policy of 6,144 characters, into which CDK moves whole statements when a
role's inline policy is full."""
_KEYS_BYTES_MAX: Final = 45_000
"""The room in the inline policies of a role and eight managed ones: IAM attaches ten to a role
unless that quota is raised."""
_GET: Final = "GetItem"
_GET_MANY: Final = "BatchGetItem"
_QUERY: Final = "Query"
_PUT: Final = "PutItem"
_UPDATE: Final = "UpdateItem"
_DELETE: Final = "DeleteItem"
_CHECK: Final = "ConditionCheckItem"

_REPORTS: Final = (
    # Not the registry: a pool whose status was removed by hand is the watchdog's to repair, for
    # workers, completion and loop alike.
    _Access((_GET,), (PartitionKind.WORK, PartitionKind.CONTROL, PartitionKind.DEPLOYMENT)),
    _Access((_GET_MANY,), (PartitionKind.PAYLOAD,)),
    _Access((_PUT,), (PartitionKind.WORK, PartitionKind.DONE, PartitionKind.PAYLOAD)),
    _Access(
        (_UPDATE,),
        (
            PartitionKind.WORK,
            PartitionKind.PAYLOAD,
            PartitionKind.CONTROL,
            PartitionKind.UNIQUE,
        ),
    ),
)
"""The access of those that report starts: workers themselves, or the completion for them."""

_ACCESS: Final[Mapping[Actor, tuple[_Access, ...]]] = {
    Actor.ENQUEUER: (
        _Access((_GET,), (PartitionKind.CONTROL, PartitionKind.REGISTRY, PartitionKind.DEPLOYMENT)),
        # Of work items: to see if the holder of a unique key is over.
        _Access((_GET,), (PartitionKind.WORK, PartitionKind.UNIQUE, PartitionKind.REQUEST)),
        # Not the registry, which one pool could take another out of: all pools share its partition,
        # and IAM sees no more of a key. Notices: of work items that a `cancel_all` has called off,
        # and whose key another takes.
        _Access(
            (_PUT,),
            (
                PartitionKind.WORK,
                PartitionKind.DONE,
                PartitionKind.PAYLOAD,
                PartitionKind.CONTROL,
                PartitionKind.RECEIPT,
                PartitionKind.UNIQUE,
                PartitionKind.REQUEST,
                PartitionKind.GROUPS,
            ),
        ),
        # Of work items: to raise the epoch of its own one after a `cancel_all` that the caller had
        # not seen, and to end one that is called off, with its payload's time to live. Of groups:
        # to note that all members are stored.
        _Access(
            (_UPDATE,),
            (
                PartitionKind.WORK,
                PartitionKind.PAYLOAD,
                PartitionKind.CONTROL,
                PartitionKind.GROUPS,
            ),
        ),
        # In a transaction: to check that a unique key is still held.
        _Access((_CHECK,), (PartitionKind.WORK, PartitionKind.UNIQUE)),
    ),
    Actor.READER: (
        _Access(
            (_GET,),
            (
                PartitionKind.WORK,
                PartitionKind.UNIQUE,
                PartitionKind.CONTROL,
                PartitionKind.GROUPS,
                PartitionKind.DEPLOYMENT,
            ),
        ),
        _Access(
            (_GET_MANY,),
            (
                PartitionKind.WORK,
                PartitionKind.PAYLOAD,
                PartitionKind.CONTROL,
                PartitionKind.DEPLOYMENT,
            ),
        ),
        _Access(
            (_QUERY,),
            (
                PartitionKind.WORK,
                PartitionKind.REPORTS,
                PartitionKind.SCHEDULES,
                PartitionKind.GROUPS,
                PartitionKind.REGISTRY,
            ),
        ),
        _Access((_QUERY,), (PartitionKind.WORK,), index=True),
    ),
    Actor.MANAGER: (
        _Access(
            (_GET,),
            (
                PartitionKind.WORK,
                PartitionKind.CONTROL,
                PartitionKind.SCHEDULES,
                PartitionKind.UNIQUE,
                PartitionKind.GROUPS,
                PartitionKind.REGISTRY,
                PartitionKind.DEPLOYMENT,
            ),
        ),
        # Of control: the pages of a ledger, which list the starts.
        _Access((_GET_MANY,), (PartitionKind.WORK, PartitionKind.PAYLOAD, PartitionKind.CONTROL)),
        # Of work items: to find those of a schedule that have not started, and cancel them with it.
        _Access((_QUERY,), (PartitionKind.WORK, PartitionKind.SCHEDULES, PartitionKind.GROUPS)),
        _Access((_QUERY,), (PartitionKind.WORK,), index=True),
        _Access(
            (_PUT,),
            (
                PartitionKind.WORK,
                PartitionKind.DONE,
                PartitionKind.PAYLOAD,
                PartitionKind.CONTROL,
                PartitionKind.RECEIPT,
                PartitionKind.SCHEDULES,
                PartitionKind.UNIQUE,
            ),
        ),
        _Access(
            (_UPDATE,),
            (
                PartitionKind.WORK,
                PartitionKind.PAYLOAD,
                PartitionKind.CONTROL,
                PartitionKind.SCHEDULES,
                PartitionKind.UNIQUE,
            ),
        ),
        _Access((_DELETE,), (PartitionKind.SCHEDULES,)),
    ),
    Actor.WORKER: _REPORTS,
    Actor.CALLBACK_HANDLER: (_Access((_UPDATE,), (PartitionKind.WORK,)),),
    Actor.LOOP: (
        _Access(
            (_GET,),
            (
                PartitionKind.WORK,
                PartitionKind.CONTROL,
                PartitionKind.SCHEDULES,
                PartitionKind.UNIQUE,
                PartitionKind.GROUPS,
                PartitionKind.DEPLOYMENT,
            ),
        ),
        # Of control: the pages of a ledger.
        _Access((_GET_MANY,), (PartitionKind.WORK, PartitionKind.PAYLOAD, PartitionKind.CONTROL)),
        _Access((_QUERY,), (PartitionKind.WORK, PartitionKind.DONE)),
        _Access(
            (_PUT,),
            (
                PartitionKind.WORK,
                PartitionKind.DONE,
                PartitionKind.CONTROL,
                PartitionKind.REPORTS,
                PartitionKind.UNIQUE,
            ),
        ),
        _Access(
            (_UPDATE,),
            (
                PartitionKind.WORK,
                PartitionKind.PAYLOAD,
                PartitionKind.CONTROL,
                PartitionKind.SCHEDULES,
                PartitionKind.UNIQUE,
                PartitionKind.GROUPS,
            ),
        ),
        _Access((_DELETE,), (PartitionKind.WORK, PartitionKind.DONE)),
    ),
    Actor.COMPLETION: _REPORTS,
    Actor.WATCHDOG: (
        _Access(
            (_GET,),
            (
                PartitionKind.CONTROL,
                PartitionKind.REGISTRY,
                PartitionKind.SCHEDULES,
                PartitionKind.DEPLOYMENT,
            ),
        ),
        _Access((_GET_MANY,), (PartitionKind.WORK, PartitionKind.CONTROL)),
        _Access(
            (_QUERY,),
            (
                PartitionKind.REGISTRY,
                PartitionKind.WORK,
                PartitionKind.DONE,
                PartitionKind.REPORTS,
                PartitionKind.SCHEDULES,
            ),
        ),
        _Access(
            (_PUT,),
            (
                PartitionKind.WORK,
                PartitionKind.DONE,
                PartitionKind.CONTROL,
                PartitionKind.REGISTRY,
                PartitionKind.SCHEDULES,
                PartitionKind.DEPLOYMENT,
            ),
        ),
        _Access((_UPDATE,), (PartitionKind.CONTROL, PartitionKind.SCHEDULES)),
        # In its hourly audit: spent pointers, and notices that it has put again. And schedules that
        # the deployment no longer declares.
        _Access((_DELETE,), (PartitionKind.WORK, PartitionKind.DONE, PartitionKind.SCHEDULES)),
    ),
}


def fits_into_a_role(actor: Actor, pools: Sequence[str]) -> bool:
    """True if the policies of one role have room for these pools."""
    return (
        sum(
            len(key) + 3
            for access in _ACCESS[actor]
            for keys in _key_lists(access, pools)
            for key in keys
        )
        <= _KEYS_BYTES_MAX
    )


def table_statements(
    actor: Actor, table_arn: str, pools: Sequence[str] | None
) -> list[iam.PolicyStatement]:
    """Returns the statements of an actor: named operations, on items of the right kind and pool.

    `pools`: items of these alone. `None` means any pool, for the library's own functions, which
    serve them all. No actor may scan or change the table. IAM judges a transaction by the
    operations in it.

    Raises:
        ConfigurationError: The pools are more than the policies of one role can name.
    """
    names = None if pools is None else sorted(pools)
    if names is not None and not fits_into_a_role(actor, names):
        role = actor.value.replace("_", " ")
        raise ConfigurationError(
            f"pools: the permissions of {role} for {len(names)} pools are more than the policies "
            "of one role hold; name fewer, or none for all"
        )
    return [
        _table_statement(access, table_arn, keys)
        for access in _ACCESS[actor]
        for keys in _key_lists(access, names)
    ]


def _key_lists(access: _Access, pools: Sequence[str] | None) -> list[list[str]]:
    """Returns the keys of an access, in lists that a managed policy can hold.

    Those of one pool stay together, since one request may name several.
    """
    lists: list[list[str]] = [[]]
    for names in [None] if pools is None else [[pool] for pool in pools]:
        keys = sorted(
            {key for partition_kind in access.kinds for key in _keys(partition_kind, names)}
        )
        if (
            lists[-1]
            and sum(len(key) + 3 for key in (*lists[-1], *keys)) > _STATEMENT_KEYS_BYTES_MAX
        ):
            lists.append([])
        lists[-1] += [key for key in keys if key not in lists[-1]]
    return [sorted(keys) for keys in lists]


def _table_statement(access: _Access, table_arn: str, keys: Sequence[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=[f"dynamodb:{operation}" for operation in access.operations],
        resources=[f"{table_arn}/index/{DEAD_INDEX}" if access.index else table_arn],
        conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}},
    )


def _keys(partition_kind: PartitionKind, pools: Sequence[str] | None) -> list[str]:
    if pools is None or partition_kind in (PartitionKind.REGISTRY, PartitionKind.DEPLOYMENT):
        return [leading_key(partition_kind, "*")]
    return [leading_key(partition_kind, pool) for pool in pools]


def key_statement(key_arn: str, region: str) -> iam.PolicyStatement:
    """Allows the use of the table's own key, through DynamoDB only."""
    return iam.PolicyStatement(
        actions=[
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ],
        resources=[key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"dynamodb.{region}.amazonaws.com"}},
    )


def sealed_statement(key_arn: str, service: str, region: str) -> iam.PolicyStatement:
    """Allows the use of the key of a queue or topic, through its service only."""
    return iam.PolicyStatement(
        actions=["kms:Decrypt", "kms:GenerateDataKey"],
        resources=[key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"{service}.{region}.amazonaws.com"}},
    )


def environment_statement(key_arn: str, region: str) -> iam.PolicyStatement:
    """Allows reads of a function's variables that a key of its own encrypts."""
    return iam.PolicyStatement(
        actions=["kms:Decrypt"],
        resources=[key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"lambda.{region}.amazonaws.com"}},
    )


def invoke_statement(*function_arns: str) -> iam.PolicyStatement:
    """Allows invokes of exactly these.

    A function's ARN does not stand for its versions, whose asynchronous settings are their own.
    """
    return iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=list(function_arns))


def limits_statement(*function_arns: str) -> iam.PolicyStatement:
    """Allows reads of timeout, event age and destinations, for the deadline of a start."""
    return iam.PolicyStatement(
        actions=["lambda:GetFunctionConfiguration", "lambda:GetFunctionEventInvokeConfig"],
        resources=list(function_arns),
    )


def schedule_statement(schedule_arns: str) -> iam.PolicyStatement:
    """Allows to order, move and drop far wakes, in their own group only."""
    return iam.PolicyStatement(
        actions=[
            "scheduler:CreateSchedule",
            "scheduler:DeleteSchedule",
            "scheduler:UpdateSchedule",
        ],
        resources=[schedule_arns],
    )


def pass_role_statement(role_arn: str) -> iam.PolicyStatement:
    """Allows to give a far wake the role that it fires in, and that role to nothing else."""
    return iam.PolicyStatement(
        actions=["iam:PassRole"],
        resources=[role_arn],
        conditions={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
    )
