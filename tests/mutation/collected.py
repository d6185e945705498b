"""Judges edits in forks of a process that has collected every test, so that an edit costs a fork and its tests.

The code of the functions that are there is exchanged. An edit that acts when its module is loaded
needs a fresh process (`judging.py`).
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import zip_longest
from multiprocessing.connection import Connection
from pathlib import Path
from types import FunctionType
from typing import Final

import pytest

from tests.mutation.confined import FORK, Confined
from tests.mutation.coverage_map import ENGINES, PACKAGE
from tests.mutation.importing import code_of, dotted, functions_in, hand_out, replaced

__all__ = ["LOST", "NOTICED", "QUIET", "Answer", "Question", "servers"]

NOTICED: Final = 1
LOST: Final = 70
"""Exit code: the tests of the map are not there."""
_ACTS_AT_IMPORT: Final = 71
QUIET: Final = ("-q", "-p", "no:cacheprovider", "-p", "no:cov", "--no-header")
_OPTIONS: Final = (
    *QUIET, "-p", "no:xdist", "--capture=sys", "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
"""Captured in memory, since forks share the files of their parent."""


@dataclass(frozen=True, slots=True)
class Question:
    """An edit, and the tests that shall notice it, in this order. No index: no edit."""

    module: str
    index: int | None
    tests: Sequence[str]
    cpu_s: int


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` is an exit code, negative after a signal; `None` means that the edit acts when its module is loaded, and no test ran."""

    code: int | None
    by: str
    output: str


@contextmanager
def servers(tree: Path, files: Sequence[str], jobs: int) -> Iterator[list[Connection]]:
    """Collect the tests of files, and give as many connections as there are jobs.

    A `Question` that is sent is answered by an `Answer`, one at a time.
    """
    pairs = [FORK.Pipe() for _ in range(jobs)]
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    host = FORK.Process(target=_host, args=(tree, files, ours, theirs))
    host.start()
    for each in theirs:
        each.close()
    try:
        yield ours
    finally:
        for each in ours:
            each.close()
        host.join()


def _host(
    tree: Path, files: Sequence[str], ours: Sequence[Connection], theirs: Sequence[Connection]
) -> None:
    for each in ours:
        each.close()
    os.chdir(tree)
    output = os.open(tree.parent / "collecting.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    # Loaded before pytest, whose own import hook takes the package for a plugin.
    for path in (tree / PACKAGE).rglob("*.py"):
        if path.name != "__main__.py":
            with suppress(ImportError):
                importlib.import_module(dotted(str(path.relative_to(tree / PACKAGE))))
    pytest.main([*_OPTIONS, *ENGINES, *files], plugins=[_Collected(tree, theirs)])


class _Collected:
    """Pytest plugin that answers questions in place of running what was collected."""

    def __init__(self, tree: Path, connections: Sequence[Connection]) -> None:
        self._package = tree / PACKAGE
        self._connections = connections
        self._items: Mapping[str, pytest.Item] = {}
        self._functions: Mapping[str, Sequence[FunctionType]] = {}
        self._failed: pytest.TestReport | None = None
        self._code = cache(partial(code_of, index=None))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = {item.nodeid: item for item in session.items}
        self._functions = functions_in(self._package)
        gc.collect()
        gc.freeze()
        processes = [FORK.Process(target=self._serve, args=(each,)) for each in self._connections]
        for process in processes:
            process.start()
        for each in self._connections:
            each.close()
        for process in processes:
            process.join()
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self._failed is None:
            self._failed = report

    def _serve(self, connection: Connection) -> None:
        for each in self._connections:
            if each is not connection:
                each.close()
        with suppress(EOFError, KeyboardInterrupt):
            while True:
                connection.send(self._answer(connection.recv()))
        os._exit(0)

    def _answer(self, question: Question) -> Answer:
        if question.index is not None:
            self._code(self._package / question.module)
        fork = Confined(partial(self._run, question), question.cpu_s)
        try:
            ended = fork.wait()
        except BaseException:
            fork.end()
            raise
        code = None if ended.code == _ACTS_AT_IMPORT else ended.code
        by, _, text = ended.note.partition("\n")
        return Answer(code, by, f"{ended.output}{text}")

    def _run(self, question: Question, note: Path) -> int:
        """Run in the fork. Returns the exit code."""
        if question.index is not None and not self._edit(question.module, question.index):
            return _ACTS_AT_IMPORT
        items = [self._items[test] for test in question.tests if test in self._items]
        if len(items) < len(question.tests):
            return LOST
        for item, following in zip_longest(items, items[1:]):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed is not None:
                note.write_text(
                    f"{self._failed.nodeid}\n{self._failed.longreprtext}", encoding="utf-8"
                )
                return NOTICED
        return 0

    def _edit(self, module: str, index: int) -> bool:
        path = self._package / module
        new = code_of(path, index)
        hand_out(module, new)
        return dotted(module) not in sys.modules or replaced(
            self._functions.get(str(path), ()), self._code(path), new
        )
