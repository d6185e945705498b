"""Owns the sweep over seeds for people: how many runs, what they went through, and the first failure in full.

    python -m tests.simulation.sweep                    200 seeds, and a table of what struck
    python -m tests.simulation.sweep --count 20000      more
    python -m tests.simulation.sweep --seed 31          one seed, with its whole trace

The exit code is 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulation.coverage import Coverage
from tests.simulation.scenario import scenario_of
from tests.simulation.world import Run, simulate

__all__ = ["Tally", "main"]

_SHOWN_MAX = 10


@dataclass(slots=True)
class Tally:
    """What a sweep came to."""

    runs: int = 0
    calls: int = 0
    executions: int = 0
    virtual_ms: int = 0
    coverage: Coverage = field(default_factory=Coverage)
    broken: list[Run] = field(default_factory=list)

    def add(self, run: Run) -> None:
        self.runs += 1
        self.calls += run.calls
        self.executions += run.executions
        self.virtual_ms += run.virtual_ms
        self.coverage.add(run.coverage)
        if run.violation is not None:
            self.broken.append(run)

    def __str__(self) -> str:
        hours = self.virtual_ms / 3_600_000
        struck = [f"  {kind:<14} {count:>8}" for kind, count in self.coverage.faults.most_common()]
        broken = [f"  seed {run.scenario.seed}: {run.violation}" for run in self.broken[:_SHOWN_MAX]]
        return "\n".join(
            [
                f"{self.runs} runs, {self.calls} service calls, {self.executions} executions, {hours:.0f} hours of virtual time",
                f"faults: {self.coverage.faults.total()}",
                *struck,
                f"broken: {len(self.broken)}",
                *broken,
            ]
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Sweep as the arguments say; 1 if a promise was broken, else 0."""
    parser = argparse.ArgumentParser(prog="sweep", description="Simulate the library's own code under faults, one schedule a seed.")
    parser.add_argument("--seed", type=int, help="run this one only, and show all of its trace")
    parser.add_argument("--first", type=int, default=0, help="the first seed of a sweep")
    parser.add_argument("--count", type=int, default=200, help="how many seeds")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    asked = parser.parse_args(argv)
    if asked.seed is not None:
        run = simulate(scenario_of(asked.seed))
        _say(run.report(whole=True))
        return int(run.violation is not None)
    tally = Tally()
    for seed in range(asked.first, asked.first + asked.count):
        run = simulate(scenario_of(seed))
        tally.add(run)
        if run.violation is not None and not asked.keep_going:
            _say(run.report())
            break
    _say(str(tally))
    return int(bool(tally.broken))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
