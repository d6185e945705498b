"""`LocalCloud`: the in-process AWS that users and tests see."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self, Unpack

from workpool_aws.compose import keep_from_aws, use_ports
from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.flow.watchdog.deployment import record
from workpool_aws.local.current import entered
from workpool_aws.local.failures import raise_failure
from workpool_aws.local.faults.faults import Faults, NoFaults
from workpool_aws.local.faults.rates import Rates
from workpool_aws.local.faults.seeded import SeededFaults
from workpool_aws.local.kernel.chance import SeededChooser
from workpool_aws.local.kernel.kernel import LocalCloudError
from workpool_aws.local.observed import ObservedCloud
from workpool_aws.local.options import (
    ClockName,
    CloudOptions,
    Takes,
    function_name,
    milliseconds,
    pool_names,
    takes_ms,
    whole,
)
from workpool_aws.local.services.functions import (
    EVENT_AGE_MS_MAX,
    LOOP_NAME,
    Function,
    Handler,
    function_arn,
    is_decorated,
    name_of,
)
from workpool_aws.local.services.platform import (
    OWN_TABLE,
    Engine,
    Platform,
)
from workpool_aws.local.unfinished import described, next_occurrence, unfinished_work
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from types import TracebackType

    from workpool_aws.api.pool import Workpool
    from workpool_aws.api.pool_options import WorkpoolOptions
    from workpool_aws.local.services.schedules import Precision
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.work import WorkItem
    from workpool_aws.ports import Ports, Store

__all__ = ["LocalCloud"]

_STEP_MS: Final = 1_000
_OTHER_THREAD: Final = (
    "a thread that sees the LocalCloud: one of its own or of its test, or one that user code starts with contextvars.copy_context().run "
    "(a pool made by cloud.workpool() may be used in any)"
)


class LocalCloud(ObservedCloud):
    """An in-process Lambda, EventBridge Scheduler and DynamoDB, to be used in a `with`.

    The same code runs here as in AWS.

        >>> with LocalCloud() as cloud:
        ...     pool = cloud.workpool()
        ...     remind_arn = cloud.function(lambda event, context: "reminded", name="remind")
        ...     work_id = pool.enqueue_action(None, remind_arn, {}, run_after=timedelta(hours=1))
        ...     cloud.advance(timedelta(minutes=59))
        ...     print(pool.status(None, work_id).state)
        ...     cloud.advance(timedelta(minutes=2))
        ...     print(pool.status(None, work_id).state)
        pending
        finished

    Args:
        clock: "virtual": deterministic; one thread runs at a time and time jumps to the next thing
            due. "real": threads and real time.
        speed: The factor by which a real clock runs faster than real time.
        engine: The place of the pools' tables. "memory": fast, without boto3. "moto": every call of
            the library goes through boto3, and its tables stand beside user code's own; one such
            cloud per process. A URL: DynamoDB at that endpoint; the cloud's tables there are
            deleted on leaving. With each of them, user code's own tables, queues, topics and
            buckets are moto's, which is loaded when boto3 first asks for one.
        scheduler: Schedules fire at their time ("exact"), or up to a minute later ("aws").
        seed: The same seed gives the same run, on the virtual clock.
        duplicate_deliveries: Probability, for each asynchronous invocation, that its event is
            delivered twice.
        lost_deliveries: Probability that it is never delivered.
        lost_destinations: Probability that the record for its destination is lost.
        crash_rate: Probability that its process dies at a random service call.
        call_latency: The duration of every service call, in the cloud's time.
        faults: Faults of calls, deliveries, schedules and clocks, for tests of this library itself.
            On the virtual clock, in memory.
        stall_timeout: Real time after which a worker on the virtual clock that neither computes nor
            calls a service is reported as stuck.

    Raises:
        UsageError: an option is not allowed.
    """

    def __init__(  # noqa: PLR0913 - options of a facade, all keyword-only
        self,
        *,
        clock: ClockName = "virtual",
        speed: float = 1.0,
        engine: str = "memory",
        scheduler: Precision = "exact",
        seed: int = 0,
        duplicate_deliveries: float = 0.0,
        lost_deliveries: float = 0.0,
        lost_destinations: float = 0.0,
        crash_rate: float = 0.0,
        call_latency: timedelta = timedelta(0),
        faults: Faults | None = None,
        stall_timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        super().__init__(
            CloudOptions(
                clock=clock,
                speed=speed,
                engine=engine,
                scheduler=scheduler,
                seed=seed,
                call_latency=call_latency,
                stall_timeout=stall_timeout,
                faults=faults,
            )
        )
        self._rates = Rates(
            duplicate_deliveries=duplicate_deliveries,
            lost_deliveries=lost_deliveries,
            lost_destinations=lost_destinations,
            crash_rate=crash_rate,
        )
        self._undo = ExitStack()
        self._failed: frozenset[tuple[WorkId, bool]] = frozenset()

    def __enter__(self) -> Self:
        """Begin: table, loop, completion and watchdog are there.

        Raises LocalCloudError: the engine is not available.
        """
        if self._platform is not None:
            raise LocalCloudError("a LocalCloud is used once: make another one")
        from workpool_aws.local.services.deployment import deploy, start_watchdog

        plan = self._options.faults
        chooser = (
            plan.chooser
            if plan is not None and plan.chooser is not None
            else SeededChooser(self._options.seed)
        )
        faults = None if plan is None else SeededFaults(plan, chooser, LOOP_NAME)
        kernel = self._options.kernel(chooser, faults)
        self._platform = Platform(
            kernel,
            chooser,
            self._options.seed,
            self._rates,
            self._options.scheduler,
            self._ports_of,
            faults or NoFaults(),
        )
        with ExitStack() as undo:
            undo.enter_context(self._platform.aws.opened())
            self._engine = _engine_for(self._options.engine, self._platform)
            undo.callback(self._engine.close)
            undo.callback(kernel.close)
            self._engine.open()
            deploy(self._platform)
            self._ports_of(self.table)
            start_watchdog(
                self._platform, self._engine, self._ports, real=self._options.clock == "real"
            )
            undo.enter_context(use_ports(self._ports_of))
            undo.enter_context(keep_from_aws(_OTHER_THREAD))
            undo.enter_context(entered(self))
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End: every task is killed, every thread joined, the process is as it was."""
        self._undo.close()

    @property
    def table(self) -> str:
        """The name of the pools' table, on a server, too.

        Raises LocalCloudError: the server's is made in the `with`.
        """
        return (
            OWN_TABLE if self._options.engine in ("memory", "moto") else self._engine_open.own_table
        )

    def workpool(self, name: str = "default", **options: Unpack[WorkpoolOptions]) -> Workpool:
        """Return a pool of this cloud, with the options of `Workpool`."""
        from workpool_aws.api.pool import Workpool

        return Workpool(self.table, name, ports=self._ports_of(self.table), **options)

    def function(
        self,
        handler: Handler,
        *,
        name: str | None = None,
        timeout: timedelta = timedelta(seconds=30),
        takes: Takes | None = None,
        retries: int = 0,
        reserved: int | None = None,
        event_age: timedelta = timedelta(seconds=60),
        pools: Collection[str] | None = None,
    ) -> str:
        """Deploy a handler, decorated or not, as a function, and return its ARN.

        Its destinations are those that a deployment would give it.

        Args:
            handler: `handler(event, context)`, or a worker made by a pool's decorator.
            name: The function's name, by Lambda's rule for one. Defaults to the handler's own,
                without what the rule does not allow. A taken name gets a number.
            timeout: After it an attempt ends, in the cloud's time. At most 15 minutes, as Lambda
                allows.
            takes: The handler's duration in the cloud's time: its body runs at the start, its
                outcome takes effect at the end. A callable gets the event. `None` means as long as
                its sleeps and service calls take.
            retries: Lambda's own retries after an error, 0 to 2.
            reserved: The most runs at a time; `None` means no limit. A throttled event waits in
                Lambda's queue.
            event_age: The time for which an event may wait there, 60 s to 6 hours.
            pools: The names of the pools that may run it, as `add_action(pools=...)` says it to
                AWS. `None` means any.

        Raises:
            UsageError: a value is not allowed.
        """
        if not callable(handler):
            raise UsageError("handler", handler, "a callable of (event, context)")
        decorated = is_decorated(handler)
        added = self._open.functions.add(
            Function(
                name=name_of(handler) if name is None else function_name(name),
                handler=handler,
                timeout_ms=milliseconds(
                    "timeout", timeout, at_least=1, at_most=limits.TIMEOUT_MS_MAX
                ),
                event_age_ms=milliseconds(
                    "event_age", event_age, at_least=60_000, at_most=EVENT_AGE_MS_MAX
                ),
                retries=whole("retries", retries, at_least=0, at_most=2),
                reserved=None if reserved is None else whole("reserved", reserved, at_least=0),
                takes=takes_ms(takes),
                decorated=decorated,
                serves=pool_names(pools),
                on_success=None if decorated else self.completion_arn,
                on_failure=self.completion_arn,
            )
        )
        return added.arn

    def invoke(self, fn: object, event: Mapping[str, object]) -> None:
        """Send an event to a function as another service would: asynchronously, outside of any pool.

        `fn` is its ARN, name or handler.

        Raises:
            UsageError: there is no such function, or the event is no JSON object. Nothing was sent.
        """
        try:
            payload = json.dumps(dict(event), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError("event", event, "a JSON object") from error
        self._open.send(function_arn(self._name_of(fn)), payload)

    def fail_next(self, fn: object, error: Exception, times: int = 1) -> None:
        """Let the next runs of a function for a pool raise an error in place of running.

        They claim, validate their arguments and report as usual. Of several plans for a function,
        the oldest comes first.

            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...     send_arn = cloud.function(lambda event, context: "sent", name="send")
            ...     cloud.fail_next(send_arn, ConnectionError("busy"))
            ...     work_id = pool.enqueue_action(None, send_arn, {}, retry=True)
            ...     cloud.run_until_idle()
            ...     [attempt.outcome for attempt in pool.status(None, work_id).attempts]
            ['failed', 'success']

        Args:
            fn: The function, by its worker, handler, ARN, name or job.
            error: Raised as it is, without a traceback.
            times: Number of runs, at least 1.

        Raises:
            UsageError: There is no such function, or a value is not allowed.
        """
        if not isinstance(error, Exception):
            raise UsageError("error", error, "an exception, as in TimeoutError('mail server')")
        functions, jobs = self._names_of(fn), self._jobs_of(fn)
        # A worker fails in each function that runs it, and leaves other jobs of these alone.
        self._open.runs.planned.add(
            functions=() if jobs else functions,
            jobs=jobs,
            error=error,
            times=whole("times", times, at_least=1),
        )

    def crash(self, fn: object) -> int:
        """Let the running processes of a function die at their next service call. Returns their number.

        Args:
            fn: The function, by its worker, handler, ARN, name or job, or one of the library's own,
                as `loop_arn`.

        Raises:
            UsageError: There is no such function.
        """
        names = self._names_of(fn)
        return sum(self._open.runs.crash(name) for name in names)

    def advance(self, delta: timedelta) -> None:
        """Let time pass by `delta`. Everything that is due until then happens, in order.

        Raises LocalCloudError: a worker is stuck.
        """
        kernel = self._open.kernel
        end = EpochMs(kernel.now() + milliseconds("delta", delta))
        kernel.run(end)
        kernel.pass_to(end)

    def skip(self, delta: timedelta) -> None:
        """Put a real clock forward by `delta`, at once.

        Everything due in between happens now, late. Work items that run meanwhile run on, and count
        as lost once their time is over by the new clock.

        Raises:
            UsageError: The cloud has a virtual clock, which `advance` moves.
        """
        from workpool_aws.local.kernel.real import RealKernel

        kernel = self._open.kernel
        if not isinstance(kernel, RealKernel):
            raise UsageError("clock", self._options.clock, "real (advance() moves a virtual one)")
        kernel.skip(milliseconds("delta", delta))

    def deliver_badly(
        self,
        *,
        duplicate_deliveries: float = 0.0,
        lost_deliveries: float = 0.0,
        lost_destinations: float = 0.0,
        crash_rate: float = 0.0,
    ) -> None:
        """Set the rates of the cloud's options for all deliveries from now on.

        Raises:
            UsageError: One is no number from 0 to 1. Nothing was changed.
        """
        self._open.deliveries.set_rates(
            Rates(
                duplicate_deliveries=duplicate_deliveries,
                lost_deliveries=lost_deliveries,
                lost_destinations=lost_destinations,
                crash_rate=crash_rate,
            )
        )

    def run_until_idle(
        self, timeout: timedelta = timedelta(hours=1), *, raise_failures: bool = False
    ) -> None:
        """Let time pass until nothing is left that would act within `timeout`.

        A paused pool, work items due later, and occurrences of schedules to come count as rest.

        Args:
            timeout: The cloud's time after which nothing may be left.
            raise_failures: Raises the first failure since the last `run_until_idle`. An attempt
                or callback that will be tried again is none.

        Raises:
            LocalCloudError: At the end of `timeout` a work item is running, or due and allowed to
                start, or owes a callback that is not to be tried later; or a worker is stuck.
            Exception: With `raise_failures`, the error of the first work item or callback that
                failed for good, with its own traceback. `WorkFailed` stands for a failure without
                an error of the code, as a timeout.
        """
        __tracebackhide__ = True
        kernel = self._open.kernel
        end = EpochMs(kernel.now() + milliseconds("timeout", timeout))
        found = self._run_to_rest(end)
        before, self._failed = self._failed, _ends_that_failed(found)
        if raise_failures:
            for each in self.failures:
                if (each.work.work_id, each.callback is not None) not in before:
                    raise_failure(each)
        left = [each for store, works in found for each in unfinished_work(store, works, end)]
        if left:
            raise LocalCloudError(
                f"{described(left)}\nNothing more happened within {timeout}; "
                f"it is {self.now.isoformat()}.{self._troubles()}"
            )

    def _run_to_rest(self, end: EpochMs) -> list[tuple[Store, tuple[WorkItem, ...]]]:
        """Run until `end`, or until only occurrences of schedules are to come.

        Returns the work items then.
        """
        kernel = self._open.kernel
        while True:
            stores = [self._engine_open.quiet(table) for table in tuple(self._ports)]
            coming = [at for store in stores if (at := next_occurrence(store)) is not None]
            # Up to the time at which the loop may wake for the occurrence.
            early = min(coming, default=end) - limits.FAR_LEAD_MS - 1
            next_stop = max(early, kernel.now() + _STEP_MS) if coming else end
            stop = EpochMs(min(end, next_stop))
            kernel.run(stop)
            found = self._read_works()
            left = any(True for store, works in found for _ in unfinished_work(store, works, end))
            if stop >= end or not left:
                return found
            kernel.pass_to(stop)

    def _troubles(self) -> str:
        """Return errors of the cloud's own functions, the likely reason for work items that are left."""
        failed = []
        for arn in (self.loop_arn, self.completion_arn, self.watchdog_arn):
            bad = [each for each in self.invocations(arn) if each.error is not None]
            if bad:
                failed.append(
                    f"\n{self._name_of(arn)} failed {len(bad)} times, the last time with: {bad[-1].error}"
                )
        return "".join(failed)

    def _ports_of(self, table: str) -> Ports:
        """Return the ports on a table of this cloud, which is made when it is first named."""
        platform, engine = self._open, self._engine_open
        with platform.kernel.lock():
            if table not in self._ports:
                engine.create(table)
                # As the watchdog does: at once, because a cloud is deployed when it is entered.
                record(engine.quiet(table), platform.deployment)
                self._ports[table] = replace(
                    engine.ports(table), ticks_always=self._options.clock == "real"
                )
            return self._ports[table]


def _ends_that_failed(
    found: Sequence[tuple[Store, Iterable[WorkItem]]],
) -> frozenset[tuple[WorkId, bool]]:
    """Return the work items that failed for good, and with True those whose callback is dead."""
    works = [work for _, each in found for work in each]
    failed = {(work.id, False) for work in works if work.outcome is Outcome.FAILED}
    dead = {(work.id, True) for work in works if work.callback is CallbackState.DEAD}
    return frozenset(failed | dead)


def _engine_for(name: str, platform: Platform) -> Engine:
    if name == "memory":
        from workpool_aws.local.engines.memory import MemoryEngine

        return MemoryEngine(platform)
    if name == "moto":
        from workpool_aws.local.engines.moto import MotoEngine

        return MotoEngine(platform)
    from workpool_aws.local.engines.endpoint import EndpointEngine

    return EndpointEngine(platform, name)
