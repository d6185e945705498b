"""Compares `TaskPool` with `ThreadPoolExecutor`: `python -m benchmarks.task_pool [--json]`.

Tasks do nothing, so that the figures are those of the pool. Rounds of all candidates take turns, so
that a busy machine is busy for each of them, and the median round counts. Memory is that of tasks
in a queue by tracemalloc, beyond the tasks themselves.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from workpool_aws import TaskPool

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = 100_000
WORKERS = 4
MORE_US_MAX = 5.0
"""Microseconds a task that TaskPool may add to what ThreadPoolExecutor takes."""
QUEUED_BYTES_MAX = 250.0
"""Bytes that a queued task may take beyond itself."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one candidate."""

    name: str
    us_a_task: float
    queued_bytes_a_task: float


def nothing() -> None:
    """The task."""


def run_executor(tasks: list[Callable[[], object]], workers: int) -> None:
    """As people do it, who keep the futures and look at each."""
    with ThreadPoolExecutor(workers) as executor:
        futures = [executor.submit(task) for task in tasks]
        for future in futures:
            future.result()


def run_executor_in_context(tasks: list[Callable[[], object]], workers: int) -> None:
    """As before, with each task in a copy of the caller's context, as in a TaskPool."""
    with ThreadPoolExecutor(workers) as executor:
        futures = [executor.submit(copy_context().run, task) for task in tasks]
        for future in futures:
            future.result()


def run_one_by_one(tasks: list[Callable[[], object]], workers: int) -> None:
    """One `add` a task."""
    with TaskPool(max_workers=workers) as pool:
        for task in tasks:
            pool.add(task)


def run_together(tasks: list[Callable[[], object]], workers: int) -> None:
    """One `add` for all."""
    with TaskPool(max_workers=workers) as pool:
        pool.add(*tasks)


def queue_in_executor(tasks: list[Callable[[], object]], *, in_context: bool) -> float:
    """Bytes a task that waits."""
    gate = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(gate.wait)
        before, _ = tracemalloc.get_traced_memory()
        futures = [
            executor.submit(copy_context().run, task) if in_context else executor.submit(task)
            for task in tasks
        ]
        after, _ = tracemalloc.get_traced_memory()
        gate.set()
        wait([first, *futures])
    return (after - before) / len(tasks)


def queue_in_pool(tasks: list[Callable[[], object]], *, together: bool) -> float:
    """Bytes a task that waits."""
    gate = threading.Event()
    with TaskPool(max_workers=1) as pool:
        pool.add(gate.wait)
        before, _ = tracemalloc.get_traced_memory()
        if together:
            pool.add(*tasks)
        else:
            for task in tasks:
                pool.add(task)
        after, _ = tracemalloc.get_traced_memory()
        gate.set()
    return (after - before) / len(tasks)


CANDIDATES: dict[
    str,
    tuple[
        Callable[[list[Callable[[], object]], int], None],
        Callable[[list[Callable[[], object]]], float],
    ],
] = {
    "ThreadPoolExecutor.submit": (run_executor, partial(queue_in_executor, in_context=False)),
    "… in a copied context": (run_executor_in_context, partial(queue_in_executor, in_context=True)),
    "TaskPool.add(task)": (run_one_by_one, partial(queue_in_pool, together=False)),
    "TaskPool.add(*tasks)": (run_together, partial(queue_in_pool, together=True)),
}


def measure(tasks: int, workers: int, rounds: int) -> list[Figures]:
    """The figures of all candidates."""
    times: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    for _ in range(rounds):
        for name, (run, _queue) in CANDIDATES.items():
            work = [partial(nothing) for _ in range(tasks)]
            began = time.perf_counter()
            run(work, workers)
            times[name].append((time.perf_counter() - began) / tasks * 1e6)
    return [
        Figures(name, statistics.median(times[name]), _traced(queue, tasks))
        for name, (_run, queue) in CANDIDATES.items()
    ]


def _traced(queue: Callable[[list[Callable[[], object]]], float], tasks: int) -> float:
    work = [partial(nothing) for _ in range(tasks)]
    tracemalloc.start()
    try:
        return queue(work)
    finally:
        tracemalloc.stop()


def own_bytes(tasks: int) -> float:
    """Return the bytes of a task itself: a partial, and its place in the caller's list."""
    tracemalloc.start()
    work = [partial(nothing) for _ in range(tasks)]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken / len(work)


def broken_bounds(figures: list[Figures]) -> list[str]:
    """Return the figures that break a bound, as sentences."""
    executor, pools = figures[0], figures[2:]
    slow = [one.name for one in pools if one.us_a_task > executor.us_a_task + MORE_US_MAX]
    large = [one.name for one in pools if one.queued_bytes_a_task > QUEUED_BYTES_MAX]
    return [
        *[f"{name}: more than {MORE_US_MAX:g} µs a task over {executor.name}" for name in slow],
        *[f"{name}: more than {QUEUED_BYTES_MAX:g} bytes a queued task" for name in large],
    ]


def main() -> int:
    """Print the figures. The exit code is 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.tasks, options.workers, options.rounds)
    own, executor, broken = own_bytes(options.tasks), figures[0], broken_bounds(figures)
    if options.json:
        print(
            json.dumps(
                {
                    "own_bytes_a_task": own,
                    "figures": [asdict(one) for one in figures],
                    "broken": broken,
                }
            )
        )
        return int(bool(broken))
    print(
        f"{options.tasks:,} tasks that do nothing, {options.workers} workers; a task by itself takes {own:.0f} bytes"
    )
    print(f"{'':28}{'µs a task':>10}{'ratio':>8}{'bytes queued':>14}{'ratio':>8}")
    for one in figures:
        speed, memory = (
            one.us_a_task / executor.us_a_task,
            one.queued_bytes_a_task / executor.queued_bytes_a_task,
        )
        print(
            f"{one.name:28}{one.us_a_task:10.2f}{speed:8.2f}{one.queued_bytes_a_task:14.0f}{memory:8.2f}"
        )
    for problem in broken:
        print(f"NOT AS PROMISED: {problem}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
