"""Decides if a resting or dead loop must be started.

A kick grants no right to run. It ensures that a loop looks.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Ledger, LoopState, LoopStatus
from workpool_aws.model.refs import StatusRef
from workpool_aws.model.writes import All, Is, IsAbsent, Put, Update, Write
from workpool_aws.values import dataclass

__all__ = [
    "HEARTBEATS_DUE",
    "NOTHING_SEEN",
    "KickReason",
    "NotNeeded",
    "Seen",
    "StartLoop",
    "decide_kick",
    "is_live",
    "loop_is_overdue",
    "wake_wait_ms",
]


class KickReason(StrEnum):
    """Reason for a kick."""

    ENQUEUE = "enqueue"
    COMPLETE = "complete"
    CANCEL = "cancel"
    CONFIGURE = "configure"
    WAKE = "wake"
    WATCHDOG = "watchdog"


HEARTBEATS_DUE: Final = "work items that send heartbeats are to be looked at"
"""Reason for which a waiting loop is started, as no schedule wakes it for that."""
_FOLLOWING: Final = frozenset({KickReason.COMPLETE, KickReason.WAKE})
"""Kicks that follow from an earlier loop of the pool."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The epoch of a pool, and the number of shards for new work items, as a kick has read them."""

    epoch: int = 0
    shards: int = 1


NOTHING_SEEN: Final = Seen()
"""Of a producer that has read no status yet."""


@dataclass(frozen=True, slots=True)
class StartLoop:
    """Write this. If it succeeds, invoke the loop with the generation."""

    generation: int
    write: Write


@dataclass(frozen=True, slots=True)
class NotNeeded:
    """A loop will look anyway."""

    why: str


def decide_kick(
    status: LoopStatus | None,
    pool: str,
    reason: KickReason,
    *,
    due: EpochMs | None,
    now: EpochMs,
    token: str,
    ledger: Ledger | None,
    epoch: int,
) -> StartLoop | NotNeeded:
    """Starts the next generation, unless a live loop will see the change [WP-24].

    `due` is the due time of the enqueued work item, or of a canceled one that owes no callback. An
    enqueue does not wake a waiting loop whose far wake comes at least a minute earlier (a wake-up
    for a deadline orders none), nor a saturated one, which the completions wake. Without a status,
    `ledger` and `epoch` (the config's or the ledger's) are the rest of the pool: none (`None`, 0)
    of a new one, some if the status was removed by hand.
    """
    kick = _Kick(pool, reason, due, now, token)
    if status is None:
        if reason in _FOLLOWING and ledger is None:
            # A caller of loop or completion can name pools that do not exist. That creates none.
            return NotNeeded("no such pool")
        return kick.first_loop(ledger, epoch)
    return kick.not_needed(status) or kick.next_loop(status)


@dataclass(frozen=True, slots=True)
class _Kick:
    """One kick, judged at `now`."""

    pool: str
    reason: KickReason
    due: EpochMs | None
    now: EpochMs
    token: str

    def first_loop(self, ledger: Ledger | None, epoch: int) -> StartLoop:
        """Starts a loop of a pool without a status."""
        # A loop of a generation that the ledger has seen never becomes its holder.
        generation = 1 if ledger is None else ledger.generation + 1
        first = LoopStatus(
            pool=self.pool,
            state=LoopState.RUNNING,
            generation=generation,
            lease_until=EpochMs(self.now + limits.LEASE_MS),
            written_by=self.token,
            epoch=epoch,
        )
        return StartLoop(generation, Put(first, IsAbsent()))

    def next_loop(self, status: LoopStatus) -> StartLoop:
        """Starts the generation after the one of the status."""
        generation = status.generation + 1
        changes: dict[str, object] = {
            "state": LoopState.RUNNING,
            "generation": generation,
            "lease_until": EpochMs(self.now + limits.LEASE_MS),
            "written_by": self.token,
        }
        # The lease is part of what was judged: a loop that renewed it meanwhile is alive.
        seen = All(
            (
                Is("state", status.state),
                Is("generation", status.generation),
                Is("lease_until", status.lease_until),
            )
        )
        write = Update(ref=StatusRef(status.pool), set=changes, condition=seen)
        return StartLoop(generation, write)

    def not_needed(self, status: LoopStatus) -> NotNeeded | None:
        """Returns why no further loop is needed; `None` means that one is."""
        due, now, waits = self.due, self.now, status.state is LoopState.WAITING
        if status.state is LoopState.RUNNING and is_live(status, now):
            return NotNeeded("a loop is running")
        if self.reason is KickReason.CANCEL and due is not None:
            # A loop that would be woken for what was canceled must remove its far wake, or order it
            # for the next work item.
            awaited = waits and status.wake_at is not None and due <= status.wake_at
            return None if awaited else NotNeeded("the loop does not wait for what was canceled")
        if self.reason is KickReason.ENQUEUE and waits:
            if status.saturated:
                return NotNeeded("every slot is taken: a completion will wake the loop")
            if self._is_woken_in_time(status):
                return NotNeeded("a wake is ordered before it is due")
        return None

    def _is_woken_in_time(self, status: LoopStatus) -> bool:
        due, timer_at = self.due, status.timer_at
        if due is None or timer_at is None:
            return False
        return self.now < timer_at <= due - limits.FAR_LEAD_MS


def is_live(status: LoopStatus, now: EpochMs) -> bool:
    """True until the lease expires.

    A lease that ends too far ahead is forged or damaged, since no loop writes one.
    """
    return now < status.lease_until <= now + limits.LEASE_BELIEVED_MS


def loop_is_overdue(status: LoopStatus, now: EpochMs) -> str | None:
    """Returns the reason for which the status alone shows that a loop is missing.

    `None` means that it does not. A live lease never gives a reason.
    """
    if status.state is LoopState.RUNNING and not is_live(status, now):
        return "the loop's lease ran out"
    if status.state is LoopState.WAITING and status.wake_at is not None and status.wake_at <= now:
        return HEARTBEATS_DUE if status.beats else "the loop did not wake in time"
    return None


def wake_wait_ms(status: LoopStatus, ledger: Ledger | None, now: EpochMs, *, life_ms: int) -> int:
    """Returns the time for which a far wake sleeps before it starts a loop; 0 if not at all.

    The wake is a minute early. A loop would only poll until something is due. While the status says
    that the loop rests, a producer of something that is due earlier kicks. `life_ms`: time left of
    the invocation; at most half of it is slept away.
    """
    if status.state is not LoopState.WAITING or status.wake_at is None or ledger is None:
        return 0
    first = min([status.wake_at, *(owed.at for owed in ledger.callbacks)])
    wait_ms = first - limits.WAKE_AHEAD_MS - now
    return wait_ms if 0 < wait_ms <= min(limits.NEAR_MS, life_ms // 2) else 0
