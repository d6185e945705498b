"""The plain view of the demo, for pipes and logs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, TextIO

from workpool_aws.cli.demo.text import (
    FAILURES_HEADER,
    LARGEST_HEADER,
    RESTING,
    designs,
    failure_rows,
    headline,
    largest_rows,
    summary_rows,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.cli.demo.report import DemoReport, Plan, Progress
    from workpool_aws.cli.demo.text import Row

__all__ = ["PLAIN_EVERY_S", "PLAIN_FIRST_S", "PlainView"]

PLAIN_FIRST_S: Final = 1.0
"""Seconds after which the first line of progress comes, unless every slot is taken before."""
PLAIN_EVERY_S: Final = 2.0
"""The least number of seconds between further lines."""


class PlainView(AbstractContextManager["PlainView"]):
    """Lines of text without control characters, for pipes and logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next_s = PLAIN_FIRST_S
        self._limit = 0
        self._spoke = False
        self._done = 0

    def __exit__(self, *_: object) -> None:
        """Nothing to take down."""

    def begin(self, plan: Plan) -> None:
        """See View."""
        self._limit = plan.limit
        self._say(f"workpool demo: {headline(plan)}", *designs(plan), "")

    def show(self, progress: Progress) -> None:
        """See View.

        Prints a line when all slots are taken, one every few seconds, and one when all is done.
        """
        is_time = progress.seconds >= self._next_s or progress.done == progress.items
        is_full = not self._spoke and progress.running >= self._limit
        if self._done == progress.items or not (is_time or is_full):
            return
        self._done, self._spoke = progress.done, True
        self._next_s = progress.seconds + PLAIN_EVERY_S
        width, slots = len(str(progress.items)), len(str(self._limit))
        self._say(
            f"{progress.seconds:6.1f} s  done {progress.done:{width}}/{progress.items}"
            f"  running {progress.running:{slots}}/{self._limit}"
            f"  pending {progress.pending:{width}}  retries {progress.retries:{width}}"
            f"  failed {progress.failed}  {progress.rate:.0f}/s"
        )
        if progress.done == progress.items:
            self._say(RESTING)

    def end(self, report: DemoReport) -> None:
        """See View."""
        if report.largest:
            self._say(
                "",
                "The largest services",
                *_aligned([LARGEST_HEADER, *largest_rows(report)], right={1, 2}),
            )
        if report.failures:
            self._say("", "Failed for good", *_aligned([FAILURES_HEADER, *failure_rows(report)]))
        self._say("", *_aligned(summary_rows(report)), "", verdict(report))

    def _say(self, *lines: str) -> None:
        for line in lines:
            print(line.rstrip(), file=self._stream)
        self._stream.flush()


def _aligned(rows: Sequence[Row], *, right: frozenset[int] | set[int] = frozenset()) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            f"{cell:{'>' if column in right else '<'}{widths[column]}}"
            for column, cell in enumerate(row)
        )
        for row in rows
    ]
