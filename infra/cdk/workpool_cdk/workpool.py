"""The `Workpool` construct: its parts, and the functions and targets that are added to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Unpack, cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from workpool_aws import ScheduleOptions
from workpool_aws.core.callback.targets import CALLBACK_TARGETS, nouns_of
from workpool_cdk import functions, permissions, settings
from workpool_cdk.acknowledged import acknowledge_schedules
from workpool_cdk.alarms import Watched
from workpool_cdk.bundling import library_code
from workpool_cdk.checks import (
    flag,
    has,
    key_of_ones_own,
    member,
    pool_names,
    seconds_within,
    whole_within,
    with_attributes,
)
from workpool_cdk.checks import table_name as checked_table_name
from workpool_cdk.errors import ConfigurationError, must_be
from workpool_cdk.failures import RETENTION_MAX, RETENTION_MIN, FailureQueues
from workpool_cdk.fitness import LateChecks, refuse_unfit
from workpool_cdk.functions import LibraryFunction
from workpool_cdk.messages import MESSAGE_TARGETS, let_alarms_publish, statements_for
from workpool_cdk.monitoring import Monitor, Monitoring, metrics_scope
from workpool_cdk.options import Named, pools_to_json, read_job, read_jobs, read_pools
from workpool_cdk.permissions import Actor
from workpool_cdk.schedules import schedules_of_pools
from workpool_cdk.senders import Callback, Senders, Starter, Worker
from workpool_cdk.table import PoolTable
from workpool_cdk.targets import (
    AsyncSettings,
    Qualified,
    allow_recursion,
    function_of,
    mark_decorated,
    name_beside,
    point_at,
    qualified,
    refuse_as_target,
    refuse_elsewhere,
    refuse_where_lost,
    say_what_to_set,
    serve,
    set_async,
)
from workpool_cdk.wakes import FarWakes, WatchdogTick

__all__ = ["Workpool"]

_LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_ACTION_EVENT_AGE: Final = Duration.seconds(60)
"""An event that no environment takes within a minute is put back by the loop, with a growing delay,
and spends no attempt."""
_HANDLER_EVENT_AGE: Final = Duration.minutes(5)
"""Room for Lambda's own two retries, after one and two minutes; then the loop sends the callback
again."""
_HANDLER_RETRIES: Final = 2
_EVENT_AGE_MIN: Final = Duration.minutes(1)
_EVENT_AGE_MAX: Final = Duration.hours(6)
"""The bounds of Lambda."""
_MEMORY_MIN_MB: Final = 128
_MEMORY_MAX_MB: Final = 10_240


def _check_place(scope: object, construct_id: object) -> None:
    if not isinstance(scope, Construct) or not any(
        Stack.is_stack(each) for each in scope.node.scopes
    ):
        raise must_be("scope", "a Stack, or a construct in one", scope)
    if not isinstance(construct_id, str) or not construct_id:
        raise must_be("construct_id", "a name within the scope", construct_id)


def _removal_policy(value: object) -> RemovalPolicy:
    policy = member("removal_policy", value, RemovalPolicy)
    if policy == RemovalPolicy.SNAPSHOT:
        raise must_be(
            "removal_policy", "RemovalPolicy.RETAIN or DESTROY: a table has no snapshots", policy
        )
    return policy


class Workpool(Construct):
    """A table with one or more pools, and everything that runs them.

    The pools can run only functions that were added.

    Args:
        scope: The stack, or a construct in it.
        construct_id: Its name there.
        pools: The pools of the table, by name, each with its options. `max_parallelism`, 0 to
            10,000, defaults to the limit of the programs. `rate_limit` is a `RateLimit` or text, as
            in "100/1m", and defaults to that of the programs. A limit given here takes precedence
            over that of a program's constructor, and `configure` over both. `schedules` declares
            schedules as `workpool.toml` does; `add_schedule` is for programs.
        table_name: The table's name. `None` means that CloudFormation makes one. The property
            `table_name` has it, and in a function the variable WORKPOOL_TABLE.
        encryption_key: A KMS key of your own for the table and the queues of failures; `None` means
            DynamoDB's and SQS's own.
        deletion_protection: True lets DynamoDB refuse to delete the table.
        removal_policy: The policy of the table when the stack is deleted. Defaults to keeping it.
            Everything else is deleted.
        log_retention: Time for which the logs of loop, completion and watchdog are kept. Defaults
            to a month.
        log_level: The lowest level that these three log (docs/events.md). Defaults to "WARNING".
        loop_memory_mb: Memory of the loop, and with it its share of a core, which bounds the starts
            a second (docs/performance.md). Defaults to 10 MB for each slot of the largest limit in
            `pools`, at least 256 and at most 1,769 (one whole core).
        monitoring: A member of `Monitoring`, or "none", "minimal" or "full".
        alarm_topic: The topic that alarms notify when they begin and end. `None` means that they
            only show in the console.
        failure_retention: Time for which the two queues of failures keep a message, 1 minute to
            14 days. Defaults to 14 days. Messages of completion hold arguments and results. They
            are encrypted with `encryption_key`, if it is given.

    Raises:
        ConfigurationError: An option cannot be deployed; the message names it. Nothing was added to
            the stack.
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
        loop_memory_mb: int | None = None,
        monitoring: Monitoring | str = Monitoring.MINIMAL,
        alarm_topic: sns.ITopic | None = None,
        failure_retention: Duration = RETENTION_MAX,
    ) -> None:
        _check_place(scope, construct_id)
        super().__init__(scope, construct_id)
        self._pools = read_pools(pools)
        if not isinstance(log_level, str) or log_level not in _LOG_LEVELS:
            raise must_be("log_level", f"one of {', '.join(_LOG_LEVELS)}", log_level)
        if loop_memory_mb is None:
            loop_memory_mb = functions.loop_memory_mb(self._pools)
        loop_memory_mb = whole_within(
            "loop_memory_mb", loop_memory_mb, _MEMORY_MIN_MB, _MEMORY_MAX_MB
        )
        level = member("monitoring", monitoring, Monitoring)
        if alarm_topic is not None:
            with_attributes("alarm_topic", alarm_topic, "None or an SNS topic", "topic_arn")
        log_retention = member("log_retention", log_retention, logs.RetentionDays)
        self._key = key_of_ones_own("encryption_key", encryption_key)
        retention = seconds_within(
            "failure_retention", failure_retention, RETENTION_MIN, RETENTION_MAX
        )
        self._senders = Senders(self)
        self._named = Named(self._pools)
        self._handlers: list[str] = []
        self._actions: dict[str, set[str]] = {}
        self._schedules = schedules_of_pools(pools)
        self._late = LateChecks(self)
        self.node.add_validation(self._late)
        self.table = PoolTable(
            self,
            "Store",
            name=checked_table_name(table_name),
            encryption_key=self._key,
            deletion_protection=flag("deletion_protection", deletion_protection),
            removal_policy=_removal_policy(removal_policy),
        ).table
        self.failures = FailureQueues(self, "Failures", key=self._key, retention=retention)
        self._make_functions(log_retention, loop_memory_mb)
        self._far_wakes = FarWakes(self, "FarWakes", loop_arn=self._loop.arn)
        self._connect(log_level, level)
        self._tick = WatchdogTick(
            self,
            "Tick",
            watchdog_arn=self._watchdog.function.function_arn,
            table=self.table.table_name,
            pools=list(self._pools),
            failures=self.failures,
        )
        self._tick.declare(self._schedules.by_pool())
        self._monitor = self._watch(level, alarm_topic, loop_memory_mb)

    @property
    def table_name(self) -> str:
        """The name of the table, which `workpool_aws.Workpool` takes."""
        return self.table.table_name

    @property
    def loop(self) -> lambda_.IFunction:
        """The function that runs the pools."""
        return self._loop.function

    @property
    def completion(self) -> lambda_.IFunction:
        """The function that receives Lambda's records of failed and finished invocations."""
        return self._completion.function

    @property
    def watchdog(self) -> lambda_.IFunction:
        """The function that checks the pools once a minute."""
        return self._watchdog.function

    @property
    def alarms(self) -> Mapping[str, cloudwatch.Alarm]:
        """The alarms, by their names in docs/operations.md. There are none at level `none`."""
        return {} if self._monitor is None else self._monitor.alarms

    def add_action(
        self,
        function: lambda_.IFunction,
        *,
        decorated: bool = True,
        pools: Sequence[str] | None = None,
        event_age: Duration = _ACTION_EVENT_AGE,
        name: str | None = None,
    ) -> None:
        """Let pools run a function, version or alias.

        A work item of a function that was not added fails as `not_invocable`.

        The call sets the function's asynchronous configuration (no retries by Lambda, event age,
        destinations) and its `RecursiveLoop`. A decorated function may then report the outcomes of
        its work items. An undecorated one gets no access to the table.

        Args:
            function: A function of this app, in any of its stacks.
            decorated: True if its handler is made by `@pool.action`, `@pool.query` or
                `pool.handler`. A decorated function that is added as undecorated cannot report. An
                undecorated one that is added as decorated never reports a success, and a work item
                without retry may then run again, because WORKPOOL_DECORATED marks the function as
                one that claims its starts.
            pools: The pools that may run it and, if it is decorated, whose work items it may
                report. Defaults to all pools of this construct. WORKPOOL_SERVES names them to the
                library, and a second call adds to it.
            event_age: The longest time that an event may wait in Lambda's queue, 1 minute to
                6 hours. Defaults to 1 minute. It is part of each start's deadline, after which a
                start that never reported is recovered.
            name: The job that the function is: the name of the decorated function, or the one that
                its decorator gives it. Callers then enqueue it by that name, or by the decorated
                function itself. `None` means that only its ARN or its own name leads to it.

        Raises:
            ConfigurationError: The function is imported, a pool is unknown, its role takes no
                permissions from here, it has a feature with which a pool cannot work
                (docs/limits.md), or its asynchronous settings contradict others. Or the name cannot
                be a job's, or is another function's. Later changes are checked when the app is
                synthesized.
        """
        target = qualified(function)
        refuse_unfit(target.function)
        refuse_elsewhere(target.function, Stack.of(self))
        names = pool_names(pools, self._pools)
        event_age = seconds_within("event_age", event_age, _EVENT_AGE_MIN, _EVENT_AGE_MAX)
        if target.arn in self._handlers:
            raise ConfigurationError(
                f"{target.function.node.path}: it was added by add_on_complete already, with the "
                "asynchronous settings of a handler; a function that is both is added by "
                "add_action first"
            )
        reports = flag("decorated", decorated)
        if name is not None:
            self._name_job(read_job(name), target, "add_action")
        self._settle(target, reports, retries=0, event_age=event_age)
        allow_recursion(target.function)
        self._late.add_chained(target.function)
        serve(target.function, names, named=pools is not None)
        self._actions.setdefault(target.arn, set()).update(names)
        self._senders.beside(target.function, "Starts", self._loop).add_statements(
            permissions.invoke_statement(target.arn), *self._senders.limits_statements(target)
        )
        if self._monitor is not None:
            self._monitor.add_worker(target.function)
        if reports:
            self._let_report(target, names)

    def add_on_complete(
        self,
        target: lambda_.IFunction | sqs.IQueue | sns.ITopic,
        *,
        decorated: bool = True,
        pools: Sequence[str] | None = None,
        name: str | None = None,
    ) -> None:
        """Let work items name a function, queue or topic as `on_complete`.

        A decorated function gets its asynchronous configuration, and may mark callbacks as
        delivered. Every other target receives messages and no permissions.

        Args:
            target: A function, version or alias, of this app if it is decorated. Or an SQS queue or
                SNS topic.
            decorated: True if a function's handler is made by `@pool.on_complete` or
                `@pool.action`. It has no meaning for queues and topics.
            pools: The pools whose callbacks it may mark, and whose workers may send to it. Loop and
                completion may send to it for any pool. Defaults to all pools of this construct.
            name: The name of a function's handler, as for `add_action`.

        Raises:
            ConfigurationError: As `add_action`. Or the target has a name and is no decorated
                function. Or the names of all handlers do not fit into the watchdog's environment.
        """
        names = pool_names(pools, self._pools)
        acknowledges = flag("decorated", decorated)
        job = None if name is None else read_job(name)
        if job is not None and not (acknowledges and has(target, "function_arn")):
            raise must_be("name", "None for a target that is no decorated function", job)
        if isinstance(target, MESSAGE_TARGETS):
            self._let_send(Callback(target, statements_for(target, Stack.of(self)), names))
        elif acknowledges or not has(target, "function_arn"):
            self._add_handler(target, names, named=pools is not None, job=job)
        else:
            self._add_plain_target(cast("lambda_.IFunction", target), names)

    def add_handler(
        self,
        function: lambda_.IFunction,
        *,
        jobs: Sequence[str] = (),
        on_complete: Sequence[str] = (),
        pools: Sequence[str] | None = None,
        event_age: Duration = _ACTION_EVENT_AGE,
    ) -> None:
        """Let pools run a function of many jobs and callbacks, made by `pool.handler`.

        As `add_action`, if it has jobs, and `add_on_complete`, if it has handlers of callbacks.

        Args:
            function: As for `add_action`.
            jobs: The names of its decorated functions.
            on_complete: The names of its handlers of callbacks.
            pools: As for `add_action`.
            event_age: As for `add_action`.

        Raises:
            ConfigurationError: As `add_action`. Or no name was given.
        """
        listed = read_jobs("jobs", jobs), read_jobs("on_complete", on_complete)
        if not any(listed):
            raise must_be("jobs", "at least one name, here or in on_complete", jobs)
        if listed[0]:
            self.add_action(function, pools=pools, event_age=event_age)
        if listed[1]:
            self.add_on_complete(function, pools=pools)
        for job in (*listed[0], *listed[1]):
            self._name_job(job, qualified(function), "add_handler")

    def add_schedule(
        self,
        name: str,
        target: lambda_.IFunction | str,
        args: Mapping[str, object] | None = None,
        *,
        pool: str | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Let a pool run a function again and again.

        The watchdog makes the schedule within a minute after the deployment, as
        `Workpool.sync_schedules` does for the owner `deployment`. A later deployment without it
        removes it. Schedules that programs make stay as they are.

        A schedule that is paused by hand stays paused. One that is removed by hand comes back with
        the next deployment that changes any.

        Args:
            name: 1 to 64 letters, digits, `_`, `-` and `.`, unique in the pool.
            target: A function that `add_action` added, or the name of a job.
            args: A JSON object of at most 4 KB. Defaults to an empty one.
            pool: The pool. Defaults to the only one of this construct.
            options: Those of `Workpool.schedule`, with `on_complete` as an ARN or a job's name. The
                defaults of a decorated function do not apply, nor those of its program's pool: name
                `retry` here.

        Raises:
            ConfigurationError: A value is not allowed, the target was not added for this pool, or
                the pool has a schedule of this name. Nothing was added.
        """
        if pool is None and len(self._pools) > 1:
            raise must_be("pool", f"one of {', '.join(self._pools)}", pool)
        [found] = pool_names([next(iter(self._pools)) if pool is None else pool], self._pools)
        definition = {"name": name, "fn": self._scheduled(target, found), "args": args or {}}
        self._schedules.add(found, {**definition, **options})
        self._tick.declare(self._schedules.by_pool())

    def _scheduled(self, target: object, pool: str) -> str:
        """Returns the name by which the watchdog finds the function of a schedule."""
        jobs = self._named.jobs
        if isinstance(target, str):
            if target not in jobs:
                allowed = (
                    f"a function, or a job that was added: {', '.join(sorted(jobs)) or 'none'}"
                )
                raise must_be("target", allowed, target)
            return target
        if not has(target, "function_arn"):
            raise must_be("target", "a function, or the name of a job", target)
        function = qualified(target)
        path = function.function.node.path
        if pool not in self._actions.get(function.arn, ()):
            raise ConfigurationError(f"{path}: add_action must add it for the pool {pool!r} first")
        name = name_beside(function.function, Stack.of(self))
        if name is None:
            raise ConfigurationError(
                f"{path}: a schedule needs its name, which is known in its stack alone: "
                "give it a function_name"
            )
        full = name if function.qualifier == "$LATEST" else f"{name}:{function.qualifier}"
        named = [job for job, each in jobs.items() if each == full]
        if len(named) > 1:
            raise must_be("target", f"one of its jobs: {', '.join(sorted(named))}", path)
        return named[0] if named else full

    def grant_enqueue(
        self,
        grantee: iam.IGrantable,
        *,
        pools: Sequence[str] | None = None,
        quick_start: bool = False,
    ) -> None:
        """Let a function or role enqueue work items.

        It may write them, but neither query nor remove them. A function gets the table's name in
        WORKPOOL_TABLE, and the loop's address.

        Args:
            grantee: A function, a role or another principal of IAM.
            pools: The pools. Defaults to all of this construct.
            quick_start: Lets it invoke the decorated functions of these pools itself, and read their
                timeouts and destinations, as `Workpool(quick_start=True)` does. It holds for
                functions that are added later, too.

        Raises:
            ConfigurationError: A pool is unknown, or the grantee is of another account or can have
                no permissions.
        """
        starts = flag("quick_start", quick_start)
        self._grant(grantee, Actor.ENQUEUER, pools, permissions.invoke_statement(self._loop.arn))
        if not starts:
            return
        names = pool_names(pools, self._pools)
        self._senders.add_starter(Starter(grantee.grant_principal, names))

    def grant_read(self, grantee: iam.IGrantable, *, pools: Sequence[str] | None = None) -> None:
        """Let a function or role query: `status`, `result`, `list`, `stats`, `why`, `config`.

        So for every call that only reads, as `group`, `schedules`, `jobs` and `pools`. It can read
        arguments and results, too.

        Raises:
            ConfigurationError: As `grant_enqueue`.
        """
        self._grant(grantee, Actor.READER, pools)

    def grant_manage(self, grantee: iam.IGrantable, *, pools: Sequence[str] | None = None) -> None:
        """Let a function or role `cancel`, `redrive`, `configure`, and manage schedules and groups.

        Raises:
            ConfigurationError: As `grant_enqueue`.
        """
        self._grant(grantee, Actor.MANAGER, pools, permissions.invoke_statement(self._loop.arn))

    def _make_functions(self, log_retention: logs.RetentionDays, loop_memory_mb: int) -> None:
        code, failures = library_code(self), self.failures
        self._loop = LibraryFunction(
            self,
            functions.LOOP,
            code=code,
            failures=failures,
            log_retention=log_retention,
            memory_mb=loop_memory_mb,
        )
        self._completion = LibraryFunction(
            self, functions.COMPLETION, code=code, failures=failures, log_retention=log_retention
        )
        self._watchdog = LibraryFunction(
            self, functions.WATCHDOG, code=code, failures=failures, log_retention=log_retention
        )

    def _watch(
        self, level: Monitoring, topic: sns.ITopic | None, loop_memory_mb: int
    ) -> Monitor | None:
        if level is Monitoring.NONE:
            return None
        if topic is not None:
            let_alarms_publish(topic)
        watched = Watched(
            table=self.table,
            pools=tuple(self._pools),
            loop=self.loop,
            loop_memory_mb=loop_memory_mb,
            completion=self.completion,
            watchdog=self.watchdog,
            log_groups=tuple(
                each.log_group for each in (self._loop, self._completion, self._watchdog)
            ),
            failed_events=self.failures.events,
            undelivered_ticks=self.failures.ticks,
        )
        return Monitor(self, "Monitor", watched, level=level, topic=topic)

    def _connect(self, log_level: str, monitoring: Monitoring) -> None:
        """Give the three functions each other's addresses, and the permissions of each."""
        places = [
            (settings.LOOP_ARN, self._loop.arn),
            (settings.COMPLETION_ARN, self._completion.arn),
            (settings.SCHEDULE_GROUP, self._far_wakes.group.schedule_group_name),
            (settings.SCHEDULER_ROLE_ARN, self._far_wakes.role.role_arn),
        ]
        common = [(settings.TABLE, self.table.table_name), (settings.LOG_LEVEL, log_level)]
        measured = (settings.METRICS, metrics_scope(monitoring))
        self._loop.set_environment([*places, *common, measured, (settings.LEAN_CALLS, "1")])
        self._completion.set_environment([*places[:2], *common])
        self._watchdog.set_environment(
            [*places, *common, measured, (settings.POOLS, pools_to_json(self._pools))]
        )
        for actor, function in (
            (Actor.LOOP, self._loop),
            (Actor.COMPLETION, self._completion),
            (Actor.WATCHDOG, self._watchdog),
        ):
            function.grant(
                *self._table_statements(actor, None), permissions.invoke_statement(self._loop.arn)
            )
        self._loop.grant(
            permissions.schedule_statement(self._far_wakes.schedule_arns),
            permissions.pass_role_statement(self._far_wakes.role.role_arn),
        )
        acknowledge_schedules(self._loop.role, self._far_wakes.group.schedule_group_name)

    def _settle(
        self,
        target: Qualified,
        reports: bool,  # noqa: FBT001 - a fact of the target
        *,
        retries: int,
        event_age: Duration,
    ) -> None:
        """Give a target its asynchronous configuration, and its role what that needs."""
        completion_arn = self._completion.function.function_arn
        settings_of_it = AsyncSettings(
            on_success=None if reports else completion_arn,
            on_failure=completion_arn,
            retries=retries,
            event_age=event_age,
        )
        path = set_async(target, settings_of_it, owner=self.node.path)
        self._late.add(target.function, target.qualifier, path)
        self._senders.give(target, permissions.invoke_statement(completion_arn))

    def _let_report(self, target: Qualified, pools: Sequence[str]) -> None:
        self._senders.give(
            target,
            *self._table_statements(Actor.WORKER, pools),
            permissions.invoke_statement(self._loop.arn),
        )
        self._senders.add_worker(Worker(target, pools))
        self._connect_function(target.function)
        mark_decorated(target.function)

    def _add_handler(
        self, target: object, pools: Sequence[str], *, named: bool, job: str | None
    ) -> None:
        if not has(target, "function_arn"):
            raise must_be("target", nouns_of(CALLBACK_TARGETS), target)
        handler = qualified(target)
        refuse_unfit(handler.function)
        refuse_elsewhere(handler.function, Stack.of(self))
        if job is not None:
            self._name_job(job, handler, "add_on_complete")
        if not self._senders.has_worker(handler.arn):
            self._settle(
                handler, reports=True, retries=_HANDLER_RETRIES, event_age=_HANDLER_EVENT_AGE
            )
            self._handlers.append(handler.arn)
        serve(handler.function, pools, named=named)
        self._senders.give(handler, *self._table_statements(Actor.CALLBACK_HANDLER, pools))
        self._connect_function(handler.function)
        mark_decorated(handler.function)
        self._list_as_acknowledging(handler)
        statements = [
            permissions.invoke_statement(handler.arn),
            *self._senders.limits_statements(handler),
        ]
        self._let_send(Callback(handler.function, statements, pools))

    def _add_plain_target(self, target: lambda_.IFunction, pools: Sequence[str]) -> None:
        """Add a function that only receives callbacks. It may be imported."""
        base = function_of(target)
        refuse_as_target(target, base, Stack.of(self))
        arn = target.function_arn
        statements = [permissions.invoke_statement(arn), permissions.limits_statement(arn)]
        self._let_send(Callback(target, statements, pools))

    def _list_as_acknowledging(self, handler: Qualified) -> None:
        """List this function in the table as acknowledging.

        Some senders may not read its destinations.
        """
        name = name_beside(handler.function, Stack.of(self))
        listed = self._named.acknowledging
        if name is not None and name not in listed:
            self._named = replace(self._named, acknowledging=(*listed, name)).checked(
                "add_on_complete"
            )
            self._watchdog.set_environment(
                [(settings.ACKNOWLEDGING, self._named.acknowledging_text())]
            )

    def _name_job(self, job: str, target: Qualified, method: str) -> None:
        """List this function in the table as the job, by the name that the watchdog knows."""
        name = name_beside(target.function, Stack.of(self))
        path = target.function.node.path
        if name is None:
            raise ConfigurationError(
                f"{path}: the name of the job {job!r} leads to it, but its own is known in its "
                "stack alone: give it a function_name"
            )
        full = name if target.qualifier == "$LATEST" else f"{name}:{target.qualifier}"
        if self._named.jobs.get(job, full) != full:
            raise ConfigurationError(f"{path}: another function is the job {job!r} already")
        self._named = replace(self._named, jobs={**self._named.jobs, job: full}).checked(method)
        self._watchdog.set_environment([(settings.JOBS, self._named.jobs_text())])

    def _let_send(self, callback: Callback) -> None:
        """Let every role that may finish a work item of these pools call back this target."""
        self._senders.add_callback(callback, own=(self._loop, self._completion))

    def _grant(
        self,
        grantee: iam.IGrantable,
        actor: Actor,
        pools: Sequence[str] | None,
        *more: iam.PolicyStatement,
    ) -> None:
        names = pool_names(pools, self._pools)
        with_attributes(
            "grantee", grantee, "a function, a role or another principal of IAM", "grant_principal"
        )
        statements = [*self._table_statements(actor, names), *more]
        refuse_where_lost(self.node.path, grantee.grant_principal, statements, Stack.of(self))
        function = function_of(grantee)
        if function is not None:
            self._connect_function(function)
        elif has(grantee, "function_arn"):
            say_what_to_set(cast("lambda_.IFunction", grantee))

    def _connect_function(self, function: lambda_.Function) -> None:
        function.add_environment(settings.TABLE, self.table.table_name)
        point_at(
            function,
            {settings.LOOP_ARN: self._loop.arn, settings.COMPLETION_ARN: self._completion.arn},
        )

    def _table_statements(
        self, actor: Actor, pools: Sequence[str] | None
    ) -> list[iam.PolicyStatement]:
        # All pools of the construct are all that the table should have, so that a pattern for any
        # pool says the same in few words.
        everywhere = pools is None or (
            set(pools) == set(self._pools) and not permissions.fits_into_a_role(actor, pools)
        )
        statements = permissions.table_statements(
            actor, self.table.table_arn, None if everywhere else pools
        )
        if self._key is not None:
            statements.append(permissions.key_statement(self._key.key_arn, Stack.of(self).region))
        return statements
