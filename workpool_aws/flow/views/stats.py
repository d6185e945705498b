"""Takes the statistics of a pool, in the process of the caller.

A pass of the loop never counts a backlog.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from workpool_aws.core import limits
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.loop.start import Look, Taken, classify
from workpool_aws.core.views.job_stats import JobStats, Waiting, job_stats_of
from workpool_aws.core.views.stats import Queued, Stats, stats_of
from workpool_aws.flow.reading import pages, resolved, works_of
from workpool_aws.flow.shards import ledger_of, marks_of
from workpool_aws.model.ids import EpochMs, WorkId, id_floor
from workpool_aws.model.loop import Ledger, MinuteReport
from workpool_aws.model.refs import Collection, KeyRange, key_before
from workpool_aws.model.work import WorkItem

if TYPE_CHECKING:
    from workpool_aws.ports import Ports

__all__ = ["take_stats"]


class _Backlog(NamedTuple):
    """The counted work items without a slot. `capped`: there are more."""

    pending: dict[WorkId, Waiting]
    scheduled: dict[WorkId, Waiting]
    capped: bool

    @property
    def queued(self) -> Queued:
        oldest_at = min((each.due_at for each in self.pending.values()), default=None)
        return Queued(len(self.pending), len(self.scheduled), self.capped, oldest_at)


def take_stats(ports: Ports, pool: str, *, window_ms: int, by_job: bool = False) -> Stats:
    """Returns the statistics, from several strong reads that are not one snapshot.

    Raises StoreUnavailable.
    """
    now = ports.clock.now()
    # Reports before the ledger: a minute that is reported between the two is missed for once, never
    # counted twice.
    minutes = _reported(ports, pool, EpochMs(now - window_ms))
    ledger = ledger_of(ports.store, pool)
    if (
        ledger is not None
        and ledger.tally is not None
        and all(each.tally.since != ledger.tally.since for each in minutes)
    ):
        minutes.append(MinuteReport(pool=pool, at="", tally=ledger.tally, jobs=ledger.jobs))
    backlog = _backlog(ports, pool, ledger, now)
    stats = stats_of(
        backlog.queued,
        [each.tally for each in minutes],
        running=0 if ledger is None else len(ledger.entries),
        window_ms=window_ms,
        now=now,
    )
    if not by_job:
        return stats
    since = EpochMs(now - window_ms)
    return replace(stats, jobs=_by_job(ports, pool, ledger, backlog, minutes, since=since, now=now))


def _reported(ports: Ports, pool: str, since: EpochMs) -> list[MinuteReport]:
    reports = KeyRange(collection=Collection.REPORTS, pool=pool, low=id_floor(since))
    return [
        row.record
        for page in pages(ports.store, ports.telemetry, reports)
        for row in page
        if isinstance(row.record, MinuteReport)
    ]


def _by_job(
    ports: Ports,
    pool: str,
    ledger: Ledger | None,
    backlog: _Backlog,
    minutes: list[MinuteReport],
    *,
    since: EpochMs,
    now: EpochMs,
) -> dict[str, JobStats]:
    """Returns the statistics by job. The ledger does not say which jobs run, so they are read."""
    running = works_of(ports.store, pool, () if ledger is None else ledger.entries)
    return job_stats_of(
        backlog.pending.values(),
        backlog.scheduled.values(),
        [work.spec.label for work in running.values()],
        [
            each.jobs
            for each in minutes
            if each.jobs is not None and each.jobs.since == each.tally.since
        ],
        since=since,
        now=now,
    )


def _backlog(ports: Ports, pool: str, ledger: Ledger | None, now: EpochMs) -> _Backlog:
    taken = Taken(() if ledger is None else ledger.entries, frozenset())
    later = id_floor(EpochMs(now + 1))
    due: dict[WorkId, Waiting] = {}
    scheduled: dict[WorkId, Waiting] = {}
    capped = False
    for shard, mark in enumerate(marks_of(ledger)):
        low = deep_low(mark.work_cursor)
        if low < later:
            found, more = _look(
                ports,
                KeyRange(
                    collection=Collection.WORK,
                    pool=pool,
                    shard=shard,
                    low=low,
                    high=key_before(later),
                ),
                taken,
                now,
            )
            due |= found[Look.DUE]
            capped |= more
        found, more = _look(
            ports,
            KeyRange(collection=Collection.WORK, pool=pool, shard=shard, low=max(low, later)),
            taken,
            now,
        )
        due |= found[Look.DUE]
        scheduled |= found[Look.LATER]
        capped |= more
    return _Backlog(due, scheduled, capped)


def _look(
    ports: Ports, key_range: KeyRange, taken: Taken, now: EpochMs
) -> tuple[dict[Look, dict[WorkId, Waiting]], bool]:
    """Returns the work items of a range with their jobs and due times, classified as by a pass.

    The flag is true if there are more rows than are counted.
    """
    found: dict[Look, dict[WorkId, Waiting]] = {look: {} for look in Look}
    for count, (row, work) in enumerate(resolved(ports.store, ports.telemetry, key_range)):
        if count == limits.STATS_ROWS_MAX:
            return found, True
        if isinstance(work, WorkItem):
            look = classify(row.sort, work, taken=taken, now=now)
            found[look][work.id] = Waiting(work.spec.label, work.due_at)
    return found, False
