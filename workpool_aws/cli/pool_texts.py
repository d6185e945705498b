"""Texts of pools, for the fields and JSON of commands."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from workpool_aws.cli.output import iso, moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workpool_aws.core.payload import JsonValue
    from workpool_aws.core.views.job_stats import JobMinute
    from workpool_aws.core.views.stats import MinuteStats, Stats
    from workpool_aws.core.views.status import PoolConfig
    from workpool_aws.model.rate import RateLimit

__all__ = [
    "JOB_STATS_HEADER",
    "config_as_json",
    "config_fields",
    "job_stats_rows",
    "stats_as_json",
    "stats_fields",
]


JOB_STATS_HEADER: Final = (
    "job",
    "pending",
    "scheduled",
    "running",
    "oldest pending",
    "executions",
    "errors",
    "failed for good",
)


def config_fields(config: PoolConfig) -> list[tuple[str, str]]:
    """Return the configuration of a pool, as names and values."""
    override, base = config.override, config.base.by or "the default"
    pairs = [
        (
            "in force",
            (
                f"{config.max_parallelism} at a time{' (paused)' if config.paused else ''}"
                f"{_rate(config.rate_limit)}"
            ),
        ),
        (
            "base",
            (
                f"{config.base.max_parallelism}{_rate(config.base.rate_limit)}, by {base}"
                f"{_at(config.base.at)}"
            ),
        ),
    ]
    if override is None:
        pairs.append(("override", "none"))
    else:
        parts = [
            *([] if override.max_parallelism is None else [str(override.max_parallelism)]),
            *(["paused"] if override.paused else []),
            *([] if override.rate_limit is None else [str(override.rate_limit)]),
            *(["no rate limit"] if override.lifts_rate_limit else []),
        ]
        pairs.append(
            (
                "override",
                f"{', '.join(parts)}, by {override.by or 'an unnamed caller'}{_at(override.at)}",
            )
        )
    return pairs


def _rate(rate: RateLimit | None) -> str:
    return "" if rate is None else f", {rate}"


def _rate_text(rate: RateLimit | None) -> str | None:
    return None if rate is None else str(rate)


def stats_fields(stats: Stats, minutes: int) -> list[tuple[str, str]]:
    """Return the statistics of the last `minutes`, as names and values."""
    return [
        ("pending", f"{stats.pending}{' or more' if stats.pending_at_least else ''}"),
        ("scheduled", f"{stats.scheduled}{' or more' if stats.scheduled_at_least else ''}"),
        ("running", str(stats.running)),
        (
            "oldest pending",
            "-" if stats.oldest_pending_s is None else f"{stats.oldest_pending_s:.1f} s",
        ),
        ("executions", f"{stats.executions} in {minutes} min"),
        ("errors", _share(stats.error_rate)),
        ("failed for good", _share(stats.permanent_failure_rate)),
        ("start lag p50", _lag(stats.start_lag_p50_ms)),
        ("start lag p95", _lag(stats.start_lag_p95_ms)),
        *([] if stats.next_token_at is None else [("next start", moment(stats.next_token_at))]),
    ]


def job_stats_rows(stats: Stats) -> list[tuple[str, ...]]:
    """Return the statistics of each job, as rows under `JOB_STATS_HEADER`."""
    return [
        (
            job,
            str(each.pending),
            str(each.scheduled),
            str(each.running),
            "-" if each.oldest_pending_s is None else f"{each.oldest_pending_s:.1f} s",
            str(each.executions),
            _share(each.error_rate),
            _share(each.permanent_failure_rate),
        )
        for job, each in stats.jobs.items()
    ]


def stats_as_json(stats: Stats) -> dict[str, JsonValue]:
    """Return the statistics as a JSON object."""
    figures = asdict(stats)
    jobs: dict[str, JsonValue] = {
        job: {**asdict(each), "minutes": _minutes(each.minutes)} for job, each in stats.jobs.items()
    }
    return {
        **figures,
        "minutes": _minutes(stats.minutes),
        "jobs": jobs,
        "next_token_at": iso(stats.next_token_at),
    }


def _minutes(minutes: Sequence[MinuteStats | JobMinute]) -> JsonValue:
    return [{**asdict(each), "began_at": iso(each.began_at)} for each in minutes]


def _share(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"


def _lag(lag_ms: int | None) -> str:
    return "-" if lag_ms is None else f"up to {lag_ms} ms"


def _at(at: datetime | None) -> str:
    return "" if at is None else f", {moment(at)}"


def config_as_json(config: PoolConfig) -> dict[str, JsonValue]:
    """Return the configuration of a pool as a JSON object."""
    override = config.override
    return {
        "max_parallelism": config.max_parallelism,
        "paused": config.paused,
        "rate_limit": _rate_text(config.rate_limit),
        "base": {
            "max_parallelism": config.base.max_parallelism,
            "by": config.base.by,
            "at": iso(config.base.at),
            "rate_limit": _rate_text(config.base.rate_limit),
        },
        "override": None
        if override is None
        else {
            "max_parallelism": override.max_parallelism,
            "paused": override.paused,
            "by": override.by,
            "at": iso(override.at),
            "rate_limit": _rate_text(override.rate_limit),
            "lifts_rate_limit": override.lifts_rate_limit,
        },
    }
