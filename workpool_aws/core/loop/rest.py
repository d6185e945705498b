"""Decides how a loop with nothing to do now rests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, LoopState
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Rest", "decide_rest"]


@dataclass(frozen=True, slots=True)
class Rest:
    """The status to write.

    `timer_at`: time for which a far wake must be ordered; `None` means that none is needed.
    """

    state: LoopState
    wake_at: EpochMs | None
    saturated: bool
    timer_at: EpochMs | None


def decide_rest(
    entries: Mapping[EntryKey, Entry],
    next_due: EpochMs | None,
    *,
    free: int,
    now: EpochMs,
    callback_at: EpochMs | None = None,
    starved: bool = False,
) -> Rest | None:
    """Returns how to rest; `None` means not at all.

    The loop stays up and polls if a work item is due, or must be recovered, soon. Without a free
    slot nothing can start, so only completions, a deadline, a callback or a new config matter.
    `callback_at`: time at which an owed callback needs attention; `None` means that none is owed.
    `starved`: due work items wait until `next_due` for a token of the rate limit. Until then the
    pool counts as full.
    """
    saturated = free <= 0 or starved
    due = None if free <= 0 else next_due
    first = min((entry.deadline for entry in entries.values()), default=None)
    recover_at = None if first is None else EpochMs(first + limits.RECOVERY_MARGIN_MS + 1)
    if (
        _is_near(due, limits.NEAR_MS, now)
        or _is_near(callback_at, limits.CALLBACK_NEAR_MS, now)
        or _is_near(recover_at, limits.RECOVER_NEAR_MS, now)
    ):
        return None
    # The schedule for a callback has no lead, so until its minute is over no process may count on
    # this wake-up.
    called_at = None if callback_at is None else EpochMs(callback_at + limits.CALLBACK_LATE_MS)
    wake_at = _earliest(due, recover_at, called_at)
    if wake_at is None and not saturated:
        return Rest(LoopState.IDLE, None, saturated=False, timer_at=None)
    # A deadline needs no timer of its own. A lost start need not be found to the second, and the
    # watchdog sees a wake-up that passed.
    lead_at = None if due is None else EpochMs(due - limits.FAR_LEAD_MS)
    return Rest(LoopState.WAITING, wake_at, saturated, _earliest(lead_at, callback_at))


def _is_near(at: EpochMs | None, near_ms: int, now: EpochMs) -> bool:
    return at is not None and at <= now + near_ms


def _earliest(*times: EpochMs | None) -> EpochMs | None:
    return min((at for at in times if at is not None), default=None)
