"""Judges edits: in forks of a process that has collected the tests, or each in a fresh process.

The first costs a fork and the tests that cover the edit (`collected.py`). The second is for edits
that act when their module is loaded: the process has AWS's SDK and nothing else loaded, and an
import hook hands out the edited module. The files stay as they are.

A process that uses more time than its tests can take has an endless loop, which counts as noticed.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import Final

import pytest

from tests.mutation.collected import LOST, NOTICED, QUIET, Answer, Question
from tests.mutation.confined import Confined, Ended
from tests.mutation.coverage_map import ENGINES, HOME_TESTS, PACKAGE
from tests.mutation.importing import code_of, dotted, hand_out

__all__ = ["Task", "Verdict", "check_without_edits", "load_once", "verdicts"]

_STAGES: Final = (HOME_TESTS, 300)
"""After so many tests the files of the next ones are imported."""
_LOADED: Final = (
    "aws_lambda_powertools", "boto3", "botocore.session", "fastapi", "httpx", "hypothesis", "moto", "moto.dynamodb.models",
    "moto.core.models", "pydantic", "rich.console", "rich.table", "starlette.testclient", "ulid",
)  # fmt: skip
_CPU_FACTOR: Final = 6
"""How much longer than measured the tests may take before the edit counts as endless."""
_SURVIVED: Final = (0, 5)
"""Exit codes of pytest: all passed, and nothing left to run."""


@dataclass(frozen=True, slots=True)
class Task:
    """An edit, by module and index in `edits_of`, and the tests that shall notice it, with their seconds. No index: no edit."""

    module: str
    index: int | None
    tests: Mapping[str, float]
    acts: bool = False
    """True if code of the edit runs when modules of the library or of tests are loaded."""

    def stage(self, number: int) -> Task:
        """The part of the tests that the stage runs."""
        bounds = (0, *_STAGES, len(self.tests))
        chosen = list(self.tests.items())[bounds[number] : max(bounds[number], bounds[number + 1])]
        return Task(self.module, self.index, dict(chosen))

    def cpu_s(self, patience_s: int) -> int:
        """The time of the processor that its tests may take."""
        return int(patience_s + _CPU_FACTOR * sum(self.tests.values()))


@dataclass(frozen=True, slots=True)
class Verdict:
    """`by` names the test that failed; "time" means that the edit never ended, "import" that nothing could be loaded."""

    noticed: bool
    by: str = ""
    output: str = ""
    """The end of what the tests said."""


class _Chosen:
    """Pytest plugin that runs the chosen tests alone, in their order, and notes the first that fails.

    Without an edit all of them must be there. With one some may go by another name: that of a
    constant that was edited.
    """

    def __init__(self, tests: Sequence[str], note: Path, *, all_there: bool) -> None:
        self._all_there = all_there
        self._order = {test: at for at, test in enumerate(tests)}
        self._note = note

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order),
            key=lambda item: self._order[item.nodeid],
        )
        if self._all_there and len(items) < len(self._order):
            os._exit(LOST)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._note.write_text(report.nodeid, encoding="utf-8")


def load_once() -> None:
    """Import what every process needs and no edit touches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _LOADED:
            with suppress(ImportError):
                importlib.import_module(name)
    from hypothesis import settings  # noqa: PLC0415 - loaded with the others

    settings.register_profile("mutation", database=None, derandomize=True, deadline=None)
    settings.load_profile("mutation")


def verdicts(
    tasks: Sequence[Task], tree: Path, servers: Sequence[Connection], *, patience_s: int
) -> Iterator[tuple[Task, Verdict]]:
    """The verdict of each task as it is reached, as many at a time as there are servers.

    An edit has `patience_s` of processor time beside that of its tests.
    """
    waiting = list(reversed(tasks))
    idle = list(servers)
    running: dict[object, tuple[_Asked | _Fresh, Connection]] = {}
    try:
        while waiting or running:
            while waiting and idle:
                server = idle.pop()
                running[server] = (_Asked(waiting.pop(), tree, server, patience_s), server)
            for ready in _ready([each for each, _ in running.values()]):
                each, server = running.pop(ready.awaited)
                verdict = ready.verdict()
                if isinstance(verdict, Verdict):
                    idle.append(server)
                    yield each.task, verdict
                else:
                    running[verdict.awaited] = (verdict, server)
    finally:
        for each, _ in running.values():
            each.end()


def _ready(running: Sequence[_Asked | _Fresh]) -> list[_Asked | _Fresh]:
    """Those that have come to something, or whose time is over; there may be none."""
    ends_at = min(each.ends_at for each in running)
    timeout = None if ends_at == inf else max(0.0, ends_at - monotonic())
    ready = wait([each.awaited for each in running], timeout)
    return [each for each in running if each.awaited in ready or monotonic() >= each.ends_at]


def check_without_edits(
    tests: Mapping[str, float], tree: Path, servers: Sequence[Connection]
) -> None:
    """Run tests as an edit would have them run, without one.

    Raises:
        RuntimeError: they do not pass there, so they could notice nothing.
    """
    for _, verdict in verdicts([Task("", None, tests)], tree, servers, patience_s=60):
        if verdict.noticed:
            raise RuntimeError(f"tests fail without an edit ({verdict.by}):\n{verdict.output}")


class _Asked:
    """A task that a server judges. The server keeps its time."""

    def __init__(self, task: Task, tree: Path, server: Connection, patience_s: int) -> None:
        self.task = task
        self.awaited = server
        self.ends_at = inf
        self._tree = tree
        self._patience_s = patience_s
        server.send(Question(task.module, task.index, list(task.tests), task.cpu_s(patience_s)))

    def verdict(self) -> Verdict | _Fresh:
        """The verdict, or the task in a fresh process."""
        try:
            answer = self.awaited.recv()
        except EOFError:
            said = (self._tree.parent / "collecting.txt").read_text("utf-8", errors="replace")
            raise RuntimeError(f"the tests could not be collected:\n{said[-4_000:]}") from None
        assert isinstance(answer, Answer)
        if answer.code is None or (answer.code == 0 and self.task.acts):
            return _Fresh(self.task, self._tree, self._patience_s)
        return _verdict(self.task, Ended(answer.code, answer.by, answer.output))

    def end(self) -> None:
        """Nothing to do: the server ends what it runs when its connection is closed."""


class _Fresh:
    """One stage of a task, in a process of its own."""

    def __init__(self, task: Task, tree: Path, patience_s: int, number: int = 0) -> None:
        self.task = task
        self._tree = tree
        self._patience_s = patience_s
        self._number = number
        part = task.stage(number)
        self._fork = Confined(partial(_judge, part, tree), part.cpu_s(patience_s))
        self.awaited = self._fork.sentinel
        self.ends_at = self._fork.ends_at

    def verdict(self) -> Verdict | _Fresh:
        """The verdict, or the next stage."""
        ended = self._fork.wait()
        if (
            ended.code in _SURVIVED
            and self._number < len(_STAGES)
            and self.task.stage(self._number + 1).tests
        ):
            return _Fresh(self.task, self._tree, self._patience_s, self._number + 1)
        return _verdict(self.task, ended)

    def end(self) -> None:
        """End the process and those that it started."""
        self._fork.end()


def _verdict(task: Task, ended: Ended) -> Verdict:
    if ended.code == LOST:
        raise LookupError(
            f"{task.module}: tests of the coverage map are not there; remove build/mutation and run again"
        )
    if ended.code in _SURVIVED:
        return Verdict(noticed=False)
    by = ended.note or ("time" if ended.code < 0 else "import")
    return Verdict(noticed=True, by=by, output=ended.output)


def _judge(task: Task, tree: Path, note: Path) -> int:
    """Run in a process of its own. Returns the exit code."""
    os.chdir(tree)
    if task.index is not None:
        # Loaded before pytest, whose own import hook takes the package for a plugin.
        try:
            hand_out(task.module, code_of(tree / PACKAGE / task.module, task.index))
            importlib.import_module(dotted(task.module))
        except BaseException:  # noqa: BLE001 - a module that cannot be loaded is noticed, whatever it raises
            return NOTICED
    files = dict.fromkeys(test.partition("::")[0] for test in task.tests)
    # Hypothesis is loaded before pytest could rewrite its assertions: none is wanted there.
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(
        pytest.main(
            ["-x", *QUIET, *quiet, *ENGINES, *files],
            plugins=[_Chosen(list(task.tests), note, all_there=task.index is None)],
        )
    )
