"""Statistics of a pool: `Stats`, made from the loop's counts and from rows of the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.core.loop.rate import tokens_of
from workpool_aws.core.loop.rate_left import counted_now
from workpool_aws.core.loop.tally import (
    error_rate,
    executions,
    lag_ms_at,
    permanent_failure_rate,
    together,
)
from workpool_aws.core.views.instants import instant
from workpool_aws.errors import UsageError
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from workpool_aws.core.views.job_stats import JobStats
    from workpool_aws.model.loop import Config, Ledger, LoopStatus, MinuteTally

__all__ = [
    "MinuteStats",
    "Queued",
    "Stats",
    "check_by_job",
    "check_window",
    "next_token_at",
    "stats_event",
    "stats_of",
]

_MILLISECOND: Final = timedelta(milliseconds=1)
_WINDOW_MIN: Final = timedelta(milliseconds=limits.STATS_WINDOW_MS_MIN)
_WINDOW_MAX: Final = timedelta(milliseconds=limits.STATS_WINDOW_MS_MAX)


@dataclass(frozen=True, slots=True)
class Queued:
    """The backlog, up to the number of rows that are counted: there may be more of what is capped.

    `oldest_at` is the earliest due time of the due work items; `None` means that none is due.
    """

    pending: int
    scheduled: int
    pending_capped: bool
    scheduled_capped: bool
    oldest_at: EpochMs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteStats:
    """Counts of about a minute, as the loop reported them.

    The loop counts while it is up, so quiet minutes are missing, and the last one is not over.
    """

    began_at: datetime
    succeeded: int
    failed: int
    """Work items that failed for good."""
    retried: int
    """Attempts that failed and are followed by another."""
    canceled: int
    """Attempts that failed, and were not retried because of a cancel."""
    started: int
    """Starts, by the lags that were measured."""
    start_lag_p95_ms: int | None
    """As in `Stats`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Figures of a pool: `pending` to `oldest_pending_s` as of now, the others over the window.

    The window consists of the whole minutes that began in it. Attempts that the loop has not
    settled are not counted.
    """

    pending: int
    """Work items that are due and have no slot."""
    scheduled: int
    """Work items that are due later."""
    at_least: bool
    """True if there are more pending or scheduled work items than counted: at most 1,000 rows are
    read for each."""
    running: int
    """Slots in use, by the ledger."""
    oldest_pending_s: float | None
    """Seconds since the earliest pending work item was due. `None` means that none is pending."""
    executions: int
    """Attempts that ended, with any outcome."""
    error_rate: float | None
    """(failed + retried) / completed attempts. `None` means that none completed."""
    permanent_failure_rate: float | None
    """failed / (completed - retried), the share of finished work items that failed for good. `None`
    means that none finished."""
    start_lag_p50_ms: int | None
    """Time from due time to the loop's choice, median over starts, rounded up to a class.

    The commit, the invoke and the worker's start write come after it: `lag_ms` of the event
    `completed` has them, too. `None` means that nothing started."""
    start_lag_p95_ms: int | None
    """As `start_lag_p50_ms`, the 95th percentile."""
    minutes: tuple[MinuteStats, ...] = ()
    """The minutes of the window in which something happened, the earliest first."""
    next_token_at: datetime | None = None
    """Time before which the rate limit lets no start through. `None` means that it lets one through
    now, or that no start was made under one."""
    pending_at_least: bool = False
    """True if there are more pending work items than counted."""
    scheduled_at_least: bool = False
    """True if there are more scheduled work items than counted."""
    jobs: Mapping[str, JobStats] = field(default_factory=dict, hash=False)
    """The jobs that have any figures, by name. Empty unless `by_job` was asked for."""


def check_window(window: object) -> int:
    """Returns the window in milliseconds.

    Raises UsageError for a value that is no timedelta from a minute to 7 days.
    """
    if not isinstance(window, timedelta) or not _WINDOW_MIN <= window <= _WINDOW_MAX:
        raise UsageError("window", window, f"a timedelta from a minute to {_WINDOW_MAX.days} days")
    return window // _MILLISECOND


def check_by_job(by_job: object) -> bool:
    """Returns the flag. Raises UsageError for anything but True or False."""
    if not isinstance(by_job, bool):
        raise UsageError("by_job", by_job, "True or False")
    return by_job


def stats_of(
    queued: Queued, tallies: Sequence[MinuteTally], *, running: int, window_ms: int, now: EpochMs
) -> Stats:
    """Returns the statistics. Tallies of minutes before the window are left out."""
    since = EpochMs(now - window_ms)
    counted = sorted((each for each in tallies if each.since >= since), key=lambda one: one.since)
    total = together(counted, since)
    oldest_s = None if queued.oldest_at is None else max(0, now - queued.oldest_at) / 1000
    return Stats(
        pending=queued.pending,
        scheduled=queued.scheduled,
        at_least=queued.pending_capped or queued.scheduled_capped,
        pending_at_least=queued.pending_capped,
        scheduled_at_least=queued.scheduled_capped,
        running=running,
        oldest_pending_s=oldest_s,
        executions=executions(total),
        error_rate=error_rate(total),
        permanent_failure_rate=permanent_failure_rate(total),
        start_lag_p50_ms=lag_ms_at(total, 0.5),
        start_lag_p95_ms=lag_ms_at(total, 0.95),
        minutes=tuple(_minute(each) for each in counted),
    )


def next_token_at(
    config: Config | None, ledger: Ledger | None, status: LoopStatus | None, now: EpochMs
) -> datetime | None:
    """Returns the time of the next token of the rate limit, if there is none now."""
    spent = counted_now(ledger, status)
    tokens = tokens_of(None if config is None else config.rate, spent, now)
    return None if tokens is None or tokens.free else instant(tokens.next_at)


def _minute(tally: MinuteTally) -> MinuteStats:
    return MinuteStats(
        began_at=instant(tally.since),
        succeeded=tally.succeeded,
        failed=tally.failed,
        retried=tally.retried,
        canceled=tally.canceled,
        started=sum(count for _, count in tally.lags),
        start_lag_p95_ms=lag_ms_at(tally, 0.95),
    )


def stats_event(pool: str, stats: Stats, *, window_ms: int) -> events.StatsTaken:
    """Returns the log event of these statistics."""
    return events.StatsTaken(
        pool=pool,
        window_ms=window_ms,
        pending=stats.pending,
        scheduled=stats.scheduled,
        at_least=stats.at_least,
        running=stats.running,
        oldest_pending_s=stats.oldest_pending_s,
        executions=stats.executions,
        error_rate=stats.error_rate,
        permanent_failure_rate=stats.permanent_failure_rate,
        start_lag_p50_ms=stats.start_lag_p50_ms,
        start_lag_p95_ms=stats.start_lag_p95_ms,
    )
