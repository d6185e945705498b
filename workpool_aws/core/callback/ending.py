"""Decides whether the end of a work item owes a callback or begins its time to live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.model.ids import EpochMs, make_id
from workpool_aws.model.loop import Notice, NoticeKind
from workpool_aws.model.work import CallbackState, State, WorkItem

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from workpool_aws.model.refs import Unreadable
    from workpool_aws.model.spec import Outcome
    from workpool_aws.model.work import GroupEnd

__all__ = ["after_finish", "expiry_after", "is_owed", "record_of_end"]

OPEN: Final = (CallbackState.PENDING, CallbackState.SENT)
"""States of a callback that is neither known to be accepted nor given up."""


def after_finish(
    outcomes: Collection[Outcome],
    outcome: Outcome,
    *,
    nonce: str | None,
    retention_s: int | None,
    now: EpochMs,
) -> Mapping[str, CallbackState | str | int | None]:
    """Returns the fields that a finishing write sets beside the outcome.

    Either a callback is owed or the work item may expire, never both [WP-10].

    `nonce`: named by the acknowledgement of the callback [WP-28].
    """
    expires_at = expiry_after(outcomes, outcome, retention_s=retention_s, now=now)
    owed = outcome in outcomes
    return {
        "callback": CallbackState.PENDING if owed else None,
        "callback_nonce": nonce if owed else None,
        "expires_at": expires_at,
    }


def expiry_after(
    outcomes: Collection[Outcome], outcome: Outcome, *, retention_s: int | None, now: EpochMs
) -> int | None:
    """Returns the time to live of a work item with this outcome, and of its chunks (epoch seconds).

    `None` means that a callback is owed first, or that the work item is kept forever.
    """
    return None if outcome in outcomes else expiry_at(retention_s, now)


def expiry_at(retention_s: int | None, now: EpochMs) -> int | None:
    """Returns the time to live (epoch seconds); `None` means that the work item is kept forever."""
    return None if retention_s is None else now // 1000 + retention_s


def is_owed(work: WorkItem | Unreadable | None) -> bool:
    """True if a finished work item's callback is neither known to be accepted nor given up."""
    return isinstance(work, WorkItem) and work.state is State.FINISHED and work.callback in OPEN


def record_of_end(
    work: WorkItem,
    outcome: Outcome | None,
    *,
    now: EpochMs,
    random_bits: int,
    callback: CallbackState | None = CallbackState.PENDING,
    group: GroupEnd | None = None,
) -> Notice:
    """Returns the notice by which the loop learns of the end of a work item that ended pending.

    It delivers the callback, and counts the end of a member of a group. It carries no time to live
    [WP-10]. `work`: as it was before its end, or as a follow-up. `outcome`: as the statistics count
    it.
    """
    return Notice(
        pool=work.pool,
        # No loop may read the work item's shard [WP-42].
        at=make_id(now, random_bits=random_bits),
        work_id=work.id,
        start=work.starts,
        kind=NoticeKind.FINISHED,
        callback=callback,
        outcome=outcome,
        job=work.spec.label,
        group=group,
    )
