"""Decides about the places of a group's members that are not stored when the group is canceled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, WorkId, make_id, shard_of
from workpool_aws.model.loop import Notice, NoticeKind
from workpool_aws.model.receipt import Void
from workpool_aws.model.work import GroupEnd, State, WorkItem

if TYPE_CHECKING:
    from workpool_aws.model.group import GroupItem
    from workpool_aws.model.spec import Outcome

__all__ = ["lost_outcome", "notice_of_place", "void_at"]


def void_at(item: GroupItem, work_id: WorkId, *, now: EpochMs) -> Void:
    """Returns the void that keeps a member from being stored by a producer that is still at it."""
    return Void(pool=item.pool, id=work_id, expires_at=now // 1000 + limits.PROOF_S)


def notice_of_place(
    item: GroupItem, work_id: WorkId, outcome: Outcome, *, now: EpochMs, random_bits: int
) -> Notice:
    """Returns the notice that has the loop count an end at a member's place [WP-19]."""
    return Notice(
        pool=item.pool,
        at=make_id(now, random_bits=random_bits, shard=shard_of(work_id)),
        work_id=work_id,
        start=0,
        kind=NoticeKind.FINISHED,
        job=item.spec.label,
        group=GroupEnd(item.id, outcome),
    )


def lost_outcome(work: WorkItem, now: EpochMs) -> Outcome | None:
    """Returns the outcome of a member that is over and should have been counted long ago.

    A process of version 0.1 may have ended it while it was pending, without a notice. `None` means
    that it is not over, or not for long.
    """
    over = work.state is State.FINISHED and work.finished_at is not None
    late = over and (work.finished_at or now) < now - limits.GROUP_COUNT_LATE_MS
    return work.outcome if late else None
