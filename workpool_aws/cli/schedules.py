"""Commands about schedules: schedules, schedule pause, resume, run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.cli.codes import UNFIT
from workpool_aws.cli.output import cell, iso, moment, note
from workpool_aws.cli.target import Target, target_of
from workpool_aws.errors import NotFound, UsageError

if TYPE_CHECKING:
    import argparse
    from datetime import timedelta

    from workpool_aws.core.payload import JsonValue
    from workpool_aws.core.views.schedules import Schedule

__all__ = ["run_schedule", "run_schedules"]

_HEADER = ("name", "when", "next due", "last due", "outcome", "late", "missed", "skipped")


def run_schedules(options: argparse.Namespace) -> int:
    """`workpool schedules`."""
    target = target_of(options)
    found = target.pool.schedules(None)
    if target.output.as_json:
        target.output.json({"schedules": [_as_json(each) for each in found]})
    else:
        target.output.table(_HEADER, [_row(each) for each in found])
    return 0


def run_schedule(options: argparse.Namespace) -> int:
    """`workpool schedule pause | resume | run NAME`."""
    act, request_id = options.act, options.request_id
    if act != "run" and request_id is not None:
        raise UsageError("--request-id", request_id, "given with `run` alone")
    target = target_of(options)
    try:
        return _change(target, act, options.name, request_id)
    except NotFound as error:
        note(f"workpool schedule: error: {error}")
        return UNFIT


def _change(target: Target, act: str, name: str, request_id: str | None) -> int:
    pool, output = target.pool, target.output
    if act == "run":
        work_id = pool.run_now(None, name, request_id=request_id)
        if output.as_json:
            output.json({"work_id": work_id})
        else:
            output.line(work_id)
        return 0
    found = pool.pause_schedule(None, name) if act == "pause" else pool.resume_schedule(None, name)
    if output.as_json:
        output.json(_as_json(found))
    else:
        output.table(_HEADER, [_row(found)])
    return 0


def _row(each: Schedule) -> tuple[str, ...]:
    return (
        each.name,
        cell(each.words),
        "paused" if each.paused else moment(each.next_due),
        moment(each.last_due),
        each.last_outcome or "-",
        "-" if each.lateness_p50 is None else f"{each.lateness_p50.total_seconds():.1f} s",
        str(each.missed),
        str(each.skipped),
    )


def _as_json(each: Schedule) -> JsonValue:
    return {
        "name": each.name,
        "words": each.words,
        "cron": each.cron,
        "every_s": _seconds(each.every),
        "timezone": each.timezone,
        "target": each.target,
        "paused": each.paused,
        "next_due": iso(each.next_due),
        "last_due": iso(each.last_due),
        "last_work_id": each.last_work_id,
        "last_outcome": each.last_outcome,
        "lateness_p50_s": _seconds(each.lateness_p50),
        "lateness_max_s": _seconds(each.lateness_max),
        "missed": each.missed,
        "skipped": each.skipped,
        "waiting": iso(each.waiting),
        "upcoming": [iso(at) for at in each.upcoming],
        "catch_up": None
        if each.catch_up is None
        else {
            "enqueues": each.catch_up.enqueues,
            "missed": each.catch_up.missed,
            "skipped": each.catch_up.skipped,
        },
        "owner": each.owner,
    }


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
