"""Answers of commands: tables for people, plain text for pipes, JSON on request."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final, TextIO

from workpool_aws.text import as_line, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workpool_aws.core.payload import JsonValue

__all__ = ["Output", "cell", "iso", "moment", "note"]

_CELL_MAX: Final = 60


class Output:
    """The stream for the answer of a command.

    Stored text reaches the terminal as plain text (`workpool_aws.text`).
    """

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self.as_json = as_json

    def json(self, value: JsonValue) -> None:
        """Print one JSON value on one line, in ASCII."""
        print(json.dumps(value), file=self._stream)

    def line(self, text: str) -> None:
        """Print one line of text."""
        print(as_text(text), file=self._stream)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table. In plain text it has aligned columns, and a header even without rows."""
        shown = [[as_line(text) for text in row] for row in rows]
        if self._stream.isatty():
            try:
                from workpool_aws.cli import rich_table
            except ModuleNotFoundError:
                pass
            else:
                rich_table.draw(self._stream, header, shown)
                return
        widths = [
            max(len(row[column]) for row in (header, *shown)) for column in range(len(header))
        ]
        for row in (header, *shown):
            cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
            self.line("  ".join(cells).rstrip())

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Print names and values, with the further lines of a value below its first."""
        width = max(len(name) for name, _ in pairs) + 2
        for name, value in pairs:
            print(f"{name.ljust(width)}{as_text(value, indent=width)}", file=self._stream)


def note(text: str) -> None:
    """Print a line on stderr, so that stdout holds only the answer."""
    print(as_line(text), file=sys.stderr)


def cell(text: str | None) -> str:
    """Return a text in one short line; `None` means a dash."""
    return "-" if text is None else as_line(text, limit=_CELL_MAX)


def iso(at: datetime | None) -> str | None:
    """Return a time in JSON; `None` stays `None`."""
    return None if at is None else at.isoformat()


def moment(at: datetime | None) -> str:
    """Return a time in UTC, to the second; `None` means a dash."""
    return "-" if at is None else at.strftime("%Y-%m-%d %H:%M:%SZ")
