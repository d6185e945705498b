"""Modules and files of the package that other trees name exist.

Those trees run where `make test` does not reach: in Node's environment, in an emulated AWS, by hand.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.e2e.plan import JOBS

ROOT = Path(__file__).parents[2]
PACKAGE = "workpool_aws"
TREES = ("benchmarks", "examples", "infra/cdk", "tests/e2e", "tools")
DOTTED = re.compile(rf"\b{PACKAGE}(?:\.[A-Za-z_]\w*)+")
SLASHED = re.compile(rf"(?<![\w/.-]){PACKAGE}/[\w/]+(?:\.py)?")


def files() -> list[Path]:
    return [
        path
        for tree in TREES
        for path in sorted((ROOT / tree).rglob("*"))
        if path.suffix in {".py", ".toml", ".json", ".yaml", ".yml"}
        and not {"node_modules", "cdk.out", ".venv"} & set(path.parts)
    ]


def exists(dotted: str) -> bool:
    """Return whether it names a module, or something in one."""
    module, *names = dotted.split(".")
    found: object = import_module(module)
    for name in names:
        module = f"{module}.{name}"
        if not hasattr(found, name):
            try:
                import_module(module)
            except ImportError:
                return False
        found = getattr(found, name)
    return True


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def joined(node: ast.expr) -> str | None:
    """Return the path in the repository of `Path(workpool_aws.…) / "a" / "b"`; `None` of all else."""
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
        return PACKAGE if f"{PACKAGE}.__path__" in ast.unparse(node) else None
    left = joined(node.left)
    if left is None or not isinstance(node.right, ast.Constant):
        return None
    return f"{left}/{node.right.value}"


def missing_in(path: Path) -> list[str]:
    """Return what the file names of the package and is not there."""
    text = path.read_text(encoding="utf-8")
    dotted, slashed = set(DOTTED.findall(text)), set(SLASHED.findall(text))
    if path.suffix == ".py":
        tree = ast.parse(text)
        dotted |= {name for name in imported(tree) if name.split(".")[0] == PACKAGE}
        slashed |= {
            found
            for node in ast.walk(tree)
            if isinstance(node, ast.BinOp) and (found := joined(node)) is not None
        }
    return [name for name in sorted(dotted) if not exists(name)] + [
        name for name in sorted(slashed) if not (ROOT / name).exists()
    ]


def test_modules_that_other_trees_name_exist() -> None:
    missing = {str(path.relative_to(ROOT)): missing_in(path) for path in files()}

    assert {path: names for path, names in missing.items() if names} == {}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("import workpool_aws.nowhere", ["workpool_aws.nowhere"]),
        ("from workpool_aws.cli import nothing", ["workpool_aws.cli.nothing"]),
        (
            "HANDLER = 'workpool_aws.handlers.main_loop.gone'",
            ["workpool_aws.handlers.main_loop.gone"],
        ),
        ("FILE = 'workpool_aws/cli/gone.py'", ["workpool_aws/cli/gone.py"]),
        (
            "FILE = Path(workpool_aws.__path__[0]) / 'cli' / 'gone.py'",
            ["workpool_aws/cli/gone.py"],
        ),
        ("from workpool_aws import Workpool\nURL = 'https://e.com/workpool_aws/gone'", []),
        ("FILE = Path(workpool_aws.__path__[0]) / 'cli' / 'demo' / 'worker.py'", []),
    ],
)
def test_name_that_is_gone_would_be_noticed(tmp_path: Path, text: str, missing: list[str]) -> None:
    path = tmp_path / "named.py"
    path.write_text(text)

    assert missing_in(path) == missing


def test_handlers_of_deployed_jobs_are_functions_of_bundled_files() -> None:
    bundled = [
        *(ROOT / "tests/e2e/functions").glob("*.py"),
        ROOT / PACKAGE / "cli" / "demo" / "worker.py",
    ]
    functions = {
        f"{path.stem}.{node.name}"
        for path in bundled
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }

    assert {job.handler for job in JOBS.values()} <= functions
