"""Decides what an entry of the ledger stands for, by looking at its work item.

The table is trusted, not the loop's memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.report.complete import Judged
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.work import State, WorkItem

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import EntryKey
    from workpool_aws.model.refs import Unreadable

__all__ = ["Begin", "Drop", "Keep", "Recover", "Verdict", "judge_entry", "lost_report"]


@dataclass(frozen=True, slots=True)
class Begin:
    """Committed, never sent: start it (if it is pending) and invoke."""

    work: WorkItem


@dataclass(frozen=True, slots=True)
class Keep:
    """It runs, or may: keep the slot until this deadline."""

    deadline: EpochMs


@dataclass(frozen=True, slots=True)
class Recover:
    """It can no longer be running and never reported."""

    work: WorkItem
    judged: Judged


@dataclass(frozen=True, slots=True)
class Drop:
    """The start is over: free the slot.

    `point_at`: the work item is pending again, its pointer maybe out of sight: write a fresh one
    first.
    """

    point_at: EpochMs | None


Verdict = Begin | Keep | Recover | Drop


def judge_entry(
    key: EntryKey,
    work: WorkItem | Unreadable | None,
    *,
    deadline: EpochMs,
    token: str,
    sent: bool,
    now: EpochMs,
) -> Verdict:
    """Decide about an entry whose fate is not known (a new holder's, a start without an answer, one past its deadline).

    The work item's deadline counts. `deadline` is the entry's: it stands in where the item has lost
    its own, or the loop would look again for ever. `token` names this loop invocation; `sent` means
    that it has invoked this start already.
    """
    if not isinstance(work, WorkItem):
        return Drop(None)
    if work.state is State.PENDING and work.starts + 1 == key.start and not work.cancel_requested:
        return Begin(work)
    if work.state is State.RUNNING and work.starts == key.start:
        if work.started_by == token and not sent:
            return Begin(work)
        if work.deadline is not None:
            deadline = work.deadline
        if now > deadline + limits.RECOVERY_MARGIN_MS:
            return Recover(work, Judged(work.deadline, work.claim))
        return Keep(deadline)
    return Drop(max(now, work.due_at) if work.state is State.PENDING else None)


def lost_report(work: WorkItem, *, target_claims: bool) -> Report:
    """Return the report of a start that never reported [WP-14].

    A claimed work that nobody claimed never ran, if its function is known to claim: it is put back.
    Anything else may have run. What is known is known from the deployment alone, and a function
    that is marked wrongly runs each time: so not again and again.
    """
    if (
        work.claimed
        and work.claim is None
        and target_claims
        and work.undelivered < limits.UNCLAIMED_MAX
    ):
        return Report(
            kind=ReportKind.NEVER_DELIVERED, error="nobody claimed the start before its deadline"
        )
    if work.suspected_type is not None:
        return Report(
            kind=ReportKind.FAILED, error=work.suspected_error, error_type=work.suspected_type
        )
    text = "no report arrived before the deadline: the function was lost, or its report was"
    return Report(kind=ReportKind.FAILED, error=text, error_type="no_report")
