"""Decides the effect of a request to cancel a work item [WP-7]."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from workpool_aws.core.lifecycle import Move, entering
from workpool_aws.core.work.end import CancelAnswer, CancelWrite, end_pending, only_where
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Condition, Update

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs

__all__ = ["decide_cancel"]


def decide_cancel(
    work: WorkItem,
    *,
    token: str,
    now: EpochMs,
    nonce: str | None = None,
    only_if: Condition | None = None,
) -> CancelWrite | CancelAnswer:
    """Ends a pending work item as canceled, and requests the cancel of a running one.

    Any other is unchanged. `nonce`: of the callback that a canceled work item may owe [WP-28].
    `only_if`: a further condition of the write; `None` means none.
    """
    match work.state:
        case State.PENDING:
            end = end_pending(
                work,
                Move.CANCEL,
                Outcome.CANCELED,
                {},
                token=token,
                now=now,
                nonce=nonce,
                only_if=only_if,
            )
            return CancelWrite(
                write=end.write,
                outcome=end.outcome,
                beside=end.beside,
                owes_callback=end.owes_callback,
                group=end.group,
                answer=CancelAnswer.CANCELED,
            )
        case State.RUNNING:
            if work.cancel_requested:
                return CancelAnswer.REQUESTED
            asked = Update(
                ref=WorkRef(work.pool, work.id),
                set={**entering(Move.REQUEST_CANCEL), "cancel_requested": True},
                condition=only_where(Move.REQUEST_CANCEL, only_if),
            )
            return CancelWrite(write=asked, outcome=None, answer=CancelAnswer.REQUESTED)
        case State.FINISHED:
            return CancelAnswer.FINISHED
        case _:
            assert_never(work.state)
