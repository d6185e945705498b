"""Writes docs/lifecycle.md and its picture from the table in workpool_aws/core/lifecycle.py: `make docs`."""

from __future__ import annotations

from pathlib import Path

from tools.lifecycle_picture import PICTURE, lifecycle_picture
from workpool_aws.core.lifecycle import LEGAL

PAGE = Path(__file__).resolve().parent.parent / "docs" / "lifecycle.md"


def lifecycle_page() -> str:
    """The whole page: a picture and the table behind it."""
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
            "![States of a work item and the moves between them](lifecycle.svg)",
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


if __name__ == "__main__":
    PAGE.write_text(lifecycle_page(), encoding="utf-8")
    PICTURE.write_text(lifecycle_picture(), encoding="utf-8")
