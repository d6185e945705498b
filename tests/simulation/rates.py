"""The rate limits of a simulated run: their changes, and the verdict on their windows [WP-33]."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from workpool_aws import RateLimit
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Config, Ledger

__all__ = ["RateChange", "RateJudge", "rate_changes_of", "rate_of"]

_SHARE: Final = 0.25
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class RateChange:
    """An operator gives a pool another rate limit; `None` lifts it."""

    at_ms: int
    pool: int
    rate: RateLimit | None


def rate_of(seed: int) -> RateLimit | None:
    """The rate limit that programs give the pools of a scenario, drawn apart, in every fourth or so."""
    chance = random.Random(f"rates {seed}")
    return _any_rate(chance) if chance.random() < _SHARE else None


def rate_changes_of(seed: int, pools: int) -> tuple[RateChange, ...]:
    """Changes by operators, in every second scenario that has one."""
    chance = random.Random(f"rate changes {seed}")
    if rate_of(seed) is None or chance.random() < 0.5:
        return ()
    moments = sorted(chance.randrange(60_000) for _ in range(chance.choice((1, 2, 3))))
    return tuple(
        RateChange(at_ms, chance.randrange(pools), chance.choice((None, *[_any_rate(chance)] * 4)))
        for at_ms in moments
    )


def _any_rate(chance: random.Random) -> RateLimit:
    n = chance.choice((1, 1, 2, 3, 6))
    seconds = chance.choice((1, 5, 20, 60, 200))
    burst = chance.choice((None, 1, n, max(1, n // 2)))
    return RateLimit(n, per=timedelta(seconds=seconds), burst=burst)


@dataclass(slots=True)
class _Pool:
    rate: RateLimit | None = None
    changed_at: EpochMs = EpochMs(0)
    felt: bool = False
    """Every commit from now on goes by this rate: no loop can have read another."""
    commits: list[EpochMs] = field(default_factory=list)


class RateJudge:
    """Counts the starts that enter the ledgers by the cloud's clock, without any slack.

    A commit that a loop decided by the limit before may land until the ledger's version is raised,
    or another loop takes it. The windows of a limit begin there.
    """

    def __init__(self, now: Callable[[], EpochMs], fail: Callable[[str, str], None]) -> None:
        self._now = now
        self._fail = fail
        self._pools: defaultdict[str, _Pool] = defaultdict(_Pool)
        self._counts: Callable[[], bool | None] = lambda: True
        self._holders: dict[str, bool] = {}
        """Loops that were seen to write a ledger themselves: True if they count starts."""

    def told_apart_by(self, counts: Callable[[], bool | None]) -> None:
        """Some loops know no rate limit, and what they start is not counted.

        `counts`: True if the loop that writes now counts them; `None` means that no loop is known to
        write, as when a write lands late.
        """
        self._counts = counts

    def is_rated(self, pool: str) -> bool:
        """True if its starts may have to wait for a token."""
        return self._pools[pool].rate is not None

    def changed_at(self, pool: str) -> EpochMs:
        """When its limit was changed, or lifted, last: work items may have waited for a token until then."""
        return self._pools[pool].changed_at

    def config(self, config: Config) -> None:
        """A config was written."""
        pool = self._pools[config.pool]
        if pool.rate != config.rate:
            pool.rate, pool.changed_at, pool.felt = config.rate, self._now(), False

    def ledger(self, before: Ledger | None, after: Ledger) -> None:
        """A ledger was written."""
        pool = self._pools[after.pool]
        if not pool.felt and (before is None or before.committed_by == after.committed_by):
            pool.felt, pool.commits = True, []
        counts = self._counts()
        if counts is not None:
            self._holders.setdefault(after.holder, counts)
        added = after.entries.keys() - ({} if before is None else before.entries).keys()
        rate, now = pool.rate, self._now()
        if rate is None or not pool.felt or not added or not self._holders.get(after.holder):
            return
        since = now - rate.per // _MILLISECOND
        pool.commits = [at for at in pool.commits if at > since] + [now] * len(added)
        if len(pool.commits) > rate.n:
            self._fail("WP-33", f"{len(pool.commits)} starts in a window of {rate}: {pool.commits}")
