"""The live display of the demo in a terminal, drawn by rich."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

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

    from rich.console import JustifyMethod

    from workpool_aws.cli.demo.report import DemoReport, Plan, Progress

__all__ = ["RichView", "can_show", "closing", "frame", "opening"]

_SLOTS_MAX: Final = 32
"""The most slots that are drawn as boxes. More are a number."""


def can_show(stream: TextIO) -> bool:
    """True if the terminal has the control sequences and the characters of the display."""
    console = Console(file=stream)
    return not console.is_dumb_terminal and console.encoding.startswith("utf")


class RichView(AbstractContextManager["RichView"]):
    """A bar, the slots of the pool and its numbers, drawn in place; tables at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._live = Live(
            console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._limit = 0

    def __exit__(self, *_: object) -> None:
        """Give the cursor back."""
        self._live.stop()

    def begin(self, plan: Plan) -> None:
        """See View."""
        self._limit = plan.limit
        self._console.print(opening(plan))
        self._live.start()

    def show(self, progress: Progress) -> None:
        """See View."""
        self._live.update(frame(progress, self._limit), refresh=True)

    def end(self, report: DemoReport) -> None:
        """See View."""
        self._live.stop()
        self._console.print(closing(report))


def opening(plan: Plan) -> RenderableType:
    """Returns the plan in a panel."""
    text = Text(headline(plan), style="bold")
    for sentence in designs(plan):
        text.append(f"\n{sentence}", style="not bold dim")
    return Panel(
        text, title="workpool demo", title_align="left", border_style="cyan", box=box.ROUNDED
    )


def closing(report: DemoReport) -> RenderableType:
    """Returns the tables of a report, its figures and its verdict."""
    parts: list[RenderableType] = [Text()]
    if report.largest:
        parts.append(
            _table("The largest services", LARGEST_HEADER, largest_rows(report), right={1, 2})
        )
    if report.failures:
        parts.append(_table("Failed for good", FAILURES_HEADER, failure_rows(report), style="red"))
    summary = Table.grid(padding=(0, 2))
    summary.add_column(style="dim")
    for name, value in summary_rows(report):
        summary.add_row(name, Text(value))
    said = Text(verdict(report), style="bold green" if report.ok else "bold red")
    return Group(*parts, Text(), summary, Text(), said)


def frame(progress: Progress, limit: int) -> RenderableType:
    """Returns the bar, the slots of the pool and its numbers."""
    bar = Table.grid(padding=(0, 1), expand=True)
    bar.add_column(ratio=1)
    bar.add_column(justify="right", no_wrap=True)
    bar.add_row(
        ProgressBar(total=progress.items, completed=progress.done),
        Text.assemble(
            (f"{progress.done}", "bold"),
            f"/{progress.items} done",
            (f"  {progress.seconds:5.1f} s", "dim"),
        ),
    )
    numbers = Table.grid(padding=(0, 3))
    numbers.add_row(
        Text.assemble(("running ", "dim"), _slots(progress.running, limit)),
        Text.assemble(("pending ", "dim"), f"{progress.pending}"),
        Text.assemble(("retries ", "dim"), (f"{progress.retries}", "yellow")),
        Text.assemble(("failed ", "dim"), (f"{progress.failed}", "red" if progress.failed else "")),
        Text.assemble((f"{progress.rate:.0f}", "bold"), ("/s", "dim")),
    )
    return (
        Group(bar, numbers, Text(RESTING, style="dim"))
        if progress.done == progress.items
        else Group(bar, numbers)
    )


def _slots(running: int, limit: int) -> Text:
    count = f"{running:{len(str(limit))}}/{limit}"
    if limit > _SLOTS_MAX:
        return Text(count)
    busy = min(running, limit)
    return Text.assemble(("■" * busy, "green"), ("□" * (limit - busy), "dim"), f" {count}")


def _table(
    title: str,
    header: Sequence[str],
    rows: Sequence[tuple[str, ...]],
    *,
    right: set[int] | None = None,
    style: str = "cyan",
) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        header_style="dim",
        pad_edge=False,
    )
    for place, name in enumerate(header):
        justify: JustifyMethod = "right" if place in (right or set()) else "left"
        table.add_column(name, justify=justify, style=style if place == 0 else "")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
