"""Bounds on the code's own size and shape."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "workpool_aws"
MODULES = sorted(PACKAGE.rglob("*.py"))
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500
VAGUE = {"base", "common", "helpers", "misc", "utils"}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_fits(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES_MAX


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_fits(path: Path) -> None:
    too_long = {node.name: length for node in functions(path) if (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX}

    assert too_long == {}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_type_checker_is_never_silenced(path: Path) -> None:
    silenced = [line for line in path.read_text(encoding="utf-8").splitlines() if "type: " + "ignore" in line]

    assert silenced == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_first_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [name_of(path) for path in MODULES if path.stem in VAGUE] == []
