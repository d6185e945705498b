"""A clock and chance that a test holds in its hands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from tests.kit.records import NOW
from workpool_aws.model.ids import EpochMs

SLEEPS_MAX = 5_000


@dataclass
class ManualClock:
    """Moves when a test sets `at`, and in sleeps. Due entries of its agenda happen in a sleep, in order."""

    at: int = NOW
    slept_ms: list[int] = field(default_factory=list)
    _agenda: list[tuple[int, int, Callable[[], object]]] = field(default_factory=list)
    _entered: int = 0

    def now(self) -> EpochMs:
        return EpochMs(self.at)

    def sleep(self, ms: int) -> None:
        self.slept_ms.append(ms)
        assert len(self.slept_ms) < SLEEPS_MAX, "it never comes to rest"
        self.pass_to(self.at + ms)

    def enter(self, at: int, deed: Callable[[], object]) -> None:
        self._entered += 1
        heappush(self._agenda, (at, self._entered, deed))

    def next_at(self) -> int | None:
        return self._agenda[0][0] if self._agenda else None

    def pass_to(self, end: int) -> None:
        while self._agenda and self._agenda[0][0] <= end:
            at, _, deed = heappop(self._agenda)
            self.at = max(self.at, at)
            deed()
        self.at = max(self.at, end)


@dataclass(frozen=True)
class StoppedClock:
    """The clock of a process that read it and was then frozen, or of one whose clock is off."""

    at: int

    def now(self) -> EpochMs:
        return EpochMs(self.at)

    def sleep(self, ms: int) -> None:
        raise AssertionError(f"a producer slept {ms} ms")


@dataclass
class CountedEntropy:
    """The same draws in every test, no two of them equal, and in no order."""

    prefix: str = "token"
    """The beginning of every token. A server that outlives a test needs another each time."""
    drawn: int = 0

    def bits(self, count: int) -> int:
        return self._next() * 0x9E3779B97F4A7C15F39CC060 % (1 << count)

    def fraction(self) -> float:
        return 0.5

    def token(self) -> str:
        return f"{self.prefix}-{self._next()}"

    def _next(self) -> int:
        self.drawn += 1
        return self.drawn
