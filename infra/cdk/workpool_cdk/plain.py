"""A stack for deployments without the CDK.

Its template has no assets, and needs no bootstrapped account. Parameters name the place of the
code, the functions that the pools run, and the targets of callbacks. Managed policies stand for the
`grant_*` methods. A deployment attaches them to its own roles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import (
    App,
    Aws,
    CfnCondition,
    CfnOutput,
    CfnParameter,
    Fn,
    RemovalPolicy,
    Stack,
    Token,
)
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from workpool_aws.core.callback.targets import CALLBACK_TARGETS
from workpool_cdk import permissions, settings
from workpool_cdk.code_by_parameter import CodeByParameter
from workpool_cdk.config import AppConfig
from workpool_cdk.permissions import Actor
from workpool_cdk.workpool import Workpool

__all__ = ["POLICIES", "PlainStack", "RolePolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePolicy:
    """The permissions of the roles of some functions.

    Args:
        roles: The functions, in the plural.
        actor: The access to the table; `None` means none.
        kicks: True if they start the loop of a pool that rests.
        reports: True if Lambda sends their outcomes to the completion function, in the name of
            their role.
        sends: True if they send callbacks.
        starts: True if they invoke workers.
    """

    roles: str
    actor: Actor | None
    kicks: bool = False
    reports: bool = False
    sends: bool = False
    starts: bool = False


_JOB: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}=[A-Za-z0-9:_$-]+"
_JOBS_PATTERN: Final = f"^({_JOB}(,{_JOB})*)?$"
_JOBS_ALLOWED: Final = "send_email=mailer,crawl=crawler, without spaces"

POLICIES: Final[Mapping[str, RolePolicy]] = {
    "WorkerPolicy": RolePolicy(
        roles="decorated workers", actor=Actor.WORKER, kicks=True, reports=True, sends=True
    ),
    "UndecoratedWorkerPolicy": RolePolicy(roles="undecorated workers", actor=None, reports=True),
    "CallbackHandlerPolicy": RolePolicy(
        roles="callback handlers", actor=Actor.CALLBACK_HANDLER, reports=True
    ),
    "EnqueuePolicy": RolePolicy(roles="callers that enqueue", actor=Actor.ENQUEUER, kicks=True),
    "QuickStartPolicy": RolePolicy(
        roles="callers that enqueue, and start work items at once",
        actor=Actor.ENQUEUER,
        kicks=True,
        starts=True,
    ),
    "ReadPolicy": RolePolicy(roles="callers that query", actor=Actor.READER),
    "ManagePolicy": RolePolicy(
        roles="callers that cancel, redrive and configure", actor=Actor.MANAGER, kicks=True
    ),
}
"""The managed policies by name. The output of the ARN is `NAMEArn`."""


class PlainStack(Stack):
    """One `Workpool` whose template any tool can deploy, many times in one account.

    Policies hold for every pool of the table: the template is made for one team. Its parameters and
    outputs are described in `docs/deploy-without-cdk.md`.
    """

    def __init__(self, scope: App, config: AppConfig) -> None:
        code = CodeByParameter()
        super().__init__(
            scope,
            config.stack,
            synthesizer=code,
            description="Background work for Lambda: pools on one DynamoDB table (workpool_aws).",
        )
        code.declare(self)
        self._code = code
        workers = _Listed(
            self, "Workers", "the functions, versions and aliases that the pools may run"
        )
        targets = _Listed(
            self, "CallbackTargets", "the functions, queues and topics that on_complete may name"
        )
        self._pool = Workpool(
            self,
            "Pools",
            config.pools,
            table_name=config.table,
            deletion_protection=config.keep_table,
            monitoring=config.monitoring,
            removal_policy=RemovalPolicy.RETAIN if config.keep_table else RemovalPolicy.DESTROY,
        )
        table = self._pool.table.table_arn
        sends = [_send_statement(targets.arns_or(table))]
        self._name_jobs()
        invoked = workers.arns_or(table)
        starts = [permissions.invoke_statement(*invoked), permissions.limits_statement(*invoked)]
        self._let_library(starts, sends)
        self._outputs(starts, sends)

    @property
    def code_folder(self) -> str:
        """The folder, in the app's output, whose content is the code of the functions."""
        return self._code.folder

    @property
    def code_key(self) -> str:
        """The name of the code in its bucket, unless the parameter gives another."""
        return self._code.key

    def _name_jobs(self) -> None:
        """Let the deployment name its jobs to the watchdog, which writes them to the table."""
        named = CfnParameter(
            self,
            "Jobs",
            default="",
            allowed_pattern=_JOBS_PATTERN,
            constraint_description=f"must be {_JOBS_ALLOWED}.",
            description="The function of each job and handler of callbacks, by name or ARN: "
            f"{_JOBS_ALLOWED}.",
        )
        has_jobs = CfnCondition(
            self,
            "HasJobs",
            expression=Fn.condition_not(Fn.condition_equals(named.value_as_string, "")),
        )
        value = Fn.condition_if(has_jobs.logical_id, named.value_as_string, Aws.NO_VALUE)
        watchdog = self._pool.watchdog
        if not isinstance(watchdog, lambda_.Function):
            raise TypeError(f"{watchdog.node.path} must be a function of this stack")
        watchdog.add_environment(settings.JOBS, Token.as_string(value))

    def _let_library(
        self, starts: Sequence[iam.PolicyStatement], sends: Sequence[iam.PolicyStatement]
    ) -> None:
        """Let the loop start the workers, and the loop and completion send callbacks."""
        loop, completion = _role_of(self._pool.loop), _role_of(self._pool.completion)
        iam.Policy(self, "Starts", roles=[loop], document=_document(starts))
        iam.Policy(self, "Callbacks", roles=[loop, completion], document=_document(sends))

    def _policy(
        self,
        name: str,
        policy: RolePolicy,
        starts: Sequence[iam.PolicyStatement],
        sends: Sequence[iam.PolicyStatement],
    ) -> str:
        invoked = [
            *([self._pool.loop.function_arn] if policy.kicks else []),
            *([self._pool.completion.function_arn] if policy.reports else []),
        ]
        table = self._pool.table.table_arn
        statements = [
            *(
                []
                if policy.actor is None
                else permissions.table_statements(policy.actor, table, None)
            ),
            *([permissions.invoke_statement(*invoked)] if invoked else []),
            *(starts if policy.starts else []),
            *(sends if policy.sends else []),
        ]
        return iam.ManagedPolicy(
            self,
            name,
            description=f"The permissions that the pools need in the roles of {policy.roles}.",
            document=_document(statements),
        ).managed_policy_arn

    def _outputs(
        self, starts: Sequence[iam.PolicyStatement], sends: Sequence[iam.PolicyStatement]
    ) -> None:
        values = {
            "TableName": self._pool.table_name,
            "LoopArn": self._pool.loop.function_arn,
            "CompletionArn": self._pool.completion.function_arn,
            "LoopRoleName": _role_of(self._pool.loop).role_name,
            "CompletionRoleName": _role_of(self._pool.completion).role_name,
            **{
                f"{name}Arn": self._policy(name, each, starts, sends)
                for name, each in POLICIES.items()
            },
        }
        for name, value in values.items():
            CfnOutput(self, f"{name}Output", value=value).override_logical_id(name)


class _Listed:
    """A parameter that lists ARNs, and may be empty."""

    def __init__(self, stack: Stack, name: str, listed: str) -> None:
        self._parameter = CfnParameter(
            stack,
            name,
            type="CommaDelimitedList",
            default="",
            description=f"ARNs of {listed}, separated by commas. "
            "Of a version or alias, also the ARN of its function.",
        )
        given = Fn.condition_not(
            Fn.condition_equals(Fn.join("", self._parameter.value_as_list), "")
        )
        self._given = CfnCondition(stack, f"Has{name}", expression=given)

    def arns_or(self, other: str) -> list[str]:
        """Returns the listed ARNs, or another, since a statement needs a resource."""
        listed = self._parameter.value_as_list
        return Token.as_list(Fn.condition_if(self._given.logical_id, listed, [other]))


def _role_of(function: lambda_.IFunction) -> iam.IRole:
    if function.role is None:
        raise TypeError(f"{function.node.path} must have a role")
    return function.role


def _document(statements: Sequence[iam.PolicyStatement]) -> iam.PolicyDocument:
    # A list that is known at deployment cannot be merged with another one.
    return iam.PolicyDocument(statements=list(statements), minimize=False)


def _send_statement(arns: Sequence[str]) -> iam.PolicyStatement:
    """Allows to send callbacks. Each action applies to the ARNs of its own service."""
    looks = ("lambda:GetFunctionConfiguration", "lambda:GetFunctionEventInvokeConfig")
    sends = (action for kind in CALLBACK_TARGETS for action in kind.actions)
    return iam.PolicyStatement(actions=sorted({*looks, *sends}), resources=list(arns))
