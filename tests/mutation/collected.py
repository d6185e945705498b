"""Judges edits in forks of a process that has collected every test, so that an edit costs a fork and its tests.

The code of the functions that are there is exchanged. An edit that acts when its module is loaded
needs a fresh process (`judging.py`).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from itertools import zip_longest
from multiprocessing.connection import Connection
from pathlib import Path
from time import process_time
from types import FunctionType
from typing import Final

import pytest

from tests.mutation.confined import confined
from tests.mutation.coverage_map import ENGINES, PACKAGE
from tests.mutation.importing import (
    code_of,
    dotted,
    functions_in,
    hand_out,
    rebound,
    replaced,
)
from tests.mutation.serving import (
    COLLECTING,
    LOST,
    NOTICED,
    QUIET,
    Answer,
    Collected,
    Measured,
    Question,
    answer_of,
    serve_each,
)
from tests.mutation.tracing import Tracing

__all__ = ["serve_collected"]

_ACTS_AT_IMPORT: Final = 71
_MEASURE_CPU_S: Final = 600
_OPTIONS: Final = (
    *QUIET, "-p", "no:xdist", "--capture=sys", "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
"""Captured in memory, since forks share the files of their parent."""


def serve_collected(tree: Path, files: Sequence[str], connections: Sequence[Connection]) -> None:
    """Collect the tests of files, and answer questions on all connections."""
    os.chdir(tree)
    output = os.open(tree.parent / COLLECTING, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    tracing = Tracing(tree)
    # Loaded before pytest, whose own import hook takes the package for a plugin.
    for path in (tree / PACKAGE).rglob("*.py"):
        if path.name != "__main__.py":
            with suppress(ImportError):
                importlib.import_module(dotted(str(path.relative_to(tree / PACKAGE))))
    pytest.main([*_OPTIONS, *ENGINES, *files], plugins=[_Server(tree, connections, tracing)])


class _Server:
    """Pytest plugin that answers questions in place of running what was collected."""

    def __init__(self, tree: Path, connections: Sequence[Connection], tracing: Tracing) -> None:
        self._tree = tree
        self._package = tree / PACKAGE
        self._tracing = tracing
        self._at_import: Mapping[str, int] = {}
        self._connections = connections
        self._items: Mapping[str, pytest.Item] = {}
        self._functions: Mapping[str, Sequence[FunctionType]] = {}
        self._failed: pytest.TestReport | None = None
        self._not_passed: set[str] = set()
        self._code = cache(partial(code_of, index=None))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._at_import = self._tracing.end().get("", {})
        self._items = {item.nodeid: item for item in session.items}
        self._functions = functions_in(self._package)
        gc.collect()
        gc.freeze()
        serve_each(self._connections, self._answer)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self._failed is None:
            self._failed = report
        if report.outcome != "passed":
            self._not_passed.add(report.nodeid)

    def _answer(self, question: Question | Measured | Collected) -> Answer:
        match question:
            case Collected():
                return Answer(
                    0, note=json.dumps({"tests": [*self._items], "at_import": self._at_import})
                )
            case Measured(file):
                ended = confined(partial(self._measure, file), _MEASURE_CPU_S)
                return Answer(ended.code, output=ended.output, note=ended.note)
            case Question():
                return self._verdict(question)

    def _verdict(self, question: Question) -> Answer:
        if question.index is not None:
            self._code(self._package / question.module)
        ended = confined(partial(self._run, question), question.cpu_s)
        return Answer(None) if ended.code == _ACTS_AT_IMPORT else answer_of(ended)

    def _run(self, question: Question, note: Path) -> int:
        """Run in the fork. Returns the exit code."""
        if question.index is not None and not self._edit(question.module, question.index):
            return _ACTS_AT_IMPORT
        items = [self._items[test] for test in question.tests if test in self._items]
        if len(items) < len(question.tests):
            return LOST
        for _ in _each_run(items):
            if self._failed is not None:
                note.write_text(
                    f"{self._failed.nodeid}\n{self._failed.longreprtext}", encoding="utf-8"
                )
                return NOTICED
        return 0

    def _measure(self, file: str, note: Path) -> int:
        """Run all tests of a file in the fork, traced. Returns the exit code."""
        tracing, seconds, at = Tracing(self._tree), {}, process_time()
        items = [item for test, item in self._items.items() if test.startswith(f"{file}::")]
        for item in _each_run(items, before=tracing.of):
            # Of the processor: on a busy machine the clock says little.
            seconds[item.nodeid], at = process_time() - at, process_time()
        lines: dict[str, dict[str, str]] = defaultdict(dict)
        for test, modules in tracing.end().items():
            for module, bits in modules.items():
                if test in seconds:
                    lines[module][test] = f"{bits:x}"
        passed = {test: spent for test, spent in seconds.items() if test not in self._not_passed}
        found = {"seconds": passed, "not_passed": sorted(self._not_passed), "lines": lines}
        note.write_text(json.dumps(found), encoding="utf-8")
        return 0

    def _edit(self, module: str, index: int) -> bool:
        path = self._package / module
        new = code_of(path, index)
        hand_out(module, new)
        loaded = sys.modules.get(dotted(module))
        return (
            loaded is None
            or replaced(self._functions.get(str(path), ()), self._code(path), new)
            or rebound(loaded, path.read_text(encoding="utf-8"), index)
        )


def _each_run(
    items: Sequence[pytest.Item], before: Callable[[str], None] = lambda _test: None
) -> Iterator[pytest.Item]:
    """Run each test when the next one is asked for."""
    for item, following in zip_longest(items, items[1:]):
        before(item.nodeid)
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        yield item
