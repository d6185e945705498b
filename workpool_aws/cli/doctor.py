"""The command `workpool doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.cli.codes import FAILED
from workpool_aws.cli.output import iso, moment, note
from workpool_aws.cli.target import output_of, ports_of, table_of
from workpool_aws.insights.insights import Insights
from workpool_aws.text import many

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from workpool_aws.core.doctor import Finding
    from workpool_aws.core.payload import JsonValue
    from workpool_aws.insights.answers import Costed, LastSeen

__all__ = ["run_doctor"]

_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def run_doctor(options: argparse.Namespace) -> int:
    """`workpool doctor`."""
    table, output = table_of(options), output_of(options)
    insights = Insights(table, ports=ports_of(options, table))
    answer = insights.doctor()
    examined = not any(each.code in ("table_missing", "keys_wrong") for each in answer.value)
    seen = insights.last_seen() if examined else None
    if output.as_json:
        output.json(_as_json(answer, seen))
    else:
        for each in answer.value:
            output.fields([(each.subject, f"{each.text} [{each.code}]"), ("  remedy", each.remedy)])
        if seen is not None:
            output.fields(_seen_fields(seen.value, insights.now))
        found = many(len(answer.value), "finding") if answer.value else "no findings"
        note(f"{found} in table {table}")
    return FAILED if answer.value else 0


def _as_json(
    answer: Costed[tuple[Finding, ...]], seen: Costed[LastSeen] | None
) -> dict[str, JsonValue]:
    return {
        "findings": [
            {"code": each.code, "subject": each.subject, "text": each.text, "remedy": each.remedy}
            for each in answer.value
        ],
        "last_seen": None if seen is None else _seen_as_json(seen.value),
        "read_units": answer.cost.read_units + (0 if seen is None else seen.cost.read_units),
    }


def _seen_fields(seen: LastSeen, now: datetime) -> list[tuple[str, str]]:
    """Return the last signs of life, as names and values."""

    def ago(at: datetime | None) -> str:
        if at is None:
            return "not known"
        seconds = max(0, round((now - at).total_seconds()))
        size, unit = next((each for each in _SPANS if seconds >= 2 * each[0]), (1, "s"))
        return f"{seconds // size} {unit} ago, {moment(at)}"

    pairs = [("watchdog", f"last seen {ago(seen.watchdog_at)}")]
    for pool in seen.pools:
        pairs.append((f"loop of {pool.name}", f"{pool.loop}, last seen {ago(pool.loop_at)}"))
        pairs.append((f"reports in {pool.name}", f"last one {ago(pool.report_at)}"))
    return pairs


def _seen_as_json(seen: LastSeen) -> JsonValue:
    return {
        "watchdog_at": iso(seen.watchdog_at),
        "pools": [
            {
                "name": each.name,
                "loop": each.loop,
                "loop_at": iso(each.loop_at),
                "report_at": iso(each.report_at),
            }
            for each in seen.pools
        ],
    }
