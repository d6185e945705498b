"""No regular expression of the package can run away [WP-12]: none repeats what repeats, and none is made where this cannot see it."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workpool_aws

ROOT = Path(workpool_aws.__file__).parent
FEW = 4
"""So often may what repeats be repeated: that is a constant factor, whatever the text."""
PARSER: Any = importlib.import_module("re._parser")
SYNTAX: Any = importlib.import_module("re._constants")


def patterns() -> dict[str, re.Pattern[str]]:
    """Every compiled pattern of a module, by its name."""
    names = [each.name for each in pkgutil.walk_packages(workpool_aws.__path__, "workpool_aws.") if not each.name.endswith("__main__")]
    modules = {name: importlib.import_module(name) for name in names}
    return {
        f"{name}:{key}": value for name, module in modules.items() for key, value in vars(module).items() if isinstance(value, re.Pattern)
    }


PATTERNS = patterns()


def repeats(parsed: Any) -> Iterator[tuple[int, Any]]:
    """Every repetition in a pattern that is none of a fixed number: how often at most, and of what."""
    for operator, argument in parsed:
        if operator in {SYNTAX.MAX_REPEAT, SYNTAX.MIN_REPEAT, SYNTAX.POSSESSIVE_REPEAT}:
            least, most, inner = argument
            if least != most:
                yield most, inner
            yield from repeats(inner)
        for inner in inside(operator, argument):
            yield from repeats(inner)


def inside(operator: Any, argument: Any) -> list[Any]:
    if operator is SYNTAX.SUBPATTERN:
        return [argument[-1]]
    if operator is SYNTAX.BRANCH:
        return list(argument[1])
    if operator in {SYNTAX.ASSERT, SYNTAX.ASSERT_NOT}:
        return [argument[1]]
    return [argument[-1]] if operator is SYNTAX.ATOMIC_GROUP else []


def runs_away(pattern: str, flags: int = 0) -> bool:
    parsed = PARSER.parse(pattern, flags)
    return any(most > FEW and any(again > FEW for again, _ in repeats(inner)) for most, inner in repeats(parsed))


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_repeats_what_repeats(name: str) -> None:
    found = PATTERNS[name]

    assert not runs_away(found.pattern, found.flags & ~re.DEBUG), found.pattern


@pytest.mark.parametrize(
    ("pattern", "away"),
    [
        (r"([0-9a-z]{1,12}):([0-9.]{7,60}):((?:[0-9]{1,3}x[0-9]{1,12},?)*)", True),
        (r"(a+)+b", True),
        (r"(?:a|b+)*", True),
        (r"(?=(x*)*)", True),
        (r"(?:-[a-z]{1,16}){1,4}", False),
        (r"a*b*c{3}", False),
        (r"(?:ab){26}[0-9]+", False),
    ],
)
def test_the_one_that_once_took_twelve_seconds_would_be_noticed(pattern: str, away: bool) -> None:
    assert runs_away(pattern) is away


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_pattern_is_a_constant_of_its_module(path: Path) -> None:
    """One that is made inside a function, or handed to `re.match` as a text, would not be looked at above."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = [node for outer in ast.walk(tree) if isinstance(outer, ast.FunctionDef | ast.Lambda) for node in ast.walk(outer)]
    calls = [node.func for node in inner if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    made = [call.attr for call in calls if isinstance(call.value, ast.Name) and call.value.id == "re" and call.attr != "escape"]

    assert made == []
