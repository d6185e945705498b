"""Admits due work items to free slots, and gives the reason where there is none [WP-1].

Every limit on starts is checked here [WP-33]. A limit of another kind (per key) becomes a field of
`Headroom`, a line of `Headroom.admit` and a `Reason`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.rate import tokens_of
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from workpool_aws.core.loop.bulk_cancel import BulkCancel
    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.loop import Config
    from workpool_aws.model.rate import RateSpent
    from workpool_aws.model.work import WorkItem

__all__ = ["Headroom", "Reason", "Refusal", "headroom_of", "limit_of"]


class Reason(StrEnum):
    """Reasons for which a due work item does not start now."""

    PAUSED = "paused"
    """The limit is 0. The pool is paused, or its config cannot be read."""
    SLOTS_TAKEN = "slots_taken"
    """As many starts are in flight as the limit allows."""
    RATE_LIMITED = "rate_limited"
    """As many starts were made of late as the rate limit allows."""
    CANCELING = "canceling"
    """A bulk cancel has not reached all work items that are due by now."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Answer to a work item that may not start now.

    `work_id`: the work item; `None` means every one of the pool.
    """

    reason: Reason
    work_id: WorkId | None = None

    def admit(self, work: WorkItem) -> Refusal:
        """Returns this refusal for a work item, since one of the pool holds for each."""
        return replace(self, work_id=work.id)


@dataclass(frozen=True, slots=True)
class Headroom:
    """Starts that the limits still allow in this pass.

    `slots`: free slots of the pool, as many as one pass fills. `tokens`: starts that its rate limit
    allows; `None` means that it has none.
    """

    slots: int
    tokens: int | None = None

    @property
    def starts(self) -> int:
        """The most work items that can start."""
        return self.slots if self.tokens is None else min(self.slots, self.tokens)

    @property
    def starved(self) -> bool:
        """True if a slot is free, and no token is."""
        return self.slots > 0 and self.tokens == 0

    def admit(self, work: WorkItem) -> Headroom | Refusal:
        """Returns the headroom that is left after a start of the work item, or the reason against it."""
        if self.slots <= 0:
            return Refusal(Reason.SLOTS_TAKEN, work.id)
        if self.tokens == 0:
            return Refusal(Reason.RATE_LIMITED, work.id)
        tokens = None if self.tokens is None else self.tokens - 1
        return Headroom(self.slots - 1, tokens)


def limit_of(config: Config | None) -> int:
    """Returns the slots of a pool; `config` is `None` for one that has none yet."""
    return limits.PARALLELISM_DEFAULT if config is None else config.limit


def headroom_of(
    config: Config | None,
    *,
    in_flight: int,
    bulk_cancel: BulkCancel | None,
    now: EpochMs,
    spent: RateSpent | None = None,
) -> Headroom | Refusal:
    """Returns the headroom of a pass, or the reason for which nothing of the pool may start.

    `in_flight`: slots that the ledger's entries take. An unconfirmed one occupies its slot, too.
    `spent`: tokens of the rate limit by the clock of `now`. Without a token the work items are read
    all the same, since the loop must know if any of them waits for one.
    """
    limit = limit_of(config)
    if bulk_cancel is not None and bulk_cancel.holds_back(now):
        return Refusal(Reason.CANCELING)
    if limit <= 0:
        return Refusal(Reason.PAUSED)
    slots = min(limit - in_flight, limits.STARTS_A_PASS)
    if slots <= 0:
        return Refusal(Reason.SLOTS_TAKEN)
    tokens = tokens_of(None if config is None else config.rate, spent, now)
    return Headroom(slots, None if tokens is None else tokens.free)
