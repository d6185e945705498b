"""`PoolQueries`, the part of `Workpool` that reads enqueued work items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from workpool_aws.api.caller import checked_id, read_caller
from workpool_aws.api.job_filter import read_filter
from workpool_aws.api.pool_base import PoolBase
from workpool_aws.core.group.members import bounds_of
from workpool_aws.core.views.job_stats import job_stats_event
from workpool_aws.core.views.listing import (
    ListOrder,
    ListState,
    Page,
    check_listing,
)
from workpool_aws.core.views.stats import Stats, check_by_job, check_window, stats_event
from workpool_aws.core.views.status import Result, Status, result_of, status_of
from workpool_aws.errors import NotFound, UsageError
from workpool_aws.flow.pool import configure
from workpool_aws.flow.views import status
from workpool_aws.flow.views.details import load_details, load_pools
from workpool_aws.flow.views.groups import load_group
from workpool_aws.flow.views.listing import list_works
from workpool_aws.flow.views.stats import take_stats
from workpool_aws.flow.views.why import load_why, load_whys
from workpool_aws.model.payload import Part

if TYPE_CHECKING:
    from workpool_aws.api.caller import LambdaContext
    from workpool_aws.api.handle import JobHandle
    from workpool_aws.core.views.details import PoolSummary, WorkDetails
    from workpool_aws.core.views.why.answer import Why
    from workpool_aws.model.work import WorkItem

__all__ = ["ListConditions", "PoolQueries"]

_WINDOW: Final = timedelta(minutes=5)


class ListConditions(TypedDict, total=False):
    """Further conditions of a list, each of which has to hold.

    A condition left out is `None`, which means any work item.

    between:
        The earliest time of the list, by its order, and the time at which it ends. `None` in either
        place means no bound.
    args_contain:
        A text of up to 1,000 characters that the arguments contain as JSON, in any case. Arguments
        above 4 KB are stored apart, and never match.
    group:
        The id of the group of which they are members. Members lie together, so no other work item
        is read, but for pending and dead ones.
    """

    between: tuple[datetime | None, datetime | None] | None
    args_contain: str | None
    group: str | None


class PoolQueries(PoolBase):
    """Reads the work items that a pool already has. A part of `Workpool`."""

    def status(self, ctx: LambdaContext | None, work_id: str) -> Status:
        """Return the state of a work item, by a strong read of every write acknowledged before.

        An unknown id is `unknown`, and never `finished`.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...     arn = cloud.function(lambda event, context: None, name="noop")
            ...     work_id = pool.enqueue_action(None, arn, {})
            ...     before = pool.status(None, work_id)
            ...     cloud.run_until_idle()
            ...     after = pool.status(None, work_id)
            ...     before.state, after.state, after.outcome, pool.status(None, "no such id").state
            ('pending', 'finished', 'success', 'unknown')

        Raises:
            UsageError: `ctx` is no context, or `work_id` no str.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return status_of(self._load_shown([checked_id("work_id", work_id)])[0])

    def status_batch(self, ctx: LambdaContext | None, ids: Iterable[str]) -> list[Status]:
        """As `status` for many work items, in the order of `ids`.

        The reads are not one snapshot.
        """
        read_caller(ctx)
        return [status_of(work) for work in self._load_shown(_checked_ids(ids))]

    def result(self, ctx: LambdaContext | None, work_id: str) -> Result | None:
        """Return the result of a work item, by strong reads. `None` means that it has not finished.

            >>> from workpool_aws.local import LocalCloud
            >>> def divide(event, context):
            ...     return event["a"] // event["b"]
            >>> with LocalCloud() as cloud:
            ...     pool, divide_arn = cloud.workpool(), cloud.function(divide)
            ...     good, bad = pool.enqueue_action_batch(
            ...         None, divide_arn, [{"a": 6, "b": 2}, {"a": 6, "b": 0}]
            ...     )
            ...     cloud.run_until_idle()
            ...     pool.result(None, good).return_value
            ...     pool.result(None, bad).error_type
            3
            'ZeroDivisionError'

        Raises:
            NotFound: No work item of this id is known; it may be past its retention. Or a person
                removed its return value.
            UsageError, StoreUnavailable: As `status`.
        """
        read_caller(ctx)
        work = self._load([checked_id("work_id", work_id)])[0]
        if work is None:
            raise NotFound(work_id)
        whole = status.with_result(self._ports, work)
        if whole is None:
            raise NotFound(work_id, "it succeeded, and its return value is gone or damaged")
        return result_of(whole)

    def show(
        self,
        ctx: LambdaContext | None,
        work_id: str,
        *,
        args: bool = False,
        context: bool = False,
        result: bool = False,
    ) -> WorkDetails:
        """Return everything that is stored about a work item, by strong reads.

        Payloads may be secret, and large ones cost further reads. Each is included only on request.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...     work_id = pool.enqueue_action(None, "send-email", {"to": "a@example.com"})
            ...     details = pool.show(None, work_id, args=True)
            ...     details.target, details.claimed, details.args.value
            ('send-email', True, {'to': 'a@example.com'})

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            work_id: The id that enqueueing returned.
            args: Includes the arguments.
            context: Includes the context of the callback.
            result: Includes the return value.

        Raises:
            NotFound: No work item of this id is known; it may be past its retention.
            UsageError, StoreUnavailable: As `status`.
        """
        read_caller(ctx)
        asked = {Part.ARGS: args, Part.CONTEXT: context, Part.RESULT: result}
        parts = [part for part, wanted in asked.items() if wanted]
        details = load_details(self._ports, self.name, checked_id("work_id", work_id), parts)
        if details is None:
            raise NotFound(work_id)
        return details

    def why(self, ctx: LambdaContext | None, work_id: str) -> Why:
        """Return the reasons for which a work item does not run, or has not finished, in order.

        The loop's own admission and classification decide, on strong reads of the present records.
        Nothing is guessed: a reason says so where the records do not have a fact.

        A call costs five to seven read units in one request. In a full pool a second request reads
        up to twenty of the work items that hold its slots. A unique key adds two to three reads.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...     pool.configure(None, paused=True).paused
            ...     why = pool.why(None, pool.enqueue_action(None, "send-email", {}))
            ...     why.verdict, [reason.code for reason in why.reasons]
            True
            ('blocked', ['paused'])

        Raises:
            UsageError, StoreUnavailable: As `status`. An unknown id is an answer, not an error.
        """
        read_caller(ctx)
        return load_why(self._ports, self.name, checked_id("work_id", work_id))

    def why_batch(self, ctx: LambdaContext | None, ids: Iterable[str]) -> list[Why]:
        """As `why` for many work items of one moment, in the order of `ids`.

        The records of the pool are read once, so each further work item costs a read unit or so.
        """
        read_caller(ctx)
        return load_whys(self._ports, self.name, _checked_ids(ids))

    def list(
        self,
        ctx: LambdaContext | None,
        state: ListState | None = None,
        fn: str | JobHandle[..., Any] | None = None,
        order: ListOrder = "oldest",
        limit: int = 50,
        after: str | None = None,
        **conditions: Unpack[ListConditions],
    ) -> Page:
        """Return one page of the pool's work items.

        Pending, running and dead ones are found without reading finished ones.

        Work items come in the order of their due time at enqueue. Pending ones come in the order of
        their present due time, dead ones in that of their failure, or of their callback's. The call
        reads at most 2,000 rows, so a page of one job's finished work items may be short and still
        have a `next`.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...     ids = pool.enqueue_action_batch(
            ...         None, "send-email", [{"n": n} for n in range(3)]
            ...     )
            ...     first = pool.list(None, state="pending", limit=2)
            ...     second = pool.list(None, state="pending", limit=2, after=first.next)
            ...     (
            ...         [work.work_id for page in (first, second) for work in page.items] == ids,
            ...         second.next,
            ...     )
            (True, None)

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            state: "pending" (due now or later), "running", "finished" (with any outcome), or "dead"
                (failed for good and not redriven, or with a dead `callback`). Dead ones come from
                an index, which may lag behind by a second or so. `None` means all.
            fn: The only job to list, by its decorated function or name, or the only function, by
                its ARN as it was enqueued, or by name. `None` means all.
            order: "oldest" or "newest" first.
            limit: The most work items of the page, 1 to 1,000.
            after: The `next` of the page before. `None` means the first page.
            conditions: `between`, `args_contain` and `group`. See `ListConditions`.

        Raises:
            UsageError: A value is not allowed, or `after` comes from a page of another state or
                order.
            NotFound: There is no such group.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        wanted = read_filter(lambda: self._ports, fn)
        listing = check_listing(state=state, fn=wanted, order=order, limit=limit, after=after)
        listing = listing.narrowed(**conditions)
        if listing.group is not None:
            item = load_group(self._ports, self.name, listing.group)
            if item is None:
                raise NotFound.of_group(listing.group, self.name)
            listing = listing.of_members(*bounds_of(item))
        return list_works(self._ports, self.name, listing)

    def is_known(self, ctx: LambdaContext | None) -> bool:
        """True for a pool that had work once, or was given a limit.

        Raises:
            UsageError: `ctx` is no context.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return configure.is_known(self._ports, self.name)

    def pools(self, ctx: LambdaContext | None) -> tuple[PoolSummary, ...]:
        """Return the pools of the table that ever had work, with their limits and loops, by name.

        Raises:
            UsageError: `ctx` is no context.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return load_pools(self._ports)

    def jobs(self, ctx: LambdaContext | None) -> Mapping[str, str]:
        """Return the ARN of each deployed job and handler of callbacks, by name.

        It may be some seconds old.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...
            ...     @pool.action
            ...     def send_email(to: str) -> None: ...
            ...
            ...     send_arn = cloud.function(send_email)
            ...     dict(pool.jobs(None)) == {"send_email": send_arn}
            True

        Raises:
            UsageError: `ctx` is no context.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        found = self._ports.jobs("")
        return {name: found[name] for name in sorted(found)}

    def stats(
        self, ctx: LambdaContext | None, window: timedelta = _WINDOW, *, by_job: bool = False
    ) -> Stats:
        """Backlog, rates and lags of the pool, and with `by_job` those of each job.

        A call costs a few read units; with a long backlog, which it counts to 1,000, about 250.
        `by_job` costs one more for each running work item.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...     ids = pool.enqueue_action_batch(None, "send-email", [{}] * 3)
            ...     stats = pool.stats(None)
            ...     stats.pending, stats.running, stats.executions
            (3, 0, 0)

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            window: The time over which executions, rates and lags are counted, from a minute to 7
                days.
            by_job: Adds the figures of each job, in `Stats.jobs`.

        Raises:
            UsageError: A value is not allowed.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return take_stats(
            self._ports, self.name, window_ms=check_window(window), by_job=check_by_job(by_job)
        )

    def log_stats(
        self, ctx: LambdaContext | None, window: timedelta = _WINDOW, *, by_job: bool = False
    ) -> None:
        """Log the result of `stats` as one structured event named `stats`, at any log level.

        With `by_job`, an event named `job_stats` follows for each job. Raises as `stats` does.
        """
        window_ms = check_window(window)
        stats = self.stats(ctx, window, by_job=by_job)
        emit = self._ports.telemetry.emit
        emit(stats_event(self.name, stats, window_ms=window_ms))
        for job, figures in stats.jobs.items():
            emit(job_stats_event(self.name, job, figures, window_ms=window_ms))

    def _load_shown(self, ids: Sequence[str]) -> Sequence[WorkItem | None]:
        return status.as_shown(self._ports, self.name, self._load(ids))


def _checked_ids(ids: object) -> list[str]:
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise UsageError("ids", ids, "a list of work ids")
    return [checked_id(f"ids[{index}]", one) for index, one in enumerate(ids)]
