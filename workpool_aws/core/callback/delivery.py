"""Decides what is told to an `on_complete` target, when, how often, and when to give up.

```
 finish, cancel                     a decorated handler ran
 ──────────────▶ pending ──▶ sent ─────────────▶ delivered
                    │          │ ▲ sent again
                    ▲          └─┘
                    │  │       │
                    │  └───────┴──▶ dead      after many tries
                    └────────────────┘        redriven by somebody
```

A sent one whose handler is heard to have failed is pending again: it need not be waited for.

A target that does not acknowledge goes from pending to delivered when it accepted. Each move is one
conditional write of the work item's own item, and touches nothing but the callback, the time to
live and the place among dead letters: what the work item came to stands [WP-6]. The time to live
begins with `delivered` [WP-10]; what is dead is kept for people. Moves may be repeated and doubled:
at least once is what is promised [WP-8].
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workpool_aws.core.callback.ending import OPEN, expiry_at, record_of_cancel
from workpool_aws.model.ids import EpochMs, WorkId, make_id, shard_of
from workpool_aws.model.loop import Notice, NoticeKind
from workpool_aws.model.messages import CallbackMessage, CallbackTicket
from workpool_aws.model.payload import inline_text
from workpool_aws.model.refs import Unreadable, WorkRef
from workpool_aws.model.work import CallbackState, Outcome, State, WorkItem, dead_key
from workpool_aws.model.writes import All, Condition, Either, Is, Update

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "dead_write",
    "delivered_write",
    "failed_write",
    "is_forged",
    "message_of",
    "record_of_failure",
    "record_of_redelivery",
    "redeliver_write",
    "sent_write",
]


def message_of(work: WorkItem, table: str, *, acknowledges: bool) -> CallbackMessage:
    """Return the message for a finished work item's target.

    `acknowledges`: its handler is known to say when it ran, so it is told where.
    """
    ticket = None
    if acknowledges:
        ticket = CallbackTicket(
            table=table,
            pool=work.pool,
            work_id=work.id,
            retention_s=work.retention_s,
            nonce=work.callback_nonce,
        )
    return CallbackMessage(
        work_id=work.id,
        context=inline_text(work.context),
        outcome=work.outcome or Outcome.FAILED,
        result=inline_text(work.result),
        error=work.error,
        error_type=work.error_type,
        ticket=ticket,
    )


def sent_write(work: WorkItem) -> Update:
    """The target accepted it and will acknowledge; unless it has already."""
    return _move(work.pool, work.id, {"callback": CallbackState.SENT})


def failed_write(ticket: CallbackTicket) -> Update:
    """Its handler did not run to its end: owed again, unless another delivery was acknowledged or it was given up."""
    changes = {"callback": CallbackState.PENDING}
    condition = All((Is("callback_nonce", ticket.nonce), Is("callback", CallbackState.SENT)))
    return Update(ref=WorkRef(ticket.pool, ticket.work_id), set=changes, condition=condition)


def delivered_write(
    pool: str, work_id: WorkId, *, nonce: str | None, retention_s: int | None, now: EpochMs
) -> Update:
    """Nothing more is to come: from now on the work item may expire [WP-10].

    `nonce` is the callback's, by whoever knows it [WP-28].
    """
    changes = {"callback": CallbackState.DELIVERED, "expires_at": expiry_at(retention_s, now)}
    return _move(pool, work_id, changes, Is("callback_nonce", nonce))


def dead_write(work: WorkItem, *, now: EpochMs) -> Update:
    """Given up. No time to live: a dead letter is for people, who find it in the index."""
    return _move(
        work.pool, work.id, {"callback": CallbackState.DEAD, "dead": dead_key(now, work.id)}
    )


def redeliver_write(work: WorkItem) -> Update:
    """Owed again, if it is dead still.

    A failure that nobody has redriven stays among the dead letters, for its own sake.
    """
    failed = work.outcome is Outcome.FAILED and work.redriven_as is None
    dead = dead_key(work.finished_at, work.id) if failed and work.finished_at is not None else None
    changes: dict[str, object] = {"callback": CallbackState.PENDING, "dead": dead}
    return Update(
        ref=WorkRef(work.pool, work.id), set=changes, condition=Is("callback", CallbackState.DEAD)
    )


def _move(pool: str, work_id: WorkId, changes: Mapping[str, object], *more: Condition) -> Update:
    still_open: Condition = Either(tuple(Is("callback", state) for state in OPEN))
    return Update(
        ref=WorkRef(pool, work_id),
        set=changes,
        condition=All((*more, still_open)) if more else still_open,
    )


def is_forged(ticket: CallbackTicket, work: WorkItem | Unreadable | None) -> bool:
    """True for a ticket that names a finished work item, and not the nonce of its callback [WP-28]."""
    return (
        isinstance(work, WorkItem)
        and work.state is State.FINISHED
        and work.callback_nonce != ticket.nonce
    )


def record_of_redelivery(work: WorkItem, *, now: EpochMs, random_bits: int) -> Notice:
    """The record that has the loop deliver again what was given up, with all tries before it.

    It carries no time to live [WP-10].
    """
    # No outcome: this end of the work item was counted when it came.
    return replace(record_of_cancel(work, now=now, random_bits=random_bits), outcome=None)


def record_of_failure(ticket: CallbackTicket, *, now: EpochMs, random_bits: int) -> Notice:
    """The record that has the loop look at a callback sooner than it meant to.

    It carries no time to live [WP-10].
    """
    return Notice(
        pool=ticket.pool,
        at=make_id(now, random_bits=random_bits, shard=shard_of(ticket.work_id)),
        work_id=ticket.work_id,
        start=0,  # of no start: it settles nothing
        kind=NoticeKind.CHECK,
        callback=CallbackState.PENDING,
    )
