"""Bounds on how the package reads as a whole.

They leave little room on purpose. What goes over one is better shortened elsewhere, too: a chain of
imports cut where it carries one constant, a helper inlined into the one place that calls it.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.form

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "workpool_aws"

IMPORT_DEPTH_MAX = 10
CALLED_ONCE_PERCENT_MAX = 35
FUNCTION_LINES_P90 = 15
BRANCHES_MAX = 12
NOQA_MAX = 47

Function = ast.FunctionDef | ast.AsyncFunctionDef
Branch = ast.If | ast.IfExp | ast.For | ast.While | ast.ExceptHandler | ast.Assert | ast.match_case


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@cache
def trees() -> dict[str, ast.Module]:
    return {
        name_of(path): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def functions() -> Iterator[tuple[str, Function]]:
    for module, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield f"{module}:{node.name}", node


def body_lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def branches(function: Function) -> int:
    count = 1
    for node in ast.walk(function):
        if isinstance(node, Branch):
            count += 1
        elif isinstance(node, ast.comprehension):
            count += 1 + len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
    return count


def imported_by(tree: ast.Module, modules: dict[str, ast.Module]) -> set[str]:
    """The modules of the package that are loaded with this one, for type checkers or by a call apart."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in whole}
    return found & modules.keys()


def longest_chain(modules: dict[str, ast.Module]) -> tuple[str, ...]:
    """The longest chain of modules of which each imports the next."""
    graph = {name: imported_by(tree, modules) - {name} for name, tree in modules.items()}
    known: dict[str, tuple[str, ...]] = {}

    def chain(name: str, above: frozenset[str]) -> tuple[str, ...]:
        if name in above:
            return ()
        if name not in known:
            below = (chain(other, above | {name}) for other in sorted(graph[name]))
            known[name] = (name, *max(below, key=len, default=()))
        return known[name]

    return max((chain(name, frozenset()) for name in graph), key=len)


def test_chains_of_imports_are_short() -> None:
    chain = longest_chain(trees())

    assert len(chain) <= IMPORT_DEPTH_MAX, "cut one link of " + " -> ".join(chain)


def test_longest_chain_is_found() -> None:
    texts = {
        "p": "",
        "p.a": "from p import b\nfrom p.c import x",
        "p.b": "import p.c\nif True:\n    import p.d",
        "p.c": "from p.d import y",
        "p.d": "import p.a",
    }

    found = longest_chain({name: ast.parse(text) for name, text in texts.items()})

    assert found == ("p.a", "p.b", "p.c", "p.d")


def test_few_private_functions_have_one_caller() -> None:
    private, once = 0, list[str]()
    for module, tree in trees().items():
        used = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        own = [
            node.name for node in tree.body if isinstance(node, Function) and node.name[0] == "_"
        ]
        private += len(own)
        once += [f"{module}:{name}" for name in own if used[name] == 1]

    assert 100 * len(once) <= CALLED_ONCE_PERCENT_MAX * private, (
        f"{len(once)} of {private} private functions have one caller; inline some of {once}"
    )


def test_most_functions_are_short() -> None:
    lengths = sorted((body_lines(function), name) for name, function in functions())
    p90, _ = lengths[round(0.9 * (len(lengths) - 1))]

    assert p90 <= FUNCTION_LINES_P90, (
        f"a tenth of the functions may be longer than {FUNCTION_LINES_P90} lines; shorten some of "
        f"{[name for length, name in lengths if FUNCTION_LINES_P90 < length <= p90 + 1]}"
    )


def test_functions_have_few_branches() -> None:
    assert {
        name: branches(function)
        for name, function in functions()
        if branches(function) > BRANCHES_MAX
    } == {}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("return 1", 1),
        ("if a and b:\n        return 1", 3),
        ("return [x for x in y if x] if y else []", 4),
        ("match a:\n        case 1:\n            pass\n        case _:\n            pass", 3),
    ],
)
def test_branches_are_counted(text: str, count: int) -> None:
    (function,) = ast.parse(f"def f(a, b, y):\n    {text}").body
    assert isinstance(function, Function)

    assert branches(function) == count


def test_linter_is_seldom_silenced() -> None:
    silenced = {
        str(path.relative_to(ROOT)): count
        for path in PACKAGE.rglob("*.py")
        if (count := len(re.findall(r"#\s*noqa", path.read_text(encoding="utf-8"))))
    }

    assert sum(silenced.values()) <= NOQA_MAX, silenced
