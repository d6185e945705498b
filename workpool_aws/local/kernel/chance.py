"""Choices of a simulated run.

One small protocol, so that a seed, a recorded list or a search can drive the same code.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Chooser", "ReplayChooser", "SeededChooser"]


class Chooser(Protocol):
    """Decides the open questions of a run: the next task, the next fault.

    Called by one thread at a time.
    """

    def choose(self, options: int, tag: str) -> int:
        """Return an int in `range(options)`; 0 is the plain course of things.

        `tag` names the question.
        """

    def next_task(self, names: Sequence[str]) -> int:
        """Return the index of the task that goes on.

        The first is the one that ran last, if it can.
        """

    def chance(self, probability: float, tag: str) -> bool:
        """Return True with this probability: never for 0, always for 1."""


class SeededChooser:
    """Draws by a seed.

    The same seed and the same questions give the same answers; `log` keeps them for a replay.
    """

    def __init__(self, seed: int) -> None:
        self.log: list[int] = []
        self._random = random.Random(seed).random

    def choose(self, options: int, tag: str) -> int:
        """See Chooser."""
        if options <= 1:
            return 0
        choice = int(self._random() * options)
        self.log.append(choice)
        return choice

    def next_task(self, names: Sequence[str]) -> int:
        """See Chooser."""
        return self.choose(len(names), "task")

    def chance(self, probability: float, tag: str) -> bool:
        """See Chooser."""
        if probability <= 0:
            return False
        struck = self._random() < probability
        self.log.append(int(struck))
        return struck


class ReplayChooser:
    """Repeats a recorded list of choices; after its end, always the plain course of things (0)."""

    def __init__(self, choices: Sequence[int]) -> None:
        self.log: list[int] = []
        self._choices = tuple(choices)

    def choose(self, options: int, tag: str) -> int:
        """See Chooser."""
        if options <= 1:
            return 0
        place = len(self.log)
        choice = min(self._choices[place], options - 1) if place < len(self._choices) else 0
        self.log.append(choice)
        return choice

    def next_task(self, names: Sequence[str]) -> int:
        """See Chooser."""
        return self.choose(len(names), "task")

    def chance(self, probability: float, tag: str) -> bool:
        """See Chooser."""
        return probability > 0 and self.choose(2, tag) == 1
