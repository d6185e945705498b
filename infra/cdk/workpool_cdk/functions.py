"""The library's own functions, with their sizes, asynchronous settings, logs and roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from workpool_cdk.acknowledged import acknowledge_function
from workpool_cdk.bundling import ARCHITECTURE, RUNTIME
from workpool_cdk.failures import FailureQueues
from workpool_cdk.naming import function_name

__all__ = [
    "COMPLETION",
    "LOOP",
    "WATCHDOG",
    "FunctionShape",
    "LibraryFunction",
    "async_settings",
    "loop_memory_mb",
]

_WHOLE_CORE_MB: Final = 1_769
_LOOP_MB_A_SLOT: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionShape:
    """The properties of one of the library's functions."""

    name: str
    handler: str
    description: str
    memory_mb: int
    timeout: Duration
    retries: int
    """Number of Lambda's retries after an error."""
    event_age: Duration
    """Time for which Lambda keeps trying to deliver an event."""


LOOP: Final = FunctionShape(
    name="loop",
    handler="workpool_aws.handlers.main_loop.handler",
    description="Starts the due work items of a pool, and settles those that ended.",
    # A seventh of a core, enough for some 160 starts a second. See loop_memory_mb.
    memory_mb=256,
    # The longest there is: a busy loop hands over to the next invocation by itself, and each
    # hand-over is a cold-start's pause.
    timeout=Duration.minutes(15),
    # An order that failed is worth nothing a minute later: its generation is taken, and the
    # watchdog has made another.
    retries=0,
    # The lease of an order that was never delivered ends after 30 s, and the watchdog orders
    # another loop.
    event_age=Duration.seconds(60),
)
COMPLETION: Final = FunctionShape(
    name="completion",
    handler="workpool_aws.handlers.completion.handler",
    description="Records the outcomes of workers, as Lambda's destinations have them.",
    memory_mb=256,
    # Ten calls at most, each bounded to a few seconds with its repetitions.
    timeout=Duration.seconds(60),
    # No other process knows such an outcome before the work item's deadline, and a second delivery
    # does no harm.
    retries=2,
    event_age=Duration.hours(6),
)
WATCHDOG: Final = FunctionShape(
    name="watchdog",
    handler="workpool_aws.handlers.watchdog.handler",
    description="Looks once a minute for pools that should be at work and are not.",
    memory_mb=256,
    timeout=Duration.seconds(60),
    # The next tick is a minute away.
    retries=0,
    event_age=Duration.seconds(60),
)


def loop_memory_mb(pools: Mapping[str, Mapping[str, int | str]]) -> int:
    """Return the memory with which a loop keeps the slots of these pools filled.

    Lambda gives a function its share of a core by its memory. A slot of jobs of 100 ms wants about
    five starts a second, of 0.9 ms of a core each. A pool whose limit the deployment does not say
    counts with the library's default, for which the least is enough.
    """
    limits = (terms.get("max_parallelism") for terms in pools.values())
    largest = max((limit for limit in limits if isinstance(limit, int)), default=0)
    return max(LOOP.memory_mb, min(_WHOLE_CORE_MB, _LOOP_MB_A_SLOT * largest))


class LibraryFunction(Construct):
    """One function of the library, whose role may at first write its log and its failures alone.

    Its ARN is known before it is deployed, because the loop must know its own. `arn` names no
    resource, so nothing waits for it.
    """

    def __init__(
        self,
        scope: Construct,
        shape: FunctionShape,
        *,
        code: lambda_.Code,
        failures: FailureQueues,
        log_retention: logs.RetentionDays,
        memory_mb: int | None = None,
    ) -> None:
        super().__init__(scope, shape.name.capitalize())
        stack = Stack.of(self)
        name = function_name(self, shape.name.capitalize())
        self.arn = stack.format_arn(
            service="lambda",
            resource="function",
            resource_name=name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self.log_group = logs.LogGroup(
            self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY
        )
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=shape.description,
        )
        self.log_group.grant_write(self.role)
        self.grant(*failures.send_statements(failures.events))
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=shape.description,
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=shape.handler,
            code=code,
            role=self.role,
            memory_size=memory_mb or shape.memory_mb,
            timeout=shape.timeout,
            log_group=self.log_group,
            # Lambda stops a chain of invocations after sixteen hops; a busy pool is one long chain
            # of them.
            recursive_loop=lambda_.RecursiveLoop.ALLOW,
        )
        acknowledge_function(self.function)
        lambda_.CfnEventInvokeConfig(
            self,
            "Async",
            function_name=self.function.function_name,
            qualifier="$LATEST",
            maximum_retry_attempts=shape.retries,
            maximum_event_age_in_seconds=shape.event_age.to_seconds(),
            destination_config=async_settings(on_failure=failures.events.queue_arn),
        ).node.add_dependency(self.role)

    def grant(self, *statements: iam.PolicyStatement) -> None:
        """Let the function do this, before it is invoked for the first time."""
        for statement in statements:
            self.role.add_to_principal_policy(statement)

    def set_environment(self, values: Sequence[tuple[str, str]]) -> None:
        """Set variables of its environment."""
        for name, value in values:
            self.function.add_environment(name, value)


def async_settings(
    *, on_success: str | None = None, on_failure: str
) -> lambda_.CfnEventInvokeConfig.DestinationConfigProperty:
    """Returns the destinations of outcomes; an `on_success` of `None` means no destination."""
    return lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
        on_success=None
        if on_success is None
        else lambda_.CfnEventInvokeConfig.OnSuccessProperty(destination=on_success),
        on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=on_failure),
    )
