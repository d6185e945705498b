"""Measures starts a second, lag and filled slots: `python -m benchmarks.throughput [--json] [--ordinary]`.

Time is virtual: a request to DynamoDB takes 5 ms, an asynchronous Invoke 30 ms, a job 100 ms of
user code. The CPU of the main loop is charged to the same clock (`benchmarks.loop_cpu`), so the
figures show the loop as it is deployed, with its share of a core. The same seed gives the same
figures on every machine. Lag is the time from the call to enqueue until user code begins. Filled
slots are the time in user code as a share of the limit times the time that work waited or ran.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final

from benchmarks.loop_cpu import LAMBDA_MB_A_CORE, LoopCpu, RequestCpu, share_of_core
from workpool_aws import RetryPolicy, Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import ShardsChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "ARRIVALS",
    "BURSTS",
    "Burst",
    "Figures",
    "Rush",
    "Stretch",
    "Trickle",
    "main",
    "run",
    "rush",
]

LEAN: Final = RequestCpu(
    read=0.155,
    write=0.315,
    transaction=0.27,
    invoke=0.135,
    work_row=0.07,
    notice_row=0.027,
    ledger_entry=0.017,
)
"""Twice the figures of `python -m benchmarks.cpu` on the machine of measurement (x86_64, Python
3.11, 2026-11-29): a vCPU of Lambda took about twice as long for an ordinary start write."""
ORDINARY: Final = RequestCpu(
    read=0.57,
    write=0.88,
    transaction=0.96,
    invoke=0.53,
    work_row=0.15,
    notice_row=0.054,
    ledger_entry=0.017,
)
"""The same for a loop whose `WORKPOOL_LEAN_CALLS` is not set."""

LEAST_MB: Final = 256
MB_A_SLOT: Final = 10
LATENCY: Final = timedelta(milliseconds=5)
JOB: Final = timedelta(milliseconds=100)
STEP: Final = timedelta(milliseconds=100)
ARGS: Final = {"note": "x" * 120}
WARM_UP_S: Final = 3
MS: Final = timedelta(milliseconds=1)
SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one scenario."""

    starts_per_s: float
    slots_filled: float
    lag_p50_ms: float
    lag_p95_ms: float
    write_units: float
    read_units: float
    core_busy: float
    """CPU that the loop used, as a share of what its memory gives it until the last start."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Figures of a part of a rush."""

    seconds: int
    starts_per_s: float
    lag_p50_ms: float
    lag_p95_ms: float
    lag_max_ms: float
    write_units: float
    """An attempt that ended in it, with its enqueue."""
    read_units: float
    core_busy: float
    most_at_once: int
    """Jobs whose user code ran at one time, at most."""
    shards: int
    """Number of shards at its end."""


@dataclass(frozen=True, slots=True)
class Burst:
    """A backlog that the pool works off."""

    limit: int
    jobs: int
    memory_mb: int

    def __str__(self) -> str:
        return f"burst of {self.jobs:,}, limit {self.limit}, loop of {self.memory_mb:,} MB"


@dataclass(frozen=True, slots=True)
class Trickle:
    """Arrivals at a steady rate, one call to enqueue each."""

    per_second: int
    limit: int
    memory_mb: int
    seconds: int = 20

    @property
    def jobs(self) -> int:
        """Number of all arrivals."""
        return self.per_second * self.seconds

    def __str__(self) -> str:
        return f"{self.per_second} a second, limit {self.limit}, loop of {self.memory_mb:,} MB"


@dataclass(frozen=True, slots=True)
class Rush:
    """Arrivals at a steady rate that one partition does not take, from a pool at rest on.

    Figures are taken of each stretch: of what was asked for in it, and of what was spent in it.
    """

    per_second: int
    limit: int
    memory_mb: int
    stretches_s: tuple[int, ...]
    takes_s: float = 0.1
    """Time that a job takes on the mean."""

    def __str__(self) -> str:
        takes = "" if self.takes_s < 1 else f" for {self.takes_s:g} s"
        return f"{self.per_second:,} a second{takes}, limit {self.limit:,}"


def deployed_mb(limit: int) -> int:
    """Return the memory that the construct gives the loop of a pool with this limit."""
    return max(LEAST_MB, min(LAMBDA_MB_A_CORE, MB_A_SLOT * limit))


BURSTS: Final = (
    *(
        Burst(limit, jobs, deployed_mb(limit))
        for limit, jobs in ((4, 100), (20, 400), (100, 1_500), (500, 6_000))
    ),
    Burst(100, 1_500, LEAST_MB),
    Burst(500, 3_000, LEAST_MB),
)
ARRIVALS: Final = tuple(
    Trickle(per_second, limit, deployed_mb(limit))
    for per_second, limit in ((2, 4), (20, 20), (50, 100), (100, 100), (300, 500))
)
HEAVY: Final = (
    Rush(1_000, 2_000, LAMBDA_MB_A_CORE, (5, 5, 10)),
    Rush(1_000, 10_000, LAMBDA_MB_A_CORE, (12, 8), takes_s=9.6),
)
"""Loads that take minutes to simulate."""


class _Bench:
    """A pool on a cloud whose loop pays for its CPU."""

    def __init__(
        self, cloud: LocalCloud, cpu: LoopCpu, limit: int, seed: int, takes: timedelta = JOB
    ) -> None:
        cpu.keep_time_by(lambda: cloud.now.timestamp() * 1_000)
        self._cloud, self._cpu, self._limit, self._takes = cloud, cpu, limit, takes
        self._chance = random.Random(seed)  # noqa: S311 - durations of a benchmark
        self._asked_at: dict[str, datetime] = {}
        self._jobs: list[_Job] = []
        pool_of = Workpool("benchmark")

        @pool_of.action
        def work(note: str) -> str:
            return note[:20]

        self._worker = cloud.function(work, takes=self._begin, timeout=timedelta(minutes=1))
        self._pool = cloud.workpool("benchmark", max_parallelism=limit)
        self._caller = cloud.function(self._enqueue, name="caller", timeout=timedelta(minutes=10))
        self.enqueue(1)
        cloud.advance(timedelta(seconds=WARM_UP_S))

    def enqueue(self, count: int) -> None:
        """Have a function of the cloud enqueue so many work items."""
        self._cloud.invoke(self._caller, {"count": count})

    def wait(self, duration: timedelta) -> None:
        """Let the cloud's time pass."""
        self._cloud.advance(duration)

    def measure(self, load: Callable[[], None], count: int) -> Figures:
        """Run a load of so many jobs until the last has ended, and take the figures of these alone."""
        skipped, before, busy_ms = len(self._jobs), self._cloud.capacity, self._cpu.busy_ms
        began = self._cloud.now
        load()
        while len(self._jobs) < skipped + count:
            self._cloud.advance(STEP)
        busy_ms = self._cpu.busy_ms - busy_ms
        self._cloud.run_until_idle()
        jobs, spent = self._jobs[skipped:], self._cloud.capacity
        lags = sorted((job.began_at - self._asked_at[job.work_id]) / MS for job in jobs)
        last = jobs[-1].began_at
        filled = sum(((min(job.ends_at, last) - job.began_at) / MS for job in jobs), 0.0)
        return Figures(
            starts_per_s=len(jobs) / ((last - began) / SECOND),
            slots_filled=filled / (self._limit * ((last - began) / MS)),
            lag_p50_ms=lags[len(lags) // 2],
            lag_p95_ms=lags[int(len(lags) * 0.95)],
            write_units=(spent.write_units - before.write_units) / len(jobs),
            read_units=(spent.read_units - before.read_units) / len(jobs),
            core_busy=busy_ms / self._cpu.share / ((last - began) / MS),
        )

    def mark(self) -> _Mark:
        """Return where the load is now."""
        spent = self._cloud.capacity
        return _Mark(
            at=self._cloud.now,
            busy_ms=self._cpu.busy_ms,
            write_units=spent.write_units,
            read_units=spent.read_units,
            shards=self._shards,
        )

    def stretch(self, begin: _Mark, end: _Mark) -> Stretch:
        """Return the figures of the time between two marks, once all of its jobs have begun."""
        jobs, length = self._jobs, end.at - begin.at
        asked = [job for job in jobs if begin.at <= self._asked_at[job.work_id] < end.at]
        lags = sorted((job.began_at - self._asked_at[job.work_id]) / MS for job in asked)
        ended = sum(begin.at <= job.ends_at < end.at for job in jobs)
        return Stretch(
            seconds=length // SECOND,
            starts_per_s=sum(begin.at <= job.began_at < end.at for job in jobs) / (length / SECOND),
            lag_p50_ms=lags[len(lags) // 2],
            lag_p95_ms=lags[int(len(lags) * 0.95)],
            lag_max_ms=lags[-1],
            write_units=(end.write_units - begin.write_units) / ended,
            read_units=(end.read_units - begin.read_units) / ended,
            core_busy=(end.busy_ms - begin.busy_ms) / self._cpu.share / (length / MS),
            most_at_once=_most_at_once(jobs, until=end.at),
            shards=end.shards,
        )

    @property
    def _shards(self) -> int:
        changes = [fact.shards for fact in self._cloud.facts if isinstance(fact, ShardsChanged)]
        return changes[-1] if changes else 1

    def _begin(self, event: Mapping[str, Any]) -> timedelta:
        takes = self._takes * self._chance.uniform(0.9, 1.1)
        now = self._cloud.now
        self._jobs.append(_Job(event["_workpool"]["work_id"], now, now + takes))
        return takes

    def _enqueue(self, event: Mapping[str, Any], _context: object) -> None:
        asked_at, count = self._cloud.now, event["count"]
        if count == 1:
            ids = [self._pool.enqueue_action(None, self._worker, ARGS, retry=RetryPolicy())]
        else:
            ids = self._pool.enqueue_action_batch(
                None, self._worker, [ARGS] * count, retry=RetryPolicy()
            )
        self._asked_at |= dict.fromkeys(ids, asked_at)


@dataclass(frozen=True, slots=True)
class _Job:
    work_id: str
    began_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class _Mark:
    at: datetime
    busy_ms: float
    write_units: float
    read_units: float
    shards: int


def _most_at_once(jobs: Sequence[_Job], until: datetime) -> int:
    """Return how many ran at one time, at most; one that ends as another begins does not count."""
    moments = sorted(
        moment
        for job in jobs
        if job.began_at < until
        for moment in ((job.began_at, 1), (job.ends_at, -1))
    )
    return max(accumulate(change for _, change in moments))


def run(scenario: Burst | Trickle, seed: int, cpu: RequestCpu = LEAN) -> Figures:
    """Measure a scenario on a fresh cloud."""
    loop = LoopCpu(cpu, share_of_core(scenario.memory_mb), latency_ms=LATENCY // MS)
    with LocalCloud(seed=seed, call_latency=LATENCY, faults=loop.faults()) as cloud:
        bench = _Bench(cloud, loop, scenario.limit, seed)
        if isinstance(scenario, Burst):
            return bench.measure(lambda: bench.enqueue(scenario.jobs), scenario.jobs)
        chance = random.Random(f"arrivals {seed}")  # noqa: S311 - times of a benchmark
        gaps = [chance.expovariate(scenario.per_second) for _ in range(scenario.jobs)]
        times = [0.0, *accumulate(gaps)]
        return bench.measure(lambda: _arrivals(bench, times[:-1], times[-1]), scenario.jobs)


def rush(scenario: Rush, seed: int, cpu: RequestCpu = LEAN) -> list[Stretch]:
    """Measure each stretch of a rush on a fresh cloud."""
    loop = LoopCpu(cpu, share_of_core(scenario.memory_mb), latency_ms=LATENCY // MS)
    with LocalCloud(seed=seed, call_latency=LATENCY, faults=loop.faults()) as cloud:
        bench = _Bench(cloud, loop, scenario.limit, seed, SECOND * scenario.takes_s)
        chance = random.Random(f"arrivals {seed}")  # noqa: S311 - times of a benchmark
        marks = [bench.mark()]
        for seconds in scenario.stretches_s:
            # As independent callers would, in exactly so many seconds.
            jobs = scenario.per_second * seconds
            _arrivals(bench, sorted(seconds * chance.random() for _ in range(jobs)), seconds)
            marks.append(bench.mark())
        cloud.run_until_idle()
        return [bench.stretch(*pair) for pair in pairwise(marks)]


def _arrivals(bench: _Bench, times_s: Sequence[float], length_s: float) -> None:
    """Enqueue one by one, at these times of an interval."""
    passed = timedelta()
    for at in (*times_s, length_s):
        # The cloud's clock goes by whole milliseconds, so a shorter wait would be rounded up.
        wait = SECOND * at // MS * MS - passed
        if wait:
            bench.wait(wait)
            passed += wait
        if at < length_s:
            bench.enqueue(1)


def main(arguments: list[str] | None = None) -> int:
    """Measure every scenario and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--ordinary", action="store_true", help="a loop that makes ordinary calls of boto3"
    )
    parser.add_argument(
        "--heavy", action="store_true", help="only a thousand a second, for some minutes"
    )
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    cpu = ORDINARY if asked.ordinary else LEAN
    for heavy in HEAVY if asked.heavy else ():
        for part in rush(heavy, asked.seed, cpu):
            as_json = json.dumps({"scenario": str(heavy), **asdict(part)})
            print(as_json if asked.json else _line_of_rush(heavy, part), flush=True)
    for scenario in () if asked.heavy else (*BURSTS, *ARRIVALS):
        figures = run(scenario, asked.seed, cpu)
        if asked.json:
            print(json.dumps({"scenario": str(scenario), **asdict(figures)}))
        else:
            print(_line(scenario, figures), flush=True)
    return 0


def _line_of_rush(scenario: Rush, part: Stretch) -> str:
    return (
        f"{scenario!s:<40}{part.seconds:3d} s {part.starts_per_s:7.1f} starts/s"
        f"  lag p50 {part.lag_p50_ms:6.0f} p95 {part.lag_p95_ms:6.0f} max {part.lag_max_ms:6.0f} ms"
        f"  {part.write_units:5.2f} W {part.read_units:5.2f} R  core {part.core_busy:4.0%} busy"
        f"  {part.most_at_once:,} at once, {part.shards} shards"
    )


def _line(scenario: Burst | Trickle, figures: Figures) -> str:
    filled = f"slots {figures.slots_filled:4.0%} filled" if isinstance(scenario, Burst) else ""
    return (
        f"{scenario!s:<46}{figures.starts_per_s:7.1f} starts/s  {filled:<18}"
        f"  lag p50 {figures.lag_p50_ms:6.0f} p95 {figures.lag_p95_ms:6.0f} ms"
        f"  {figures.write_units:5.2f} W {figures.read_units:5.2f} R  core {figures.core_busy:4.0%} busy"
    )


if __name__ == "__main__":
    sys.exit(main())
