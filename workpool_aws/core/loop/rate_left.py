"""Counts the tokens that another process has spent, by one's own clock [WP-33]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.core.loop.rate import landed_by
from workpool_aws.values import replace

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Ledger, LoopStatus
    from workpool_aws.model.rate import RateSpent

__all__ = ["counted_by_next", "counted_elsewhere", "counted_now"]

_CLOCKS_US: Final = 2 * limits.SKEW_MS * 1_000
"""The most by which two clocks may differ that are off in opposite directions."""


def counted_elsewhere(ledger: Ledger | None, status: LoopStatus | None) -> RateSpent | None:
    """Returns the spent tokens by the clock of a process that did not spend them.

    Its clock may differ from the writer's. A loop that rested or handed over has left its own count
    in the status. After any other end the last commit may have landed later than is counted here.
    """
    spent = None if ledger is None else ledger.rate
    if spent is None:
        return None
    left = None if status is None else status.rate
    if left is not None and left.generation == spent.generation:
        spent = left
    return replace(spent, until_us=spent.until_us + _CLOCKS_US)


def counted_now(ledger: Ledger | None, status: LoopStatus | None) -> RateSpent | None:
    """Returns the spent tokens as the loop counts them that the status names, or the next one."""
    spent = None if ledger is None else ledger.rate
    if spent is not None and status is not None and status.generation == spent.generation:
        return spent
    return counted_elsewhere(ledger, status)


def counted_by_next(ledger: Ledger, status: LoopStatus | None, now: EpochMs) -> RateSpent | None:
    """Returns the spent tokens as the next holder counts them, which took the ledger before `now`.

    No commit of the former holder lands after the take.
    """
    spent = counted_elsewhere(ledger, status)
    return None if spent is None else landed_by(spent, now)
