"""Writes the answers of commands: tables and colour for people, plain text for pipes, JSON on request."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TextIO

from workpool_aws.core.payload import JsonValue
from workpool_aws.text import as_line, as_text

__all__ = ["Output", "cell", "iso", "moment", "note"]

_CELL_MAX: Final = 60
_COLOURS: Final = {"failed": "red", "success": "green", "running": "cyan", "canceled": "yellow", "paused": "yellow"}
_MINUTE: Final = len("2026-01-01 00:00")
_YEAR: Final = len("2026-")
_LEAST: Final = {"error": 24, "set by": 8, "when": _MINUTE - _YEAR, "function": 12, "attempts": 3, "state": 8}
"""The least widths of columns on a narrow terminal, in the order in which they are cut. An id is never cut; errors are cut
again last."""
_LEAST_OF_ALL: Final = ("error", 6)
_GAP: Final = 2


class Output:
    """The stream for the answer of a command. Stored text reaches the terminal as plain text (`workpool_aws.text`)."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self.as_json = as_json

    def json(self, value: JsonValue) -> None:
        """One JSON value on one line, in ASCII."""
        print(json.dumps(value), file=self._stream)

    def line(self, text: str) -> None:
        """One line of text."""
        print(as_text(text), file=self._stream)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table. In plain text it has aligned columns, and a header even without rows."""
        shown = [[as_line(text) for text in row] for row in rows]
        if self._stream.isatty() and self._rich_table(header, shown):
            return
        widths = [max(len(row[column]) for row in (header, *shown)) for column in range(len(header))]
        for row in (header, *shown):
            self.line("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Names and values, with the further lines of a value below its first."""
        width = max(len(name) for name, _ in pairs) + 2
        for name, value in pairs:
            print(f"{name.ljust(width)}{as_text(value, indent=width)}", file=self._stream)

    def _rich_table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
        """Draw the table with rich. Returns False without that extra."""
        try:
            from rich.console import Console  # noqa: PLC0415 - an extra
            from rich.table import Table  # noqa: PLC0415
            from rich.text import Text  # noqa: PLC0415
        except ModuleNotFoundError:
            return False
        console = Console(file=self._stream, highlight=False)
        widths = dict(zip(header, _widths(header, rows, console.width), strict=True))
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, _GAP, 0, 0))
        for name, width in widths.items():
            table.add_column(_cut(name, name, width), no_wrap=True, width=width)
        for row in rows:
            cells = ((_cut(name, text, width), text) for (name, width), text in zip(widths.items(), row, strict=True))
            table.add_row(*(Text(shown, style=_COLOURS.get(text.partition(",")[0], "")) for shown, text in cells))
        console.print(table)
        return True


def _cut(name: str, text: str, width: int) -> str:
    # A time loses its seconds first, then its year.
    if name == "when" and text[:1].isdigit() and width < len(text):
        return text[:_MINUTE] if width >= _MINUTE else text[_YEAR:_MINUTE]
    return as_line(text, limit=width)


def _widths(header: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """The width of each column. On a narrow terminal the least useful columns are cut first."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    excess = sum(widths) + _GAP * (len(widths) - 1) - room
    for name, least in (*_LEAST.items(), _LEAST_OF_ALL):
        if name in header and excess > 0:
            column = header.index(name)
            cut = min(excess, max(0, widths[column] - least))
            widths[column] -= cut
            excess -= cut
    return widths


def note(text: str) -> None:
    """A line on stderr, so that stdout holds only the answer."""
    print(as_line(text), file=sys.stderr)


def cell(text: str | None) -> str:
    """A text in one short line; `None` means a dash."""
    return "-" if text is None else as_line(text, limit=_CELL_MAX)


def iso(at: datetime | None) -> str | None:
    """A time in JSON; `None` stays `None`."""
    return None if at is None else at.isoformat()


def moment(at: datetime | None) -> str:
    """A time in UTC, to the second; `None` means a dash."""
    return "-" if at is None else at.strftime("%Y-%m-%d %H:%M:%SZ")
