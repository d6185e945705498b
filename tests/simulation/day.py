"""Simulates a day of a rated pool: crashes, take-overs, skewed clocks, and a rate limit that people change each hour [WP-33].

    python -m tests.simulation.day --hours 24 --seed 20

The judge counts each window by the cloud's clock, as commits of the ledger. The exit code is 1 if a
promise was broken.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final
from unittest.mock import patch

from tests.simulation import world
from tests.simulation.choosers import chooser_of
from tests.simulation.judge import Judge
from tests.simulation.rates import RateChange
from tests.simulation.scenario import Mode, PoolPlan, Scenario, Submission, small_scenario
from tests.simulation.world import Run
from workpool_aws import RateLimit
from workpool_aws.local.faults.faults import Fault
from workpool_aws.model.loop import Ledger

__all__ = ["Tally", "day_of", "main", "simulated"]

_MINUTE: Final = timedelta(minutes=1)
_LIMITS: Final = (
    RateLimit(20, per=_MINUTE, burst=5),
    RateLimit(5, per=_MINUTE),
    RateLimit(60, per=5 * _MINUTE, burst=20),
    RateLimit(3, per=timedelta(seconds=10)),
)
_FAULTS: Final = (
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.FROZEN,
    Fault.LOOP_LOST,
    Fault.EVENT_LATE,
    Fault.WRITE_LATE,
    Fault.ANSWER_LOST,
    Fault.WAKE_LATE,
)
_FAULT_RATE: Final = 0.004
_EVERY_MS: Final = 600_000
_COUNT: Final = 40
_HOUR_MS: Final = 3_600_000
_LINES_MAX: Final = 10_000_000


class Tally(Judge):
    """The judge, which also counts what it has judged."""

    starts = 0
    takes = 0
    full = 0
    """Commits that filled a window."""

    def _ledger(self, before: Ledger | None, after: Ledger) -> None:
        super()._ledger(before, after)
        self.takes += before is None or before.generation != after.generation
        added = after.entries.keys() - ({} if before is None else before.entries).keys()
        pool = self.rates._pools[after.pool]
        self.starts += len(added)
        self.full += pool.rate is not None and bool(added) and len(pool.commits) == pool.rate.n


def day_of(hours: int, seed: int) -> Scenario:
    """So many hours: 40 work items each ten minutes, and another limit each hour."""
    chance = random.Random(f"day {seed}")
    moments = range(0, hours * _HOUR_MS, _EVERY_MS)
    submissions = [
        Submission(
            at_ms=at_ms + chance.randrange(60_000),
            pool=0,
            first=_COUNT * number,
            count=_COUNT,
            mode=chance.choice((Mode.CLAIMED, Mode.RETRIED)),
            attempts=3,
            delay_ms=chance.choice((0, 0, 30_000)),
            backoff_ms=chance.choice((250, 5_000)),
            told=None,
        )
        for number, at_ms in enumerate(moments)
    ]
    changes = [
        RateChange(hour * _HOUR_MS + chance.randrange(_HOUR_MS), 0, chance.choice(_LIMITS))
        for hour in range(1, hours)
    ]
    return replace(
        small_scenario(*submissions, rates=dict.fromkeys(_FAULTS, _FAULT_RATE), budget=10**6),
        seed=seed,
        pools=(PoolPlan("a", 20),),
        rate=_LIMITS[seed % len(_LIMITS)],
        rate_changes=tuple(changes),
        calm_after=timedelta(hours=hours),
        skewed_clocks=True,
        jitter_ms=40,
        loop_timeout=timedelta(seconds=60),
    )


def simulated(hours: int, seed: int) -> Run:
    """The run of such a day."""
    with patch.object(world, "_LINES_MAX", _LINES_MAX):
        return world.simulate(day_of(hours, seed), chooser_of(seed), judging=Tally)


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate a day, and say what it came to."""
    parser = argparse.ArgumentParser(prog="day", description="A day of a pool with rate limits.")
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--seed", type=int, default=20)
    asked = parser.parse_args(argv)
    run = simulated(asked.hours, asked.seed)
    tally = run.judge
    assert isinstance(tally, Tally)
    told = (
        f"{asked.hours} h, seed {asked.seed}: {tally.starts} starts of {len(tally.works)} work items, "
        f"{tally.full} commits filled a window, {tally.takes} loops took the ledger, "
        f"{len(run.scenario.rate_changes)} changes of the limit, {run.faults.total()} faults, "
        f"{run.calls} calls; broken: {run.violation or 'nothing'}\n"
    )
    sys.stdout.write(told)
    return int(run.violation is not None)


if __name__ == "__main__":
    sys.exit(main())
