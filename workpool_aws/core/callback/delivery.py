"""Moves of a finished work item's callback, and the message to its target.

```
 finish, cancel                     a decorated handler ran
 ──────────────▶ pending ──▶ sent ─────────────▶ delivered
                    │          │ ▲ sent again
                    ▲          └─┘
                    │  │       │
                    │  └───────┴──▶ dead      after many tries
                    └────────────────┘        redriven by hand
```

A sent callback is pending again once Lambda reports that its handler failed.

The callback of a target that does not acknowledge moves from pending to delivered when the target
accepts it. Each move is one conditional write of the work item. It changes only the callback, the
time to live and the place among dead letters, and never the outcome [WP-6]. The time to live begins
with `delivered` [WP-10]. Dead callbacks are kept. Moves may be repeated, since delivery is at least
once [WP-8].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.callback.ending import OPEN, expiry_at, record_of_end
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import Notice, NoticeKind
from workpool_aws.model.messages import CallbackMessage, CallbackTicket
from workpool_aws.model.payload import inline_text
from workpool_aws.model.refs import Unreadable, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem, dead_key
from workpool_aws.model.writes import All, Condition, Either, Is, Update
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.trace import TraceContext

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
    "ticket_of",
]


def message_of(
    work: WorkItem, table: str, *, acknowledges: bool, trace: TraceContext | None = None
) -> CallbackMessage:
    """Returns the message for a finished work item's target.

    `acknowledges`: the target has a decorated handler. Its message carries the ticket for the
    acknowledgement. `trace`: the span that sends it.
    """
    return CallbackMessage(
        work_id=work.id,
        context=inline_text(work.spec.context),
        outcome=work.outcome or Outcome.FAILED,
        result=inline_text(work.result),
        error=work.error,
        error_type=work.error_type,
        ticket=replace(ticket_of(work, table), trace=trace) if acknowledges else None,
        trace=trace,
    )


def ticket_of(work: WorkItem, table: str) -> CallbackTicket:
    """Returns what an acknowledgement of this work item's callback must name [WP-28]."""
    return CallbackTicket(
        table=table,
        pool=work.pool,
        work_id=work.id,
        retention_s=work.spec.retention_s,
        job=work.spec.callback_job,
        nonce=work.callback_nonce,
    )


def sent_write(work: WorkItem) -> Update:
    """Returns the move after a target accepted a callback that its handler will acknowledge.

    Its condition fails if the acknowledgement came first.
    """
    return _move(work.pool, work.id, {"callback": CallbackState.SENT})


def failed_write(ticket: CallbackTicket) -> Update:
    """Returns the move after a handler failed, by which the callback is owed again.

    Its condition fails if another delivery was acknowledged or the callback was given up.
    """
    changes = {"callback": CallbackState.PENDING}
    condition = All((Is("callback_nonce", ticket.nonce), Is("callback", CallbackState.SENT)))
    return Update(ref=WorkRef(ticket.pool, ticket.work_id), set=changes, condition=condition)


def delivered_write(ticket: CallbackTicket, *, now: EpochMs) -> Update:
    """Returns the last move, after which the work item may expire [WP-10].

    Its condition fails for a ticket that does not name the callback's nonce [WP-28].
    """
    expires_at = expiry_at(ticket.retention_s, now)
    changes = {"callback": CallbackState.DELIVERED, "expires_at": expires_at}
    return _move(ticket.pool, ticket.work_id, changes, Is("callback_nonce", ticket.nonce))


def dead_write(work: WorkItem, *, now: EpochMs) -> Update:
    """Returns the move by which a callback is given up.

    A dead letter has no time to live. The index of dead letters lists it.
    """
    return _move(
        work.pool, work.id, {"callback": CallbackState.DEAD, "dead": dead_key(now, work.id)}
    )


def redeliver_write(work: WorkItem) -> Update:
    """Returns the move by which a dead callback is owed again.

    Its condition fails if the callback is not dead. A work item that failed and was not redriven
    stays among the dead letters.
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
    """Returns the notice by which the loop delivers a dead callback again, with all its tries.

    It carries no time to live [WP-10].
    """
    # It has no outcome, since the end of the work item was counted when it came.
    return record_of_end(work, None, now=now, random_bits=random_bits)


def record_of_failure(ticket: CallbackTicket, *, now: EpochMs, random_bits: int) -> Notice:
    """Returns the notice by which the loop looks at a callback earlier than planned.

    It carries no time to live [WP-10].
    """
    return Notice(
        pool=ticket.pool,
        at=make_id(now, random_bits=random_bits),  # no loop may read the work item's shard
        work_id=ticket.work_id,
        start=0,  # of no start, so that it settles nothing
        kind=NoticeKind.CHECK,
        callback=CallbackState.PENDING,
    )
