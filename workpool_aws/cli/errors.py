"""Commands about dead letters by their errors: errors, error resolve, ignore, open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.cli.output import cell, iso, moment, note
from workpool_aws.cli.target import target_of
from workpool_aws.insights.insights import Insights
from workpool_aws.text import many

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from workpool_aws.core.payload import JsonValue
    from workpool_aws.core.views.error_marks import ErrorState
    from workpool_aws.insights.answers import ErrorGroup

__all__ = ["run_error", "run_errors"]

_HEADER: Final = ("error", "count", "state", "last", "function", "text")
_STATES: Final[Mapping[str, ErrorState]] = {
    "resolve": "resolved",
    "ignore": "ignored",
    "open": "open",
}


def run_errors(options: argparse.Namespace) -> int:
    """`workpool errors`."""
    target = target_of(options)
    found = Insights(target.pool.table, ports=target.ports).errors(target.pool.name).value
    shown = [each for each in found.groups if options.all or each.state == "open"]
    if target.output.as_json:
        target.output.json(
            {"errors": [_as_json(each) for each in shown], "at_least": found.at_least}
        )
        return 0
    target.output.table(_HEADER, [_row(each) for each in shown])
    hidden = len(found.groups) - len(shown)
    if hidden:
        note(f"{many(hidden, 'more error')} resolved or ignored: --all")
    if found.at_least:
        note("older dead letters were not read")
    return 0


def run_error(options: argparse.Namespace) -> int:
    """`workpool error resolve | ignore | open ERROR`."""
    target = target_of(options)
    insights = Insights(target.pool.table, ports=target.ports)
    marked = insights.mark_error(target.pool.name, options.fingerprint, _STATES[options.act])
    if target.output.as_json:
        target.output.json(_as_json(marked.value))
    else:
        target.output.table(_HEADER, [_row(marked.value)])
    return 0


def _row(group: ErrorGroup) -> tuple[str, ...]:
    state: str = group.state
    if state == "open" and group.marked_at is not None:
        state = f"open, {group.since} since resolved"
    return (
        group.fingerprint,
        str(group.count),
        state,
        moment(group.last_at),
        cell(group.label) if group.work_ids else "-",
        cell(f"{group.error_type}: {group.error}") if group.work_ids else "-",
    )


def _as_json(group: ErrorGroup) -> dict[str, JsonValue]:
    return {
        "fingerprint": group.fingerprint,
        "state": group.state,
        "count": group.count,
        "label": group.label,
        "error_type": group.error_type,
        "error": group.error,
        "work_ids": list(group.work_ids),
        "first_at": iso(group.first_at),
        "last_at": iso(group.last_at),
        "marked_at": iso(group.marked_at),
        "marked_by": group.marked_by,
        "since": group.since,
    }
