"""Counts the loop's settled and started work items, and computes rates and lags.

Counts are kept in the ledger and committed with what they count, so no crash counts anything twice.
A minute's counts go to a report of their own when the next minute begins. Those of the last minute
stay in the ledger of a resting pool.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final, assert_never

from workpool_aws.core import limits
from workpool_aws.model.loop import JobTallies, JobTally, MinuteTally, Notice, NoticeKind
from workpool_aws.model.spec import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from workpool_aws.model.ids import EpochMs

__all__ = [
    "LAG_CLASSES_MS",
    "added",
    "added_by_job",
    "counts_by_job",
    "error_rate",
    "executions",
    "is_ahead",
    "is_full",
    "jobs_together",
    "lag_ms_at",
    "permanent_failure_rate",
    "together",
]

LAG_CLASSES_MS: Final = (
    *(
        10,
        20,
        30,
        50,
        70,
        100,
        150,
        200,
        300,
        500,
        700,
        1_000,
        1_500,
        2_000,
        3_000,
        5_000,
        7_000,
        10_000,
        20_000,
        30_000,
    ),
    *(60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 10_800_000, 43_200_000, 86_400_000),
)
"""The upper ends of the classes of lag. A longer lag counts as the last class."""


_COUNTED: Final[Mapping[Outcome, str]] = {
    Outcome.SUCCESS: "succeeded",
    Outcome.FAILED: "failed",
    Outcome.CANCELED: "canceled",
}


def is_full(tally: MinuteTally | None, now: EpochMs) -> bool:
    """True if its minute is over, so that it is reported and a new one begins."""
    return tally is not None and now - tally.since >= limits.TALLY_MS


def is_ahead(tally: MinuteTally | None, now: EpochMs) -> bool:
    """True if its minute is further ahead than clocks differ.

    No loop counted it, and it would never end.
    """
    return tally is not None and tally.since - now > limits.TALLY_MS


def added(
    tally: MinuteTally | None, records: Sequence[Notice], lags_ms: Sequence[int], now: EpochMs
) -> MinuteTally | None:
    """Returns the counts with these settled notices and these starts.

    `None` means that nothing was ever counted. A requeue is not counted.
    """
    results = Counter(name for record in records if (name := _counts_as(record)) is not None)
    if not results and not lags_ms:
        return tally
    last = len(LAG_CLASSES_MS) - 1
    lags = Counter(min(bisect_left(LAG_CLASSES_MS, lag), last) for lag in lags_ms)
    step = MinuteTally(since=now, **results, lags=tuple(sorted(lags.items())))
    return step if tally is None else together([tally, step], tally.since)


def added_by_job(
    tallies: JobTallies | None, records: Sequence[Notice], since: EpochMs
) -> JobTallies | None:
    """Returns the counts by job of the minute that began then, with these settled notices.

    `None` means that there are none. Counts of another minute are dropped, since a loop of version
    0.1 leaves them behind. The first `TALLY_JOBS_MAX` jobs of a minute are counted.
    """
    jobs = () if tallies is None or tallies.since != since else tallies.jobs
    steps = [JobTally(job=job, **counts) for job, counts in counts_by_job(records).items()]
    room = limits.TALLY_JOBS_MAX
    known = list(dict.fromkeys(each.job for each in (*jobs, *steps)))[:room]
    found = jobs_together(each for each in (*jobs, *steps) if each.job in known)
    return JobTallies(since=since, jobs=found) if found else None


def counts_by_job(records: Iterable[Notice]) -> dict[str, dict[str, int]]:
    """Returns the number of settled notices of each job, by what they count as."""
    found: dict[str, Counter[str]] = {}
    for record in records:
        name = _counts_as(record)
        if record.job is not None and name is not None:
            found.setdefault(record.job, Counter())[name] += 1
    return {job: dict(counts) for job, counts in found.items()}


def jobs_together(tallies: Iterable[JobTally]) -> tuple[JobTally, ...]:
    """Returns the sum of the counts of each job, in order of their names."""
    total: dict[str, JobTally] = {}
    for each in tallies:
        known = total.get(each.job, JobTally(job=each.job))
        total[each.job] = JobTally(
            job=each.job,
            succeeded=known.succeeded + each.succeeded,
            failed=known.failed + each.failed,
            retried=known.retried + each.retried,
            canceled=known.canceled + each.canceled,
        )
    return tuple(total[job] for job in sorted(total))


def _counts_as(record: Notice) -> str | None:
    match record.kind:
        case NoticeKind.RETRY:
            return "retried"
        case NoticeKind.PUT_BACK | NoticeKind.CHECK:
            return None
        case NoticeKind.FINISHED:
            # One without an outcome was written by a program that did not count.
            return None if record.outcome is None else _COUNTED[record.outcome]
        case _:
            assert_never(record.kind)


def together(tallies: Iterable[MinuteTally], since: EpochMs) -> MinuteTally:
    """Returns the sum of counts."""
    total = MinuteTally(since=since)
    for each in tallies:
        lags = Counter(dict(total.lags))
        lags.update(dict(each.lags))
        total = MinuteTally(
            since=since,
            succeeded=total.succeeded + each.succeeded,
            failed=total.failed + each.failed,
            retried=total.retried + each.retried,
            canceled=total.canceled + each.canceled,
            lags=tuple(sorted(lags.items())),
        )
    return total


def executions(tally: MinuteTally | JobTally) -> int:
    """Returns the number of attempts that ended."""
    return tally.succeeded + tally.failed + tally.retried + tally.canceled


def error_rate(tally: MinuteTally | JobTally) -> float | None:
    """Returns the share of failed attempts: (failed + retried) / completed.

    `None` means that none completed.
    """
    completed = executions(tally)
    return (tally.failed + tally.retried) / completed if completed else None


def permanent_failure_rate(tally: MinuteTally | JobTally) -> float | None:
    """Returns the share of work items that failed for good: failed / (completed - retried).

    `None` means that none ended.
    """
    ended = executions(tally) - tally.retried
    return tally.failed / ended if ended else None


def lag_ms_at(tally: MinuteTally, share: float) -> int | None:
    """Returns the lag that a share of the starts did not exceed, rounded up to its class.

    `None` means that nothing started.
    """
    wanted = share * sum(count for _, count in tally.lags)
    seen = 0
    for place, count in tally.lags:
        seen += count
        if seen >= wanted:
            return LAG_CLASSES_MS[place]
    return None
