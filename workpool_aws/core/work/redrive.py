"""Decides the redrive of a dead letter: a new work item, or further tries of a dead callback.

The work item's own outcome stays [WP-6], and a callback's redrive never runs it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.callback.delivery import redeliver_write
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem
from workpool_aws.model.writes import All, Is, Update
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.trace import TraceContext

__all__ = ["NoFailure", "Redeliver", "Redrive", "RedrivenWork", "decide_redrive"]


@dataclass(frozen=True, slots=True)
class Redrive:
    """Store the new work item with its large payloads, and mark the old one, in one transaction.

    Afterwards: the late rule, kick.
    """

    work: WorkItem
    """Its chunks are missing yet: those of the old work item must be put in first."""
    mark: Update


@dataclass(frozen=True, slots=True)
class RedrivenWork:
    """It was redriven as this work item before, and no other is created."""

    work_id: WorkId


@dataclass(frozen=True, slots=True)
class Redeliver:
    """Its callback is owed again: write this and a notice for the loop in one transaction.

    Afterwards: the late rule, kick.
    """

    write: Update


@dataclass(frozen=True, slots=True)
class NoFailure:
    """It is no dead letter, and nothing changes. `what` describes it for people."""

    what: str


def decide_redrive(
    old: WorkItem,
    *,
    new_id: WorkId,
    now: EpochMs,
    origin: str | None,
    epoch: int,
    permit: str | None = None,
    trace: TraceContext | None = None,
) -> Redrive | Redeliver | RedrivenWork | NoFailure:
    """Returns a new work item with the old one's request, due now, with all attempts ahead.

    The mark is the commit point: a second redrive of the same failure finds the first. A dead
    callback comes first, whatever the outcome, since its target has not received the outcome yet.
    `permit`: of the new work item's first start; `None` means that the loop makes it. `trace`: the
    span of the redrive; `None` means that the new work item follows from the span of the old one.
    """
    if old.callback is CallbackState.DEAD:
        return Redeliver(redeliver_write(old))
    if old.redriven_as is not None:
        return RedrivenWork(old.redriven_as)
    if old.outcome is None:
        return NoFailure(str(old.state))
    if old.outcome is not Outcome.FAILED:
        return NoFailure(str(old.outcome))
    new = WorkItem(
        pool=old.pool,
        id=new_id,
        # The end of a member of a group is counted, so this one is none [WP-19].
        spec=replace(
            old.spec,
            origin=origin or old.spec.origin,
            trace=trace or old.spec.trace,
            group=None,
        ),
        state=State.PENDING,
        due_at=now,
        enqueued_at=now,
        permit=permit,
        redrive_of=old.id,
        epoch=epoch,
    )
    unmarked = All(
        (Is("state", State.FINISHED), Is("outcome", Outcome.FAILED), Is("redriven_as", None))
    )
    mark = Update(
        ref=WorkRef(old.pool, old.id), set={"redriven_as": new_id, "dead": None}, condition=unmarked
    )
    return Redrive(new, mark)
