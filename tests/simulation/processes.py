"""Owns the processes that runs are shared out to."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool
from typing import Final

__all__ = ["processes"]

_OBJECTS: Final = 200_000
"""Between two looks for garbage. A run makes some in cycles, a few megabytes; by default a process spends a sixth of its time looking."""


@contextmanager
def processes(jobs: int) -> Iterator[Pool]:
    """So many processes. On leaving they are ended, whatever they were at."""
    with multiprocessing.get_context("spawn").Pool(jobs, _begin) as pool:
        yield pool


def _begin() -> None:
    gc.freeze()
    gc.set_threshold(_OBJECTS)
