"""Bounds on the code's own size and shape."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.form

PACKAGE = Path(__file__).parents[2] / "workpool_aws"
MODULES = sorted(PACKAGE.rglob("*.py"))
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500
VAGUE = {"base", "common", "helpers", "misc", "utils"}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_modules_fit() -> None:
    lengths = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES
    }

    assert {name: length for name, length in lengths.items() if length > MODULE_LINES_MAX} == {}


def test_functions_fit() -> None:
    lengths = {
        f"{name_of(path)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in MODULES
        for node in functions(path)
    }

    assert {name: length for name, length in lengths.items() if length > FUNCTION_LINES_MAX} == {}


def test_type_checker_is_never_silenced() -> None:
    silenced = [
        f"{name_of(path)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if "type: " + "ignore" in line
    ]

    assert silenced == []


def test_modules_say_first_what_they_are_for() -> None:
    assert [name_of(path) for path in MODULES if not ast.get_docstring(tree_of(path))] == []


def test_module_names_say_something() -> None:
    assert [name_of(path) for path in MODULES if path.stem in VAGUE] == []
