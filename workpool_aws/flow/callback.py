"""Delivers callbacks until the target has them or they are given up [WP-8].

The process that ends the work item sends first, and the loop repeats failed deliveries.

| step | commit point | lost afterwards? |
|---|---|---|
| owe | the finishing write | the notice: the next report of this start, or the loop's check of the entry |
| owe, canceled while pending | one transaction with the notice | nothing but the kick: watchdog |
| send | none: the target may get it twice | the mark: it is sent again |
| failed, by a destination record | one transaction with a notice | nothing but the kick: watchdog |
| mark | the work item's own item | the ledger still names it: the loop checks, and forgets it |
| expire | none: the TTL of the chunks, set again, does no harm | notice or ledger: the loop checks |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.callback.delivery import (
    dead_write,
    delivered_write,
    failed_write,
    is_forged,
    message_of,
    record_of_failure,
    sent_write,
)
from workpool_aws.core.callback.ending import is_owed
from workpool_aws.core.callback.targets import target_of
from workpool_aws.core.chunks import overdue_expiries
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.chunks import let_expire, with_payloads
from workpool_aws.flow.pool.kick import kick
from workpool_aws.flow.visibility import ensure_visible
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, time_of
from workpool_aws.model.work import CallbackState, WorkItem
from workpool_aws.model.writes import Put, Update
from workpool_aws.ports import (
    ConditionFailed,
    InvokeRefused,
    InvokeThrottled,
    InvokeUnanswered,
    Ports,
    TransactionFailed,
)

if TYPE_CHECKING:
    from workpool_aws.model.loop import Notice
    from workpool_aws.model.messages import CallbackTicket
    from workpool_aws.model.refs import Record, Unreadable

__all__ = ["acknowledge", "deliver", "give_up", "note_failure"]

_MARK_TRIES = 3
"""Number of times a failure is recorded that came before the mark of the sending."""


def deliver(ports: Ports, work: WorkItem) -> CallbackState | None:
    """Sends a finished work item's callback once, if it is owed, and marks the work item.

    Never raises: a callback that could not be sent is still `pending`. Returns the state of the
    callback, as far as known; `None` means that none is wanted, or that the work item is gone.
    """
    if not is_owed(work) or work.on_complete is None:
        return work.callback
    knows, refusal = _what_is_known(ports, work.on_complete, work.pool)
    if refusal is not None:
        return give_up(ports, work, refusal)
    try:
        whole = with_payloads(ports, work)
    except StoreUnavailable as error:
        return _failed(ports, work, f"what it tells could not be read: {error}")
    if whole is None:
        return give_up(
            ports,
            work,
            "the chunks of its context or of the result are gone or damaged: somebody changed them by hand",
        )
    try:
        ports.messenger.send(work.on_complete, message_of(whole, ports.table, acknowledges=knows))
    except (InvokeThrottled, InvokeUnanswered) as error:
        return _failed(ports, work, str(error) or type(error).__name__)
    except InvokeRefused as refused:
        # What will always be refused is not tried again; anything else may be the lag of a fresh
        # deployment, or a target being repaired.
        return (
            give_up(ports, work, refused.reason)
            if refused.lasting
            else _failed(ports, work, refused.reason)
        )
    return _sent(ports, work, work.on_complete, knows=knows)


def _what_is_known(ports: Ports, target: str, pool: str) -> tuple[bool, str | None]:
    """Returns True if a target acknowledges, and the reason if this pool may not call it."""
    if not target_of(target).acknowledges:
        return False, None
    return ports.invoker.acknowledges(target), ports.invoker.limits(target).refusal(pool)


def _sent(ports: Ports, work: WorkItem, target: str, *, knows: bool) -> CallbackState | None:
    ports.telemetry.emit(
        events.CallbackSent(pool=work.pool, work_id=work.id, target=target, acknowledges=knows)
    )
    if knows:
        return _mark(ports, sent_write(work), CallbackState.SENT)
    delivered = delivered_write(
        work.pool,
        work.id,
        nonce=work.callback_nonce,
        retention_s=work.retention_s,
        now=ports.clock.now(),
    )
    return _mark(ports, delivered, CallbackState.DELIVERED)


def acknowledge(ports: Ports, ticket: CallbackTicket) -> None:
    """Marks a callback as delivered, after its decorated handler has run to its end.

    A second call changes nothing, nor does a forged ticket. Raises StoreUnavailable if it may or
    may not be marked; unmarked, it will be sent again.
    """
    write = delivered_write(
        ticket.pool,
        ticket.work_id,
        nonce=ticket.nonce,
        retention_s=ticket.retention_s,
        now=ports.clock.now(),
    )
    try:
        ports.store.write(write)
    except ConditionFailed as met:
        _tell_if_forged(ports, ticket, met.current, "acknowledgement")
        return
    ports.telemetry.emit(events.CallbackAcknowledged(pool=ticket.pool, work_id=ticket.work_id))


def note_failure(ports: Ports, ticket: CallbackTicket, *, target: str, reason: str) -> None:
    """Records that the handler of a sent callback failed, so that the loop sends it again soon.

    Without it, the loop waits until the handler's time is over. A callback that was acknowledged or
    given up meanwhile is unchanged, and a second call changes nothing. Raises StoreUnavailable: the
    loop will find out later.
    """
    for attempt in range(_MARK_TRIES):
        record = _failure(ports, ticket, ports.clock.now())
        try:
            written = ports.store.transact([failed_write(ticket), Put(record)])
        except TransactionFailed as met:
            work = met.current[0]
            if _tell_if_forged(ports, ticket, work, "destination"):
                return
            if not isinstance(work, WorkItem) or work.callback is not CallbackState.PENDING:
                return
            # It failed before its sender marked it as sent, or its failure was recorded already.
            if attempt + 1 < _MARK_TRIES:
                ports.clock.sleep(limits.CALLBACK_LOOK_MS)
            continue
        ensure_visible(
            ports,
            written,
            time_of(record.at),
            lambda at: ports.store.write(Put(_failure(ports, ticket, at))),
        )
        error = f"its handler failed: {reason}"
        ports.telemetry.emit(
            events.CallbackFailed(
                pool=ticket.pool, work_id=ticket.work_id, target=target, error=error
            )
        )
        kick(ports, ticket.pool, KickReason.COMPLETE)
        return


def _tell_if_forged(ports: Ports, ticket: CallbackTicket, current: object, by: str) -> bool:
    forged = isinstance(current, WorkItem) and is_forged(ticket, current)
    if forged:
        ports.telemetry.emit(events.ReportUnproven(pool=ticket.pool, work_id=ticket.work_id, by=by))
    return forged


def _failure(ports: Ports, ticket: CallbackTicket, at: EpochMs) -> Notice:
    return record_of_failure(ticket, now=at, random_bits=ports.entropy.bits(75))


def _failed(ports: Ports, work: WorkItem, error: str) -> CallbackState:
    ports.telemetry.emit(
        events.CallbackFailed(
            pool=work.pool, work_id=work.id, target=work.on_complete or "", error=error
        )
    )
    return CallbackState.PENDING


def give_up(ports: Ports, work: WorkItem, reason: str) -> CallbackState | None:
    """Makes a callback a dead letter, and logs it.

    Returns the state of the callback, as far as known: `pending` if the store did not answer.
    """
    state = _mark(ports, dead_write(work, now=ports.clock.now()), CallbackState.DEAD)
    if state is CallbackState.DEAD:
        ports.telemetry.emit(
            events.CallbackDead(
                pool=work.pool, work_id=work.id, target=work.on_complete or "", reason=reason
            )
        )
    return state


def _mark(ports: Ports, write: Update, state: CallbackState | None) -> CallbackState | None:
    try:
        marked: Record | Unreadable | None = ports.store.write(write).record
    except ConditionFailed as met:
        # A quick handler has acknowledged already; or this is one's own mark, repeated by the SDK
        # after a lost answer.
        marked, state = met.current, None
    except StoreUnavailable:
        return CallbackState.PENDING
    if not isinstance(marked, WorkItem):
        return state
    try:
        let_expire(ports.store, overdue_expiries(marked))
    except StoreUnavailable:
        return (
            CallbackState.SENT
        )  # delivered, but to be looked at once more: the loop will let the chunks expire
    return marked.callback
