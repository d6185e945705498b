"""Commands about a pool as a whole: pools, pause, resume, limit, rate, stats."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from workpool_aws.cli.argument_types import NO_RATE
from workpool_aws.cli.output import cell
from workpool_aws.cli.pool_texts import (
    JOB_STATS_HEADER,
    config_as_json,
    config_fields,
    job_stats_rows,
    stats_as_json,
    stats_fields,
)
from workpool_aws.cli.target import Target, target_of
from workpool_aws.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from workpool_aws.core.payload import JsonValue
    from workpool_aws.core.views.status import PoolConfig

__all__ = ["run_jobs", "run_limit", "run_pause", "run_pools", "run_rate", "run_resume", "run_stats"]


def run_pause(options: argparse.Namespace) -> int:
    """`workpool pause`."""
    target = target_of(options, known=not options.new)
    return _show_config(target, target.pool.configure(None, paused=True))


def run_resume(options: argparse.Namespace) -> int:
    """`workpool resume`."""
    target = target_of(options)
    return _show_config(target, target.pool.configure(None, paused=False))


def run_limit(options: argparse.Namespace) -> int:
    """`workpool limit [N | --reset]`."""
    if options.reset and options.limit is not None:
        raise UsageError("--reset", options.limit, "given without a number")
    target = target_of(options, known=not options.new)
    if options.reset:
        return _show_config(target, target.pool.configure(None, reset=True))
    if options.limit is None:
        return _show_config(target, target.pool.config(None))
    return _show_config(target, target.pool.configure(None, max_parallelism=options.limit))


def run_rate(options: argparse.Namespace) -> int:
    """`workpool rate [N/WINDOW | none]`."""
    target = target_of(options, known=not options.new)
    if options.rate is None:
        return _show_config(target, target.pool.config(None))
    rate = None if options.rate == NO_RATE else options.rate
    return _show_config(target, target.pool.configure(None, rate_limit=rate))


def run_pools(options: argparse.Namespace) -> int:
    """`workpool pools`."""
    target = target_of(options, known=False)
    found = target.pool.pools(None)
    if target.output.as_json:
        pools: list[JsonValue] = [
            {"name": each.name, **config_as_json(each.config), "loop": each.loop} for each in found
        ]
        target.output.json({"pools": pools})
    else:
        rows: list[tuple[str, ...]] = []
        for each in found:
            limit = "paused" if each.config.paused else str(each.config.max_parallelism)
            source = each.config.override or each.config.base
            rate = "-" if each.config.rate_limit is None else str(each.config.rate_limit)
            rows.append((each.name, limit, cell(source.by or "the default"), each.loop, rate))
        header, rated = (
            ("pool", "limit", "set by", "loop", "rate"),
            any(row[-1] != "-" for row in rows),
        )
        shown = header if rated else header[:-1]
        target.output.table(shown, [row[: len(shown)] for row in rows])
    return 0


def run_jobs(options: argparse.Namespace) -> int:
    """`workpool jobs`."""
    target = target_of(options, known=False)
    jobs = target.pool.jobs(None)
    if target.output.as_json:
        found: list[JsonValue] = [{"name": name, "target": arn} for name, arn in jobs.items()]
        target.output.json({"jobs": found})
    else:
        target.output.table(("job", "function"), list(jobs.items()))
    return 0


def run_stats(options: argparse.Namespace) -> int:
    """`workpool stats`."""
    target = target_of(options)
    window = timedelta(minutes=options.minutes)
    stats = target.pool.stats(None, window, by_job=options.by_job)
    if target.output.as_json:
        target.output.json(stats_as_json(stats))
    else:
        target.output.fields(stats_fields(stats, options.minutes))
        if options.by_job:
            target.output.table(JOB_STATS_HEADER, job_stats_rows(stats))
    return 0


def _show_config(target: Target, config: PoolConfig) -> int:
    if target.output.as_json:
        target.output.json(config_as_json(config))
        return 0
    target.output.fields(config_fields(config))
    return 0
