"""Measures the cost of an action beside a long backlog and a long history.

The table is filled without being metered. A pool then works for a while on a backlog that is topped
up to its length every second. The units that it spends are divided by the attempts that ended
meanwhile: start, finish, report and the loop's share, without the enqueue.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

from workpool_aws import Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.model.ids import EpochMs, WorkId, make_ids
from workpool_aws.model.payload import Inline
from workpool_aws.model.spec import Kind, Outcome, Spec
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Put

__all__ = ["FLAT_WITHIN", "SCALES", "Cost", "Scale", "cost_at"]

FLAT_WITHIN = 0.05
"""Share by which no scale may cost more or less than the first."""
READS_A_WRITE = 5
PARALLELISM = 20
WARM_UP_S = 3
MEASURED_S = 30


@dataclass(frozen=True, slots=True)
class Scale:
    """A pool with so many work items pending and so many finished."""

    backlog: int
    history: int

    def __str__(self) -> str:
        return f"backlog {self.backlog:,}, history {self.history:,}"


SCALES = (
    Scale(100, 0),
    Scale(1_000, 0),
    Scale(10_000, 0),
    Scale(100_000, 0),
    Scale(100, 100_000),
    Scale(10_000, 100_000),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Units an attempt."""

    write_units: float
    read_units: float
    attempts: int

    @property
    def price(self) -> float:
        """The price in write units. A read unit is a fifth of one."""
        return self.write_units + self.read_units / READS_A_WRITE

    def is_flat_beside(self, other: Cost) -> bool:
        """True if the two differ in price by no more than is allowed."""
        return abs(self.price - other.price) <= FLAT_WITHIN * other.price


def cost_at(scale: Scale, seed: int) -> Cost:
    """Return the cost of an attempt there.

    The same seed gives the same durations of works at every scale.
    """
    chance = random.Random(seed)  # noqa: S311 - durations of a benchmark
    ended = 0
    pool_of = Workpool("benchmark")

    @pool_of.action
    def work(note: str) -> str:
        nonlocal ended
        ended += 1
        return note[:20]

    with LocalCloud(engine="memory", seed=seed, call_latency=timedelta(milliseconds=5)) as cloud:
        fn = cloud.function(work, takes=lambda _event: timedelta(seconds=chance.uniform(0.2, 1.0)))
        pool = cloud.workpool("benchmark", max_parallelism=PARALLELISM)
        pool.enqueue_action(
            None, fn, {"note": "x"}
        )  # so that the loop has a ledger, as every pool that has a history
        cloud.run_until_idle()
        _fill(cloud, fn, scale.history, finished=True, chance=chance)
        cloud.advance(timedelta(minutes=1))
        _fill(cloud, fn, scale.backlog, finished=False, chance=chance)
        pool.enqueue_action(None, fn, {"note": "x"})
        topped_up = ended
        for second in range(WARM_UP_S + MEASURED_S):
            if second == WARM_UP_S:
                before, ended_before = cloud.capacity, ended
            cloud.advance(timedelta(seconds=1))
            _fill(cloud, fn, ended - topped_up, finished=False, chance=chance)
            topped_up = ended
        spent, attempts = cloud.capacity, ended - ended_before
    return Cost(
        (spent.write_units - before.write_units) / attempts,
        (spent.read_units - before.read_units) / attempts,
        attempts,
    )


def _fill(cloud: LocalCloud, fn: str, count: int, *, finished: bool, chance: random.Random) -> None:
    """Store work items as they stand when they are due now, or ended in the last day."""
    store = cloud._engine_open.quiet(cloud.table)  # noqa: SLF001 - unmetered, which nobody but a benchmark may want
    now = EpochMs(int(cloud.now.timestamp() * 1000))
    ids = make_ids(
        EpochMs(now - 86_400_000 if finished else now), random_bits=chance.getrandbits(70)
    )
    spec = Spec(
        target=fn,
        args=Inline('{"note":"' + "x" * 150 + '"}'),
        kind=Kind.QUERY,
        retry=None,
        claimed=False,
        retention_s=7 * 86_400,
    )
    for _ in range(count):
        work = WorkItem(
            pool="benchmark",
            id=WorkId(next(ids)),
            spec=spec,
            state=State.FINISHED if finished else State.PENDING,
            due_at=now,
            enqueued_at=now,
            permit=None if finished else "a-permit-123",
            outcome=Outcome.SUCCESS if finished else None,
        )
        store.write(Put(work))
