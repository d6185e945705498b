"""Edits the code at random, one place at a time, and reports the edits that no test notices.

* `python -m tests.mutation` judges 12 edits of each module at the edges, at random.
* `python -m tests.mutation core/views/listing.py cli --all` judges all edits of a module and of a
  folder.
* `python -m tests.mutation --each 50 --seed 7` judges more, from another seed.

Verdicts are kept under build/mutation. A run that was interrupted goes on where it stopped. An edit
is judged again when its module changes, or the file of the test that noticed it. One that survived
is judged again whenever code or tests change. `--anew` forgets all verdicts.

The exit code is 1 if less than the wanted share is noticed, and 130 if the run was interrupted.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutation.coverage_map import PACKAGE, SUITES, CoverageMap, Store, digest, files_of
from tests.mutation.edits import Edit, edits_of
from tests.mutation.equivalents import read_equivalents, unknown
from tests.mutation.judging import (
    Judge,
    Task,
    judges,
    load_once,
    measurements,
    verdicts,
)
from tests.mutation.records import Records
from tests.mutation.report import Report

__all__ = ["EDGES", "chosen", "main", "modules_in"]

EDGES: Final = (
    "adapters", "api", "cli", "compose.py", "core/payload.py", "core/views", "core/work/enqueue.py",
    "core/work/redrive.py", "dashboard", "dev", "errors.py", "executor", "handlers", "insights",
    "invocation.py", "settings.py", "task_pool",
)  # fmt: skip
"""Modules beyond the simulation, which has a mutant for each guard of the protocol, and none for these."""
_APART: Final = "cli/demo"
_ROOT: Final = Path(__file__).parents[2]
_BUILD: Final = Path("build/mutation")
_COPIED: Final = (
    PACKAGE,
    "tests",
    "docs",
    "examples",
    "benchmarks",
    "tools",
    "infra",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
)
_NOT_COPIED: Final = shutil.ignore_patterns(
    "__pycache__", "node_modules", "cdk.out", ".*", "*.egg-info"
)
_INSIDE: Final = "MUTATION_BUILD"
"""Set in the copy: the folder of the results."""
_JOBS_MAX: Final = 2
_SHOWN_FILES: Final = 20
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. The exit code."""
    options = _options(arguments)
    if _INSIDE in os.environ:
        return _judge(options, Path(os.environ[_INSIDE]))
    build = (_ROOT / _BUILD).absolute()
    tree = build / "tree"
    _copy(_ROOT, tree)
    command = [
        sys.executable,
        "-m",
        "tests.mutation",
        *(sys.argv[1:] if arguments is None else arguments),
    ]
    try:
        return subprocess.run(
            command, cwd=tree, env=os.environ | {_INSIDE: str(build)}, check=False
        ).returncode
    except KeyboardInterrupt:
        return _INTERRUPTED


def modules_in(tree: Path, names: Sequence[str]) -> list[str]:
    """The modules that are named, or that lie in the folders that are.

    Raises:
        SystemExit: a name is neither.
    """
    package = tree / PACKAGE
    found: dict[str, None] = {}
    for name in names:
        path = package / name.removeprefix(f"{PACKAGE}/")
        inside = [path] if path.is_file() else sorted(path.rglob("*.py"))
        if not inside:
            raise SystemExit(
                f"{name} must be a module or a folder of {PACKAGE}, as in core/views/listing.py"
            )
        found |= dict.fromkeys(str(each.relative_to(package)) for each in inside)
    return [module for module in found if not module.startswith(_APART)]


def chosen(edits: Sequence[Edit], each: int | None, seed: int) -> list[int]:
    """The indexes of the edits to be judged, at random; `None` means all of them."""
    if each is None or len(edits) <= each:
        return list(range(len(edits)))
    module = edits[0].module
    return sorted(random.Random(f"{seed} {module}").sample(range(len(edits)), each))


def _judge(options: argparse.Namespace, build: Path) -> int:
    tree = Path.cwd()
    modules = modules_in(tree, options.modules or EDGES)
    edits = {
        module: edits_of(module, (tree / PACKAGE / module).read_text(encoding="utf-8"))
        for module in modules
    }
    equivalents = read_equivalents()
    if gone := unknown(equivalents, tree / PACKAGE):
        print("not in the code any more, so not to be listed as equivalent:", *gone, sep="\n  ")
        return 1
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    each = None if options.all else options.each
    print(
        f"{'every edit' if each is None else f'{each} edits'} of each of {len(modules)} modules, seed {seed}",
        flush=True,
    )
    records = Records(build / "verdicts.jsonl", tree, anew=options.anew)
    report = Report(equivalents, wanted=options.want, verbose=options.verbose)
    # A seed that is new in each run (tests/kit/seeds.py) is in names of tests: here it stays one.
    os.environ["PYTEST_XDIST_TESTRUNUID"] = "mutants"
    load_once()
    with judges(tree, files_of(tree, options.tests or SUITES), options.jobs) as found:
        coverage = _coverage(Store(tree, build / "coverage"), found)
        for test in coverage.not_passed if options.verbose else ():
            print(f"judges nothing, since it did not pass by itself: {test}")
        run = _Run(coverage, records, report, options, found)
        for module in modules:
            picked = chosen(edits[module], each, seed)
            run.judge(module, {index: edits[module][index] for index in picked})
    return run.report.finish()


def _coverage(store: Store, found: Sequence[Judge]) -> CoverageMap:
    """The map of all tests that were collected. What is missing of it is measured."""
    names, at_import = found[0].collected()
    tests: dict[str, list[str]] = {}
    for name in names:
        tests.setdefault(name.partition("::")[0], []).append(name)
    store.folder.mkdir(parents=True, exist_ok=True)
    stale = store.stale(tests)
    if stale:
        print(f"measuring the coverage of {len(stale)} of {len(tests)} files of tests", flush=True)
    for done, (file, measured) in enumerate(measurements(stale, found), start=1):
        store.keep(file, measured)
        if done % _SHOWN_FILES == 0:
            print(f"  {done} of {len(stale)}", flush=True)
    return store.map_of(tests, at_import)


@dataclass
class _Run:
    """The judge of edits, which notes its verdicts."""

    coverage: CoverageMap
    records: Records
    report: Report
    options: argparse.Namespace
    judges: Sequence[Judge]

    def judge(self, module: str, picked: Mapping[int, Edit]) -> None:
        """Judge edits of one module, but for those whose verdict of an earlier run is still good."""
        tasks, uncovered = [], []
        for index, edit in picked.items():
            if self.report.is_equivalent(edit):
                continue
            known = self.records.verdict(edit)
            if known is not None:
                self.report.add(edit, known)
            elif tests := _within(self.coverage, edit, self.options.budget):
                tasks.append(Task(module, index, tests, self.coverage.acts_at_import(edit)))
            else:
                uncovered.append(edit)
        for task, verdict in verdicts(tasks, self.judges, patience_s=self.options.patience):
            assert task.index is not None
            self.records.add(picked[task.index], verdict)
            self.report.add(picked[task.index], verdict)
        for test in sorted(self.judges[0].broken if self.options.verbose else ()):
            print(f"judges nothing, since it fails without an edit: {test}")
        for edit in uncovered:
            self.report.add_uncovered(edit)
        self.report.end_of(module)


def _within(coverage: CoverageMap, edit: Edit, budget_s: float) -> dict[str, float]:
    tests: dict[str, float] = {}
    left = budget_s
    for test in coverage.tests_for(edit):
        left -= coverage.seconds[test]
        if tests and left < 0:
            break
        tests[test] = coverage.seconds[test]
    return tests


def _copy(root: Path, tree: Path) -> None:
    """Bring the copy up to date; files that did not change keep their times, so that what was compiled of them stays good."""
    wanted: set[Path] = set()
    for name in _COPIED:
        source = root / name
        files = [source] if source.is_file() else _files(source)
        for file in files:
            to = tree / file.relative_to(root)
            wanted.add(to)
            if not to.is_file() or digest([to]) != digest([file]):
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, to)
    for file in _files(tree):
        if file not in wanted:
            file.unlink()


def _files(folder: Path) -> list[Path]:
    found = []
    for at, folders, names in os.walk(folder):
        ignored = _NOT_COPIED(at, [*folders, *names])
        folders[:] = [each for each in folders if each not in ignored]
        found += [Path(at, name) for name in names if name not in ignored]
    return found


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make mutants",
        description="Edit the code at random, and say which edits no test notices.",
    )
    parser.add_argument(
        "modules",
        nargs="*",
        metavar="MODULE",
        help="a module or a folder, as in core/views/listing.py or cli; default: the edges",
    )
    parser.add_argument(
        "--each",
        type=int,
        default=12,
        metavar="N",
        help="so many edits of each module, at random (12)",
    )
    parser.add_argument("--all", action="store_true", help="every edit of each module")
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="choose as that run did; default: at random, and printed",
    )
    parser.add_argument(
        "--want",
        type=float,
        default=95.0,
        metavar="PERCENT",
        help="the share that must be noticed (95)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        choices=range(1, _JOBS_MAX + 1),
        default=_JOBS_MAX,
        help="processes at a time (2)",
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=15.0,
        metavar="S",
        help="run tests of at most so many seconds for one edit (15)",
    )
    parser.add_argument(
        "--tests",
        action="append",
        metavar="PATH",
        help="judge by the tests of this file or folder; may be repeated",
    )
    parser.add_argument(
        "--patience",
        type=int,
        default=15,
        metavar="S",
        help="processor time of an edit beside its tests' (15)",
    )
    parser.add_argument("--anew", action="store_true", help="forget the verdicts of earlier runs")
    parser.add_argument("--verbose", action="store_true", help="show what noticed each edit")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
