"""The half of `Workpool` that reads and changes work items: status, result, list, cancel, redrive, statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

from workpool_aws.api.caller import LambdaContext, read_caller
from workpool_aws.core.cancel import CancelAnswer
from workpool_aws.core.details import PoolSummary, WorkDetails
from workpool_aws.core.listing import ListOrder, ListState, Page, check_function, check_listing, names_function
from workpool_aws.core.stats import Stats, check_window, stats_event
from workpool_aws.core.status import Result, Status, result_of, status_of
from workpool_aws.errors import NotFound, UsageError
from workpool_aws.flow import cancel, cancel_all, configure, status
from workpool_aws.flow.details import load_details, load_pools
from workpool_aws.flow.listing import list_works
from workpool_aws.flow.redrive import dead_letters, redrive, redrive_each
from workpool_aws.flow.stats import take_stats
from workpool_aws.model.ids import WorkId
from workpool_aws.model.work import Part, Work
from workpool_aws.ports import Ports

__all__ = ["PoolQueries"]

_WINDOW: Final = timedelta(minutes=5)


class PoolQueries:
    """Reads and changes the work items that a pool has already. The base of `Workpool`."""

    def __init__(self, table: str, name: str, connect: Callable[[str], Ports]) -> None:
        self._table = table
        self._name = name
        self._connect = connect

    @property
    def table(self) -> str:
        """The DynamoDB table."""
        return self._table

    @property
    def name(self) -> str:
        """The pool's name within its table."""
        return self._name

    @property
    def _ports(self) -> Ports:
        return self._connect(self._table)

    def status(self, ctx: LambdaContext | None, work_id: str) -> Status:
        """Where a work is, by a strong read: it shows everything that was acknowledged before. Never `finished` for an unknown id.

        Raises:
            UsageError: `ctx` is no context, or `work_id` no str. Any other str is merely unknown.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return status_of(self._load_shown([_checked_id("work_id", work_id)])[0])

    def status_batch(self, ctx: LambdaContext | None, ids: Iterable[str]) -> list[Status]:
        """As `status` for many works, in the order of `ids`; not one snapshot."""
        read_caller(ctx)
        if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
            raise UsageError("ids", ids, "a list of work ids")
        return [status_of(work) for work in self._load_shown([_checked_id(f"ids[{index}]", one) for index, one in enumerate(ids)])]

    def result(self, ctx: LambdaContext | None, work_id: str) -> Result | None:
        """How a work ended, by strong reads; None while it has not.

        Raises:
            NotFound: no such work is known; it may be past its retention. Or its large return value was removed by hand.
            UsageError, StoreUnavailable: as `status`.
        """
        read_caller(ctx)
        work = self._load([_checked_id("work_id", work_id)])[0]
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
        """Everything that is stored about a work item, by strong reads: status, function, options, attempts.

        Payloads may be secret, and large ones cost further reads: each is included only if it is asked for.

        Args:
            ctx: The handler's Lambda context; `None` outside Lambda.
            work_id: The work item.
            args: Include its arguments.
            context: Include the context of its callback.
            result: Include its return value.

        Raises:
            NotFound: no such work item is known; it may be past its retention.
            UsageError, StoreUnavailable: as `status`.
        """
        read_caller(ctx)
        asked = {Part.ARGS: args, Part.CONTEXT: context, Part.RESULT: result}
        parts = [part for part, wanted in asked.items() if wanted]
        details = load_details(self._ports, self.name, _checked_id("work_id", work_id), parts)
        if details is None:
            raise NotFound(work_id)
        return details

    def cancel(self, ctx: LambdaContext | None, work_id: str) -> CancelAnswer:
        """Keep a work from starting again. The answer, a str, is what holds from now on.

        * "canceled": it was pending, and never starts (again). Its result is `canceled`.
        * "requested": it is running; nobody stops it, and no retry follows. A worker may look (`Work.cancel_requested`). If it succeeds all
          the same, it is a success; if it fails where a retry would have followed, it is `canceled`.
        * "finished": it was over, and stays as it was.
        * "unknown": no such work is known; nothing changed.

        Raises:
            UsageError: `ctx` is no context, or `work_id` no str. Nothing was changed.
            StoreUnavailable: DynamoDB did not answer: it may or may not be canceled. Ask again, that does no harm.
        """
        read_caller(ctx)
        return cancel.cancel(self._ports, self.name, WorkId(_checked_id("work_id", work_id)))

    def cancel_all(self, ctx: LambdaContext | None) -> None:
        """Cancel everything that was enqueued in this pool before this call, due or not. When it returns, none of it starts any more.

        Three small writes, however much there is: the loop then cancels work by work, some thousand a second, and `on_complete` targets
        are told as of any cancel. Until it comes to a work, that is `pending` with `cancel_requested`. What runs gets a request, as by
        `cancel`; what was about to start may still run. What is enqueued later is not touched; what is enqueued meanwhile may be.

        Raises:
            UsageError: `ctx` is no context. Nothing was changed.
            StoreUnavailable: DynamoDB did not answer: it may or may not hold. Ask again, that does no harm.
        """
        caller = read_caller(ctx)
        cancel_all.cancel_all(self._ports, self.name, by=caller.name)

    def list(
        self,
        ctx: LambdaContext | None,
        state: ListState | None = None,
        fn: str | None = None,
        order: ListOrder = "oldest",
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """One page of the pool's works. What is pending, running or dead is found without reading over the works that are finished.

        The order is that of the due time, as it was enqueued; of pending works, that of the time they are due now; of dead ones, that of
        their failure, or of their callback's. At most 2,000 rows are read: a page of finished works of one function may be short, and still
        name a `next`.

        Args:
            ctx: The handler's Lambda context; None outside Lambda.
            state: "pending" (due or later), "running", "finished" (however they ended), or "dead" (failed for good and not redriven, or,
                however it ended, with a dead `callback`: these come from an index, which may lag behind a second or so). None: all.
            fn: Only works of this function: an ARN, as it was enqueued, or a name. None: of any.
            order: "oldest" or "newest" first.
            limit: At most so many works, 1 to 1,000.
            after: The `next` of the page before; None: the first page.

        Raises:
            UsageError: a value is not allowed, or `after` is from another question.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        listing = check_listing(state=state, fn=fn, order=order, limit=limit, after=after)
        return list_works(self._ports, self.name, listing)

    def redrive(self, ctx: LambdaContext | None, work_id: str) -> WorkId:
        """Make a new work from one that failed for good: same function, arguments and policy, due now, all attempts before it.

        The failed work keeps its outcome, leaves the dead letters, and names the new one, as the new one names it. It is done once: a
        second call makes nothing and returns the id of the first one's work, whatever became of that.

        A work whose callback is dead is not run again, however it ended: its callback is delivered again, with all tries before it, and its
        own id is returned. If it failed for good as well, it stays among the dead letters for that, and a further call makes a new work.

        Raises:
            NotFound: no such work is known; it may be past its retention.
            UsageError: the work neither failed for good nor has a dead callback. Nothing was made.
            StoreUnavailable: DynamoDB did not answer: it may or may not be redriven. Ask again, that does no harm; but of a work that both
                failed and has a dead callback, ask `status` first which of the two was meant.
        """
        caller = read_caller(ctx)
        return redrive(self._ports, self.name, _checked_id("work_id", work_id), link=caller.link)

    def redrive_all(self, ctx: LambdaContext | None, fn: str | None = None) -> int:
        """Redrive every dead letter, or those of one function, each as `redrive` does; how many this call redrove.

        What dies while it runs, or died a moment ago, may be left for the next call; so is a failure whose callback was dead as well.

        Raises:
            UsageError: `ctx` is no context, or `fn` no name or ARN. Nothing was made.
            StoreUnavailable: DynamoDB did not answer: some may be redriven. Ask again: that redrives the others.
        """
        caller = read_caller(ctx)
        wanted, ports = check_function(fn), self._ports
        return redrive_each(ports, self.name, _dead_letters(ports, self.name, wanted), link=caller.link)

    def count_dead_letters(self, ctx: LambdaContext | None, fn: str | None = None) -> int:
        """The number of dead letters that `redrive_all` would redrive now, of all functions or of one.

        Reads each dead letter, from an index that may lag behind by a second or so.

        Raises:
            UsageError: `ctx` is no context, or `fn` no name or ARN.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return len(_dead_letters(self._ports, self.name, check_function(fn)))

    def is_known(self, ctx: LambdaContext | None) -> bool:
        """True for a pool that had work once, or was given a limit.

        Raises:
            UsageError: `ctx` is no context.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return configure.is_known(self._ports, self.name)

    def pools(self, ctx: LambdaContext | None) -> tuple[PoolSummary, ...]:
        """Every pool of this pool's table that ever had work, by name, with its limits and the state of its loop.

        Raises:
            UsageError: `ctx` is no context.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return load_pools(self._ports)

    def stats(self, ctx: LambdaContext | None, window: timedelta = _WINDOW) -> Stats:
        """How the pool does. Costs some 250 read units where the backlog is long (it is counted to 1,000), else a few.

        Args:
            ctx: The handler's Lambda context; None outside Lambda.
            window: How far back executions, rates and lags are counted, from a minute to 7 days.

        Raises:
            UsageError: a value is not allowed.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return take_stats(self._ports, self.name, window_ms=check_window(window))

    def log_stats(self, ctx: LambdaContext | None, window: timedelta = _WINDOW) -> None:
        """Log what `stats` says as one structured event, `stats`, whatever the log level. Raises as `stats` does."""
        read_caller(ctx)
        window_ms = check_window(window)
        ports = self._ports
        ports.telemetry.emit(stats_event(self.name, take_stats(ports, self.name, window_ms=window_ms), window_ms=window_ms))

    def _load(self, ids: Sequence[str]) -> Sequence[Work | None]:
        return status.load(self._ports, self.name, ids)

    def _load_shown(self, ids: Sequence[str]) -> Sequence[Work | None]:
        return status.as_shown(self._ports, self.name, self._load(ids))


def _dead_letters(ports: Ports, pool: str, fn: str | None) -> list[WorkId]:
    return dead_letters(ports, pool, lambda work: names_function(fn, work.target))


def _checked_id(field: str, work_id: object) -> str:
    if not isinstance(work_id, str):
        raise UsageError(field, work_id, "a work id: the str that enqueueing returned")
    return work_id
