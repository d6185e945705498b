"""Judges edits: each is compiled in a process of its own, forked with AWS's SDK loaded, and the tests that cover it run there.

The files stay as they are; an import hook hands out the edited module. A process that uses more
time than its tests can take has an endless loop, which counts as noticed.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic
from types import CodeType, ModuleType
from typing import Final

import pytest

from tests.mutation.coverage_map import ENGINES, HOME_TESTS, PACKAGE
from tests.mutation.edits import edited

__all__ = ["Task", "Verdict", "check_without_edits", "load_once", "verdicts"]

_STAGES: Final = (HOME_TESTS, 300)
"""After so many tests the files of the next ones are imported."""
_LOADED: Final = (
    "aws_lambda_powertools", "boto3", "botocore.session", "fastapi", "httpx", "hypothesis", "moto", "moto.dynamodb.models",
    "moto.core.models", "pydantic", "rich.console", "rich.table", "starlette.testclient", "ulid",
)  # fmt: skip
_CPU_FACTOR: Final = 6
"""How much longer than measured the tests may take before the edit counts as endless."""
_WALL_FACTOR: Final = 5
"""A process that waits uses no time of the processor."""
_MEMORY_MAX: Final = 4 << 30
_OUTPUT_MAX: Final = 4_000
_OUTPUT: Final = "output"
_SURVIVED: Final = (0, 5)
"""Exit codes of pytest: all passed, and nothing left to run."""
_LOST: Final = 70
"""Exit code: the tests of the map are not there."""


@dataclass(frozen=True, slots=True)
class Task:
    """An edit, by module and index in `edits_of`, and the tests that shall notice it, with their seconds. No index: no edit."""

    module: str
    index: int | None
    tests: Mapping[str, float]

    def stage(self, number: int) -> Task:
        """The part of the tests that the stage runs."""
        bounds = (0, *_STAGES, len(self.tests))
        chosen = list(self.tests.items())[bounds[number] : max(bounds[number], bounds[number + 1])]
        return Task(self.module, self.index, dict(chosen))


@dataclass(frozen=True, slots=True)
class Verdict:
    """`by` names the test that failed; "time" means that the edit never ended, "import" that nothing could be loaded."""

    noticed: bool
    by: str = ""
    output: str = ""
    """The end of what the tests said."""


class _EditedLoader(SourceFileLoader):
    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        assert fullname == self.name
        return self._code


class _EditedFinder:
    def __init__(self, name: str, code: CodeType) -> None:
        self._name = name
        self._code = code

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.origin is not None
        loader: Loader = _EditedLoader(name, spec.origin, self._code)
        spec.loader = loader
        return spec


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
            os._exit(_LOST)

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
    tasks: Sequence[Task], tree: Path, *, jobs: int, patience_s: int
) -> Iterator[tuple[Task, Verdict]]:
    """The verdict of each task as it is reached, at most `jobs` at a time; an edit has `patience_s` of processor time beside its tests'."""
    waiting = list(reversed(tasks))
    running: dict[int, _Running] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                started = _Running(waiting.pop(), tree, patience_s)
                running[started.process.sentinel] = started
            wait(
                list(running),
                timeout=max(0.0, min(each.ends_at for each in running.values()) - monotonic()),
            )
            for sentinel, each in list(running.items()):
                verdict = each.verdict()
                if verdict is None:
                    continue
                del running[sentinel]
                if isinstance(verdict, _Running):
                    running[verdict.process.sentinel] = verdict
                else:
                    yield each.task, verdict
    finally:
        for each in running.values():
            each.end()


def check_without_edits(tests: Mapping[str, float], tree: Path) -> None:
    """Run tests as an edit would have them run, without one.

    Raises:
        RuntimeError: they do not pass there, so they could notice nothing.
    """
    for _, verdict in verdicts([Task("", None, tests)], tree, jobs=1, patience_s=60):
        if verdict.noticed:
            raise RuntimeError(f"tests fail without an edit ({verdict.by}):\n{verdict.output}")


class _Running:
    """One stage of a task, in its process."""

    def __init__(self, task: Task, tree: Path, patience_s: int, number: int = 0) -> None:
        self.task = task
        self._tree = tree
        self._patience_s = patience_s
        self._number = number
        self._part = task.stage(number)
        self._note = Path(tempfile.mkdtemp(prefix="mutation-")) / "failed"
        cpu_s = int(patience_s + _CPU_FACTOR * sum(self._part.tests.values()))
        self.ends_at = monotonic() + _WALL_FACTOR * cpu_s
        self.process: BaseProcess = multiprocessing.get_context("fork").Process(
            target=_judge, args=(self._part, tree, self._note, cpu_s)
        )
        self.process.start()

    def verdict(self) -> Verdict | _Running | None:
        """The verdict, or the next stage; `None` means that it goes on."""
        if self.process.is_alive():
            if monotonic() < self.ends_at:
                return None
            self.end()
            return Verdict(noticed=True, by="time")
        self.process.join()
        by = self._note.read_text(encoding="utf-8") if self._note.exists() else ""
        output = self._note.with_name(_OUTPUT).read_text(encoding="utf-8", errors="replace")[
            -_OUTPUT_MAX:
        ]
        self._forget()
        code = self.process.exitcode or 0
        if code == _LOST:
            raise LookupError(
                f"{self.task.module}: tests of the coverage map are not there; remove build/mutation and run again"
            )
        if code not in _SURVIVED:
            return Verdict(noticed=True, by=by or ("time" if code < 0 else "import"), output=output)
        if self._number < len(_STAGES) and self.task.stage(self._number + 1).tests:
            return _Running(self.task, self._tree, self._patience_s, self._number + 1)
        return Verdict(noticed=False)

    def end(self) -> None:
        """End the process and those that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid or os.getpid(), signal.SIGKILL)
        self.process.join()
        self._forget()

    def _forget(self) -> None:
        shutil.rmtree(self._note.parent, ignore_errors=True)


def _judge(task: Task, tree: Path, note: Path, cpu_s: int) -> None:
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MAX, _MEMORY_MAX))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(note.with_name(_OUTPUT), os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(tree)
    if task.index is not None:
        # Loaded before pytest, whose own import hook takes the package for a plugin.
        name, path = _dotted(task.module), tree / PACKAGE / task.module
        try:
            sys.meta_path.insert(0, _EditedFinder(name, _code(path, task.index)))
            importlib.import_module(name)
        except BaseException:  # noqa: BLE001 - a module that cannot be loaded is noticed, whatever it raises
            os._exit(1)
    files = dict.fromkeys(test.partition("::")[0] for test in task.tests)
    # Hypothesis is loaded before pytest could rewrite its assertions: none is wanted there.
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:cov",
        "--no-header",
        *quiet,
        *ENGINES,
    ]
    code = pytest.main(
        [*options, *files], plugins=[_Chosen(list(task.tests), note, all_there=task.index is None)]
    )
    os._exit(int(code))


def _code(path: Path, index: int) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(
            edited(path.read_text(encoding="utf-8"), index), str(path), "exec", dont_inherit=True
        )


def _dotted(module: str) -> str:
    return ".".join((PACKAGE, *Path(module).with_suffix("").parts)).removesuffix(".__init__")
