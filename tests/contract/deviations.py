"""Reads the table of deviations of engines from AWS in docs/engines.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
_ROW = re.compile(
    r"\| (?P<engine>[a-z]+) \| `(?P<test>test_[a-z0-9_]+)`(?P<varies> \(varies\))? \| (?P<what>[^|]+) \| (?P<so>[^|]+) \|"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """A row: this engine fails this test, because of what it does otherwise."""

    engine: str
    test: str
    what: str
    varies: bool
    """True if it fails by luck, so that it is not run there."""


@lru_cache
def deviations() -> tuple[Deviation, ...]:
    """All rows of the table."""
    rows = [
        _ROW.fullmatch(line)
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    return tuple(
        Deviation(
            engine=row["engine"],
            test=row["test"],
            what=row["what"].strip(),
            varies=row["varies"] is not None,
        )
        for row in rows
        if row
    )


def deviation_of(engine: str, test: str) -> Deviation | None:
    """Return the deviation of an engine in a test; `None` means that it must pass there."""
    return next((each for each in deviations() if (each.engine, each.test) == (engine, test)), None)
