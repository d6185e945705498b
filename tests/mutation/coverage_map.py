"""Measures which tests run which lines, once for each state of the code, and says which tests an edit needs.

A file of tests is measured again when it changes, when what tests share changes, or when a module
changes that its tests ran.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from coverage import CoverageData

from tests.mutation.edits import Edit
from tests.mutation.timing import TIMES_VARIABLE

__all__ = ["HOME_TESTS", "PACKAGE", "SUITES", "CoverageMap", "digest", "measured"]

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
_FILES_A_RUN: Final = 8
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
    at_import: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Of each module, the lines that ran while modules of the library and of tests were imported."""

    def tests_for(self, edit: Edit) -> list[str]:
        """The tests that run a line of the edit, the quickest first; before them some of the file that is about little else.

        A module of nothing but constants runs once, before any test: any test may notice.
        """
        ran = self.lines.get(edit.module) or dict.fromkeys(self.seconds, -1)
        wanted = _lines_of(edit)
        found = sorted(
            (test for test, bits in ran.items() if bits & wanted),
            key=lambda test: (self.seconds[test], test),
        )
        home = min(map(_file_of, found), key=lambda file: self.breadth[file], default="")
        # A test that reads a constant of the module runs no line of it.
        there = (
            found if edit.lines is not None else sorted(self.seconds, key=self.seconds.__getitem__)
        )
        first = [test for test in there if _file_of(test) == home][:HOME_TESTS]
        return [*first, *(test for test in found if test not in first)]

    def acts_at_import(self, edit: Edit) -> bool:
        """True if a line of the edit ran while modules of the library or of tests were imported."""
        return edit.lines is None or bool(self.at_import[edit.module] & _lines_of(edit))

    def add(self, file: str, stored: Mapping[str, Any]) -> None:
        """Add one file of tests."""
        self.breadth[file] = len(stored["modules"])
        self.seconds |= stored["seconds"]
        self.not_passed += stored["not_passed"]
        for module, bits in stored["at_import"].items():
            self.at_import[module] |= int(bits, 16)
        for module, by_test in stored["lines"].items():
            self.lines[module] |= {
                test: int(bits, 16) for test, bits in by_test.items() if test in self.seconds
            }


def measured(tree: Path, store: Path, jobs: int, suites: Sequence[str] = SUITES) -> CoverageMap:
    """The map of a tree of files.

    What is missing is measured in at most `jobs` processes and kept in the folder `store`.
    """
    store.mkdir(parents=True, exist_ok=True)
    files = [str(path.relative_to(tree)) for suite in suites for path in _tests_in(tree / suite)]
    shared = _shared(tree)
    stale = [file for file in files if not _is_current(tree, store, file, shared)]
    if stale:
        print(f"measuring the coverage of {len(stale)} files of tests", flush=True)
        _measure(tree, store, stale, shared, jobs)
    found = CoverageMap()
    for file in files:
        found.add(file, json.loads(_stored_at(store, file).read_text(encoding="utf-8")))
    return found


def digest(paths: Iterable[Path]) -> str:
    """A digest of the contents of files."""
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes() + b"\0")
    return found.hexdigest()[:24]


def _tests_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(each for each in path.rglob("test_*.py") if each.name != _AT_LENGTH)


def _shared(tree: Path) -> str:
    helpers = (
        path
        for path in (tree / "tests").rglob("*.py")
        if not path.name.startswith("test_") and "simulation" not in path.parts
    )
    return digest(sorted(path for path in helpers if "mutation" not in path.parts))


def _is_current(tree: Path, store: Path, file: str, shared: str) -> bool:
    try:
        stored = json.loads(_stored_at(store, file).read_text(encoding="utf-8"))
        modules = {module: digest([tree / PACKAGE / module]) for module in stored["modules"]}
        stored["at_import"]
    except (FileNotFoundError, KeyError, ValueError):
        return False
    return bool(
        stored["file"] == digest([tree / file])
        and stored["shared"] == shared
        and stored["modules"] == modules
    )


def _measure(tree: Path, store: Path, files: Sequence[str], shared: str, jobs: int) -> None:
    """A few files at a time, so that an interrupted run loses little."""
    shares = [files[start : start + _FILES_A_RUN] for start in range(0, len(files), _FILES_A_RUN)]
    with ThreadPoolExecutor(jobs) as pool:
        runs = {pool.submit(_run, tree, store, at, share): at for at, share in enumerate(shares)}
        for done, run in enumerate(as_completed(runs), start=1):
            run.result()
            _keep(tree, store, runs[run], shares[runs[run]], shared)
            print(f"  {min(done * _FILES_A_RUN, len(files))} of {len(files)}", flush=True)


def _run(tree: Path, store: Path, number: int, files: Sequence[str]) -> None:
    variables = {
        "COVERAGE_FILE": str(store / f"coverage.{number}"),
        TIMES_VARIABLE: str(store / f"times.{number}.json"),
    }
    options = [
        "-q",
        "-p",
        "tests.mutation.timing",
        "-p",
        "no:cacheprovider",
        f"--cov={PACKAGE}",
        "--cov-context=test",
        "--cov-report=",
    ]
    command = [sys.executable, "-m", "pytest", *options, *ENGINES, *files]
    with (store / f"output.{number}").open("wb") as output:
        (store / f"coverage.{number}").unlink(missing_ok=True)
        subprocess.run(
            command,
            cwd=tree,
            env=os.environ | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )


def _keep(tree: Path, store: Path, number: int, files: Sequence[str], shared: str) -> None:
    times = json.loads((store / f"times.{number}.json").read_text(encoding="utf-8"))
    ran = _ran(store / f"coverage.{number}", tree)
    at_import = {module: f"{bits:x}" for module, bits in ran.pop("", {}).items()}
    for file in files:
        own = {test: modules for test, modules in ran.items() if _file_of(test) == file}
        lines: dict[str, dict[str, str]] = defaultdict(dict)
        for test, modules in own.items():
            for module, bits in modules.items():
                lines[module][test] = f"{bits:x}"
        stored = {
            "file": digest([tree / file]),
            "shared": shared,
            "modules": {module: digest([tree / PACKAGE / module]) for module in sorted(lines)},
            "seconds": {
                test: seconds for test, seconds in times["passed"].items() if _file_of(test) == file
            },
            "not_passed": [test for test in times["not_passed"] if _file_of(test) == file],
            "lines": lines,
            "at_import": at_import,
        }
        _stored_at(store, file).write_text(json.dumps(stored), encoding="utf-8")


def _ran(path: Path, tree: Path) -> dict[str, dict[str, int]]:
    """The lines that each test ran, of each module; those of no test, "", ran while modules were imported."""
    data = CoverageData(str(path))
    data.read()
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for name in data.measured_files():
        module = str(Path(name).relative_to(tree / PACKAGE))
        for line, contexts in data.contexts_by_lineno(name).items():
            for test in {context.rpartition("|")[0] for context in contexts}:
                found[test][module] |= 1 << line
    return found


def _stored_at(store: Path, file: str) -> Path:
    return store / f"{file.replace('/', '+')}.json"


def _file_of(test: str) -> str:
    return test.partition("::")[0]


def _lines_of(edit: Edit) -> int:
    return -1 if edit.lines is None else _bits(range(edit.lines[0], edit.lines[1] + 1))


def _bits(lines: Iterable[int]) -> int:
    return sum(1 << line for line in lines)
