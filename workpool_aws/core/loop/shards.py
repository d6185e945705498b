"""Decides into how many shards producers put new work items, by the rate at which they come.

A shard is a partition of the table, and a partition takes a thousand writes a second. An action
writes to it three times. Where a partition is full, puts wait as starts do, so the starts of a pool
show what its partitions take, not what comes. The due times of what starts show that: where 300
starts in a second were due within a tenth of it, 3,000 a second come.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, shard_of
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.work import WorkItem

__all__ = ["Arrivals", "Load", "shards_named", "shards_wanted"]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Starts that a holder has chosen since a time, and the due times of the first attempts among them.

    The loop chooses in order of due time, so these are a stretch of what came.
    """

    since: EpochMs = EpochMs(0)
    started: int = 0
    due_from: EpochMs = EpochMs(0)
    due_to: EpochMs = EpochMs(0)
    """Both are 0 without a first attempt."""
    lag_ms: int = 0
    """Longest time from its due time to its choice."""

    def having_started(self, chosen: Sequence[WorkItem], now: EpochMs) -> Arrivals:
        """Returns them after the starts of a pass."""
        after = replace(self, started=self.started + len(chosen))
        first = [work.due_at for work in chosen if work.starts == 0]
        return after.having_met(min(first), max(first), now) if first else after

    def having_met(self, earliest: EpochMs, latest: EpochMs, now: EpochMs) -> Arrivals:
        """Returns them after first attempts that were due from one time to another."""
        return replace(
            self,
            due_from=min(self.due_from or earliest, earliest),
            due_to=max(self.due_to, latest),
            lag_ms=max(self.lag_ms, now - earliest),
        )

    @property
    def is_burst(self) -> bool:
        """True if they were due at about one time.

        A burst lies in its shards, however many the pool gets.
        """
        return self.due_to > 0 and self._due_ms < limits.SHARD_SPAN_MS

    def started_a_second(self, now: EpochMs) -> int:
        """Returns the rate of the starts, 0 of a burst."""
        return 0 if self.is_burst else self.started * 1_000 // max(1, now - self.since)

    def came_a_second(self, now: EpochMs) -> int:
        """Returns the rate at which they came, 0 of a burst. It is no less than that of the starts.

        Without a lag they came while they were chosen, with one while it grew. A lag that is older than
        the window says nothing of it: such a backlog waits for slots.
        """
        elapsed_ms = now - self.since
        if self.lag_ms >= elapsed_ms:
            return self.started_a_second(now)
        came_ms = min(elapsed_ms, max(self._due_ms, elapsed_ms - self.lag_ms))
        return 0 if self.is_burst else self.started * 1_000 // max(1, came_ms)

    def crowded_a_second(self, now: EpochMs) -> int:
        """Returns the rate at which they came to a full partition, which made them wait from the first."""
        due_ms = self._due_ms or now - self.since
        return 0 if self.is_burst else self.started * 1_000 // max(1, due_ms)

    @property
    def _due_ms(self) -> int:
        return self.due_to - self.due_from


@dataclass(frozen=True, slots=True)
class Load:
    """Starts of a pool in a window of some seconds, those of its last part, and the time of quiet."""

    window: Arrivals = field(default_factory=Arrivals)
    lately: Arrivals = field(default_factory=Arrivals)
    quiet_since: EpochMs | None = None
    """`None` means that the last window had as many starts as its shards are for."""
    quiet_needs: int = 1
    """Shards that the windows since then needed, at most."""

    @property
    def since(self) -> EpochMs:
        """Time at which its window began."""
        return self.window.since

    def having_started(self, chosen: Sequence[WorkItem], now: EpochMs) -> Load:
        """Returns the load after the starts of a pass."""
        if not chosen:
            return self
        window = self.window.having_started(chosen, now)
        return replace(self, window=window, lately=self.lately.having_started(chosen, now))

    def following(self, shards: int, now: EpochMs) -> Load:
        """Returns the load of the next window."""
        needed = _shards_for(self.window.came_a_second(now))
        if needed > shards // 2:
            return Load(Arrivals(now), self.lately)
        quiet_since = self.quiet_since or self.since or now
        return Load(Arrivals(now), self.lately, quiet_since, max(needed, self.quiet_needs))

    def wanted_at_once(self, shards: int, now: EpochMs) -> int:
        """Returns the number of shards that it takes where the partitions are full.

        That is at least four times their number, since producers that are throttled wait.
        """
        if self.lately.started_a_second(now) < shards * limits.STARTS_A_FULL_SHARD:
            return shards
        needed = _shards_for(self.lately.crowded_a_second(now))
        return min(limits.SHARDS_GROWN_MAX, max(4 * shards, needed))

    def wanted(self, shards: int, now: EpochMs) -> int:
        """Returns the number of shards that its rate needs, which falls after a quiet time."""
        needed = _shards_for(self.window.came_a_second(now))
        if needed > shards:
            return needed
        quiet = self.quiet_since is not None and now - self.quiet_since >= limits.SHARD_QUIET_MS
        return max(needed, self.quiet_needs) if quiet else shards


def shards_wanted(load: Load, shards: int, now: EpochMs) -> tuple[Load, int]:
    """Returns the load to go on with, and the number of shards to have from now on."""
    wanted, after = shards, load
    if now - load.lately.since >= limits.SHARD_LATELY_MS:
        wanted, after = load.wanted_at_once(shards, now), replace(load, lately=Arrivals(now))
    if wanted == shards and now - load.since >= limits.SHARD_WINDOW_MS:
        wanted, after = load.wanted(shards, now), after.following(shards, now)
    return (after if wanted == shards else Load(Arrivals(now), Arrivals(now))), wanted


def shards_named(ids: Iterable[WorkId]) -> int:
    """Returns the number of shards that must be read for these work items: at least 1."""
    return 1 + max(map(shard_of, ids), default=0)


def _shards_for(a_second: int) -> int:
    """Returns the number of shards for so many starts a second, a power of two."""
    needed = -(-a_second // limits.STARTS_A_SHARD)
    return min(limits.SHARDS_GROWN_MAX, 1 << max(0, needed - 1).bit_length())
