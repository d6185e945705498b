"""Commands about a pool as a whole: pools, pause, resume, limit, stats."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from workpool_aws.cli.output import cell, iso, moment
from workpool_aws.cli.target import Target, target_of
from workpool_aws.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from workpool_aws.core.payload import JsonValue
    from workpool_aws.core.views.stats import Stats
    from workpool_aws.core.views.status import PoolConfig

__all__ = ["run_limit", "run_pause", "run_pools", "run_resume", "run_stats"]


def run_pause(options: argparse.Namespace) -> int:
    """`workpool pause`."""
    target = target_of(options, known=not options.new)
    return _say_config(target, target.pool.configure(None, paused=True))


def run_resume(options: argparse.Namespace) -> int:
    """`workpool resume`."""
    target = target_of(options)
    return _say_config(target, target.pool.configure(None, paused=False))


def run_limit(options: argparse.Namespace) -> int:
    """`workpool limit [N | --reset]`."""
    if options.reset and options.limit is not None:
        raise UsageError("--reset", options.limit, "given without a number")
    target = target_of(options, known=not options.new)
    if options.reset:
        return _say_config(target, target.pool.configure(None, reset=True))
    if options.limit is None:
        return _say_config(target, target.pool.config(None))
    return _say_config(target, target.pool.configure(None, max_parallelism=options.limit))


def run_pools(options: argparse.Namespace) -> int:
    """`workpool pools`."""
    target = target_of(options, known=False)
    found = target.pool.pools(None)
    if target.output.as_json:
        pools: list[JsonValue] = [
            {"name": each.name, **_config_as_json(each.config), "loop": each.loop} for each in found
        ]
        target.output.json({"pools": pools})
    else:
        rows: list[tuple[str, ...]] = []
        for each in found:
            limit = "paused" if each.config.paused else str(each.config.max_parallelism)
            source = each.config.override or each.config.base
            rows.append((each.name, limit, cell(source.by or "nobody: the default"), each.loop))
        target.output.table(("pool", "limit", "set by", "loop"), rows)
    return 0


def run_stats(options: argparse.Namespace) -> int:
    """`workpool stats`."""
    target = target_of(options)
    stats = target.pool.stats(None, window=timedelta(minutes=options.minutes))
    if target.output.as_json:
        target.output.json(asdict(stats))
    else:
        target.output.fields(_lines(stats, options.minutes))
    return 0


def _say_config(target: Target, config: PoolConfig) -> int:
    if target.output.as_json:
        target.output.json(_config_as_json(config))
        return 0
    override, base = config.override, config.base.by or "nobody: the default"
    pairs = [
        ("in force", f"{config.max_parallelism} at a time{' (paused)' if config.paused else ''}"),
        (
            "base",
            f"{config.base.max_parallelism}, by {base}{_at(config.base.at)}",
        ),
    ]
    if override is None:
        pairs.append(("override", "none"))
    else:
        said = [
            *([] if override.max_parallelism is None else [str(override.max_parallelism)]),
            *(["paused"] if override.paused else []),
        ]
        pairs.append(
            ("override", f"{', '.join(said)}, by {override.by or 'somebody'}{_at(override.at)}")
        )
    target.output.fields(pairs)
    return 0


def _at(at: datetime | None) -> str:
    return "" if at is None else f", {moment(at)}"


def _config_as_json(config: PoolConfig) -> dict[str, JsonValue]:
    override = config.override
    return {
        "max_parallelism": config.max_parallelism,
        "paused": config.paused,
        "base": {
            "max_parallelism": config.base.max_parallelism,
            "by": config.base.by,
            "at": iso(config.base.at),
        },
        "override": None
        if override is None
        else {
            "max_parallelism": override.max_parallelism,
            "paused": override.paused,
            "by": override.by,
            "at": iso(override.at),
        },
    }


def _lines(stats: Stats, minutes: int) -> list[tuple[str, str]]:
    more = " or more" if stats.at_least else ""
    return [
        ("pending", f"{stats.pending}{more}"),
        ("scheduled", f"{stats.scheduled}{more}"),
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
    ]


def _share(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"


def _lag(lag_ms: int | None) -> str:
    return "-" if lag_ms is None else f"up to {lag_ms} ms"
