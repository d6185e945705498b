"""Hunts for mutants: each guard is removed in turn, and seeds or named tests must fail without it.

    python -m tests.simulation.hunt --seeds 300             every mutant, 300 seeds each at most
    python -m tests.simulation.hunt --only "late rule"      one, or all whose name begins so
    python -m tests.simulation.hunt --cases                 with the named tests, too
    python -m tests.simulation.hunt --quick --remember      those of `make sim`, to note their seeds

The exit code is 1 if a seed or test that should notice a missing guard does not.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from types import FrameType
from typing import Final

import pytest

from tests.simulation import bank
from tests.simulation.choosers import chooser_of
from tests.simulation.mutants import MUTANTS
from tests.simulation.mutation import Mutant, World, applied
from tests.simulation.processes import in_order, processes
from tests.simulation.scenario import scenario_of
from tests.simulation.world import simulate

__all__ = ["QUICK_SEEDS", "Catch", "hunt", "hunt_all", "main", "missed_cases"]

_RUN_S: Final = 30
"""A run that takes longer does not end: that is a failure, too."""
_WHAT_MAX: Final = 110
QUICK_SEEDS: Final = 200
"""Of each mutant that `make sim` runs."""
NOTICED: Final = Path(__file__).with_name("noticed.toml")
"""For each of these, a seed that noticed it when `--remember` was last run."""
_HEAD: Final = """\
# The seed that each mutant of `make sim` is tried with before the others. One that notices nothing any
# more costs a search and hides nothing. `python -m tests.simulation.hunt --quick --remember` writes this.

"""


class _EndlessError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Catch:
    """The end of a mutant.

    `seed`: the one that failed, and `what` was broken; `None` means that none did in `seeds`.
    """

    mutant: str
    seeds: int
    seed: int | None = None
    what: str = ""
    missed_cases: tuple[str, ...] = ()

    @property
    def is_missed(self) -> bool:
        """Nothing noticed: no seed, and either a named test did not, or there is none."""
        mutant = next(each for each in MUTANTS if each.name == self.mutant)
        return self.seed is None and (bool(self.missed_cases) or not mutant.cases)

    def __str__(self) -> str:
        found = (
            f"seed {self.seed}: {self.what}"
            if self.seed is not None
            else f"no seed of {self.seeds}"
        )
        missed = f"; NOT NOTICED by {', '.join(self.missed_cases)}" if self.missed_cases else ""
        return f"{self.mutant:<52} {found}{missed}"


def hunt(name: str, seeds: Sequence[int]) -> Catch:
    """Run these seeds without the guard until one fails."""
    mutant = next(each for each in MUTANTS if each.name == name)
    if mutant.world == "keys":
        seeds = [seed for seed in seeds if scenario_of(seed).keys is not None]
    with applied(mutant):
        for seed in seeds:
            what = _failure(seed, mutant.world)
            if what is not None:
                return Catch(name, len(seeds), seed, what)
    return Catch(name, len(seeds))


def _failure(seed: int, world: World) -> str | None:
    try:
        with _at_most(_RUN_S):
            what = bank.failure_of(seed) if world == "bank" else _violation(seed)
    except _EndlessError:
        return "the run does not end"
    except Exception as error:  # noqa: BLE001 - a mutant may break anything, and a run that breaks off is noticed
        return f"{type(error).__name__}: {error}"
    return None if what is None else what[:_WHAT_MAX]


def _violation(seed: int) -> str | None:
    run = simulate(scenario_of(seed), chooser_of(seed))
    return None if run.violation is None else str(run.violation)


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _EndlessError

    before = signal.signal(signal.SIGPROF, stop)
    # Time of the processor, not of the clock: a busy machine is no endless run.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def missed_cases(mutant: Mutant) -> tuple[str, ...]:
    """The named tests that pass although the guard is gone: none should."""
    return tuple(
        case for case in mutant.cases if _exit_code(mutant, case) != pytest.ExitCode.TESTS_FAILED
    )


def _exit_code(mutant: Mutant, case: str) -> int:
    asked = (
        "-p",
        "tests.simulation.without_guard",
        "--without-guard",
        mutant.name,
        "-p",
        "no:cacheprovider",
        "-q",
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", *asked, case], capture_output=True, check=False
    ).returncode


def hunt_all(
    pool: Pool, jobs: int, mutants: Sequence[Mutant], seeds: Sequence[int], *, cases: bool
) -> Iterator[Catch]:
    """Return the end of each of them, in their order.

    `cases`: the tests that are named for it are run, too, where no seed noticed.
    """
    return in_order(
        pool, jobs, partial(_caught, seeds=seeds, likely=noticed(), cases=cases), mutants
    )


def noticed() -> dict[str, int]:
    """Return the seed that each mutant is tried with first, by the name of the mutant."""
    return tomllib.loads(NOTICED.read_text(encoding="utf-8"))


def remembered(catches: Iterable[Catch]) -> str:
    """Return the text of the file of seeds, with those of these mutants replaced."""
    seeds = {**noticed(), **{each.mutant: each.seed for each in catches}}
    names = [each.name for each in MUTANTS if seeds.get(each.name) is not None]
    return _HEAD + "".join(f"{json.dumps(name)} = {seeds[name]}\n" for name in names)


def likely_first(seeds: Sequence[int], likely: int | None) -> Sequence[int]:
    """Return the same seeds, one of them first."""
    if likely is None or likely not in seeds:
        return seeds
    return [likely, *(seed for seed in seeds if seed != likely)]


def _caught(
    mutant: Mutant, seeds: Sequence[int], likely: Mapping[str, int], *, cases: bool
) -> Catch:
    catch = hunt(mutant.name, likely_first(seeds, likely.get(mutant.name)))
    return (
        replace(catch, missed_cases=missed_cases(mutant)) if cases and catch.seed is None else catch
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Hunt as the arguments say; 1 if nothing noticed that a guard was gone, else 0."""
    parser = argparse.ArgumentParser(
        prog="hunt", description="Remove guards of the library one at a time, and see what notices."
    )
    parser.add_argument("--seeds", type=int, default=QUICK_SEEDS)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="", help="mutants whose name begins so")
    parser.add_argument(
        "--cases",
        action="store_true",
        help="run the tests that are named for a mutant, where no seed notices",
    )
    parser.add_argument("--quick", action="store_true", help="only those that `make sim` removes")
    parser.add_argument(
        "--remember", action="store_true", help="note the seeds that noticed, for the next hunt"
    )
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args(argv)
    chosen = [
        each
        for each in MUTANTS
        if each.name.startswith(asked.only) and (each.quick or not asked.quick)
    ]
    seeds = range(asked.first, asked.first + asked.seeds)
    catches = list[Catch]()
    with processes(asked.jobs) as pool:
        for catch in hunt_all(pool, asked.jobs, chosen, seeds, cases=asked.cases):
            sys.stdout.write(f"{catch}\n")
            sys.stdout.flush()
            catches.append(catch)
    missed = sum(catch.is_missed for catch in catches)
    sys.stdout.write(f"{len(chosen)} guards removed, {missed} missed\n")
    if asked.remember:
        NOTICED.write_text(remembered(catches), encoding="utf-8")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
