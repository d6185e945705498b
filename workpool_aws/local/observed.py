"""`ObservedCloud`, the half of `LocalCloud` that shows what happened in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workpool_aws.core.callback.targets import FUNCTION, target_of
from workpool_aws.errors import UsageError
from workpool_aws.local.failures import failed_attempts, in_order
from workpool_aws.local.kernel.kernel import LocalCloudError
from workpool_aws.local.services.functions import (
    COMPLETION_NAME,
    LOOP_NAME,
    WATCHDOG_NAME,
    function_arn,
    jobs_of,
)
from workpool_aws.local.stored_work import enqueued_work, work_items_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.adapters.items.capacity import Capacity
    from workpool_aws.local.failures import Failure
    from workpool_aws.local.kernel.kernel import TraceLine
    from workpool_aws.local.options import CloudOptions
    from workpool_aws.local.services.invocations import Invocation
    from workpool_aws.local.services.platform import Engine, Platform
    from workpool_aws.local.stored_work import EnqueuedWork
    from workpool_aws.model.events import Event
    from workpool_aws.model.spec import Spec
    from workpool_aws.model.work import WorkItem
    from workpool_aws.ports import Ports, Store

__all__ = ["ObservedCloud"]


class ObservedCloud:
    """Shows the time, the invocations, the messages and the events of a cloud. The base of `LocalCloud`."""

    def __init__(self, options: CloudOptions) -> None:
        self._options = options
        self._platform: Platform | None = None
        self._engine: Engine | None = None
        self._ports: dict[str, Ports] = {}

    @property
    def now(self) -> datetime:
        """The cloud's time: aware, UTC."""
        return datetime.fromtimestamp(self._open.kernel.now() / 1000, UTC)

    @property
    def capacity(self) -> Capacity:
        """Units that the requests to pools' tables have cost so far, by AWS's rules.

        Nothing on an endpoint.
        """
        return self._open.meter.snapshot()

    @property
    def events(self) -> Sequence[Event]:
        """The events that the library emitted so far, in order."""
        return tuple(self._open.telemetry.events)

    @property
    def facts(self) -> Sequence[Event]:
        """The same as `events`, by its earlier name."""
        return self.events

    @property
    def trace(self) -> Sequence[TraceLine]:
        """The last service calls: when, who, what.

        On the virtual clock the same seed gives the same lines.
        """
        return tuple(self._open.kernel.trace)

    @property
    def loop_arn(self) -> str:
        """The main loop's function."""
        return function_arn(LOOP_NAME)

    @property
    def completion_arn(self) -> str:
        """The completion function, which destinations lead to."""
        return function_arn(COMPLETION_NAME)

    @property
    def watchdog_arn(self) -> str:
        """The watchdog's function."""
        return function_arn(WATCHDOG_NAME)

    def invocations(self, fn: object) -> list[Invocation]:
        """Return the deliveries to a function (its ARN, name or handler), in order of their start.

        Those of a job alone, for a decorated function or a job's name.

        Raises UsageError: there is none.
        """
        return self._open.log.of(self._name_of(fn), self._jobs_of(fn))

    def messages(self, arn: str) -> list[object]:
        """Return the messages that pools sent to an SQS queue or SNS topic as callbacks, decoded, in order.

        Any ARN of one exists.

        Raises:
            UsageError: this is no ARN of a queue or topic. Or it is one on engine "moto", where
                queues are real ones: create, subscribe and read them through boto3.
        """
        if self._options.engine == "moto":
            raise UsageError("arn", arn, "read through boto3 on engine 'moto'")
        if not isinstance(arn, str) or target_of(arn) is FUNCTION:
            raise UsageError("arn", arn, "the ARN of an SQS queue or SNS topic")
        return self._open.mailbox.of(arn)

    def max_concurrency(self, fn: object) -> int:
        """Return the most that ran at one time, refused duplicates not counted.

        Raises UsageError: there is no such function.
        """
        return self._open.log.most_at_once(self._name_of(fn), self._jobs_of(fn))

    def enqueued(self, *fns: object) -> list[EnqueuedWork]:
        """Return the work items of all pools in order of their enqueue, finished ones too.

        Those past their retention are left out. Taking this look costs neither time nor units.

        Args:
            fns: Only those of these jobs and functions: decorated functions, names of jobs, ARNs,
                names or handlers of functions. A version or alias names the function. Without any,
                those of all.

        Raises:
            UsageError: there is no such function.
        """
        asked = [(self._names_of(fn), self._jobs_of(fn)) for fn in fns]
        found = [
            (work.enqueued_at, work.id, enqueued_work(store, work))
            for store, works in self._read_works()
            for work in works
            if not fns or any(self._runs(work.spec, names, jobs) for names, jobs in asked)
        ]
        return [shown for *_, shown in sorted(found, key=lambda each: each[:2])]

    @property
    def failures(self) -> list[Failure]:
        """The work items and callbacks that failed for good, with the errors of their code, in order.

        Taking this look costs neither time nor units.
        """
        return [each for each in self.failed_attempts() if each.final]

    def failed_attempts(self) -> list[Failure]:
        """Return as `failures`, and what failed the last time and will be tried again."""
        return in_order(
            failure
            for store, works in self._read_works()
            for failure in failed_attempts(store, works, self._open.runs.notes)
        )

    @property
    def _open(self) -> Platform:
        if self._platform is None:
            raise LocalCloudError("a LocalCloud is to be used in a `with`")
        return self._platform

    @property
    def _engine_open(self) -> Engine:
        if self._engine is None:
            raise LocalCloudError("a LocalCloud is to be used in a `with`")
        return self._engine

    def _read_works(self) -> list[tuple[Store, tuple[WorkItem, ...]]]:
        """Return the work items of each table, read without leaving a trace in the cloud."""
        stores = [self._engine_open.quiet(table) for table in tuple(self._ports)]
        return [(store, tuple(work_items_in(store))) for store in stores]

    def _name_of(self, fn: object) -> str:
        """Return the name of a function, of several with one handler that of the last."""
        return self._names_of(fn)[-1]

    def _names_of(self, fn: object) -> tuple[str, ...]:
        functions = self._open.functions
        names: tuple[str, ...]
        if isinstance(fn, str):
            named = self._function_of(fn)
            names = functions.names_of_job(fn) or (() if named is None else (named,))
        else:
            names = functions.names_of_handler(fn)
        if not names:
            allowed = "a function of this cloud: its ARN, name, job, or handler"
            raise UsageError("fn", fn, allowed)
        return names

    def _jobs_of(self, fn: object) -> tuple[str, ...]:
        """Return the jobs that a value names; none for a function as a whole."""
        if isinstance(fn, str):
            return (fn,) if fn in self._open.functions.jobs() else ()
        return jobs_of(fn)

    def _runs(self, spec: Spec, names: tuple[str, ...], jobs: tuple[str, ...]) -> bool:
        """True if one of these functions runs one of these jobs for a spec; no jobs mean any."""
        resolved = self._open.functions.resolve(spec.target)
        if resolved is None or resolved.function.name not in names:
            return False
        ran = jobs_of(resolved.function.handler) if spec.job is None else (spec.job,)
        return not jobs or set(ran) <= set(jobs)

    def _function_of(self, target: str) -> str | None:
        resolved = self._open.functions.resolve(target)
        return None if resolved is None else resolved.function.name
