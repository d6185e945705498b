"""Makes the write that ends a pending work item: as canceled, or as failed because it expired."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from workpool_aws.core.callback.ending import after_finish, expiry_after
from workpool_aws.core.chunks import input_expiries
from workpool_aws.core.lifecycle import Move, entering, leaving
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import CallbackState, GroupEnd, State, WorkItem
from workpool_aws.model.writes import All, Condition, Update
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.spec import Outcome

__all__ = ["CancelAnswer", "CancelWrite", "EndWrite", "end_pending", "is_own_end", "only_where"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndWrite:
    """The write of an end, and what belongs into its transaction."""

    write: Update
    outcome: Outcome | None
    """Outcome that the notice has. `None` means that it is not counted, or that nothing ends."""
    beside: tuple[Update, ...] = ()
    """The TTL of the chunks, in one transaction with `write`, since an ended work item is not read
    again unless it owes a callback."""
    owes_callback: bool = False
    """True if its notice owes a callback. A process that dies must not lose it [WP-8]."""
    group: GroupEnd | None = None
    """The end that its notice has the loop count [WP-19]. `None` means that it is no member."""

    @property
    def callback(self) -> CallbackState | None:
        """The callback that its notice has; `None` means that it owes none."""
        return CallbackState.PENDING if self.owes_callback else None

    @property
    def needs_notice(self) -> bool:
        """True if a notice for the loop belongs into the transaction."""
        return self.owes_callback or self.group is not None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWrite(EndWrite):
    """Write this; if it succeeds, return the answer."""

    answer: CancelAnswer


def end_pending(
    work: WorkItem,
    move: Move,
    outcome: Outcome,
    changes: Mapping[str, object],
    *,
    token: str,
    now: EpochMs,
    nonce: str | None,
    only_if: Condition | None = None,
) -> EndWrite:
    """Returns the end of a pending work item with this outcome, if it is pending still.

    `changes`: further fields that it sets. `token`: by which its writer recognises it. `nonce`: of
    the callback that it may owe [WP-28]. `only_if`: a further condition; `None` means none.
    """
    spec = work.spec
    expires_at = expiry_after(
        spec.callback_outcomes, outcome, retention_s=spec.retention_s, now=now
    )
    set_to: dict[str, object] = {
        **entering(move),
        **changes,
        "outcome": outcome,
        "finished_at": now,
        "started_by": token,
        **after_finish(
            spec.callback_outcomes, outcome, nonce=nonce, retention_s=spec.retention_s, now=now
        ),
    }
    return EndWrite(
        write=Update(
            ref=WorkRef(work.pool, work.id), set=set_to, condition=only_where(move, only_if)
        ),
        outcome=outcome,
        beside=input_expiries(work, expires_at=expires_at),
        owes_callback=outcome in spec.callback_outcomes,
        group=None if spec.group is None else GroupEnd(spec.group, outcome),
    )


def only_where(move: Move, only_if: Condition | None) -> Condition:
    """Returns the condition of a move, and of `only_if`, where it is not `None`."""
    return leaving(move) if only_if is None else All((leaving(move), only_if))


def is_own_end(current: WorkItem, token: str) -> bool:
    """True if this writer's own end succeeded, and the SDK repeated it."""
    return current.state is State.FINISHED and current.started_by == token
