"""The facade `Workpool`: checks what callers ask for, and hands checked records to the flow."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from workpool_aws.api.caller import Caller, LambdaContext, read_caller
from workpool_aws.api.changes import PoolChanges
from workpool_aws.api.conditions import counts_of, read_conditions
from workpool_aws.api.enqueues import PoolEnqueues
from workpool_aws.api.function import JobFunction
from workpool_aws.api.groups import PoolGroups
from workpool_aws.api.handle import Desk
from workpool_aws.api.id_sequence import IdSequence
from workpool_aws.api.job import job_at, read_job
from workpool_aws.api.made_pools import MadePools
from workpool_aws.api.mutation import MutationWorker
from workpool_aws.api.on_complete import (
    CallbackDecorator,
    CallbackHandler,
    EffectHandler,
    OnCompleteEvent,
)
from workpool_aws.api.pool_decorators import PoolDecorators
from workpool_aws.api.pool_options import read_log_level, read_pool_options
from workpool_aws.api.pool_settings import PoolSettings
from workpool_aws.api.queries import PoolQueries
from workpool_aws.api.schedules import PoolSchedules
from workpool_aws.api.spec import read_due, read_spec
from workpool_aws.api.transactions import PoolTransactions
from workpool_aws.api.unique import spelled_debounce
from workpool_aws.api.work import Work, work_of
from workpool_aws.api.worker import Worker
from workpool_aws.compose import Connection
from workpool_aws.core import limits
from workpool_aws.core.pool.configure import Base
from workpool_aws.core.pool.kick import NOTHING_SEEN, Seen
from workpool_aws.core.proof import start_permit
from workpool_aws.core.work.enqueue import works_of
from workpool_aws.errors import UsageError
from workpool_aws.flow.pool import configure, kick
from workpool_aws.flow.pool.targets import refuse_own_targets
from workpool_aws.flow.work import enqueue
from workpool_aws.flow.work.arrange import arrange
from workpool_aws.flow.work.jobs import find_job, find_name
from workpool_aws.flow.work.unique import enqueue_unique
from workpool_aws.incarnation import ForkSafeLock
from workpool_aws.model import events
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import Kind
from workpool_aws.model.trace import TracedOperation, TraceStep
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import boto3

    from workpool_aws.api.pool_options import LogLevel
    from workpool_aws.api.spec import Due
    from workpool_aws.api.transaction import Transaction
    from workpool_aws.core.work.unique import Wanted
    from workpool_aws.flow.work.enqueue import Guest
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.messages import Assignment
    from workpool_aws.model.rate import RateLimit
    from workpool_aws.model.spec import Spec
    from workpool_aws.model.work import WorkItem
    from workpool_aws.ports import Ports, Store

__all__ = ["Workpool"]

R = TypeVar("R")


class _NotGiven(int):
    """A default, distinguishable from the same number given explicitly."""


_PARALLELISM: Final = _NotGiven(limits.PARALLELISM_DEFAULT)
_RETRY: Final = RetryPolicy()
_STATUS_TTL: Final = timedelta(seconds=limits.RETENTION_S_DEFAULT)


class Workpool(
    PoolEnqueues,
    PoolQueries,
    PoolChanges,
    PoolSchedules,
    PoolGroups,
    PoolTransactions,
    PoolSettings,
    PoolDecorators,
):
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
        max_parallelism: The most work items of the pool that run at a time, 0 to 10,000; 0 pauses. A
            limit given explicitly becomes the pool's base, written by the first enqueue of the
            process. `configure` overrides it.
        rate_limit: The most starts of the pool in a window of time, retries included. It becomes
            the pool's base as `max_parallelism` does. `None` gives none, and leaves the one that
            was given before.
        default_retry: The policy meant by `retry=True`, and by queries.
        retry_actions_by_default: Retries actions that say nothing about `retry`.
        status_ttl: Time for which a finished work item is kept; `None` means for ever.
        quick_start: Starts work items of a resting pool at once, before a loop runs, so that no cold
            start of the loop delays them. It holds for `enqueue_*` and the `enqueue` of decorated
            functions, where the pool has nothing in flight and no rate limit. The enqueue takes
            longer then. Its role needs `grant_enqueue(..., quick_start=True)`; without it, as in
            every other case, the loop starts them.
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
        rate_limit: RateLimit | None = None,
        default_retry: RetryPolicy = _RETRY,
        retry_actions_by_default: bool = False,
        status_ttl: timedelta | None = _STATUS_TTL,
        quick_start: bool = False,
        log_level: LogLevel | None = None,
        session: boto3.Session | None = None,
        ports: Ports | None = None,
    ) -> None:
        options = read_pool_options(
            table=table,
            name=name,
            max_parallelism=max_parallelism,
            rate_limit=rate_limit,
            default_retry=default_retry,
            retry_actions_by_default=retry_actions_by_default,
            status_ttl=status_ttl,
            quick_start=quick_start,
        )
        level = read_log_level(log_level)
        if session is not None and (
            isinstance(session, type | ModuleType) or not callable(getattr(session, "client", None))
        ):
            raise UsageError("session", session, "a boto3.Session, or None (boto3's own choice)")
        super().__init__(options, Connection(session=session, ports=ports, log_level=level))
        explicit = max_parallelism is not _PARALLELISM
        self._base = Base(
            max_parallelism=options.max_parallelism if explicit else None,
            rate_limit=options.rate_limit,
        )
        self._ids = IdSequence()
        self._lock = ForkSafeLock()
        self._registered_in: Store | None = None
        self._seen: tuple[Store, Seen] | None = None
        self._retry_is_known = True
        self._quick_starts: Guest | None = None
        _made.add(self, options, None if ports is None else ports.store)

    @overload
    def on_complete(self, function: Callable[[OnCompleteEvent], R], /) -> CallbackHandler[R]: ...
    @overload
    def on_complete(
        self, function: Callable[[OnCompleteEvent, Transaction], R], /
    ) -> EffectHandler[R]: ...
    @overload
    def on_complete(self, *, name: str | None = None) -> CallbackDecorator: ...
    def on_complete(
        self,
        *function: Callable[..., R],
        name: str | None = None,
    ) -> CallbackHandler[R] | EffectHandler[R] | CallbackDecorator:
        """Make a function a handler of callbacks, which an enqueue names as `on_complete`.

        The function is called at least once for each finished work item, with an `OnCompleteEvent`.
        When it returns, the callback is delivered. When it raises, it is called again, up to about
        a dozen times; then the callback is `dead`.

        A function with a second parameter receives a `Transaction`, which is committed with the
        delivery or not at all. Its effect happens once. An enqueue in it continues a chain.

        The plain function stays at `.function`. One
        handler may serve many pools, since each event names its table and pool.

        An enqueue names the handler itself, or the name under which it is deployed: that of the
        function, or the `name` that is given.

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
            ...         None, send_arn, {}, on_complete=email_sent, context={"user": 7}
            ...     )
            ...     cloud.run_until_idle()
            {'user': 7} success

        Raises:
            UsageError: The function is async, a generator or a class, or does not take one
                argument. Or the name is not allowed.
        """
        decorate = CallbackDecorator(self._connect, name)
        return decorate(*function) if function else decorate

    def handler(self, *handlers: Callable[[Any, Any], object]) -> JobFunction:
        """Make one Lambda handler of many decorated functions, workers and callback handlers.

        Each event carries the name of its job, so an enqueue by the decorated function or by the
        job's name is needed. A start of a job that the function does not have fails at once.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...
            ...     @pool.action
            ...     def double(n: int) -> int:
            ...         return 2 * n
            ...
            ...     @pool.action
            ...     def square(n: int) -> int:
            ...         return n * n
            ...
            ...     function_arn = cloud.function(pool.handler(double, square))
            ...     ids = double.enqueue(None, 5), square.enqueue(None, 5)
            ...     cloud.run_until_idle()
            ...     [pool.result(None, work_id).return_value for work_id in ids]
            [10, 25]

        Raises:
            UsageError: One is no decorated function, or two have one name.
        """
        return JobFunction(handlers, connect=self._connect)

    def _make_worker(
        self,
        kind: Kind,
        function: Callable[..., object],
        name: str | None,
        options: Mapping[str, object],
    ) -> Worker[..., ..., object]:
        make = MutationWorker if kind is Kind.MUTATION else Worker
        return make(
            function,
            job=read_job(function, kind=kind, name=name, options=options, pool=self._options),
            desk=Desk(
                submit=self._submit,
                result=self.result,
                enqueue_group=self.enqueue_group,
                table=self.table,
                pool=self.name,
            ),
            connect=self._connect,
            make_work=self._make_work,
        )

    def _submit(
        self,
        kind: Kind,
        ctx: LambdaContext | Transaction | None,
        target: object,
        args: Sequence[str],
        options: Mapping[str, object],
    ) -> list[WorkId]:
        tx = self._transaction_in(ctx)
        caller, job = read_caller(ctx) if tx is None else tx.caller, job_at(target)
        if job is not None:
            options = job.job.merged(options, kind)
        options = spelled_debounce(options)
        spec = self._checked_spec(kind, caller, target, options)
        conditions = read_conditions(options)
        ports = self._ports
        earliest = read_due(options, now=ports.clock.now())
        if not args:
            return []
        step = TraceStep(
            operation=TracedOperation.ENQUEUE, table=self.table, pool=self.name, job=spec.label
        )
        with ports.tracing.span(step) as span:
            works = self._works(replace(spec, trace=span.context), args, caller, earliest)
            if conditions is not None:
                counts = counts_of(ctx) if tx is None else tx.counts
                wanted = conditions.wanted(works, caller=caller, counts=counts)
                ids = self._store_wanted(tx, wanted)
                span.name_works(ids)
                return ids
            span.name_works([work.id for work in works])
            if tx is not None:
                tx.enroll(works)
                return [work.id for work in works]
            stored = enqueue.enqueue(ports, works, self._guest())
        self._seen = (ports.store, stored.seen)
        return list(stored.ids)

    def _works(
        self, spec: Spec, args: Sequence[str], caller: Caller, earliest: Due
    ) -> tuple[WorkItem, ...]:
        ports = self._ports
        self._register_once(ports, caller)
        now = ports.clock.now()
        due = earliest.counted_from(now)
        seen = self._seen_in(ports.store)
        if len(args) >= limits.BATCH_SPREAD_MIN:
            # By an old number it would fill one partition, or need a pointer for each work item.
            seen = kick.last_seen(ports.store, self.name) or seen
        with self._lock:
            bits = ports.entropy.bits(75)
            ids = self._ids.take(len(args), due, random_bits=bits, shards=seen.shards)
        return works_of(
            spec,
            args,
            ids,
            [start_permit(ports.entropy.token()) for _ in ids],
            pool=self.name,
            due=due,
            now=now,
            epoch=seen.epoch,
        )

    def _guest(self) -> Guest | None:
        """Quick starts of this object; `None` means that it makes none."""
        if not self._options.quick_start:
            return None
        if self._quick_starts is None:
            from workpool_aws.flow.loop.guest import QuickStarts

            self._quick_starts = QuickStarts()
        return self._quick_starts

    def _store_wanted(self, tx: Transaction | None, wanted: Sequence[Wanted]) -> list[WorkId]:
        """Store work items with a key or a request, or add them to a transaction."""
        ports = self._ports
        if tx is None:
            stored = enqueue_unique(ports, wanted)
            if stored.seen is not None:
                self._seen = (ports.store, stored.seen)
            return list(stored.ids)
        return [tx.known(each) or tx.enroll_arranged(each, arrange(ports, each)) for each in wanted]

    def _checked_spec(
        self, kind: Kind, caller: Caller, target: object, options: Mapping[str, object]
    ) -> Spec:
        own, find = self._options, self._find_job
        spec = read_spec(kind, target, options, pool=own, caller=caller, find=find)
        refuse_own_targets(spec, self._ports)
        if options.get("retry") in {None, True}:
            self._warn_of_unknown_default(self._ports)
        return spec

    def _find_job(self, name: str, *, field: str, decorated: bool) -> str | None:
        find = find_job if decorated else find_name
        return find(self._ports, name, field=field)

    def _seen_in(self, store: Store) -> Seen:
        # In tests one pool object may meet several tables of its name, each with its own epoch.
        seen = self._seen
        return seen[1] if seen is not None and seen[0] is store else NOTHING_SEEN

    def _register_once(self, ports: Ports, caller: Caller) -> None:
        """Register the pool, and write this object's limit as its base; once a process."""
        # Without a lock: two first enqueues at a time may both write it, which does no harm.
        # Waiting for each other would.
        if self._registered_in is ports.store:
            return
        kick.ensure_registered(ports, self.name)
        configure.ensure_base(ports, self.name, self._base, by=caller.name)
        self._registered_in = ports.store

    def _make_work(self, ports: Ports, assignment: Assignment, context: object) -> Work:
        pool = self._pool_of(ports, assignment.pool, assignment.retention_s)
        return work_of(assignment, context, ports=ports, pool=pool)

    def _pool_of(self, ports: Ports, name: str, retention_s: int | None) -> Workpool:
        """Return the pool of a work item that this worker runs, with its options if known."""
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
        pool._registered_in = ports.store
        return pool

    def _warn_of_unknown_default(self, ports: Ports) -> None:
        """Log once that the library's default policy stands in for an unknown one."""
        if not self._retry_is_known and (self.table, self.name) not in _warned_of:
            _warned_of.add((self.table, self.name))
            ports.telemetry.emit(events.OptionsUnknown(pool=self.name))


_made: Final = MadePools()
_warned_of: Final[set[tuple[str, str]]] = set()
