"""Takes the statistics of a pool, in the process of the caller.

A pass of the loop never counts a backlog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from workpool_aws.core import limits
from workpool_aws.core.loop.classify import Look, Taken, classify
from workpool_aws.core.loop.settle import deep_low, slots_taken
from workpool_aws.core.views.job_stats import JobStats, Waiting, job_stats_of
from workpool_aws.core.views.stats import Queued, Stats, next_token_at, stats_of
from workpool_aws.flow.ledger import ledger_of
from workpool_aws.flow.reading import pages, resolved, works_of
from workpool_aws.flow.shards import marks_of
from workpool_aws.model.ids import EpochMs, WorkId, id_floor
from workpool_aws.model.loop import Ledger, MinuteReport
from workpool_aws.model.refs import (
    Collection,
    ConfigRef,
    KeyRange,
    StatusRef,
    key_before,
    readable,
)
from workpool_aws.model.work import WorkItem
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.loop import Entry, EntryKey
    from workpool_aws.ports import Ports

__all__ = ["take_stats"]


class _Backlog(NamedTuple):
    """The counted work items without a slot. There are more of what is capped."""

    pending: dict[WorkId, Waiting]
    scheduled: dict[WorkId, Waiting]
    pending_capped: bool
    scheduled_capped: bool

    @property
    def is_capped(self) -> bool:
        return self.pending_capped or self.scheduled_capped

    @property
    def queued(self) -> Queued:
        oldest_at = min((each.due_at for each in self.pending.values()), default=None)
        return Queued(
            pending=len(self.pending),
            scheduled=len(self.scheduled),
            pending_capped=self.pending_capped,
            scheduled_capped=self.scheduled_capped,
            oldest_at=oldest_at,
        )


def take_stats(ports: Ports, pool: str, *, window_ms: int, by_job: bool = False) -> Stats:
    """Returns the statistics, from several strong reads that are not one snapshot.

    Raises StoreUnavailable.
    """
    # Reports before the ledger: a minute that is reported between the two is missed for once, never
    # counted twice.
    now = ports.clock.now()
    since = EpochMs(now - window_ms)
    reports = KeyRange(collection=Collection.REPORTS, pool=pool, low=id_floor(since))
    minutes = [
        row.record
        for page in pages(ports.store, ports.telemetry, reports)
        for row in page
        if isinstance(row.record, MinuteReport)
    ]
    ledger = ledger_of(ports.store, pool)
    if (
        ledger is not None
        and ledger.tally is not None
        and all(each.tally.since != ledger.tally.since for each in minutes)
    ):
        minutes.append(MinuteReport(pool=pool, at="", tally=ledger.tally, jobs=ledger.jobs))
    count = _Count(ports, pool, ledger, now)
    backlog = count.backlog()
    stats = stats_of(
        backlog.queued,
        [each.tally for each in minutes],
        running=slots_taken(count.entries),
        window_ms=window_ms,
        now=now,
    )
    if ledger is not None and ledger.rate is not None:
        config = readable(ports.store.get(ConfigRef(pool)))
        status = readable(ports.store.get(StatusRef(pool)))
        stats = replace(stats, next_token_at=next_token_at(config, ledger, status, now))
    if not by_job:
        return stats
    return replace(stats, jobs=count.by_job(backlog, minutes, since=since))


@dataclass(frozen=True, slots=True)
class _Count:
    """A count of the work items of a pool, classified as by a pass of `now`."""

    ports: Ports
    pool: str
    ledger: Ledger | None
    now: EpochMs

    @property
    def entries(self) -> Mapping[EntryKey, Entry]:
        """The starts in flight."""
        return {} if self.ledger is None else self.ledger.entries

    def backlog(self) -> _Backlog:
        """Returns the work items that wait, with their jobs and due times."""
        later = id_floor(EpochMs(self.now + 1))
        due: dict[WorkId, Waiting] = {}
        scheduled: dict[WorkId, Waiting] = {}
        more_due = more_later = False
        for shard, mark in enumerate(marks_of(self.ledger)):
            low = deep_low(mark.work_cursor)
            if low < later:
                found, more = self._look(shard, low, key_before(later))
                due |= found[Look.DUE]
                more_due |= more
            found, more = self._look(shard, max(low, later), None)
            due |= found[Look.DUE]
            scheduled |= found[Look.LATER]
            more_later |= more
        return _Backlog(due, scheduled, more_due, more_later)

    def _look(
        self, shard: int, low: str, high: str | None
    ) -> tuple[dict[Look, dict[WorkId, Waiting]], bool]:
        """Returns the work items of a range. The flag is true if it has more than are counted."""
        ports, now = self.ports, self.now
        taken = Taken(self.entries, frozenset())
        key_range = KeyRange(
            collection=Collection.WORK,
            pool=self.pool,
            shard=shard,
            low=low,
            high=high,
            # One row more, which says that there are more. A page without a limit has a megabyte.
            limit=limits.STATS_ROWS_MAX + 1,
        )
        found: dict[Look, dict[WorkId, Waiting]] = {look: {} for look in Look}
        for count, (row, work) in enumerate(resolved(ports.store, ports.telemetry, key_range)):
            if count == limits.STATS_ROWS_MAX:
                return found, True
            if isinstance(work, WorkItem):
                look = classify(row.sort, work, taken=taken, now=now)
                found[look][work.id] = Waiting(work.spec.label, work.due_at)
        return found, False

    def by_job(
        self, backlog: _Backlog, minutes: list[MinuteReport], *, since: EpochMs
    ) -> dict[str, JobStats]:
        """Returns the statistics by job.

        The ledger does not say which jobs run, so a bounded number of these work items is read.
        """
        most = limits.JOBS_RUNNING_READ_MAX
        running = works_of(self.ports.store, self.pool, sorted(self.entries)[:most])
        return job_stats_of(
            backlog.pending.values(),
            backlog.scheduled.values(),
            [work.spec.label for work in running.values()],
            [jobs for each in minutes if (jobs := each.jobs) and jobs.since == each.tally.since],
            since=since,
            now=self.now,
            at_least=backlog.is_capped or len(self.entries) > most,
        )
