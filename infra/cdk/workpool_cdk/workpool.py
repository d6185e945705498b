"""Owns the `Workpool` construct, which users see: what it is made of, and what may be added to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import Duration, Names, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct, IConstruct

from workpool_cdk import functions, permissions, settings
from workpool_cdk.acknowledged import acknowledge_schedules
from workpool_cdk.alarms import Watched
from workpool_cdk.bundling import library_code
from workpool_cdk.errors import ConfigurationError
from workpool_cdk.failures import FailureQueues
from workpool_cdk.functions import LibraryFunction
from workpool_cdk.monitoring import Monitor, Monitoring, metrics_scope
from workpool_cdk.options import acknowledging_to_text, pools_to_json, read_pools
from workpool_cdk.permissions import Actor
from workpool_cdk.table import PoolTable
from workpool_cdk.targets import (
    AsyncSettings,
    Qualified,
    allow_recursion,
    function_of,
    is_another,
    mark_decorated,
    name_beside,
    point_at,
    qualified,
    refuse_elsewhere,
    set_async,
)
from workpool_cdk.wakes import FarWakes, WatchdogTick

__all__ = ["Workpool"]

_LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_ACTION_EVENT_AGE: Final = Duration.seconds(60)
"""An event that no environment takes within a minute is put back by the loop, with a growing delay, and spends no attempt."""
_HANDLER_EVENT_AGE: Final = Duration.minutes(5)
"""Room for Lambda's own two retries, after one and two minutes; then the loop sends the callback again."""
_HANDLER_RETRIES: Final = 2
_EVENT_AGE_MIN_S: Final = 60
_EVENT_AGE_MAX_S: Final = 21_600
_MEMORY_MIN_MB: Final = 128
_MEMORY_MAX_MB: Final = 10_240


class Workpool(Construct):
    """A table with one or more pools, and everything that runs them. Nothing that is not added to it can be invoked by it.

    Args:
        scope: The stack, or a construct in it.
        construct_id: Its name there.
        pools: The pools of the table, by name, each with its options: `max_parallelism`, 0 to 500; without it, what programs say. A limit
            given here beats the one of a program's constructor; what people set by `configure` beats both.
        table_name: None: CloudFormation makes one. Read it from `table_name`, or in a function from WORKPOOL_TABLE.
        encryption_key: A key of your own for the table; None: DynamoDB's.
        deletion_protection: Whether DynamoDB refuses to delete the table.
        removal_policy: What becomes of the table with the stack: kept, unless it is told otherwise. Everything else goes.
        log_retention: How long the logs of loop, completion and watchdog are kept.
        log_level: Of those three; facts below it are not logged (docs/events.md).
        loop_memory_mb: Memory of the loop, and with it its share of a core: more for a pool that starts hundreds of works at a time.
        monitoring: What is watched, and paid for.
        alarm_topic: Whom alarms tell when they go off and when they are over; None: they only show.

    Raises:
        ConfigurationError: pools, limits, the log level or the context are not what can be deployed.
    """

    def __init__(  # noqa: PLR0913 - options of a facade, all but three keyword-only
        self,
        scope: Construct,
        construct_id: str,
        pools: Mapping[str, Mapping[str, object]],
        *,
        table_name: str | None = None,
        encryption_key: kms.IKey | None = None,
        deletion_protection: bool = True,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        log_level: str = "WARNING",
        loop_memory_mb: int = functions.LOOP.memory_mb,
        monitoring: Monitoring = Monitoring.MINIMAL,
        alarm_topic: sns.ITopic | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._pools = read_pools(pools)
        if log_level not in _LOG_LEVELS:
            raise ConfigurationError(f"log_level: {log_level!r} is none of {', '.join(_LOG_LEVELS)}")
        if not _MEMORY_MIN_MB <= loop_memory_mb <= _MEMORY_MAX_MB:
            raise ConfigurationError(f"loop_memory_mb: {loop_memory_mb!r} is not from {_MEMORY_MIN_MB} to {_MEMORY_MAX_MB}")
        self._key = encryption_key
        self._workers: list[Qualified] = []
        self._acknowledging: list[str] = []
        self._handlers: list[str] = []
        self._callbacks: list[tuple[IConstruct, Sequence[iam.PolicyStatement]]] = []
        self.table = PoolTable(
            self,
            "Store",
            name=table_name,
            encryption_key=encryption_key,
            deletion_protection=deletion_protection,
            removal_policy=removal_policy,
        ).table
        self.failures = FailureQueues(self, "Failures")
        self._make_functions(log_retention, loop_memory_mb)
        self._far_wakes = FarWakes(self, "FarWakes", loop_arn=self._loop.arn)
        self._connect(log_level, monitoring)
        WatchdogTick(
            self,
            "Tick",
            watchdog_arn=self._watchdog.function.function_arn,
            table=self.table.table_name,
            undelivered=self.failures.ticks,
        )
        self._monitor = self._watch(monitoring, alarm_topic, loop_memory_mb)

    @property
    def table_name(self) -> str:
        """What `workpool_aws.Workpool` is given."""
        return self.table.table_name

    @property
    def loop(self) -> lambda_.IFunction:
        """The function that runs the pools."""
        return self._loop.function

    @property
    def completion(self) -> lambda_.IFunction:
        """The function that destinations lead to."""
        return self._completion.function

    @property
    def watchdog(self) -> lambda_.IFunction:
        """The function that looks once a minute."""
        return self._watchdog.function

    @property
    def alarms(self) -> Mapping[str, cloudwatch.Alarm]:
        """The alarms, by the names that docs/operations.md has; none at level `none`."""
        return {} if self._monitor is None else self._monitor.alarms

    def add_action(
        self,
        function: lambda_.IFunction,
        *,
        decorated: bool = True,
        pools: Sequence[str] | None = None,
        event_age: Duration = _ACTION_EVENT_AGE,
    ) -> None:
        """Let pools run a function, version or alias. What was not added fails as `not_invocable`, and the error says so.

        Sets its asynchronous configuration: no retries of Lambda's own, event age, destinations; and `RecursiveLoop`. A decorated one may
        then report its works; an undecorated one gets no access to the table.

        Args:
            function: Of this app; another stack of it will do.
            decorated: Whether its handler is made by `@pool.action` or `@pool.query`. Say what is so: a decorated function added as
                undecorated may not report, and the other way round nobody hears of its successes, and a work without retry may run again:
                the function is marked (WORKPOOL_DECORATED) as one that claims its starts.
            pools: Which pools' works it may report; None: all of this construct.
            event_age: How long an event may wait in Lambda's queue, 1 minute to 6 hours. It is part of each start's deadline: what never
                reports is recovered only after it.

        Raises:
            ConfigurationError: it is imported, an unknown pool is named, or its asynchronous settings contradict others.
        """
        target = qualified(function)
        refuse_elsewhere(target.function, Stack.of(self))
        names = self._named(pools)
        if not _EVENT_AGE_MIN_S <= event_age.to_seconds() <= _EVENT_AGE_MAX_S:
            raise ConfigurationError(f"event_age: {event_age.to_human_string()} is not from 1 minute to 6 hours")
        if target.arn in self._handlers:
            raise ConfigurationError(
                f"{target.function.node.path}: it was added by add_on_complete already, with the asynchronous settings of a handler; "
                "a function that is both is added by add_action first"
            )
        completion_arn = self._completion.function.function_arn
        on_success = None if decorated else completion_arn
        set_async(
            target,
            AsyncSettings(on_success=on_success, on_failure=completion_arn, retries=0, event_age=event_age),
            owner=self.node.path,
        )
        allow_recursion(target.function)
        target.role.add_to_principal_policy(permissions.invoke_statement(completion_arn))
        self._beside(target.function, "Starts", self._loop).add_statements(
            permissions.invoke_statement(target.arn), permissions.limits_statement(*target.arns)
        )
        if self._monitor is not None:
            self._monitor.add_worker(target.function)
        if decorated:
            self._let_report(target, names)

    def add_on_complete(
        self, target: lambda_.IFunction | sqs.IQueue | sns.ITopic, *, decorated: bool = True, pools: Sequence[str] | None = None
    ) -> None:
        """Let works name a function, queue or topic as `on_complete`.

        A decorated function gets its asynchronous configuration, and may mark callbacks as delivered. Any other target is only sent to.

        Args:
            target: A function, version or alias, of this app if it is decorated; or an SQS queue or SNS topic.
            decorated: Whether a function's handler is made by `@pool.on_complete` or `@pool.action`; without meaning for queues and topics.
            pools: Which pools' callbacks it may mark; None: all of this construct.

        Raises:
            ConfigurationError: as `add_action`; or its handlers are so many that their names do not fit into the watchdog's environment.
        """
        names = self._named(pools)
        if isinstance(target, sqs.QueueBase | sns.TopicBase):
            self._let_tell(target, self._message_statements(target))
            return
        if not decorated and isinstance(target, lambda_.FunctionBase):
            arn = target.function_arn
            self._let_tell(target, [permissions.invoke_statement(arn), permissions.limits_statement(arn)])
            return
        handler = qualified(target)
        self._let_acknowledge(handler, names)
        self._let_tell(target, [permissions.invoke_statement(handler.arn), permissions.limits_statement(*handler.arns)])

    def grant_enqueue(self, grantee: iam.IGrantable, *, pools: Sequence[str] | None = None) -> None:
        """Let a function or role enqueue works. It may write the items of works, as every producer must, but not query or remove them.

        A function is told the table in WORKPOOL_TABLE, and for the library where the loop is.

        Raises:
            ConfigurationError: an unknown pool is named, or the grantee is of another account, or can have no permissions.
        """
        self._grant(grantee, Actor.ENQUEUER, pools, permissions.invoke_statement(self._loop.arn))

    def grant_read(self, grantee: iam.IGrantable, *, pools: Sequence[str] | None = None) -> None:
        """Let a function or role ask: `status`, `result`, `list`, `stats`, `config`. Arguments and results can be read, too.

        Raises:
            ConfigurationError: an unknown pool is named, or the grantee is of another account, or can have no permissions.
        """
        self._grant(grantee, Actor.READER, pools)

    def grant_manage(self, grantee: iam.IGrantable, *, pools: Sequence[str] | None = None) -> None:
        """Let a function or role `cancel`, `cancel_all`, `redrive` and `configure`.

        Raises:
            ConfigurationError: an unknown pool is named, or the grantee is of another account, or can have no permissions.
        """
        self._grant(grantee, Actor.MANAGER, pools, permissions.invoke_statement(self._loop.arn))

    def _make_functions(self, log_retention: logs.RetentionDays, loop_memory_mb: int) -> None:
        code = library_code(self)
        self._loop = LibraryFunction(
            self, functions.LOOP, code=code, failures=self.failures.events, log_retention=log_retention, memory_mb=loop_memory_mb
        )
        self._completion = LibraryFunction(
            self, functions.COMPLETION, code=code, failures=self.failures.events, log_retention=log_retention
        )
        self._watchdog = LibraryFunction(self, functions.WATCHDOG, code=code, failures=self.failures.events, log_retention=log_retention)

    def _watch(self, level: Monitoring, topic: sns.ITopic | None, loop_memory_mb: int) -> Monitor | None:
        if level is Monitoring.NONE:
            return None
        watched = Watched(
            table=self.table,
            pools=tuple(self._pools),
            loop=self.loop,
            loop_memory_mb=loop_memory_mb,
            completion=self.completion,
            watchdog=self.watchdog,
            log_groups=tuple(each.log_group for each in (self._loop, self._completion, self._watchdog)),
            failed_events=self.failures.events,
            undelivered_ticks=self.failures.ticks,
        )
        return Monitor(self, "Monitor", watched, level=level, topic=topic)

    def _connect(self, log_level: str, monitoring: Monitoring) -> None:
        """Tell the three functions about each other, and let each do its part."""
        places = [
            (settings.LOOP_ARN, self._loop.arn),
            (settings.COMPLETION_ARN, self._completion.arn),
            (settings.SCHEDULE_GROUP, self._far_wakes.group.schedule_group_name),
            (settings.SCHEDULER_ROLE_ARN, self._far_wakes.role.role_arn),
        ]
        told = [(settings.LOG_LEVEL, log_level)]
        measured = (settings.METRICS, metrics_scope(monitoring))
        self._loop.set_environment([*places, *told, measured])
        self._completion.set_environment([*places[:2], *told])
        self._watchdog.set_environment([*places, *told, measured, (settings.POOLS, pools_to_json(self._pools))])
        for actor, function in ((Actor.LOOP, self._loop), (Actor.COMPLETION, self._completion), (Actor.WATCHDOG, self._watchdog)):
            function.grant(*self._table_statements(actor, None), permissions.invoke_statement(self._loop.arn))
        self._loop.grant(
            permissions.schedule_statement(self._far_wakes.schedule_arns), permissions.pass_role_statement(self._far_wakes.role.role_arn)
        )
        acknowledge_schedules(self._loop.role, self._far_wakes.group.schedule_group_name)

    def _let_report(self, target: Qualified, pools: Sequence[str]) -> None:
        for statement in [*self._table_statements(Actor.WORKER, pools), permissions.invoke_statement(self._loop.arn)]:
            target.role.add_to_principal_policy(statement)
        for told, statements in self._callbacks:
            self._let_worker_tell(target, told, statements)
        self._tell(target.function)
        mark_decorated(target.function)
        self._workers.append(target)

    def _let_acknowledge(self, handler: Qualified, pools: Sequence[str]) -> None:
        refuse_elsewhere(handler.function, Stack.of(self))
        completion_arn = self._completion.function.function_arn
        already = any(worker.arn == handler.arn for worker in self._workers)
        if not already:
            asked = AsyncSettings(on_success=None, on_failure=completion_arn, retries=_HANDLER_RETRIES, event_age=_HANDLER_EVENT_AGE)
            set_async(handler, asked, owner=self.node.path)
            handler.role.add_to_principal_policy(permissions.invoke_statement(completion_arn))
            self._handlers.append(handler.arn)
        for statement in self._table_statements(Actor.CALLBACK_HANDLER, pools):
            handler.role.add_to_principal_policy(statement)
        mark_decorated(handler.function)
        self._list_as_acknowledging(handler)

    def _list_as_acknowledging(self, handler: Qualified) -> None:
        """Say in the table that this function acknowledges, for whoever may not read its destinations."""
        name = name_beside(handler.function, Stack.of(self))
        if name is not None and name not in self._acknowledging:
            self._acknowledging.append(name)
            listed = acknowledging_to_text(self._acknowledging, self._pools)
            self._watchdog.set_environment([(settings.ACKNOWLEDGING, listed)])

    def _let_tell(self, target: IConstruct, statements: Sequence[iam.PolicyStatement]) -> None:
        """Let all who may finish a work send its callback to this target."""
        for teller in (self._loop, self._completion):
            self._beside(target, "Callbacks", teller).add_statements(*statements)
        for worker in self._workers:
            self._let_worker_tell(worker, target, statements)
        self._callbacks.append((target, statements))

    def _let_worker_tell(self, worker: Qualified, target: IConstruct, statements: Sequence[iam.PolicyStatement]) -> None:
        ours, there = Stack.of(self), Stack.of(target)
        if Stack.of(worker.function) is ours and there is not ours:
            # As with our own functions: their policies are there already, so ours must not wait for that stack.
            construct_id = f"{Names.node_unique_id(self.node)}{Names.node_unique_id(worker.function.node)}Callbacks"
            found = there.node.try_find_child(construct_id)
            policy = found if isinstance(found, iam.Policy) else iam.Policy(there, construct_id, roles=[worker.role])
            policy.add_statements(*statements)
            return
        for statement in statements:
            worker.role.add_to_principal_policy(statement)

    def _message_statements(self, target: sqs.QueueBase | sns.TopicBase) -> list[iam.PolicyStatement]:
        if isinstance(target, sqs.QueueBase):
            sends = iam.PolicyStatement(actions=["sqs:GetQueueUrl", "sqs:SendMessage"], resources=[target.queue_arn])
            key = target.encryption_master_key
        else:
            sends = iam.PolicyStatement(actions=["sns:Publish"], resources=[target.topic_arn])
            key = target.master_key if isinstance(target, sns.Topic) else None
        if key is None:
            return [sends]
        return [sends, iam.PolicyStatement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[key.key_arn])]

    def _grant(self, grantee: iam.IGrantable, actor: Actor, pools: Sequence[str] | None, *more: iam.PolicyStatement) -> None:
        principal = grantee.grant_principal
        for statement in [*self._table_statements(actor, self._named(pools)), *more]:
            added = principal.add_to_principal_policy(statement).statement_added
            # A role of another account takes statements without a word, and drops them.
            if not added or is_another(principal.principal_account, Stack.of(self).account):
                raise ConfigurationError(
                    f"{self.node.path}: a grant to a principal whose permissions are not this account's to give. Grant to a role of this "
                    "app, which the other account may assume"
                )
        function = function_of(grantee)
        if function is not None:
            self._tell(function)

    def _tell(self, function: lambda_.Function) -> None:
        function.add_environment(settings.TABLE, self.table.table_name)
        point_at(function, {settings.LOOP_ARN: self._loop.arn, settings.COMPLETION_ARN: self._completion.arn})

    def _table_statements(self, actor: Actor, pools: Sequence[str] | None) -> list[iam.PolicyStatement]:
        statements = permissions.table_statements(actor, self.table.table_arn, pools)
        if self._key is not None:
            statements.append(permissions.key_statement(self._key.key_arn, Stack.of(self).region))
        return statements

    def _named(self, pools: Sequence[str] | None) -> list[str]:
        if pools is None:
            return list(self._pools)
        unknown = sorted(set(pools) - set(self._pools))
        if unknown or not pools:
            raise ConfigurationError(f"pools: {unknown or pools!r}: this Workpool has {', '.join(sorted(self._pools))}")
        return list(pools)

    def _beside(self, neighbour: IConstruct, name: str, function: LibraryFunction) -> iam.Policy:
        """A policy of one of our functions that lives in the neighbour's stack: so that our stack never waits for that one."""
        stack = Stack.of(neighbour)
        construct_id = f"{Names.node_unique_id(self.node)}{function.node.id}{name}"
        found = stack.node.try_find_child(construct_id)
        return found if isinstance(found, iam.Policy) else iam.Policy(stack, construct_id, roles=[function.role])
