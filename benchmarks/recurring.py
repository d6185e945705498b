"""Units of schedules: an occurrence, and an hour in which the watchdog looks after many that rest.

An occurrence is measured whole: the wake of its pool, the polls before and after it, the
schedule's own transaction, and a work item of 0.2 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from benchmarks.once import Cost
from workpool_aws.local import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RECURRING", "Recurring", "idle_hour", "occurrences"]

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TAKES = timedelta(milliseconds=200)
CALL = timedelta(milliseconds=5)


@dataclass(frozen=True, slots=True)
class Recurring:
    """One row, and the most that it may cost."""

    name: str
    measure: Callable[[int], Cost]
    write_units_max: float
    read_units_max: float


def _work(event: Mapping[str, object], _context: object) -> None:
    del event


def occurrences(count: int, every: timedelta, seed: int, *, schedules: int = 1) -> Cost:
    """Units of an occurrence, as the mean of so many of each schedule."""
    with LocalCloud(engine="memory", seed=seed, call_latency=CALL) as cloud:
        pool = cloud.workpool("benchmark", max_parallelism=100)
        fn = cloud.function(_work, takes=lambda _event: TAKES)
        for number in range(schedules):
            pool.schedule(None, f"s{number}", fn, {"n": number}, every=every, start=cloud.now)
        cloud.advance(every // 2)
        before = cloud.capacity
        cloud.advance(count * every)
        after, made = cloud.capacity, len(cloud.invocations(fn))
    return Cost(
        (after.write_units - before.write_units) / made,
        (after.read_units - before.read_units) / made,
    )


def idle_hour(schedules: int, seed: int) -> Cost:
    """Units of an hour in which none of the schedules is due: 60 ticks and an audit."""
    with LocalCloud(engine="memory", seed=seed, call_latency=CALL) as cloud:
        pool = cloud.workpool("benchmark")
        fn = cloud.function(_work, takes=lambda _event: TAKES)
        later = cloud.now + 30 * 24 * HOUR
        for number in range(schedules):
            pool.schedule(None, f"s{number}", fn, {"n": number}, every=24 * HOUR, start=later)
        cloud.run_until_idle()
        cloud.advance(10 * MINUTE)
        before = cloud.capacity
        for _ in range(60):
            # The virtual clock leaves out ticks that would find nothing.
            cloud.invoke(cloud.watchdog_arn, {"workpool_watchdog": {"table": cloud.table}})
            cloud.advance(MINUTE)
        after = cloud.capacity
    return Cost(after.write_units - before.write_units, after.read_units - before.read_units)


RECURRING = (
    Recurring("an occurrence, hourly", lambda seed: occurrences(6, HOUR, seed), 18, 40),
    Recurring("an occurrence, each minute", lambda seed: occurrences(20, MINUTE, seed), 19, 140),
    Recurring(
        "an occurrence, 200 hourly at one time",
        lambda seed: occurrences(1, HOUR, seed, schedules=200),
        12,
        8,
    ),
    Recurring("an hour with 1 resting schedule", lambda seed: idle_hour(1, seed), 0, 440),
    Recurring("an hour with 2,000 resting schedules", lambda seed: idle_hour(2_000, seed), 0, 560),
)
