"""Judges edits: in forks of a process that has collected the tests, or each in a fresh process.

The first costs a fork and the tests that cover the edit (`collected.py`). The second is for edits
that act when their module is loaded: the process has AWS's SDK and nothing else loaded, and an
import hook hands out the edited module. The files stay as they are.

A process that uses more time than its tests can take has an endless loop, which counts as noticed.
"""

from __future__ import annotations

import importlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import pytest

from tests.mutation.collected import serve_collected
from tests.mutation.confined import FORK, confined
from tests.mutation.coverage_map import ENGINES, HOME_TESTS, PACKAGE
from tests.mutation.importing import code_of, dotted, hand_out
from tests.mutation.serving import (
    COLLECTING,
    LOST,
    NOTICED,
    QUIET,
    SURVIVED,
    Answer,
    Collected,
    Measured,
    Question,
    answer_of,
    serve_each,
)

__all__ = ["Judge", "Task", "Verdict", "judges", "load_once", "measurements", "verdicts"]

T = TypeVar("T")
R = TypeVar("R")

_STAGES: Final = (HOME_TESTS, 300)
"""After so many tests the files of the next ones are imported."""
_LOADED: Final = (
    "aws_lambda_powertools", "boto3", "botocore.session", "fastapi", "httpx", "hypothesis", "moto", "moto.dynamodb.models",
    "moto.core.models", "pydantic", "rich.console", "rich.table", "starlette.testclient", "ulid",
)  # fmt: skip
_CPU_FACTOR: Final = 6
"""Factor over the measured time after which an edit counts as endless."""
_CHECK_S: Final = 60


@dataclass(frozen=True, slots=True)
class Task:
    """An edit, by module and index in `edits_of`, and the tests that shall notice it, with their seconds. No index: no edit."""

    module: str
    index: int | None
    tests: Mapping[str, float]
    acts: bool = False
    """True if code of the edit runs when modules of the library or of tests are loaded."""

    def stages(self) -> Iterator[Task]:
        """The task in parts, since the files of its tests are imported for each."""
        tests = list(self.tests.items())
        for start, stop in pairwise((0, *_STAGES, len(tests))):
            if tests[start:stop]:
                yield replace(self, tests=dict(tests[start:stop]))


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


@contextmanager
def judges(tree: Path, files: Sequence[str], jobs: int) -> Iterator[list[Judge]]:
    """As many judges as there are jobs, by the tests of these files."""
    pairs = [FORK.Pipe() for _ in range(2 * jobs)]
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def apart(serve: Callable[[Sequence[Connection]], None], mine: Sequence[Connection]) -> None:
        for each in ours:
            each.close()
        serve(mine)

    processes = [
        FORK.Process(target=apart, args=(serve, theirs[at::2]))
        for at, serve in enumerate(
            (
                partial(serve_collected, tree, files),
                partial(serve_each, answer=partial(_in_fresh_process, tree)),
            )
        )
    ]
    for process in processes:
        process.start()
    for each in theirs:
        each.close()
    try:
        proven: set[str] = set()
        broken: set[str] = set()
        yield [
            Judge(tree, collected, fresh, proven, broken)
            for collected, fresh in zip(ours[::2], ours[1::2], strict=True)
        ]
    finally:
        for each in ours:
            each.close()
        for process in processes:
            process.join()


@dataclass(frozen=True, slots=True)
class Judge:
    """A server that has collected the tests, and one that begins again each time."""

    tree: Path
    collecting: Connection
    fresh: Connection
    proven: set[str]
    """Tests that pass here without an edit; all judges share them."""
    broken: set[str]
    """Tests that do not, and so notice nothing; all judges share them."""

    def collected(self) -> tuple[Sequence[str], Mapping[str, int]]:
        """The tests that there are, and the lines of each module that ran while they were collected."""
        found = json.loads(self._answer(self.collecting, Collected()).note)
        return found["tests"], found["at_import"]

    def measured(self, file: str) -> Mapping[str, Any]:
        """The seconds and the lines of the tests of a file, as `Store.keep` takes them.

        Raises:
            RuntimeError: the tests ended their process.
        """
        answer = self._answer(self.collecting, Measured(file))
        if not answer.note:
            raise RuntimeError(f"{file} could not be measured ({answer.code}):\n{answer.output}")
        found: Mapping[str, Any] = json.loads(answer.note)
        return found

    def verdict(self, task: Task, patience_s: int) -> Verdict:
        """The verdict on one task, by tests that pass here without the edit."""
        tests = {test: s for test, s in task.tests.items() if test not in self.broken}
        verdict = self._verdict(replace(task, tests=tests), patience_s)
        if verdict.by in tests and not self._passes_without_edits(verdict.by, tests[verdict.by]):
            self.broken.add(verdict.by)
            return self.verdict(task, patience_s)
        return verdict

    def _passes_without_edits(self, test: str, seconds: float) -> bool:
        if test not in self.proven:
            alone = self._ask(self.collecting, Task("", None, {test: seconds}), _CHECK_S)
            if alone.code not in SURVIVED:
                return False
            self.proven.add(test)
        return True

    def _verdict(self, task: Task, patience_s: int) -> Verdict:
        answer = self._ask(self.collecting, task, patience_s)
        if answer.code is None or (answer.code in SURVIVED and task.acts):
            for part in task.stages():
                answer = self._ask(self.fresh, part, patience_s)
                if answer.code not in SURVIVED:
                    break
        return self._verdict_of(answer)

    def _ask(self, server: Connection, task: Task, patience_s: int) -> Answer:
        tests, cpu_s = list(task.tests), int(patience_s + _CPU_FACTOR * sum(task.tests.values()))
        answer = self._answer(server, Question(task.module, task.index, tests, cpu_s))
        if answer.code == LOST:
            raise LookupError(
                f"{task.module}: tests of the coverage map are not there; remove build/mutation and run again"
            )
        return answer

    def _answer(self, server: Connection, question: Question | Measured | Collected) -> Answer:
        try:
            server.send(question)
            answer = server.recv()
        except (EOFError, BrokenPipeError):
            said = (self.tree.parent / COLLECTING).read_text("utf-8", errors="replace")
            raise RuntimeError(f"the tests could not be collected:\n{said[-4_000:]}") from None
        assert isinstance(answer, Answer)
        return answer

    @staticmethod
    def _verdict_of(answer: Answer) -> Verdict:
        if answer.code in SURVIVED:
            return Verdict(noticed=False)
        ended = answer.code is not None and answer.code < 0
        by = answer.by or ("time" if ended else "import")
        return Verdict(noticed=True, by=by, output=answer.output)


def verdicts(
    tasks: Sequence[Task], judges: Sequence[Judge], *, patience_s: int
) -> Iterator[tuple[Task, Verdict]]:
    """The verdict of each task as it is reached, as many at a time as there are judges.

    An edit has `patience_s` of processor time beside that of its tests.
    """
    return _shared(tasks, judges, lambda judge, task: judge.verdict(task, patience_s))


def measurements(
    files: Sequence[str], judges: Sequence[Judge]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The answers of `Judge.measured` for each file, as many at a time as there are judges."""
    return _shared(files, judges, lambda judge, file: judge.measured(file))


def _shared(
    parts: Sequence[T], judges: Sequence[Judge], ask: Callable[[Judge, T], R]
) -> Iterator[tuple[T, R]]:
    free: SimpleQueue[Judge] = SimpleQueue()
    for judge in judges:
        free.put(judge)

    def asked(part: T) -> tuple[T, R]:
        judge = free.get()
        try:
            return part, ask(judge, part)
        finally:
            free.put(judge)

    with ThreadPoolExecutor(len(judges)) as pool:
        for done in as_completed([pool.submit(asked, part) for part in parts]):
            yield done.result()


def _in_fresh_process(tree: Path, question: Question) -> Answer:
    return answer_of(confined(partial(_judge, question, tree), question.cpu_s))


def _judge(task: Question, tree: Path, note: Path) -> int:
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
