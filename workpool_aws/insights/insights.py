"""`Insights`: questions about the pools of a table."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from workpool_aws import Workpool
from workpool_aws.api.caller import read_caller
from workpool_aws.compose import metered, ports_for
from workpool_aws.core import limits
from workpool_aws.core.views.error_marks import check_mark
from workpool_aws.core.views.instants import instant, moment_in
from workpool_aws.core.views.job_stats import check_label
from workpool_aws.errors import NotFound
from workpool_aws.flow.doctor import examine
from workpool_aws.flow.pool.error_marks import load_marks, mark_error
from workpool_aws.flow.views.last_seen import load_last_seen
from workpool_aws.insights.answers import (
    Costed,
    ErrorGroups,
    Matching,
    PoolInsight,
    ReadCost,
    WorkInsight,
    WorkRow,
    WorkRows,
)
from workpool_aws.insights.errors import gone, grouped
from workpool_aws.model.ids import EpochMs
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import boto3

    from workpool_aws.core.doctor import Finding
    from workpool_aws.core.views.details import PoolSummary
    from workpool_aws.core.views.error_marks import ErrorState
    from workpool_aws.core.views.groups import Group, GroupPage
    from workpool_aws.core.views.job_stats import JobStats
    from workpool_aws.core.views.listing import ListedWork, ListState, Page
    from workpool_aws.core.views.schedules import Schedule
    from workpool_aws.insights.answers import ErrorGroup, LastSeen, StateFilter, WorkFilter
    from workpool_aws.model.ids import WorkId
    from workpool_aws.ports import Ports

__all__ = ["Insights"]

T = TypeVar("T")

_WINDOW: Final = timedelta(minutes=30)


class Insights:
    """Questions about the pools of a table, each answered with what it cost.

    Answers come by strong reads of the moment. Nothing is cached, and nothing but `mark_error` writes.
    Threads may share it.

        >>> from workpool_aws.local import LocalCloud
        >>> with LocalCloud() as cloud:
        ...     pool = cloud.workpool("email")
        ...     ids = pool.enqueue_action_batch(None, "send-email", [{}] * 3)
        ...     answer = Insights(cloud.table).pools()
        ...     [(each.name, each.stats.pending) for each in answer.value], answer.cost.requests
        ([('email', 3)], 6)

    Args:
        table: The DynamoDB table.
        session: As for `Workpool`.
        ports: As for `Workpool`.
    """

    def __init__(
        self, table: str, *, session: boto3.Session | None = None, ports: Ports | None = None
    ) -> None:
        Workpool(table)  # refuses a name that is not allowed
        self._table = table
        self._kept: dict[str, Ports] | None = None if session is None else {}
        self._connect: Callable[[], Ports] = lambda: (
            ports_for(table, session, kept=self._kept) if ports is None else ports
        )

    @property
    def table(self) -> str:
        """The DynamoDB table."""
        return self._table

    @property
    def now(self) -> datetime:
        """The present moment, by the clock of the table's pools."""
        return instant(self._connect().clock.now())

    def pool_of(self, name: str) -> Workpool:
        """Returns the pool of this name, for acts.

        Raises UsageError for a name that is not allowed.
        """
        return Workpool(self._table, name, ports=self._connect())

    def pools(self, window: timedelta = _WINDOW) -> Costed[tuple[PoolInsight, ...]]:
        """Returns every pool of the table, by name, with its figures over the window.

        Raises as `Workpool.stats` does.
        """
        return self._asked(
            "default",
            lambda pool, ask: tuple(
                _insight(summary, ask(summary.name), window) for summary in pool.pools(None)
            ),
        )

    def pool(self, name: str, window: timedelta = _WINDOW) -> Costed[PoolInsight | None]:
        """Returns one pool with its figures and those of its jobs; `None` means an unknown one.

        Raises as `Workpool.stats` does.
        """

        def answer(pool: Workpool, _: Callable[[str], Workpool]) -> PoolInsight | None:
            found = (each for each in pool.pools(None) if each.name == name)
            return next((_insight(each, pool, window, by_job=True) for each in found), None)

        return self._asked(name, answer)

    def job(self, name: str, job: str, window: timedelta = _WINDOW) -> Costed[JobStats | None]:
        """Returns the figures of one job, or function, in a pool, and its minutes over the window.

        `None` means that none of it was counted: nothing is among the first thousand that are due or
        later or runs, and nothing ended in the window. A minute counts 16 jobs apart. Raises as `Workpool.stats` does, and UsageError for a
        name that is not allowed.
        """
        label = check_label(job)
        return self._asked(
            name, lambda pool, _: pool.stats(None, window=window, by_job=True).jobs.get(label)
        )

    def jobs(self) -> Costed[Mapping[str, str]]:
        """Returns the ARN of each deployed job by its name. Raises as `Workpool.jobs` does."""
        return self._asked("default", lambda pool, _: pool.jobs(None))

    def works(
        self, name: str, wanted: WorkFilter, after: str | None = None, *, why: bool = True
    ) -> Costed[WorkRows]:
        """Returns one page of a pool's work items, unfinished ones with their reasons.

        A page takes a bounded number of reads, so a rare error may leave it short.

        Args:
            name: The pool.
            wanted: The work items to list.
            after: The `next` of the page before. `None` means the first page.
            why: Includes the reasons, for about a read unit a row.

        Raises as `Workpool.list` does.
        """

        def answer(pool: Workpool, _: Callable[[str], Workpool]) -> WorkRows:
            found, following = _page_of(pool, wanted, after)
            open_ids = [work.work_id for work in found if why and work.outcome is None]
            reasons = {each.work_id: each for each in pool.why_batch(None, open_ids)}
            rows = (WorkRow(work=work, why=reasons.get(work.work_id)) for work in found)
            return WorkRows(rows=tuple(rows), next=following)

        return self._asked(name, answer)

    def matching(self, name: str, wanted: WorkFilter, most: int) -> Costed[Matching]:
        """Returns the work items that meet a filter, up to `most`, whatever the filter's `limit`.

        It reads a bounded number of pages. Raises as `Workpool.list` does.
        """

        def answer(pool: Workpool, _: Callable[[str], Workpool]) -> Matching:
            found: dict[WorkId, str] = {}
            after: str | None = None
            for _page in range(limits.MATCHING_PAGES_MAX):
                size = min(most - len(found), limits.LIST_MAX)
                page, after = _page_of(pool, replace(wanted, limit=size), after)
                found |= {each.work_id: each.outcome or each.state for each in page}
                if after is None or len(found) >= most:
                    break
            return Matching(
                work_ids=tuple(found),
                states=Counter(found.values()),
                at_least=after is not None,
            )

        return self._asked(name, answer)

    def token(self) -> str:
        """Returns a short text that no other call returns, which names a question in a form."""
        return self._connect().entropy.token()

    def work(
        self,
        name: str,
        work_id: str,
        *,
        args: bool = False,
        context: bool = False,
        result: bool = False,
    ) -> Costed[WorkInsight]:
        """Returns one work item, with the wanted payloads, and the reasons for its state.

        Raises as `Workpool.show` does.
        """
        return self._asked(
            name,
            lambda pool, _: WorkInsight(
                details=pool.show(None, work_id, args=args, context=context, result=result),
                why=pool.why(None, work_id),
            ),
        )

    def schedules(self, name: str) -> Costed[Sequence[Schedule]]:
        """Returns the schedules of a pool, by name. Raises as `Workpool.schedules` does."""
        return self._asked(name, lambda pool, _: pool.schedules(None))

    def groups(self, name: str, after: str | None = None) -> Costed[GroupPage]:
        """Returns one page of a pool's groups, by id from the last, or the newest without an id.

        Costs about a read unit a group, and the range of a group that is still being stored. Raises
        as `Workpool.groups` does.
        """
        return self._asked(name, lambda pool, _: pool.groups(None, order="newest", after=after))

    def group(self, name: str, group_id: str) -> Costed[Group]:
        """Returns one group with its progress. `works` with its id lists its members.

        Raises as `Workpool.group` does.
        """
        return self._asked(name, lambda pool, _: pool.group(None, group_id))

    def errors(self, name: str) -> Costed[ErrorGroups]:
        """Returns the dead letters of a pool by their errors, as people have marked them.

        The newest are read, up to a bound. Raises as `Workpool.list` does.
        """
        ports, meter = metered(self._connect())
        pool = Workpool(self._table, name, ports=ports)
        found: list[ListedWork] = []
        after: str | None = None
        while len(found) < limits.ERRORS_READ_MAX:
            page = pool.list(None, state="dead", order="newest", limit=500, after=after)
            found += page.items
            after = page.next
            if after is None:
                break
        groups = grouped(found, load_marks(ports, name))
        spent = meter.snapshot()
        answer = ErrorGroups(groups=groups, at_least=after is not None)
        return Costed(answer, ReadCost(spent.read_units, spent.requests))

    def mark_error(self, name: str, fingerprint: str, state: ErrorState) -> Costed[ErrorGroup]:
        """Marks an error of a pool as resolved or ignored, or opens it again, for all who look.

        Its dead letters stay dead letters, which can be redriven, and alarms go on counting them. A
        *resolved* error is open again once a later dead letter has it. An *ignored* one stays so until
        it is opened, which needs no dead letter: the answer then has no text. A pool keeps 100 marks, and
        a further one drops the oldest.

        Raises:
            UsageError: A value is not allowed.
            NotFound: No dead letter of the pool has this error, among the newest that are read. Nothing
                was changed.
            StoreUnavailable: DynamoDB did not answer, so the mark may or may not hold. Repeating
                the call is safe.
        """
        checked, wanted = check_mark(fingerprint, state)
        found = self.errors(name)
        group = next((each for each in found.value.groups if each.fingerprint == checked), None)
        if group is None:
            group = gone(checked) if wanted == "open" and self._has_mark(name, checked) else None
        if group is None:
            raise NotFound.of_error(checked, name)
        newest = moment_in("last_at", group.last_at) or EpochMs(0)
        author = read_caller(None).name
        marks = mark_error(self._connect(), name, checked, wanted, by=author, seen=newest)
        mark = None if wanted == "open" else marks.marks[-1]
        group = replace(
            group,
            state=wanted,
            marked_at=None if mark is None else instant(mark.at),
            marked_by=None if mark is None else mark.by,
            since=0,
        )
        return Costed(group, found.cost)

    def _has_mark(self, name: str, fingerprint: str) -> bool:
        marks = load_marks(self._connect(), name)
        return marks is not None and any(each.fingerprint == fingerprint for each in marks.marks)

    def doctor(self) -> Costed[tuple[Finding, ...]]:
        """Returns the faults of the table, its functions and its pools, with remedies.

        The configuration of AWS is read, and the watchdog's own rules are applied to each pool as of
        three minutes ago. Nothing is changed. A question that AWS refuses is a finding, too.

        Raises StoreUnavailable if the table does not answer.
        """
        ports, meter = metered(self._connect())
        found = examine(ports)
        spent = meter.snapshot()
        return Costed(found, ReadCost(spent.read_units, spent.requests))

    def last_seen(self) -> Costed[LastSeen]:
        """Returns the last signs of life of the watchdog, and of loop and reports of each pool.

        They are read from what these leave in the table anyway, so a part may have run later.

        Raises StoreUnavailable if the table does not answer, or refuses an item.
        """
        ports, meter = metered(self._connect())
        found = load_last_seen(ports)
        spent = meter.snapshot()
        return Costed(found, ReadCost(spent.read_units, spent.requests))

    def _asked(
        self, name: str, answer: Callable[[Workpool, Callable[[str], Workpool]], T]
    ) -> Costed[T]:
        """Returns the answer of a pool, which may ask further pools, with the cost of all reads."""
        ports, meter = metered(self._connect())

        def pool_of(name: str) -> Workpool:
            return Workpool(self._table, name, ports=ports)

        value = answer(pool_of(name), pool_of)
        spent = meter.snapshot()
        return Costed(value, ReadCost(spent.read_units, spent.requests))


def _insight(
    summary: PoolSummary, pool: Workpool, window: timedelta, *, by_job: bool = False
) -> PoolInsight:
    return PoolInsight(
        name=summary.name,
        config=summary.config,
        loop=summary.loop,
        stats=pool.stats(None, window=window, by_job=by_job),
    )


def _page_of(
    pool: Workpool, wanted: WorkFilter, after: str | None
) -> tuple[list[ListedWork], str | None]:
    """Returns the work items of a page, and the `after` of the next one."""
    found: list[ListedWork] = []
    for _ in range(limits.FILTER_PAGES_MAX):
        page: Page = pool.list(
            None,
            state=_stored_state(wanted.state),
            fn=wanted.fn,
            order=wanted.order,
            limit=wanted.limit - len(found),
            after=after,
            between=(wanted.since, wanted.before),
            args_contain=wanted.args,
            group=wanted.group,
        )
        found += [work for work in page.items if _admits(wanted, work)]
        after = page.next
        if after is None or len(found) == wanted.limit:
            break
    return found, after


def _stored_state(state: StateFilter | None) -> ListState | None:
    match state:
        case "success" | "failed" | "canceled":
            return "finished"
        case _:
            return state


def _admits(wanted: WorkFilter, work: ListedWork) -> bool:
    if _stored_state(wanted.state) == "finished" and wanted.state not in ("finished", work.outcome):
        return False
    text = " ".join(each for each in (work.error_type, work.error, work.last_error) if each)
    return wanted.error is None or wanted.error.casefold() in text.casefold()
