"""Decides into how many shards producers put new work items, by the rate of a pool's starts.

A shard is a partition of the table, and a partition takes a thousand writes a second. An action
writes to it three times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, shard_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workpool_aws.model.ids import WorkId

__all__ = ["Load", "shards_named", "shards_wanted"]


@dataclass(frozen=True, slots=True)
class Load:
    """Starts that a holder has chosen since a time, and the time since when a pool is quiet."""

    since: EpochMs = EpochMs(0)
    started: int = 0
    quiet_since: EpochMs | None = None
    """`None` means that the last window had as many starts as its shards are for."""

    def having_started(self, count: int) -> Load:
        """Returns the load after so many more starts."""
        return replace(self, started=self.started + count) if count else self

    def is_over(self, now: EpochMs) -> bool:
        """True if the window is long enough for a rate."""
        return now - self.since >= limits.SHARD_WINDOW_MS

    def following(self, shards: int, now: EpochMs) -> Load:
        """Returns the load of the next window."""
        is_quiet = shards > 1 and self._needed(now) <= shards // 2
        quiet_since = (self.quiet_since or self.since) if is_quiet else None
        return Load(now, quiet_since=quiet_since)

    def wanted(self, shards: int, now: EpochMs) -> int:
        """Returns the number of shards that its rate needs, which falls by half after a quiet time."""
        needed = self._needed(now)
        if needed > shards:
            return needed
        quiet = self.quiet_since is not None and now - self.quiet_since >= limits.SHARD_QUIET_MS
        return max(needed, shards // 2) if quiet else shards

    def _needed(self, now: EpochMs) -> int:
        """Returns a power of two."""
        a_second = self.started * 1_000 // max(1, now - self.since)
        needed = -(-a_second // limits.STARTS_A_SHARD)
        return min(limits.SHARDS_GROWN_MAX, 1 << max(0, needed - 1).bit_length())


def shards_wanted(load: Load, shards: int, now: EpochMs) -> tuple[Load, int]:
    """Returns the load to go on with, and the number of shards to have from now on."""
    if not load.is_over(now):
        return load, shards
    wanted = load.wanted(shards, now)
    after = load.following(shards, now)
    return (after if wanted == shards else Load(now)), wanted


def shards_named(ids: Iterable[WorkId]) -> int:
    """Returns the number of shards that must be read for these work items: at least 1."""
    return 1 + max(map(shard_of, ids), default=0)
