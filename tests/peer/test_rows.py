"""Every row of the peer's list is shown by tests at its levels, or does not apply and says why, or is pending and says for what."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from tests.peer.collecting import EVERYTHING, Showing, collected, level_of, showings_of
from tests.peer.rows import NOT_OURS, PENDING, ROWS

APPLY = [row for row in ROWS if row.name not in NOT_OURS]
SHOWABLE = [row for row in APPLY if row.name not in PENDING]


@pytest.fixture(scope="module")
def showings(request: pytest.FixtureRequest) -> Sequence[Showing]:
    """Read the marks of the whole suite: of this run where it collected everything, of a run of its own otherwise."""
    everything = request.config.stash.get(EVERYTHING, None)
    return collected() if everything is None else showings_of(everything)


def test_every_row_is_shown_at_each_of_its_levels(showings: Sequence[Showing]) -> None:
    levels = {
        row.name: {each.level for each in showings if each.row == row.name} for row in SHOWABLE
    }
    lacking = {
        f"{row.name} ({row.what})": sorted(set(row.levels) - levels[row.name]) for row in SHOWABLE
    }

    assert {row: missing for row, missing in lacking.items() if missing} == {}


def test_marks_name_rows_that_apply(showings: Sequence[Showing]) -> None:
    assert {each.row for each in showings} <= {row.name for row in APPLY}


def test_row_with_test_is_not_pending(
    showings: Sequence[Showing], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        sys.stdout.write(
            f"\nrows of the peer's list that are pending: {', '.join(f'{name} ({why})' for name, why in PENDING.items())}\n"
        )

    assert {each.row for each in showings}.isdisjoint(PENDING)


def test_row_has_one_place() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))
    assert set(PENDING) | set(NOT_OURS) <= set(names)
    assert set(PENDING).isdisjoint(NOT_OURS)


def test_row_applies_exactly_if_it_has_level() -> None:
    assert {row.name for row in ROWS if not row.levels} == set(NOT_OURS)


@pytest.mark.parametrize(
    ("test", "level"),
    [
        ("tests/unit/core/test_x.py::test_it", "u"),
        ("tests/unit/core/test_x.py::test_it[memory-3]", "u"),
        ("tests/acceptance/test_x.py::test_it[moto]", "d"),
        ("tests/acceptance/test_x.py::test_it_on_moto", "d"),
        ("tests/peer/test_peer_storms.py::test_it[calm]", "u"),
        ("tests/peer/test_peer_storms.py::test_it[storm-3]", "s"),
        ("tests/simulation/test_found.py::test_it", "s"),
    ],
)
def test_level_follows_from_name(test: str, level: str) -> None:
    assert level_of(test) == level
