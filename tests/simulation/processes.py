"""Shares runs out to processes."""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from multiprocessing.pool import Pool
from types import FrameType
from typing import Final, TypeVar

__all__ = ["in_order", "processes"]

A = TypeVar("A")
B = TypeVar("B")

_OBJECTS: Final = 10_000
"""Between two looks for garbage: by default a process spends a tenth of its time on them. With many
more it is slower again."""
_AHEAD: Final = 2
"""Items that are handed out for each process: it has the next one when it is done with one."""


@contextmanager
def processes(jobs: int) -> Iterator[Pool]:
    """So many processes.

    On leaving they are ended, whatever they are at. An interrupt from the keyboard is for the one
    that made them.
    """
    with multiprocessing.get_context("spawn").Pool(jobs, _begin) as pool:
        yield pool


def in_order(pool: Pool, jobs: int, work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """`work(item)` for each, in the order of the items, of which there may be endlessly many: a few are taken ahead, no more.

    Raises what `work` raised, in its place.
    """
    left = iter(items)
    waiting = deque(pool.apply_async(work, (item,)) for item in islice(left, _AHEAD * jobs))
    while waiting:
        answer = waiting.popleft().get()
        waiting.extend(pool.apply_async(work, (item,)) for item in islice(left, 1))
        yield answer


def _begin() -> None:
    # A handler and not SIG_IGN, which the tests that a hunt starts would inherit: those are to end.
    signal.signal(signal.SIGINT, _unheard)
    gc.freeze()
    gc.set_threshold(_OBJECTS)


def _unheard(number: int, frame: FrameType | None) -> None:
    pass
