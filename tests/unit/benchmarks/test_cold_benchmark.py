"""The benchmark of cold starts: every program that it measures runs, and with canned answers takes the way it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.cold import ROWS, answers, cpu_ms, on_the_wire

pytestmark = pytest.mark.form


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cold") / "answers.json"
    path.write_text(json.dumps(answers(), default=on_the_wire), encoding="utf-8")
    return path


def test_program_of_every_row_runs(answered: Path) -> None:
    """One interpreter runs them one after the other, each in names of its own."""
    programs = {row.name: row.code for row in ROWS}
    every = f"for name, code in {programs!r}.items(): exec(compile(code, name, 'exec'), {{'__name__': '__main__'}})"

    assert cpu_ms(every, answered, runs=1) > 0


def test_every_row_is_compared_with_one_above_it() -> None:
    names = [row.name for row in ROWS]

    for number, row in enumerate(ROWS):
        assert row.beside is None or row.beside in names[:number]
