"""Which engines the contract ran on here, and whether docs/engines.md names tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.contract.conftest import engines_for, reason_of_absence
from tests.contract.deviations import PAGE, deviations
from tests.contract.engines import ENGINES

HERE = Path(__file__).parent
ROWS = [
    line
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "`test_" in line
]


@pytest.mark.parametrize("name", ENGINES)
def test_contract_runs_on(name, request):
    reason = reason_of_absence(request.config, name)
    if reason is not None:
        pytest.skip(f"the contract did not run on {name}: {reason}")
    if name not in engines_for(request.config):
        pytest.skip(f"the contract did not run on {name}: --engine named others")

    assert name in engines_for(request.config)


def test_every_row_of_table_is_read():
    assert len(deviations()) == len(ROWS) > 0


def test_every_row_names_engine_and_test_that_runs_on_it():
    tests = {
        node.name: {argument.arg for argument in node.args.args}
        for path in HERE.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }

    dangling = [
        row for row in deviations() if not tests.get(row.test, set()) & {"engine", "store", "wired"}
    ]

    assert dangling == []
    assert {row.engine for row in deviations()} <= set(ENGINES) - {"memory"}


def test_table_of_engines_has_no_row_twice():
    assert len({(row.engine, row.test) for row in deviations()}) == len(deviations())
