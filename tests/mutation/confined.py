"""Runs code in a fork that is bounded in time and memory, and whose output goes to a file."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

__all__ = ["FORK", "Confined", "Ended"]

FORK: Final = multiprocessing.get_context("fork")
_WALL_FACTOR: Final = 5
"""A process that waits uses no time of the processor."""
_MEMORY_MAX: Final = 4 << 30
_OUTPUT_MAX: Final = 4_000


@dataclass(frozen=True, slots=True)
class Ended:
    """How a fork ended: its exit code, negative after a signal, what it noted, and the end of its output."""

    code: int
    note: str
    output: str


class Confined:
    """A fork that runs a function of the file for its note; the function returns the exit code.

    It leads a process group of its own, and has no input.
    """

    def __init__(self, run: Callable[[Path], int], cpu_s: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mutation-"))
        self.ends_at = monotonic() + _WALL_FACTOR * cpu_s
        self._process = FORK.Process(target=_confined, args=(run, self._folder, cpu_s))
        self._process.start()

    @property
    def sentinel(self) -> int:
        """Is ready once the fork ended."""
        return self._process.sentinel

    def wait(self) -> Ended:
        """Return how it ended, at the latest at `ends_at`."""
        self._process.join(max(0.0, self.ends_at - monotonic()))
        ended = self.ended()
        assert ended is not None
        return ended

    def ended(self) -> Ended | None:
        """Return how it ended, and end it if its time is over; `None` means that it goes on."""
        if self._process.is_alive():
            if monotonic() < self.ends_at:
                return None
            self._kill()
        self._process.join()
        found = Ended(
            self._process.exitcode or 0, self._read("note"), self._read("output")[-_OUTPUT_MAX:]
        )
        shutil.rmtree(self._folder, ignore_errors=True)
        return found

    def end(self) -> None:
        """End the fork and the processes that it started."""
        self._kill()
        self._process.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid or os.getpid(), signal.SIGKILL)

    def _read(self, name: str) -> str:
        path = self._folder / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _confined(run: Callable[[Path], int], folder: Path, cpu_s: int) -> None:
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MAX, _MEMORY_MAX))
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(output, stream)
    os._exit(run(folder / "note"))
