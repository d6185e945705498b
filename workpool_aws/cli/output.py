"""Owns how the commands answer: tables and colour for people, plain text for pipes, JSON where it is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TextIO

from workpool_aws.core.payload import JsonValue

__all__ = ["Output", "cell", "moment"]

_CELL_MAX: Final = 60
_COLOURS: Final = {"failed": "red", "success": "green", "running": "cyan", "canceled": "yellow", "paused": "yellow"}


class Output:
    """Where a command answers. Control characters of what is stored never reach the terminal."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self.as_json = as_json

    def json(self, value: JsonValue) -> None:
        """One JSON value on one line."""
        print(json.dumps(value), file=self._stream)

    def line(self, text: str) -> None:
        """One line of text."""
        print(text, file=self._stream)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table. Plain: aligned columns, the header first, also when there are no rows."""
        if self._stream.isatty() and self._rich_table(header, rows):
            return
        widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
        for row in (header, *rows):
            self.line("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Names and values, a line each."""
        width = max(len(name) for name, _ in pairs)
        for name, value in pairs:
            self.line(f"{name.ljust(width)}  {value}")

    def _rich_table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
        """Whether it could be drawn: without the extra it cannot."""
        try:
            from rich import box  # noqa: PLC0415 - an extra
            from rich.console import Console  # noqa: PLC0415
            from rich.table import Table  # noqa: PLC0415
            from rich.text import Text  # noqa: PLC0415
        except ModuleNotFoundError:
            return False
        table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
        for name in header:
            table.add_column(name, no_wrap=name == "id")
        for row in rows:
            table.add_row(*(Text(text, style=_COLOURS.get(text, "")) for text in row))
        Console(file=self._stream, highlight=False).print(table)
        return True


def cell(text: str | None) -> str:
    """A text in one short line that no terminal takes for a command; None: a dash."""
    if text is None:
        return "-"
    shown = "".join(character if character.isprintable() else " " for character in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= _CELL_MAX else f"{shown[: _CELL_MAX - 1]}…"


def moment(at: datetime | None) -> str:
    """A time in UTC, to the second; None: a dash."""
    return "-" if at is None else at.strftime("%Y-%m-%d %H:%M:%SZ")
