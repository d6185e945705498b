"""State of the loop as a reason for which a pending work item has not started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.pool.kick import loop_is_overdue
from workpool_aws.core.views.instants import stamp
from workpool_aws.core.views.why.answer import reason
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import LoopState, LoopStatus
from workpool_aws.model.refs import Unreadable

if TYPE_CHECKING:
    from workpool_aws.core.views.why.answer import PoolRecords, WhyCode, WhyReason

__all__ = ["LoopLook", "deployment_reason", "loop_look"]


@dataclass(frozen=True, slots=True)
class LoopLook:
    """The loop as a reason, and the time by which it, or the watchdog, looks at the work item."""

    reason: WhyReason
    at: EpochMs
    idles: bool = True
    """False for a loop that is missing or damaged, which also delays the end of a full pool."""


def deployment_reason(records: PoolRecords) -> WhyReason | None:
    """Returns the lack of a deployment as a reason; `None` means that the table has one."""
    if records.loop_is_known or records.deployment is not None:
        return None
    return reason(
        "not_deployed",
        "No record of the table names the loop's function, so no caller can start a loop.",
        "Deploy the pool for this table. Its watchdog writes the record within a minute.",
        blocks=True,
    )


def loop_look(records: PoolRecords, *, due_at: EpochMs, now: EpochMs) -> LoopLook:
    """Returns the state of the loop, for a work item that is due then and that no limit keeps."""
    status, soon = records.status, EpochMs(now + limits.WATCHDOG_MS)
    if isinstance(status, Unreadable):
        change = "The watchdog starts a loop, which writes it again."
        damage = reason("status_damaged", "The status of the pool's loop is damaged.", change)
        return LoopLook(damage, soon, idles=False)
    if status is None:
        missing = _missing("no_loop", "No loop has run in this pool.", due_at, now)
        return LoopLook(missing, soon, idles=False)
    overdue = loop_is_overdue(status, now)
    if overdue is not None:
        at = status.wake_at if status.state is LoopState.WAITING else status.lease_until
        since = at if at is not None and at <= now else None
        when = "" if since is None else f" at {stamp(since)}"
        missing = _missing("loop_overdue", f"No loop is up: {overdue}{when}.", since, now)
        return LoopLook(missing, soon, idles=False)
    if status.state is LoopState.RUNNING:
        text = "A loop is up. It starts work items that are due, in their order, as slots allow."
        up = reason("loop_running", text, "Its next pass, which comes within about a second.")
        return LoopLook(up, EpochMs(max(now, due_at) + limits.DUE_TO_START_MS))
    if due_at <= now:
        text = "The loop rests, although the work item is due and no limit keeps it."
        return LoopLook(_missing("loop_resting", text, due_at, now), soon)
    return _resting(status, due_at, now)


def _missing(code: WhyCode, text: str, since: EpochMs | None, now: EpochMs) -> WhyReason:
    """Returns the lack of a loop, which blocks once the watchdog should have acted on it."""
    late = since is not None and now - since > limits.WHY_WATCHDOG_LATE_MS
    change = (
        "A tick of the watchdog was to start a loop long ago. Check that its schedule is enabled "
        "and that its function runs. An enqueue in the pool starts a loop, too."
        if late
        else "The kick of its enqueue starts a loop, or else the watchdog does within a minute."
    )
    return reason(code, text, change, since=since, blocks=late)


def _resting(status: LoopStatus, due_at: EpochMs, now: EpochMs) -> LoopLook:
    """Returns the rest of a loop until a later due time."""
    timer_at = status.timer_at
    if timer_at is not None and now < timer_at <= due_at:
        change = f"A schedule wakes it at {stamp(timer_at)}."
        rest = reason("loop_resting", "The loop rests.", change, until=timer_at)
        return LoopLook(rest, timer_at)
    at = EpochMs(due_at + limits.WATCHDOG_MS)
    change = "The watchdog starts a loop within a minute of the due time."
    if timer_at is not None and timer_at <= now and due_at <= timer_at + limits.NEAR_MS:
        change = f"A schedule has woken it, and it starts at the due time, or else: {change}"
    return LoopLook(reason("loop_resting", "The loop rests.", change, until=at), at)
