"""Writes docs/lifecycle.md from the table in workpool_aws/core/lifecycle.py: `python tools/lifecycle_page.py`."""

from __future__ import annotations

from pathlib import Path

from workpool_aws.core.lifecycle import LEGAL
from workpool_aws.model.work import State

PAGE = Path(__file__).resolve().parent.parent / "docs" / "lifecycle.md"


def lifecycle_page() -> str:
    """The whole page: a diagram and the table behind it."""
    arrows = [
        f"    {_node(a.before)} --> {_node(a.after)}: {move.replace('_', ' ')}"
        for move, a in LEGAL.items()
    ]
    rows = [
        f"| {move.replace('_', ' ')} | {a.before or '–'} | {a.after} | {a.by} | {a.meaning} |"
        for move, a in LEGAL.items()
    ]
    return "\n".join(
        [
            "# The life of a work",
            "",
            "Made from `workpool_aws/core/lifecycle.py` by `make docs`; a test compares the two. No other move exists: each is one",
            "conditional write whose condition begins with the state it leaves and the number of the start it is about.",
            "",
            "```mermaid",
            "stateDiagram-v2",
            *arrows,
            f"    {State.FINISHED} --> [*]: retention over (TTL)",
            "```",
            "",
            "| move | from | to | who | meaning |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "`attempts_made` counts spent attempts, `starts` counts acts of starting: a start that was never delivered is put back and",
            "spends no attempt, so the two can differ. Reports name the start they are about; a report of another start, or of a work",
            "that is not running, changes nothing.",
            "",
        ]
    )


def _node(state: State | None) -> str:
    return "[*]" if state is None else str(state)


if __name__ == "__main__":
    PAGE.write_text(lifecycle_page(), encoding="utf-8")
