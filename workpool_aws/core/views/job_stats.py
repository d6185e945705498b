"""Statistics of the jobs of a pool: `JobStats`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from workpool_aws.core.loop.tally import (
    error_rate,
    executions,
    jobs_together,
    permanent_failure_rate,
)
from workpool_aws.core.views.instants import instant
from workpool_aws.errors import UsageError
from workpool_aws.model import events
from workpool_aws.model.loop import JobTally
from workpool_aws.model.names import FUNCTION_NAME, JOB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import JobTallies

__all__ = ["JobMinute", "JobStats", "Waiting", "check_label", "job_stats_event", "job_stats_of"]


class Waiting(NamedTuple):
    """A work item of the backlog."""

    job: str
    due_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMinute:
    """Counts of one job in about a minute, each as in `MinuteStats`."""

    began_at: datetime
    succeeded: int
    failed: int
    retried: int
    canceled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStats:
    """Figures of one job, each as in `Stats`.

    A work item without a job's name counts for its function. Each minute counts the executions of
    16 jobs apart; those of further jobs are in the pool's figures alone.
    """

    pending: int
    scheduled: int
    running: int
    oldest_pending_s: float | None
    executions: int
    error_rate: float | None
    permanent_failure_rate: float | None
    minutes: tuple[JobMinute, ...] = ()
    """The minutes of the window in which an attempt of the job ended, the earliest first."""
    at_least: bool = False
    """As in `Stats`, of the pool: some of those that were not counted may be of this job."""


def check_label(job: object) -> str:
    """Returns the name under which a job is counted. Raises UsageError for a name that is not allowed."""
    if isinstance(job, str) and any(each.fullmatch(job) for each in (JOB, FUNCTION_NAME)):
        return job
    raise UsageError("job", job, "the name of a job, or of a function")


def job_stats_of(
    pending: Iterable[Waiting],
    scheduled: Iterable[Waiting],
    running: Iterable[str],
    minutes: Sequence[JobTallies],
    *,
    since: EpochMs,
    now: EpochMs,
    at_least: bool = False,
) -> dict[str, JobStats]:
    """Returns the statistics of each job that has any, by name.

    `running` has the job of each slot in use.
    """
    due: dict[str, list[EpochMs]] = {}
    for each in pending:
        due.setdefault(each.job, []).append(each.due_at)
    later = Counter(each.job for each in scheduled)
    slots = Counter(running)
    within = sorted((each for each in minutes if each.since >= since), key=lambda each: each.since)
    counted = jobs_together(job for each in within for job in each.jobs)
    tallies = {each.job: each for each in counted}
    by_minute = _by_minute(within)
    return {
        job: JobStats(
            pending=len(due.get(job, ())),
            scheduled=later[job],
            running=slots[job],
            oldest_pending_s=max(0, now - min(due[job])) / 1000 if job in due else None,
            executions=executions(tally),
            error_rate=error_rate(tally),
            permanent_failure_rate=permanent_failure_rate(tally),
            minutes=tuple(by_minute.get(job, ())),
            at_least=at_least,
        )
        for job in sorted({*due, *later, *slots, *tallies})
        for tally in (tallies.get(job, JobTally(job=job)),)
    }


def _by_minute(minutes: Iterable[JobTallies]) -> dict[str, list[JobMinute]]:
    """Returns the minutes of each job, in the order of `minutes`."""
    found: dict[str, list[JobMinute]] = {}
    for minute in minutes:
        for tally in minute.jobs:
            one = JobMinute(
                began_at=instant(minute.since),
                succeeded=tally.succeeded,
                failed=tally.failed,
                retried=tally.retried,
                canceled=tally.canceled,
            )
            found.setdefault(tally.job, []).append(one)
    return found


def job_stats_event(
    pool: str, job: str, stats: JobStats, *, window_ms: int
) -> events.JobStatsTaken:
    """Returns the log event of a job's statistics."""
    return events.JobStatsTaken(
        pool=pool,
        job=job,
        window_ms=window_ms,
        pending=stats.pending,
        scheduled=stats.scheduled,
        running=stats.running,
        oldest_pending_s=stats.oldest_pending_s,
        executions=stats.executions,
        error_rate=stats.error_rate,
        permanent_failure_rate=stats.permanent_failure_rate,
    )
