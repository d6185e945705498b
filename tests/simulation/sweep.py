"""Sweeps over seeds, for people: runs, coverage, missed guards, and the first failure in full.

    python -m tests.simulation.sweep                     200 seeds, and a table of the faults
    python -m tests.simulation.sweep --count 20000       more
    python -m tests.simulation.sweep --calls 1500000     until so many service calls were made
    python -m tests.simulation.sweep --hours 8           until so much time has passed
    python -m tests.simulation.sweep --seed 31           one seed, with its whole trace
    python -m tests.simulation.sweep --mutants quick     then remove guards, and see if seeds
                                                         notice (all: every guard)

On a terminal a line every ten seconds shows the progress. Interrupted from the keyboard it stops,
and shows its result so far.

The exit code is 1 if a promise was broken, if a guard went unnoticed that should not, or if a long
sweep met too little to mean anything; 130 if it was interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, takewhile
from multiprocessing.pool import Pool
from typing import Final

from tests.simulation.choosers import chooser_of
from tests.simulation.coverage import Coverage
from tests.simulation.hunt import QUICK_SEEDS, Catch, hunt_all
from tests.simulation.mutants import MUTANTS
from tests.simulation.processes import in_order, processes
from tests.simulation.progress import Progress
from tests.simulation.scenario import scenario_of
from tests.simulation.world import Run, simulate

__all__ = ["Failure", "Tally", "main", "run_of_seed"]

_SHOWN_MAX: Final = 40
_SEEDS_A_SHARE: Final = 25
_CALLS_THAT_MEAN_MUCH: Final = 1_500_000
"""From so many on, a sweep must have met every move, every fault and every condition that can fail."""
_ALL_SEEDS: Final = 2_000
"""Of each mutant of a long hunt."""
_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that broke a promise."""

    seed: int
    what: str
    report: str


@dataclass(slots=True)
class Tally:
    """The result of a sweep."""

    runs: int = 0
    calls: int = 0
    executions: int = 0
    virtual_ms: int = 0
    coverage: Coverage = field(default_factory=Coverage)
    broken: list[Failure] = field(default_factory=list)

    def add(self, run: Run) -> None:
        self.runs += 1
        self.calls += run.calls
        self.executions += run.executions
        self.virtual_ms += run.virtual_ms
        self.coverage.add(run.coverage)
        if run.violation is not None:
            self.broken.append(Failure(run.scenario.seed, str(run.violation), run.report()))

    def join(self, other: Tally) -> None:
        self.runs += other.runs
        self.calls += other.calls
        self.executions += other.executions
        self.virtual_ms += other.virtual_ms
        self.coverage.add(other.coverage)
        self.broken += other.broken

    def __str__(self) -> str:
        hours = self.virtual_ms / 3_600_000
        coverage = self.coverage
        failed = coverage.failed.keys() & coverage.tried.keys()
        return "\n".join(
            [
                f"{self.runs} runs, {self.calls} service calls, {self.executions} executions, {hours:.0f} hours of virtual time",
                f"faults: {coverage.faults.total()}",
                *(f"  {kind:<28} {number:>9}" for kind, number in coverage.faults.most_common()),
                f"moves: {coverage.moves.total()}",
                *(f"  {move:<28} {number:>9}" for move, number in coverage.moves.most_common()),
                f"conditions that did not hold: {len(failed)} of {len(coverage.tried)}",
                *(f"  {part:<28} {coverage.failed[part]:>9}" for part in sorted(failed)),
                f"broken: {len(self.broken)}",
                *(f"  seed {each.seed}: {each.what}" for each in self.broken[:_SHOWN_MAX]),
            ]
        )


def run_of_seed(seed: int) -> Run:
    """The run of a seed: its scenario, driven as its number says."""
    return simulate(scenario_of(seed), chooser_of(seed))


def main(argv: Sequence[str] | None = None) -> int:
    """Sweep as the arguments say; 1 if something is wrong, else 0."""
    asked = _parser().parse_args(argv)
    if asked.seed is not None:
        run = run_of_seed(asked.seed)
        _say(run.report(whole=True))
        return int(run.violation is not None)
    tally, catches = Tally(), list[Catch]()
    progress = Progress(sys.stderr, time.monotonic)
    try:
        with processes(asked.jobs) as pool:
            try:
                _sweep(asked, pool, tally, progress)
            finally:
                _say(str(tally))
            vacuous = tally.coverage.missing() if tally.calls >= _CALLS_THAT_MEAN_MUCH else []
            for each in vacuous:
                _say(f"vacuous: {each}")
            if asked.mutants != "none" and not tally.broken:
                _hunt(asked, pool, catches, progress)
    except KeyboardInterrupt:
        _say("interrupted")
        return _INTERRUPTED
    return int(bool(tally.broken or vacuous or any(catch.is_missed for catch in catches)))


def _sweep(asked: argparse.Namespace, pool: Pool, tally: Tally, progress: Progress) -> None:
    """Add to the tally until enough was run, or something is broken and that is enough."""
    # The same seeds give the same tally whatever the number of processes.
    for part in in_order(pool, asked.jobs, _share, _shares(asked)):
        tally.join(part)
        progress.tell(
            lambda: f"{tally.runs} runs, {tally.calls} service calls, {len(tally.broken)} broken"
        )
        if tally.broken and not asked.keep_going:
            _say(min(tally.broken, key=lambda each: each.seed).report)
            return
        if asked.calls is not None and tally.calls >= asked.calls:
            return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sweep",
        description="Simulate the library's own code under faults, one schedule a seed.",
    )
    parser.add_argument("--seed", type=int, help="run this one only, and show all of its trace")
    parser.add_argument("--first", type=int, default=0, help="the first seed of a sweep")
    parser.add_argument(
        "--count", type=int, default=200, help="how many seeds, unless calls or hours are given"
    )
    parser.add_argument("--calls", type=int, help="go on until so many service calls were made")
    parser.add_argument("--hours", type=float, help="go on for so long")
    parser.add_argument(
        "--keep-going", action="store_true", help="do not stop at the first failure"
    )
    parser.add_argument(
        "--mutants",
        choices=("none", "quick", "all"),
        default="none",
        help="which guards to remove afterwards",
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes at one time"
    )
    return parser


def _shares(asked: argparse.Namespace) -> Iterator[range]:
    """The seeds in shares, in order."""
    endless = asked.calls is not None or asked.hours is not None
    end = time.monotonic() + asked.hours * 3600 if asked.hours is not None else None
    starts = (
        count(asked.first, _SEEDS_A_SHARE)
        if endless
        else range(asked.first, asked.first + asked.count, _SEEDS_A_SHARE)
    )
    last = None if endless else asked.first + asked.count
    shares = (
        range(first, first + _SEEDS_A_SHARE if last is None else min(first + _SEEDS_A_SHARE, last))
        for first in starts
    )
    return takewhile(lambda _: end is None or time.monotonic() < end, shares)


def _share(seeds: range) -> Tally:
    tally = Tally()
    for seed in seeds:
        tally.add(run_of_seed(seed))
    return tally


def _hunt(asked: argparse.Namespace, pool: Pool, catches: list[Catch], progress: Progress) -> None:
    """Add what became of each guard, and show it."""
    all_of_them = asked.mutants == "all"
    chosen = [each for each in MUTANTS if all_of_them or each.quick]
    seeds = range(_ALL_SEEDS if all_of_them else QUICK_SEEDS)
    try:
        for catch in hunt_all(pool, asked.jobs, chosen, seeds, cases=all_of_them):
            catches.append(catch)
            progress.tell(
                lambda: (
                    f"{len(catches)} of {len(chosen)} guards, {sum(each.is_missed for each in catches)} missed"
                )
            )
    finally:
        _show_hunt(catches, whole=all_of_them)


def _show_hunt(catches: Sequence[Catch], *, whole: bool) -> None:
    missed = [catch for catch in catches if catch.is_missed]
    noticed = sum(catch.seed is not None for catch in catches)
    _say(f"guards removed: {len(catches)}")
    _say(f"  {'noticed by seeds':<28} {noticed:>9}")
    _say(f"  {'left to named tests':<28} {len(catches) - noticed - len(missed):>9}")
    _say(f"  {'missed':<28} {len(missed):>9}")
    for catch in catches if whole else missed:
        _say(f"  {catch}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
