"""Last signs of life of a deployment: `LastSeen`, by what its parts leave in the table anyway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.views.instants import instant
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Ledger, LoopStatus

if TYPE_CHECKING:
    from datetime import datetime

    from workpool_aws.core.views.details import LoopName

__all__ = ["LastSeen", "PoolLastSeen", "loop_seen_at", "pool_seen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLastSeen:
    """Last signs of life in one pool."""

    name: str
    loop: LoopName
    """As in `PoolSummary`."""
    loop_at: datetime | None
    """The latest time at which the loop is known to have run; it may have run later. `None` means
    that no loop has left a trace."""
    report_at: datetime | None
    """The end of the start that was reported last, by a worker or by the completion function.
    `None` means none in two weeks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSeen:
    """Last signs of life of a table's deployment."""

    watchdog_at: datetime | None
    """The watchdog's last heartbeat, of which it leaves one every five minutes. `None` means that
    it has left none, as that of an earlier version."""
    pools: tuple[PoolLastSeen, ...]


def pool_seen(
    pool: str, status: object, ledger: object, report_at: EpochMs | None, *, now: EpochMs
) -> PoolLastSeen:
    """Returns the signs of a pool. A record that is absent or damaged leaves none."""
    known = status if isinstance(status, LoopStatus) else None
    at = loop_seen_at(known, ledger if isinstance(ledger, Ledger) else None, now=now)
    return PoolLastSeen(
        name=pool,
        loop="unknown" if known is None else known.state.value,
        loop_at=None if at is None else instant(at),
        report_at=None if report_at is None else instant(report_at),
    )


def loop_seen_at(
    status: LoopStatus | None, ledger: Ledger | None, *, now: EpochMs
) -> EpochMs | None:
    """Returns the latest time by which a loop of the pool certainly ran; `None` means none.

    Its commits have the times of its deep reads. A lease counts only if its loop has taken the
    ledger, since a kick writes one before there is a loop.
    """
    if ledger is None:
        return None
    times = [int(mark.deep_at) for mark in ledger.shards]
    if ledger.tally is not None:
        times.append(ledger.tally.since)
    if status is not None and status.generation == ledger.generation:
        times.append(status.lease_until - limits.LEASE_MS)
    return max((EpochMs(at) for at in times if 0 < at <= now), default=None)
