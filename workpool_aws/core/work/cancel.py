"""Decides the effect of a request to cancel a work item."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from workpool_aws.core.callback.ending import after_finish, expiry_after
from workpool_aws.core.chunks import input_expiries
from workpool_aws.core.lifecycle import Move, entering, leaving
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import All, Condition, Update

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs

__all__ = ["CancelAnswer", "CancelWrite", "decide_cancel", "is_own_cancel"]


class CancelAnswer(StrEnum):
    """Answers to a cancel."""

    CANCELED = "canceled"
    """It never starts again [WP-7]."""
    REQUESTED = "requested"
    """It is running and will not be interrupted, and no further attempt follows [WP-7]. If it still
    succeeds, it is a success."""
    FINISHED = "finished"
    """It had finished, and nothing changed."""
    UNKNOWN = "unknown"
    """It is unknown, and nothing changed."""


@dataclass(frozen=True, slots=True)
class CancelWrite:
    """Write this; if it succeeds, return the answer."""

    write: Update
    answer: CancelAnswer
    beside: tuple[Update, ...] = ()
    """The TTL of the chunks, in one transaction with `write`, since a canceled work item is not
    read again unless it owes a callback."""
    owes_callback: bool = False
    """True if a notice for the loop belongs into the transaction. A canceler that dies must not
    lose the callback [WP-8]."""


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
            return _ending(work, token=token, now=now, nonce=nonce, only_if=only_if)
        case State.RUNNING:
            if work.cancel_requested:
                return CancelAnswer.REQUESTED
            asked = Update(
                ref=WorkRef(work.pool, work.id),
                set={**entering(Move.REQUEST_CANCEL), "cancel_requested": True},
                condition=_where(Move.REQUEST_CANCEL, only_if),
            )
            return CancelWrite(asked, CancelAnswer.REQUESTED)
        case State.FINISHED:
            return CancelAnswer.FINISHED
        case _:
            assert_never(work.state)


def _ending(
    work: WorkItem, *, token: str, now: EpochMs, nonce: str | None, only_if: Condition | None
) -> CancelWrite:
    """Returns the end of a pending work item."""
    spec = work.spec
    expires_at = expiry_after(
        spec.callback_outcomes, Outcome.CANCELED, retention_s=spec.retention_s, now=now
    )
    changes: dict[str, object] = {
        **entering(Move.CANCEL),
        "outcome": Outcome.CANCELED,
        "finished_at": now,
        "started_by": token,
        **after_finish(
            spec.callback_outcomes,
            Outcome.CANCELED,
            nonce=nonce,
            retention_s=spec.retention_s,
            now=now,
        ),
    }
    update = Update(
        ref=WorkRef(work.pool, work.id), set=changes, condition=_where(Move.CANCEL, only_if)
    )
    beside = input_expiries(work, expires_at=expires_at)
    return CancelWrite(
        update,
        CancelAnswer.CANCELED,
        beside,
        owes_callback=Outcome.CANCELED in spec.callback_outcomes,
    )


def _where(move: Move, only_if: Condition | None) -> Condition:
    return leaving(move) if only_if is None else All((leaving(move), only_if))


def is_own_cancel(current: WorkItem, token: str) -> bool:
    """True if this canceler's own write succeeded, and the SDK repeated it."""
    return current.outcome is Outcome.CANCELED and current.started_by == token
