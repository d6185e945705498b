"""A table in a terminal, drawn by rich, in colour and as wide as the terminal allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from workpool_aws.text import as_line

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["draw"]

_COLOURS: Final = {
    "failed": "red",
    "success": "green",
    "running": "cyan",
    "canceled": "yellow",
    "paused": "yellow",
}
_MINUTE: Final = len("2026-01-01 00:00")
_YEAR: Final = len("2026-")
_LEAST: Final = {
    "error": 24,
    "set by": 8,
    "when": _MINUTE - _YEAR,
    "function": 12,
    "attempts": 3,
    "state": 8,
}
"""The least widths of columns on a narrow terminal, in the order in which they are cut. An id is
never cut; errors are cut again last."""
_LEAST_OF_ALL: Final = ("error", 6)
_GAP: Final = 2


def draw(stream: TextIO, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Draw a table, with long cells cut to the width of the terminal."""
    console = Console(file=stream, highlight=False)
    widths = dict(zip(header, _widths(header, rows, console.width), strict=True))
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, _GAP, 0, 0))
    for name, width in widths.items():
        table.add_column(_cut(name, name, width), no_wrap=True, width=width)
    for row in rows:
        cells = (
            (_cut(name, text, width), text)
            for (name, width), text in zip(widths.items(), row, strict=True)
        )
        table.add_row(
            *(Text(shown, style=_COLOURS.get(text.partition(",")[0], "")) for shown, text in cells)
        )
    console.print(table)


def _cut(name: str, text: str, width: int) -> str:
    # A time loses its seconds first, then its year.
    if name == "when" and text[:1].isdigit() and width < len(text):
        return text[:_MINUTE] if width >= _MINUTE else text[_YEAR:_MINUTE]
    return as_line(text, limit=width)


def _widths(header: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the width of each column. A narrow terminal cuts the least useful columns first."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    excess = sum(widths) + _GAP * (len(widths) - 1) - room
    for name, least in (*_LEAST.items(), _LEAST_OF_ALL):
        if name in header and excess > 0:
            column = header.index(name)
            cut = min(excess, max(0, widths[column] - least))
            widths[column] -= cut
            excess -= cut
    return widths
