"""Finds the lines and the tests that read a constant: no line of its own runs while a test does.

Names are compared, not what they are bound to. So a line too many may count as one that reads, and
a constant that is reached by `getattr` has none.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.mutation.edits import Edit

__all__ = ["Readers", "importers"]


@dataclass(frozen=True)
class Readers:
    """The lines of a package that read what is bound at the top of a module or of a class."""

    package: Path

    def of(self, edit: Edit) -> Mapping[str, int]:
        """The lines that read what the edit's statement binds, by module; bit n is line n.

        A constant that another one is computed from is read where the other is. A private one is
        read in its own module, and a field in modules that mention its class.
        """
        found: dict[str, int] = defaultdict(int)
        its_class = edit.where.rpartition(".")[2]
        names = self._named_by(edit)
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            for module, read in self._modules.items():
                if module == edit.module or not (
                    name.startswith("_") or its_class not in read.text
                ):
                    found[module] |= read.lines.get(name, 0)
                    more = read.computed.get(name, set()) - names
                    names |= more
                    waiting += more
        return {module: bits for module, bits in found.items() if bits}

    @cached_property
    def _modules(self) -> Mapping[str, _Read]:
        return {
            str(path.relative_to(self.package)): _read_in(path.read_text(encoding="utf-8"))
            for path in sorted(self.package.rglob("*.py"))
        }

    def _named_by(self, edit: Edit) -> set[str]:
        tree = ast.parse((self.package / edit.module).read_text(encoding="utf-8"))
        return {
            name
            for statement in _statements(tree)
            if statement.lineno <= edit.line <= (statement.end_lineno or edit.line)
            for name in _bound(statement)
        }


def importers(texts: Mapping[str, str], module: str) -> list[str]:
    """The files of tests, by their texts, that import a module, as it is named in an edit."""
    dotted = ".".join(["workpool_aws", *Path(module).with_suffix("").parts])
    package, _, name = dotted.removesuffix(".__init__").rpartition(".")
    whole, in_package = re.escape(f"{package}.{name}"), re.escape(package)
    imports = re.compile(
        rf"^\s*(?:import {whole}\b|from {whole} import|from {in_package} import (?:\([^)]*|.*)\b{name}\b)",
        re.MULTILINE,
    )
    return [file for file, text in texts.items() if imports.search(text)]


@dataclass(frozen=True)
class _Read:
    """The names that a module reads: their lines, and the constants that are computed from them."""

    text: str
    lines: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    computed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def _read_in(text: str) -> _Read:
    tree, found = ast.parse(text), _Read(text)
    for name, line in _names_in(tree):
        found.lines[name] |= 1 << line
    for statement in _statements(tree):
        for name, _line in _names_in(statement):
            found.computed[name] |= _bound(statement)
    return found


def _statements(tree: ast.Module) -> Iterator[ast.Assign | ast.AnnAssign]:
    """The statements outside of functions that bind a name."""
    waiting: list[ast.stmt] = [*tree.body]
    while waiting:
        match waiting.pop():
            case ast.Assign() | ast.AnnAssign() as statement:
                yield statement
            case ast.ClassDef(body=body):
                waiting += body
            case _:
                continue


def _bound(statement: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return {
        each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
    }


def _names_in(node: ast.AST) -> Iterator[tuple[str, int]]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            yield each.id, each.lineno
        elif isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Load):
            yield each.attr, each.lineno
