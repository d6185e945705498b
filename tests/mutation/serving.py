"""Processes that answer one question at a time: does a test notice this edit? Which lines does a file of tests run?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

from tests.mutation.confined import FORK, Ended

__all__ = [
    "COLLECTING",
    "LOST",
    "NOTICED",
    "QUIET",
    "SURVIVED",
    "Answer",
    "Collected",
    "Measured",
    "Question",
    "answer_of",
    "serve_each",
]

COLLECTING: Final = "collecting.txt"
"""The file for what pytest says while it collects."""
NOTICED: Final = 1
SURVIVED: Final = (0, 5)
"""Exit codes of pytest: all passed, and nothing left to run."""
LOST: Final = 70
"""Exit code: the tests of the map are not there."""
QUIET: Final = ("-q", "-p", "no:cacheprovider", "-p", "no:cov", "--no-header")


@dataclass(frozen=True, slots=True)
class Question:
    """An edit, and the tests that shall notice it, in this order. No index: no edit."""

    module: str
    index: int | None
    tests: Sequence[str]
    cpu_s: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Asks for the lines that the tests of a file run. The answer's note is JSON."""

    file: str


@dataclass(frozen=True, slots=True)
class Collected:
    """Asks for the tests that were collected, and for the lines that ran meanwhile. The answer's note is JSON."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` is an exit code, negative after a signal; `None` means that the edit acts when its module is loaded, and no test ran."""

    code: int | None
    by: str = ""
    output: str = ""
    note: str = ""


def answer_of(ended: Ended) -> Answer:
    """Return the answer of a fork; the first line of its note names the test that failed."""
    by, _, text = ended.note.partition("\n")
    return Answer(ended.code, by, f"{ended.output}{text}")


def serve_each(connections: Iterable[Connection], answer: Callable[[Any], Answer]) -> None:
    """Answer on each connection, in a process of its own, until all are closed."""
    processes = [FORK.Process(target=_serve, args=(each, answer)) for each in connections]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def _serve(connection: Connection, answer: Callable[[Any], Answer]) -> None:
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            connection.send(answer(connection.recv()))
