"""Says which tests an edit needs, by the lines that each test runs.

A file of tests is measured when it is new, or changed, or names its tests otherwise. A change of the
library measures nothing anew: lines that stayed are found again wherever they moved to, and a line
that is new counts as run by every test that ran some line of its module. So a map can be too old to
show the one test that would notice an edit. It never has an edit noticed that no test notices.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from tests.mutation.edits import Edit
from tests.mutation.reading import Readers, importers

__all__ = ["HOME_TESTS", "PACKAGE", "SUITES", "CoverageMap", "Store", "digest", "files_of", "moved"]

PACKAGE: Final = "workpool_aws"
SUITES: Final = (
    "tests/unit",
    "tests/property",
    "tests/contract",
    "tests/integration",
    "tests/acceptance",
    "tests/cli",
    "tests/dashboard",
    "tests/local",
)
"""The tests that judge edits. The others simulate at length, need servers, or read files."""
_AT_LENGTH: Final = "test_differential.py"
"""Runs random commands on all engines. What it may notice, other contract tests notice sooner."""
HOME_TESTS: Final = 40
"""So many of one file run first: one file is imported to run them, and most edits go no further."""
ENGINES: Final = ("--engine", "memory", "--engine", "moto")
"""The contract runs on moto too: nothing else shows the adapter of DynamoDB."""


@dataclass(slots=True)
class CoverageMap:
    """The passing tests with their seconds, and the lines that each of them runs."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """Of each module, by test: bit n is set where line n was run."""
    not_passed: list[str] = field(default_factory=list)
    breadth: dict[str, int] = field(default_factory=dict)
    """Return the number of modules that the tests of a file run."""
    at_import: Mapping[str, int] = field(default_factory=dict)
    """Of each module, the lines that ran while modules of the library and of tests were imported."""
    read_by: Callable[[Edit], Mapping[str, int]] = lambda _edit: {}
    """The lines that read the constant of an edit, by module."""
    imported_by: Callable[[str], Collection[str]] = lambda _module: ()
    """The files of tests that import a module."""

    def tests_for(self, edit: Edit) -> list[str]:
        """The tests that run a line of the edit, the quickest first; before them some of the file that is about little else.

        A constant runs once, before any test, and so may a function that makes one. First those tests run that run a line which reads it,
        then those that run any line of its module. A test that reads it itself runs no such line:
        those of files that import the module come last, and first if it has nothing but constants.
        Any test may notice what is read nowhere.
        """
        found = self._that_ran({edit.module: _lines_of(edit)})
        if edit.lines is not None and (found or not self.acts_at_import(edit)):
            return list(dict.fromkeys([*self._at_home(found, found), *found]))
        everything = self._quickest_first(self.seconds)
        found = self._that_ran({edit.module: -1})
        readers = self._that_ran({} if edit.lines else self.read_by(edit))
        near = [*self._at_home(readers or found, everything), *readers, *found]
        importers = [
            test
            for file in self.imported_by(edit.module)
            for test in [each for each in everything if _file_of(each) == file][:HOME_TESTS]
        ]
        order = [*near, *importers] if found else [*importers, *near]
        return list(dict.fromkeys(order)) or everything

    def _at_home(self, tests: Iterable[str], there: Sequence[str]) -> list[str]:
        """Some tests of that file of the tests which is about little else."""
        home = min(map(_file_of, tests), key=self.breadth.__getitem__, default="")
        return [test for test in there if _file_of(test) == home][:HOME_TESTS]

    def _that_ran(self, wanted: Mapping[str, int]) -> list[str]:
        """The tests that ran one of these lines, the quickest first."""
        return self._quickest_first(
            {
                test
                for module, lines in wanted.items()
                for test, bits in self.lines.get(module, {}).items()
                if bits & lines
            }
        )

    def _quickest_first(self, tests: Iterable[str]) -> list[str]:
        return sorted(tests, key=lambda test: (self.seconds[test], test))

    def acts_at_import(self, edit: Edit) -> bool:
        """True if a line of the edit ran while modules of the library or of tests were imported."""
        return edit.lines is None or bool(self.at_import.get(edit.module, 0) & _lines_of(edit))


@dataclass(frozen=True, slots=True)
class Store:
    """Measurements by file of tests, with the modules as they were then."""

    tree: Path
    folder: Path

    def stale(self, tests: Mapping[str, Sequence[str]]) -> list[str]:
        """The files, of these with their tests, that have to be measured."""
        return [file for file, names in tests.items() if not self._is_good(file, names)]

    def keep(self, file: str, measured: Mapping[str, Any]) -> None:
        """Keep what was measured of a file: `seconds`, `not_passed`, and `lines` by module and test."""
        modules = {module: self._kept_source(module) for module in sorted(measured["lines"])}
        stored = {"file": digest([self.tree / file]), "modules": modules, **measured}
        self._at(file).write_text(json.dumps(stored), encoding="utf-8")

    def map_of(self, files: Iterable[str], at_import: Mapping[str, int]) -> CoverageMap:
        """The map of files, all of which were measured."""
        files = list(files)
        texts = {file: (self.tree / file).read_text(encoding="utf-8") for file in files}
        found = CoverageMap(
            at_import=at_import,
            read_by=Readers(self.tree / PACKAGE).of,
            imported_by=partial(importers, texts),
        )
        moves = cache(self._move)
        for file in files:
            stored = json.loads(self._at(file).read_text(encoding="utf-8"))
            found.breadth[file] = len(stored["modules"])
            found.seconds |= stored["seconds"]
            found.not_passed += stored["not_passed"]
            for module, by_test in stored["lines"].items():
                if (self.tree / PACKAGE / module).is_file():
                    moved = moves(module, stored["modules"][module])
                    found.lines[module] |= {
                        test: moved(int(bits, 16))
                        for test, bits in by_test.items()
                        if test in stored["seconds"]
                    }
        return found

    def _is_good(self, file: str, names: Sequence[str]) -> bool:
        try:
            stored = json.loads(self._at(file).read_text(encoding="utf-8"))
            there = {*stored["seconds"], *stored["not_passed"]}
            return bool(stored["file"] == digest([self.tree / file]) and there == {*names})
        except (FileNotFoundError, KeyError, ValueError):
            return False

    def _kept_source(self, module: str) -> str:
        path = self.tree / PACKAGE / module
        found = digest([path])
        (self.folder / f"{found}.source").write_bytes(path.read_bytes())
        return found

    def _move(self, module: str, measured: str) -> Callable[[int], int]:
        """Takes lines of a module as it was measured to those of the module as it is."""
        path = self.tree / PACKAGE / module
        if digest([path]) == measured:
            return lambda bits: bits
        before = (self.folder / f"{measured}.source").read_text(encoding="utf-8")
        return cache(moved(before, path.read_text(encoding="utf-8")))

    def _at(self, file: str) -> Path:
        return self.folder / f"{file.replace('/', '+')}.json"


def moved(before: str, after: str) -> Callable[[int], int]:
    """Takes the lines of one text, as bits, to those of another; any line is a reason for a new one."""
    blocks = SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    same = {
        new + at + 1: old + at + 1
        for old, new, length in blocks.get_matching_blocks()
        for at in range(length)
    }
    new_lines = _bits(set(range(1, len(after.splitlines()) + 1)) - {*same})

    def move(bits: int) -> int:
        found = _bits(new for new, old in same.items() if bits >> old & 1)
        return found | new_lines if bits else found

    return move


def digest(paths: Iterable[Path]) -> str:
    """A digest of the contents of files."""
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes() + b"\0")
    return found.hexdigest()[:24]


def files_of(tree: Path, suites: Sequence[str] = SUITES) -> list[str]:
    """The files of tests in folders."""
    return [str(path.relative_to(tree)) for suite in suites for path in _tests_in(tree / suite)]


def _tests_in(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    yield from sorted(each for each in path.rglob("test_*.py") if each.name != _AT_LENGTH)


def _file_of(test: str) -> str:
    return test.partition("::")[0]


def _lines_of(edit: Edit) -> int:
    return -1 if edit.lines is None else _bits(range(edit.lines[0], edit.lines[1] + 1))


def _bits(lines: Iterable[int]) -> int:
    return sum(1 << line for line in lines)
