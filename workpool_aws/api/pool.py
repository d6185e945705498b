"""The facade `Workpool`: checks what callers ask for, and hands checked records to the flow."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, TypeVar, Unpack

from workpool_aws.api.caller import Caller, LambdaContext, read_caller
from workpool_aws.api.made_pools import MadePools
from workpool_aws.api.on_complete import CallbackHandler, OnCompleteEvent
from workpool_aws.api.options import (
    EnqueueOptions,
    IdSequence,
    RetryableOptions,
    encode_batch,
    encode_one,
    read_due,
    read_parallelism,
    read_pool_options,
    read_spec,
    spelled_out,
)
from workpool_aws.api.queries import PoolQueries
from workpool_aws.api.work import Work, work_of
from workpool_aws.api.worker import Worker
from workpool_aws.compose import Connection
from workpool_aws.core import limits
from workpool_aws.core.views.status import PoolConfig, config_of
from workpool_aws.core.work.enqueue import works_of
from workpool_aws.errors import UsageError
from workpool_aws.flow.pool import configure, kick
from workpool_aws.flow.pool.targets import refuse_own
from workpool_aws.flow.work import enqueue
from workpool_aws.incarnation import ForkSafeLock
from workpool_aws.model import events
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import Kind
from workpool_aws.text import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import boto3

    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.loop import Config
    from workpool_aws.model.messages import Assignment
    from workpool_aws.ports import Ports, Store

__all__ = ["Workpool"]

P = ParamSpec("P")
R = TypeVar("R")

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class _NotGiven(int):
    """A default, distinguishable from the same number given explicitly."""


_PARALLELISM: Final = _NotGiven(limits.PARALLELISM_DEFAULT)
_RETRY: Final = RetryPolicy()
_STATUS_TTL: Final = timedelta(seconds=limits.RETENTION_S_DEFAULT)
_LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Workpool(PoolQueries):
    """One pool of a table: enqueues and reads work items, and decorates their functions.

    Making one calls nothing and loads no SDK. Threads may share it. Make it once, beside the
    handler.

        >>> from workpool_aws.local import LocalCloud
        >>> def send_email(event, context):
        ...     return f"sent to {event['to']}"
        >>> with LocalCloud() as cloud:
        ...     send_arn = cloud.function(send_email)
        ...     pool = cloud.workpool(
        ...         "email", max_parallelism=3
        ...     )  # in AWS: Workpool("my-table", "email")
        ...     work_id = pool.enqueue_action(None, send_arn, {"to": "a@example.com"})
        ...     cloud.run_until_idle()
        ...     pool.result(None, work_id).return_value
        'sent to a@example.com'

    Args:
        table: The DynamoDB table.
        name: The pool. Pools of one table share nothing but the table.
        max_parallelism: The most work items of the pool that run at a time, 0 to 500; 0 pauses. A
            limit given explicitly becomes the pool's base, written by the first enqueue of the
            process. `configure` overrides it.
        default_retry: The policy meant by `retry=True`, and by queries.
        retry_actions_by_default: Retries actions that say nothing about `retry`.
        status_ttl: Time for which a finished work item is kept; `None` means for ever.
        log_level: "DEBUG" to "CRITICAL". Defaults to `WORKPOOL_LOG_LEVEL`, else "WARNING".
        session: The source of credentials and region. Defaults to boto3's own choice.
        ports: For tests, a replacement of AWS. Defaults to AWS, or to the surrounding `LocalCloud`.

    Raises:
        UsageError: a value is not allowed.
    """

    def __init__(  # noqa: PLR0913 - a facade's options, all but two keyword-only
        self,
        table: str,
        name: str = "default",
        *,
        max_parallelism: int = _PARALLELISM,
        default_retry: RetryPolicy = _RETRY,
        retry_actions_by_default: bool = False,
        status_ttl: timedelta | None = _STATUS_TTL,
        log_level: LogLevel | None = None,
        session: boto3.Session | None = None,
        ports: Ports | None = None,
    ) -> None:
        self._options = read_pool_options(
            table=table,
            name=name,
            max_parallelism=max_parallelism,
            default_retry=default_retry,
            retry_actions_by_default=retry_actions_by_default,
            status_ttl=status_ttl,
        )
        if log_level is not None and log_level not in _LOG_LEVELS:
            raise UsageError("log_level", log_level, f"None or one of {', '.join(_LOG_LEVELS)}")
        if session is not None and (
            isinstance(session, type | ModuleType) or not callable(getattr(session, "client", None))
        ):
            raise UsageError("session", session, "a boto3.Session, or None (boto3's own choice)")
        level = None if log_level is None else logging.getLevelNamesMapping()[log_level]
        super().__init__(table, name, Connection(session=session, ports=ports, log_level=level))
        self._limit_is_explicit = max_parallelism is not _PARALLELISM
        self._ids = IdSequence()
        self._lock = ForkSafeLock()
        self._base_said_to: Store | None = None
        self._epoch_seen: tuple[Store, int] | None = None
        self._retry_is_known = True
        _made.add(self, self._options, None if ports is None else ports.store)

    @spelled_out(RetryableOptions)
    def enqueue_action(
        self,
        ctx: LambdaContext | None,
        target: str,
        args: Mapping[str, object],
        **options: Unpack[RetryableOptions],
    ) -> WorkId:
        """Run a function once in the background.

        When this returns, the work item is stored and will not be lost.

        Without a retry policy a decorated function never runs twice. With one it runs until it
        succeeds, fails for good, or has no attempt left.

            >>> from datetime import timedelta
            >>> from workpool_aws.local import LocalCloud
            >>> def charge(event, context):
            ...     return event["cents"]
            >>> with LocalCloud() as cloud:
            ...     pool, charge_arn = cloud.workpool(), cloud.function(charge)
            ...     later = timedelta(hours=1)
            ...     work_id = pool.enqueue_action(
            ...         None, charge_arn, {"cents": 250}, retry=True, run_after=later
            ...     )
            ...     pool.status(None, work_id).state
            'pending'

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            target: The ARN or name of a Lambda function, version or alias. With a context a name
                means its account and region.
            args: A JSON object of at most 900 KB.
            options: See `RetryableOptions`.

        Raises:
            UsageError: A value is not allowed (`PayloadTooLarge`: the arguments). Nothing was
                stored.
            StoreUnavailable: DynamoDB did not answer. `maybe_enqueued` names the ids that may have
                been stored; no other was.
        """
        return self._submit(Kind.ACTION, ctx, target, encode_one(args), options)[0]

    @spelled_out(RetryableOptions)
    def enqueue_action_batch(
        self,
        ctx: LambdaContext | None,
        target: str,
        args: Sequence[Mapping[str, object]],
        **options: Unpack[RetryableOptions],
    ) -> list[WorkId]:
        """As `enqueue_action` for each of many arguments; ids in their order.

        All are checked before any is stored.

        A batch is no transaction: work items are stored one by one, and some may run before the
        last is stored. An empty batch stores nothing and returns `[]`.

            >>> from workpool_aws.local import LocalCloud
            >>> def square(event, context):
            ...     return event["n"] ** 2
            >>> with LocalCloud() as cloud:
            ...     pool, square_arn = cloud.workpool(), cloud.function(square)
            ...     ids = pool.enqueue_action_batch(None, square_arn, [{"n": n} for n in range(4)])
            ...     cloud.run_until_idle()
            ...     [pool.result(None, work_id).return_value for work_id in ids]
            [0, 1, 4, 9]

        Raises:
            UsageError: As `enqueue_action`, with the index, as in `args[3].x`. Nothing was stored.
            StoreUnavailable: DynamoDB did not answer. `maybe_enqueued` names all ids. Each is
                either stored and will run, or does not exist.
        """
        return self._submit(Kind.ACTION, ctx, target, encode_batch(args), options)

    @spelled_out(RetryableOptions)
    def enqueue_query(
        self,
        ctx: LambdaContext | None,
        target: str,
        args: Mapping[str, object],
        **options: Unpack[RetryableOptions],
    ) -> WorkId:
        """As `enqueue_action`, for a function that only reads: retried by default.

        A rare second run of an attempt is not prevented.
        """
        return self._submit(Kind.QUERY, ctx, target, encode_one(args), options)[0]

    @spelled_out(RetryableOptions)
    def enqueue_query_batch(
        self,
        ctx: LambdaContext | None,
        target: str,
        args: Sequence[Mapping[str, object]],
        **options: Unpack[RetryableOptions],
    ) -> list[WorkId]:
        """`enqueue_query` for each of many arguments, on the terms of `enqueue_action_batch`."""
        return self._submit(Kind.QUERY, ctx, target, encode_batch(args), options)

    @spelled_out(EnqueueOptions)
    def enqueue_mutation(
        self,
        ctx: LambdaContext | None,
        target: str,
        args: Mapping[str, object],
        **options: Unpack[EnqueueOptions],
    ) -> WorkId:
        """As `enqueue_action` without retry: a decorated function runs at most once.

        There is no option `retry`.
        """
        return self._submit(Kind.MUTATION, ctx, target, encode_one(args), options)[0]

    @spelled_out(EnqueueOptions)
    def enqueue_mutation_batch(
        self,
        ctx: LambdaContext | None,
        target: str,
        args: Sequence[Mapping[str, object]],
        **options: Unpack[EnqueueOptions],
    ) -> list[WorkId]:
        """`enqueue_mutation` for each of many arguments, on the terms of `enqueue_action_batch`."""
        return self._submit(Kind.MUTATION, ctx, target, encode_batch(args), options)

    def configure(
        self,
        ctx: LambdaContext | None,
        *,
        max_parallelism: int | None = None,
        paused: bool | None = None,
        reset: bool = False,
    ) -> PoolConfig:
        """Override the limit that programs and the deployment set.

        When this returns, no new start exceeds the limit.

        Running work items are unaffected.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool("email", max_parallelism=10)
            ...     pool.configure(None, max_parallelism=2).max_parallelism
            ...     pool.configure(None, paused=True).paused
            ...     pool.configure(None, reset=True).max_parallelism
            2
            True
            10

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            max_parallelism: 0 to 500. `None` leaves the limit as it is.
            paused: `True` starts nothing, and goes on accepting. `False` resumes. `None` leaves it
                as it is.
            reset: Drops the whole override first.

        Raises:
            UsageError: A value is not allowed, or no change was given. Nothing was changed.
            StoreUnavailable: DynamoDB did not answer. The change may or may not hold; repeating it
                does no harm.
        """
        caller = read_caller(ctx)
        if max_parallelism is not None:
            read_parallelism(max_parallelism)
        if paused is not None and not isinstance(paused, bool):
            raise UsageError("paused", paused, "True, False, or None (as it is)")
        if not isinstance(reset, bool):
            raise UsageError("reset", reset, "True or False")
        if max_parallelism is None and paused is None and not reset:
            raise UsageError("max_parallelism", NOTHING, "given, or else paused or reset")
        changed = configure.override(
            self._ports,
            self.name,
            max_parallelism=max_parallelism,
            paused=paused,
            reset=reset,
            by=caller.name,
        )
        return self._config_of(changed)

    def config(self, ctx: LambdaContext | None) -> PoolConfig:
        """The limit in force and its source.

        In a pool without a stored limit, the base is that of this object.

        Raises:
            UsageError: `ctx` is no context.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return self._config_of(configure.load(self._ports, self.name))

    def action(self, function: Callable[P, R]) -> Worker[P, R]:
        """Make a function a worker, the Lambda handler that runs it for a pool and reports.

        Pydantic validates the arguments by the function's signature. A parameter annotated `Work`
        receives the handle of the attempt. The plain function stays at `.function`.

        Table and pool of a report come from the event, so one function may serve many pools. An
        event without an assignment is validated, run and answered directly.

            >>> from workpool_aws import Workpool
            >>> pool = Workpool("my-table")
            >>> @pool.action
            ... def send_email(to: str, template: str = "welcome") -> dict[str, str]:
            ...     return {"to": to, "template": template}
            >>> send_email.function("a@example.com")
            {'to': 'a@example.com', 'template': 'welcome'}

        Raises:
            UsageError: The function is async, a generator or a class, or has parameters that cannot
                be given by name.
        """
        return Worker(function, connect=self._connect, make_work=self._make_work)

    def query(self, function: Callable[P, R]) -> Worker[P, R]:
        """As `action`, for a function that only reads.

        Retries depend on the enqueue, not on the decorator.
        """
        return self.action(function)

    def on_complete(self, function: Callable[[OnCompleteEvent], R]) -> CallbackHandler[R]:
        """Make a function a handler of callbacks, which an enqueue names as `on_complete`.

        The function is called at least once for each finished work item, with an `OnCompleteEvent`.
        When it returns, the callback is delivered. When it raises, it is called again, up to about
        a dozen times; then the callback is `dead`. The plain function stays at `.function`. One
        handler may serve many pools, since each event names its table and pool.

            >>> from workpool_aws import OnCompleteEvent
            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...
            ...     @pool.on_complete
            ...     def email_sent(event: OnCompleteEvent) -> None:
            ...         print(event.context, event.result.kind)
            ...
            ...     send_arn = cloud.function(lambda event, context: "sent", name="send")
            ...     done_arn = cloud.function(email_sent)
            ...     work_id = pool.enqueue_action(
            ...         None, send_arn, {}, on_complete=done_arn, context={"user": 7}
            ...     )
            ...     cloud.run_until_idle()
            {'user': 7} success

        Raises:
            UsageError: The function is async, a generator or a class, or does not take one
                argument.
        """
        return CallbackHandler(function, connect=self._connect)

    def _submit(
        self,
        kind: Kind,
        ctx: LambdaContext | None,
        target: str,
        args: Sequence[str],
        options: EnqueueOptions,
    ) -> list[WorkId]:
        caller = read_caller(ctx)
        spec = read_spec(kind, target, options, pool=self._options, caller=caller)
        ports = self._ports
        refuse_own(spec.target, "target", ports)
        if spec.callback is not None:
            refuse_own(spec.callback.target, "on_complete", ports)
        earliest = read_due(options, now=ports.clock.now())
        if not args:
            return []
        if kind is not Kind.MUTATION and options.get("retry") in {None, True}:
            self._warn_of_unknown_default(ports)
        self._say_base(ports, caller)
        now = ports.clock.now()
        due = earliest.counted_from(now)
        random_bits = ports.entropy.bits(75)
        with self._lock:
            ids = self._ids.take(len(args), due, random_bits=random_bits)
        works = works_of(
            spec,
            args,
            ids,
            pool=self.name,
            due=due,
            now=now,
            epoch=self._epoch_in(ports.store),
        )
        stored = enqueue.enqueue(ports, works)
        self._epoch_seen = (ports.store, stored.epoch)
        return list(stored.ids)

    def _epoch_in(self, store: Store) -> int:
        # In tests one pool object may meet several tables of its name, each with an epoch of its
        # own.
        return (
            self._epoch_seen[1]
            if self._epoch_seen is not None and self._epoch_seen[0] is store
            else 0
        )

    def _say_base(self, ports: Ports, caller: Caller) -> None:
        """Register the pool, and write this object's limit as its base; once a process."""
        # Without a lock: two first enqueues at a time may both write it, which does no harm.
        # Waiting for each other would.
        if self._base_said_to is ports.store:
            return
        kick.ensure_registered(ports, self.name)
        limit = self._options.max_parallelism
        configure.ensure_base(
            ports,
            self.name,
            max_parallelism=limit,
            explicit=self._limit_is_explicit,
            by=caller.name,
        )
        self._base_said_to = ports.store

    def _config_of(self, config: Config | None) -> PoolConfig:
        return config_of(config, max_parallelism_default=self._options.max_parallelism)

    def _make_work(self, ports: Ports, assignment: Assignment, context: object) -> Work:
        pool = self._pool_of(ports, assignment.pool, assignment.retention_s)
        return work_of(assignment, context, ports=ports, pool=pool)

    def _pool_of(self, ports: Ports, name: str, retention_s: int | None) -> Workpool:
        """The pool of a work item that this pool's worker runs, with its options if known."""
        if (ports.table, name) == (self.table, self.name):
            return self
        pool = Workpool(ports.table, name, ports=ports)
        _made.drop((pool.table, pool.name), pool)
        known = _made.options_of(ports.table, name, ports.store)
        if known is None:
            # The retention is stored with each work item, the pool's default policy nowhere.
            pool._options = replace(pool._options, retention_s=retention_s)
            pool._retry_is_known = False
        else:
            pool._options = known
        # A pool that has started a work item is registered. This object has no limit of its own.
        pool._base_said_to = ports.store
        return pool

    def _warn_of_unknown_default(self, ports: Ports) -> None:
        """Log once that the library's default policy stands in for an unknown one."""
        if not self._retry_is_known and (self.table, self.name) not in _warned_of:
            _warned_of.add((self.table, self.name))
            ports.telemetry.emit(events.OptionsUnknown(pool=self.name))


_made: Final = MadePools()
_warned_of: Final[set[tuple[str, str]]] = set()
