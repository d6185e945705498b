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
            "# Lifecycle of a work item",
            "",
            "`make docs` generates this page from `workpool_aws/core/lifecycle.py`; a test compares the two.",
            "",
            "There are no other moves. Each move is one conditional write. Its condition begins with the state",
            "that the move leaves and, for a running work item, the number of its start.",
            "",
            "```mermaid",
            "stateDiagram-v2",
            *arrows,
            f"    {State.FINISHED} --> [*]: retention over (TTL)",
            "```",
            "",
            "| move | from | to | made by | meaning |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "`attempts_made` counts spent attempts; `starts` counts acts of starting. The two can differ, since",
            "a start that was never delivered is requeued and spends no attempt. A report names its start. A",
            "report of another start, or of a work item that is not running, changes nothing.",
            "",
        ]
    )


def _node(state: State | None) -> str:
    return "[*]" if state is None else str(state)


if __name__ == "__main__":
    PAGE.write_text(lifecycle_page(), encoding="utf-8")
