"""Counts the tokens of a pool's rate limit [WP-33].

The count is a virtual schedule (GCRA) in the ledger, committed with the starts that it pays for. A
start is admitted by a time before its commit, and counted by a time after it. How long the commit
took, or how late it landed, therefore adds no start to any window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.model.ids import EpochMs
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from workpool_aws.model.rate import RateLimit, RateSpent

__all__ = ["Tokens", "landed_by", "spent_after", "tokens_of"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of a rate limit as of `now`, by the clock of one process."""

    limit: RateLimit
    spent_until_us: int
    now: EpochMs

    @property
    def free(self) -> int:
        """Starts that may be committed from now on."""
        ahead_us = max(self.spent_until_us - _us(self.now), 0)
        room_us = self._burst_us - ahead_us
        return 0 if room_us < 0 else room_us // self.limit.step_us + 1

    @property
    def next_at(self) -> EpochMs:
        """The time from which one more start may be committed."""
        at_us = self.spent_until_us - self._burst_us
        return EpochMs(max(self.now, -(-at_us // 1_000)))

    @property
    def _burst_us(self) -> int:
        return (self.limit.starts_at_once - 1) * self.limit.step_us

    def after(self, count: int) -> Tokens:
        """Returns what is left after so many starts, if they are committed at once."""
        spent = max(self.spent_until_us, _us(self.now)) + count * self.limit.step_us
        return replace(self, spent_until_us=spent)


def tokens_of(limit: RateLimit | None, spent: RateSpent | None, now: EpochMs) -> Tokens | None:
    """Returns the tokens of a pool; `None` means that it has no rate limit.

    `spent`: by the clock of this process; `None` means that none is. Under another limit the same
    number of tokens stays spent.
    """
    if limit is None:
        return None
    if spent is None:
        return Tokens(limit, 0, now)
    if spent.step_us == limit.step_us:
        return Tokens(limit, spent.until_us, now)
    return Tokens(limit, _us(now) + spent.debt_us(limit, _us(now)), now)


def spent_after(spent: RateSpent | None, limit: RateLimit | None, now: EpochMs) -> RateSpent | None:
    """Returns the spent tokens in units of the limit in force.

    Called once for each change of the limit: the debt of an older unit shrinks at its own pace.
    """
    tokens = tokens_of(limit, spent, now)
    if tokens is None or spent is None or spent.step_us == tokens.limit.step_us:
        return spent
    return replace(spent, until_us=tokens.spent_until_us, count=0, step_us=tokens.limit.step_us)


def landed_by(spent: RateSpent, at: EpochMs) -> RateSpent:
    """Returns the tokens once their commit is known to have landed by `at`, by the same clock."""
    latest_us = _us(EpochMs(at + 1)) + spent.count * spent.step_us
    return replace(spent, until_us=max(spent.until_us, latest_us), count=0)


def _us(at: EpochMs) -> int:
    return at * 1_000
