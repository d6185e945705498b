"""Measures the cost of an action beside many work items that run for minutes.

The ledger names all of these. The pool is filled and left alone until it is steady. Only units that
are spent in the window after that count, divided by the work items that were enqueued in it. The
lag of their starts stands beside the cost, since a lower cost could be bought with it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from workpool_aws import RetryPolicy, Workpool
from workpool_aws.adapters.items.capacity import Capacity, Units
from workpool_aws.local import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CROWDS", "Crowd", "CrowdCost", "cost_beside"]

STEP = timedelta(milliseconds=100)
APART = timedelta(milliseconds=200)
"""Time between two of the first work items. Ids of one millisecond share their random bits, and the
ledger packs those tighter than most."""
SETTLE_S = 20
WINDOW_S = 60
MINUTE_S = 60
ARGS = {"note": "x" * 120}


@dataclass(frozen=True, slots=True)
class Crowd:
    """A load of long work items in flight, and new ones that are enqueued one by one.

    `per_second` are enqueued, or so many that `backlog` of them always wait. `replaced`: the long
    ones end, and the new ones are long, too, a minute each. Otherwise the long ones outlast the window,
    and the new ones take 0.2 to 1 s.
    """

    name: str
    long_works: int
    parallelism: int
    per_second: int = 0
    backlog: int = 0
    replaced: bool = False
    write_units_max: float | None = None
    read_units_max: float | None = None


@dataclass(frozen=True, slots=True)
class CrowdCost:
    """Units an action, actions a second, and the lag from enqueue to start.

    In a backlog the lag contains the wait for a slot.
    """

    write_units: float
    read_units: float
    per_second: float
    lag_p50_ms: float
    lag_max_ms: float
    by_label: Mapping[str, tuple[float, float]]


CROWDS = (
    Crowd(
        "300 long, 10 short a second, limit 350",
        300,
        350,
        per_second=10,
        write_units_max=5,
        read_units_max=3.5,
    ),
    Crowd(
        "300 long, 10 short a second, limit 500",
        300,
        500,
        per_second=10,
        write_units_max=5,
        read_units_max=3.5,
    ),
    Crowd("300 long, 1 short a second", 300, 500, per_second=1),
    Crowd(
        "300 long, 50 slots for a backlog of short",
        300,
        350,
        backlog=400,
        write_units_max=5,
        read_units_max=3.5,
    ),
    Crowd(
        "300 of a minute each, no slot free",
        300,
        300,
        backlog=50,
        replaced=True,
        write_units_max=5,
        read_units_max=4,
    ),
    Crowd("300 of a minute each, slots free", 300, 500, per_second=5, replaced=True),
)


def cost_beside(crowd: Crowd, seed: int) -> CrowdCost:
    """Return the cost of an action beside the crowd. The same seed gives the same durations."""
    chance = random.Random(seed)  # noqa: S311 - durations of a benchmark
    pool_of = Workpool("benchmark")

    @pool_of.action
    def first(note: str) -> str:
        return note[:20]

    @pool_of.action
    def work(note: str) -> str:
        return note[:20]

    def first_takes(_event: object) -> timedelta:
        return (
            timedelta(seconds=chance.uniform(0, MINUTE_S))
            if crowd.replaced
            else timedelta(minutes=14)
        )

    def takes(_event: object) -> timedelta:
        load.started += 1
        return timedelta(seconds=MINUTE_S if crowd.replaced else chance.uniform(0.2, 1.0))

    with LocalCloud(engine="memory", seed=seed, call_latency=timedelta(milliseconds=5)) as cloud:
        long_fn = cloud.function(first, takes=first_takes, timeout=timedelta(minutes=15))
        pool = cloud.workpool("benchmark", max_parallelism=crowd.parallelism)
        for _ in range(crowd.long_works):
            pool.enqueue_action(None, long_fn, ARGS, retry=RetryPolicy())
            cloud.advance(APART)
        load = _Load(
            cloud, pool, cloud.function(work, takes=takes, timeout=timedelta(minutes=2)), crowd
        )
        load.run(SETTLE_S + (MINUTE_S if crowd.replaced else 0))
        before, skipped = cloud.capacity, len(load.ids)
        load.run(WINDOW_S)
        spent = _between(before, cloud.capacity)
        actions = len(load.ids) - skipped
        lags = sorted(load.lags_ms(skipped))
    by_label = {
        label: (units.write_units / actions, units.read_units / actions)
        for label, units in sorted(spent.items())
    }
    total = sum(spent.values(), Units())
    return CrowdCost(
        total.write_units / actions,
        total.read_units / actions,
        actions / WINDOW_S,
        lags[len(lags) // 2],
        max(lags),
        by_label,
    )


class _Load:
    """Enqueues the new work items as time goes by."""

    def __init__(self, cloud: LocalCloud, pool: Workpool, fn: str, crowd: Crowd) -> None:
        self.ids: list[str] = []
        self.started = 0
        self._cloud = cloud
        self._pool = pool
        self._fn = fn
        self._crowd = crowd
        self._enqueued_at: list[datetime] = []
        self._steps = 0

    def run(self, seconds: int) -> None:
        for _ in range(seconds * (timedelta(seconds=1) // STEP)):
            for _ in range(self._missing()):
                self.ids.append(
                    self._pool.enqueue_action(None, self._fn, ARGS, retry=RetryPolicy())
                )
                self._enqueued_at.append(self._cloud.now)
            self._cloud.advance(STEP)
            self._steps += 1

    def lags_ms(self, skipped: int) -> list[float]:
        """Return the lags of the work items after the first `skipped` that have started."""
        found = zip(
            self._pool.status_batch(None, self.ids[skipped:]),
            self._enqueued_at[skipped:],
            strict=True,
        )
        return [
            (status.started_at - at) / timedelta(milliseconds=1)
            for status, at in found
            if status.started_at is not None
        ]

    def _missing(self) -> int:
        if self._crowd.backlog:
            return self._crowd.backlog - (len(self.ids) - self.started)
        return (self._steps + 1) * self._crowd.per_second * STEP // timedelta(seconds=1) - len(
            self.ids
        )


def _between(before: Capacity, after: Capacity) -> dict[str, Units]:
    spent = {}
    for label, units in after.by_label.items():
        old = before.by_label.get(label, Units())
        spent[label] = Units(
            units.write_units - old.write_units,
            units.read_units - old.read_units,
            units.requests - old.requests,
        )
    return spent
