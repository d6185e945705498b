"""Compiles the library and its tests once on a fresh clone, before pytest-xdist starts its processes.

By themselves the processes begin at once, and each compiles all modules and rewrites all assertions:
eleven CPU seconds.
"""

from __future__ import annotations

import os
import py_compile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

FOLDERS = ("workpool_aws", "tests", "benchmarks")
WORTH = 40
"""Fewer modules than these are compiled by whoever comes to one first."""


def compile_for_all(config: pytest.Config) -> None:
    """Compile what is not compiled yet, in as many processes as will run the tests."""
    processes = len(getattr(config.option, "tx", None) or ())
    if hasattr(config, "workerinput") or processes < 2:
        return
    stale = [
        path
        for folder in FOLDERS
        for path in sorted((config.rootpath / folder).rglob("*.py"))
        if is_stale(path)
    ]
    if len(stale) >= WORTH:
        compile_in_forks(stale, config, processes)


def compile_in_forks(paths: Sequence[Path], config: pytest.Config, processes: int) -> None:
    """Compile each module in one of some forks of this process."""
    children = []
    for nth in range(processes):
        child = os.fork()
        if not child:
            with suppress(BaseException):  # whoever imports a module tells what is wrong with it
                compile_each(paths[nth::processes], config)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def compile_each(paths: Iterable[Path], config: pytest.Config) -> None:
    """Compile modules as they will be imported: pytest rewrites the assertions of tests."""
    for path in paths:
        with suppress(SyntaxError, py_compile.PyCompileError):
            if is_rewritten(path):
                source_hash, code = rewrite._rewrite_test(path, config)
                place = place_of(path)
                place.parent.mkdir(exist_ok=True)
                rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, source_hash, place)
            else:
                py_compile.compile(str(path), doraise=True)


def is_rewritten(path: Path) -> bool:
    return path.name.startswith("test_") or path.name == "conftest.py"


def place_of(path: Path) -> Path:
    """The file that keeps the code of a module."""
    if is_rewritten(path):
        return rewrite.get_cache_dir(path) / (path.stem + rewrite.PYC_TAIL)
    return Path(cache_from_source(str(path)))


def is_stale(path: Path) -> bool:
    """True if there is no code of a module, or if it is older."""
    try:
        return place_of(path).stat().st_mtime < path.stat().st_mtime
    except OSError:
        return True
