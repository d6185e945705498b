"""Drives runs by other means than chance.

They are priorities, few deviations from the plain course, and all deviations one after the other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.scenario import Scenario
from tests.simulation.world import Run, simulate
from workpool_aws.local.kernel.chance import Chooser, SeededChooser

__all__ = ["DeviatingChooser", "PriorityChooser", "Search", "chooser_of", "explore"]

_STEPS: Final = 600
"""Within so many choices of a task the priorities change: about as many as a run has."""


class PriorityChooser:
    """Probabilistic concurrency testing: of the tasks that can go on, that of the highest priority does; at a few points it becomes last.

    A race that takes d orderings is found with a chance of 1 in tasks x steps^(d-1), whatever else
    happens: far better than even odds at each step where the race is small. Everything but the
    order of tasks is left to chance, from the same seed.
    """

    def __init__(self, seed: int, *, changes: int = 3) -> None:
        self._chance = SeededChooser(seed)
        order = random.Random(f"priorities {seed}")
        self._random = order
        self._changes_at = frozenset(order.randrange(_STEPS) for _ in range(changes))
        self._priorities: dict[str, float] = {}
        self._steps = 0

    def choose(self, options: int, tag: str) -> int:
        """See Chooser."""
        return self._chance.choose(options, tag)

    def chance(self, probability: float, tag: str) -> bool:
        """See Chooser."""
        return self._chance.chance(probability, tag)

    def next_task(self, names: Sequence[str]) -> int:
        """See Chooser."""
        for name in names:
            if name not in self._priorities:
                self._priorities[name] = 1 + self._random.random()
        self._steps += 1
        if self._steps in self._changes_at:
            self._priorities[names[self._first(names)]] = -self._steps
        return self._first(names)

    def _first(self, names: Sequence[str]) -> int:
        return max(range(len(names)), key=lambda index: self._priorities[names[index]])


class DeviatingChooser:
    """The plain course of things, but for the choices named: choice number to answer.

    `widths` has the options of each choice made.
    """

    def __init__(self, deviations: Mapping[int, int]) -> None:
        self.widths: list[int] = []
        self._deviations = deviations

    def choose(self, options: int, tag: str) -> int:
        """See Chooser."""
        if options <= 1:
            return 0
        answer = self._deviations.get(len(self.widths), 0)
        self.widths.append(options)
        return min(answer, options - 1)

    def next_task(self, names: Sequence[str]) -> int:
        """See Chooser."""
        return self.choose(len(names), "task")

    def chance(self, probability: float, tag: str) -> bool:
        """See Chooser."""
        return probability > 0 and self.choose(2, tag) == 1


def chooser_of(seed: int) -> Chooser:
    """Return the chooser of a seed: one in five goes by priorities, the others by even chance."""
    return PriorityChooser(seed) if seed % 5 == 4 else SeededChooser(seed)


@dataclass(slots=True)
class Search:
    """The result of a search. `complete`: there is no further run within the bound."""

    runs: int = 0
    calls: int = 0
    complete: bool = True
    failures: list[tuple[dict[int, int], Run]] = field(default_factory=list)


def explore(
    scenario: Scenario, *, most: int, runs_max: int, points_max: int = 1_000, options_max: int = 4
) -> Search:
    """Every run that deviates from the plain course at `most` choices of the first `points_max`, each with its first `options_max` answers.

    Fewest deviations first, so the first failure is a small one. Stops at it, or after `runs_max`
    runs.
    """
    search = Search()
    waiting: list[tuple[dict[int, int], int]] = [({}, 0)]
    for deviations, first in _growing(waiting):
        if search.runs >= runs_max:
            search.complete = False
            return search
        chooser = DeviatingChooser(deviations)
        run = simulate(scenario, chooser)
        search.runs += 1
        search.calls += run.calls
        if run.violation is not None:
            search.failures.append((deviations, run))
            return search
        if len(deviations) < most:
            points = range(first, min(len(chooser.widths), points_max))
            waiting += [
                ({**deviations, point: answer}, point + 1)
                for point in points
                for answer in range(1, min(chooser.widths[point], options_max))
            ]
    return search


def _growing(waiting: list[tuple[dict[int, int], int]]) -> Iterator[tuple[dict[int, int], int]]:
    place = 0
    while place < len(waiting):
        yield waiting[place]
        place += 1
