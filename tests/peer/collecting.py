"""Finds the tests that show each row, by the marks of all collected tests.

python -m tests.peer.collecting        the rows with their tests, and those that are pending
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.peer.rows import NOT_OURS, PENDING, ROWS

__all__ = ["EVERYTHING", "Showing", "collected", "level_of", "report", "showings_of"]

ROOT: Final = Path(__file__).parents[2]
_UNDER_CHANCE: Final = ("tests/simulation/", "tests/property/", "tests/peer/test_peer_histories.py")
_NOT_RUN: Final = ("skip", "skipif", "xfail")


EVERYTHING: Final = pytest.StashKey[Sequence[pytest.Item]]()
"""Stash of a run that collected the whole suite."""


class Showing(NamedTuple):
    """A collected test that names a row."""

    row: str
    level: str
    test: str


def level_of(test: str) -> str:
    """Return the form of a test by its name: under chance, on a foreign engine, or by one case."""
    place, _, case = test.partition("[")
    words = case.rstrip("]").split("-")
    if "moto" in words or place.endswith("_on_moto"):
        return "d"
    return "s" if place.startswith(_UNDER_CHANCE) or "storm" in words else "u"


def collected() -> Sequence[Showing]:
    """Return the rows that the whole suite shows, by a fresh process that collects all tests."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.peer.collecting", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Showing(*each) for each in json.loads(told.stdout)]


def showings_of(items: Sequence[pytest.Item]) -> list[Showing]:
    """Read the marks of collected tests; a test that is not run shows nothing."""
    return [
        Showing(row, level_of(item.nodeid), item.nodeid)
        for item in items
        if not any(item.get_closest_marker(name) for name in _NOT_RUN)
        for mark in item.iter_markers("peer")
        for row in mark.args
    ]


class _Collector:
    """A plugin of pytest that notes the marks of what was collected."""

    def __init__(self) -> None:
        self.showings: list[Showing] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.showings = showings_of(session.items)


def _collect() -> Sequence[Showing]:
    collector = _Collector()
    with contextlib.redirect_stdout(io.StringIO()) as told:
        code = pytest.main(
            ["--collect-only", "-q", "-p", "no:cacheprovider", "tests"], plugins=[collector]
        )
    if code:
        raise SystemExit(told.getvalue())
    return collector.showings


def report(showings: Sequence[Showing]) -> str:
    """For people: how much is shown, what is pending and for what, what does not apply."""
    tests: Mapping[str, list[str]] = _by_row(showings)
    shown = [row for row in ROWS if row.name in tests]
    lines = [
        f"{len(ROWS)} rows: {len(shown)} shown by {len({each.test for each in showings})} tests"
    ]
    lines += [
        f"  {row.name} {row.what}\n" + "\n".join(f"       {test}" for test in tests[row.name])
        for row in shown
    ]
    lines += [f"pending: {len(PENDING)}", *(f"  {name} {why}" for name, why in PENDING.items())]
    lines += [f"not ours: {len(NOT_OURS)}", *(f"  {name} {why}" for name, why in NOT_OURS.items())]
    return "\n".join(lines)


def _by_row(showings: Sequence[Showing]) -> Mapping[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for each in showings:
        found[each.row].append(f"{each.level} {each.test}")
    return found


if __name__ == "__main__":
    showings = _collect()
    sys.stdout.write(json.dumps(showings) if "--json" in sys.argv else f"{report(showings)}\n")
