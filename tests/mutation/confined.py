"""Runs code in a fork that is bounded in time and memory, and whose output goes to a file."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic
from typing import Final

__all__ = ["FORK", "Ended", "confined"]

FORK: Final = multiprocessing.get_context("fork")
_WALL_FACTOR: Final = 5
_LOOK_S: Final = 1.0
_IDLE_LOOKS: Final = 10
"""A fork that used no time of the processor for so long waits for ever: no test sleeps."""
_MEMORY_MAX: Final = 4 << 30
_FRAMES: Final = 200
"""More than the servers have below a test: what nests deeply has the room that it has elsewhere."""
_OUTPUT_MAX: Final = 4_000


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a fork: exit code, negative after a signal, notes, and the end of its output."""

    code: int
    note: str
    output: str


def confined(run: Callable[[Path], int], cpu_s: int) -> Ended:
    """Run a function in a fork, and return how it ended.

    The function takes the file for its note, and returns the exit code. The fork leads a process
    group of its own, and has no input. It is ended when its time is over, or when it waits for ever.
    """
    folder = Path(tempfile.mkdtemp(prefix="mutation-"))
    process = FORK.Process(target=_run, args=(run, folder, cpu_s))
    try:
        process.start()
        _watch(process, monotonic() + _WALL_FACTOR * cpu_s)
        note, output = (_text(folder / name) for name in ("note", "output"))
        return Ended(process.exitcode or 0, note, output[-_OUTPUT_MAX:])
    finally:
        _kill(process)
        shutil.rmtree(folder, ignore_errors=True)


def _watch(process: BaseProcess, ends_at: float) -> None:
    used, idle = math.nan, 0
    while process.is_alive():
        process.join(_LOOK_S)
        before, used = used, _ticks_of_group(process.pid or 0)
        idle = idle + 1 if used == before else 0
        if idle == _IDLE_LOOKS or monotonic() > ends_at:
            _kill(process)


def _kill(process: BaseProcess) -> None:
    """End the fork and the processes that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid or os.getpid(), signal.SIGKILL)
    process.join()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _ticks_of_group(group: int) -> float:
    """Return the processor time that a group of processes has used; NaN while one of them is about to use some."""
    ticks = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group, *others = path.read_text().rpartition(") ")[2].split()
            if int(its_group) == group:
                ticks += math.nan if state in "RD" else int(others[8]) + int(others[9])
    return ticks


def _run(run: Callable[[Path], int], folder: Path, cpu_s: int) -> None:
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MAX, _MEMORY_MAX))
    sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(output, stream)
    os._exit(run(folder / "note"))
