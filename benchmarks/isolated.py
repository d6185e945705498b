"""Measures work items of a pool at rest, by a loop and by a quick start: `python -m benchmarks.isolated [--json]`.

Time is virtual, as in `benchmarks.throughput`: a request to DynamoDB takes 5 ms, an asynchronous Invoke
30 ms. The rows with a cold loop add a cold start to the first request of each loop. The cold start of
the worker is the same in all rows, and left out. Lag is the time from the call to enqueue until user
code begins.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from benchmarks.loop_cpu import LoopCpu, share_of_core
from benchmarks.throughput import ARGS, JOB, LATENCY, LEAN, LEAST_MB, MS
from workpool_aws import Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.local.faults.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.local.kernel.kernel import Task

__all__ = ["ISOLATED", "Figures", "Isolated", "main", "run"]

COLD_MS: Final = 500
GAP: Final = timedelta(seconds=200)
WORKS: Final = 20


@dataclass(frozen=True, slots=True)
class Isolated:
    """Work items that come so far apart that the pool rests between them."""

    quick_start: bool
    cold_ms: int

    def __str__(self) -> str:
        loop = f"cold loop of {self.cold_ms} ms" if self.cold_ms else "warm loop"
        return f"isolated, {loop}{', quick start' if self.quick_start else ''}"


ISOLATED: Final = tuple(
    Isolated(quick, cold_ms) for cold_ms in (0, COLD_MS) for quick in (False, True)
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians and units of one work item."""

    lag_ms: float
    enqueue_ms: float
    """Time that the caller waits."""
    write_units: float
    read_units: float


class _ColdLoops:
    """Adds a cold start to the first request of each loop."""

    def __init__(self, cpu: LoopCpu, cold_ms: int) -> None:
        self._plain = cpu.faults().call_ms
        self._cold_ms = cold_ms
        self._warm: set[Task] = set()

    def call_ms(self, task: Task, label: str) -> int:
        """Return the duration of a request beyond its latency."""
        assert self._plain is not None  # noqa: S101 - for the type checker
        process = task.process or task
        cold = process.name.startswith("workpool-loop") and process not in self._warm
        self._warm.add(process)
        return self._plain(task, label) + (self._cold_ms if cold else 0)


def run(load: Isolated, seed: int) -> Figures:
    """Measure a load on a fresh cloud."""
    cpu = LoopCpu(LEAN, share_of_core(LEAST_MB), latency_ms=LATENCY // MS)
    faults = Faults(call_ms=_ColdLoops(cpu, load.cold_ms).call_ms, store=cpu.faults().store)
    lags: list[float] = []
    took: list[float] = []
    with LocalCloud(seed=seed, call_latency=LATENCY, faults=faults) as cloud:
        cpu.keep_time_by(lambda: cloud.now.timestamp() * 1_000)
        pool_of = Workpool("benchmark")

        @pool_of.action
        def work(note: str) -> str:
            return note[:20]

        fn = cloud.function(work, takes=JOB)
        pool = cloud.workpool("benchmark", quick_start=load.quick_start)
        asked: list[datetime] = []

        def enqueue(_event: Mapping[str, Any], _context: object) -> None:
            asked.append(cloud.now)
            pool.enqueue_action(None, fn, ARGS)
            took.append((cloud.now - asked[-1]) / MS)

        caller = cloud.function(enqueue, name="caller")
        cloud.invoke(caller, {})
        cloud.advance(GAP)
        before = cloud.capacity
        for _ in range(WORKS):
            cloud.invoke(caller, {})
            cloud.advance(GAP)
        spent = cloud.capacity
        starts = [each.started_at for each in cloud.invocations(fn)]
        lags = [(began - at) / MS for at, began in zip(asked, starts, strict=True)][1:]
    return Figures(
        lag_ms=sorted(lags)[WORKS // 2],
        enqueue_ms=sorted(took[1:])[WORKS // 2],
        write_units=(spent.write_units - before.write_units) / WORKS,
        read_units=(spent.read_units - before.read_units) / WORKS,
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure every load and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolated", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    for load in ISOLATED:
        figures = run(load, asked.seed)
        if asked.json:
            print(json.dumps({"scenario": str(load), **asdict(figures)}))
        else:
            print(
                f"{load!s:<46} lag {figures.lag_ms:4.0f} ms  enqueue {figures.enqueue_ms:4.0f} ms"
                f"  {figures.write_units:5.2f} W {figures.read_units:5.2f} R",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
