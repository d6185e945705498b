"""Delivers a callback once, and records what became of it.

The process that finishes a work item sends its callback at once. If that fails, the loop tries
again until the target has the callback or the tries are spent [WP-8].

| step | commit point | what can be lost afterwards, and who repairs it |
|---|---|---|
| owe | the finishing write | the notice; the next report of this start, or the loop by the entry |
| owe, canceled while pending | one transaction with the notice | the kick; the watchdog |
| send | none, so that the target may get it twice | the record of the delivery; the loop sends again |
| fail, by a destination record | one transaction with a notice | the kick; the watchdog |
| record the delivery | the work item | nothing; the loop reads the work item and drops the callback |
| expire | none, since a TTL may be set twice | the TTL of chunks; the loop, by the notice or the ledger |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.callback.delivery import (
    dead_write,
    delivered_write,
    message_of,
    sent_write,
    ticket_of,
)
from workpool_aws.core.callback.ending import is_owed
from workpool_aws.core.callback.targets import target_of
from workpool_aws.core.chunks import overdue_expiries
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.chunks import let_expire, with_payloads
from workpool_aws.model import events
from workpool_aws.model.trace import TracedOperation, TraceStep
from workpool_aws.model.work import CallbackState, WorkItem
from workpool_aws.ports import (
    ConditionFailed,
    InvokeRefused,
    InvokeThrottled,
    InvokeUnanswered,
    Ports,
)

if TYPE_CHECKING:
    from workpool_aws.model.record import Record
    from workpool_aws.model.refs import Unreadable
    from workpool_aws.model.writes import Update

__all__ = ["deliver", "give_up"]


def deliver(ports: Ports, work: WorkItem) -> CallbackState | None:
    """Sends a finished work item's callback once, if it is owed, and records the delivery.

    Never raises. A failed callback stays `pending`.

    Returns the state of the callback as far as it is known. `None` means that no callback is
    wanted, or that the work item is gone.
    """
    target = work.spec.callback_target
    if not is_owed(work) or target is None:
        return work.callback
    acknowledges = False
    if target_of(target).acknowledges:
        # A handler that has a name is decorated, also where its settings may not be read.
        named = work.spec.callback_job is not None
        acknowledges = named or ports.invoker.acknowledges(target)
        refusal = ports.invoker.limits(target).refusal(work.pool)
        if refusal is not None:
            return give_up(ports, work, refusal)
    try:
        whole = with_payloads(ports, work)
    except StoreUnavailable as error:
        return _failed(ports, work, f"its payloads could not be read: {error}")
    if whole is None:
        return give_up(
            ports,
            work,
            "the chunks of its context or of the result are gone or damaged; another program changed them",
        )
    try:
        _send(ports, whole, target, acknowledges=acknowledges)
    except (InvokeThrottled, InvokeUnanswered) as error:
        return _failed(ports, work, str(error) or type(error).__name__)
    except InvokeRefused as refused:
        # A refusal that does not last may come from a deployment that is not yet in effect, or from
        # a target that is being repaired.
        return (
            give_up(ports, work, refused.reason)
            if refused.lasting
            else _failed(ports, work, refused.reason)
        )
    return _sent(ports, work, target, acknowledges=acknowledges)


def _send(ports: Ports, whole: WorkItem, target: str, *, acknowledges: bool) -> None:
    step = TraceStep(
        operation=TracedOperation.CALLBACK,
        table=ports.table,
        pool=whole.pool,
        work_id=whole.id,
        job=whole.spec.label,
    )
    with ports.tracing.span(step, whole.spec.trace) as span:
        # A process that does not trace passes on what the work item has.
        trace = span.context or whole.spec.trace
        ports.messenger.send(
            target, message_of(whole, ports.table, acknowledges=acknowledges, trace=trace)
        )


def _sent(ports: Ports, work: WorkItem, target: str, *, acknowledges: bool) -> CallbackState | None:
    ports.telemetry.emit(
        events.CallbackSent(
            pool=work.pool,
            work_id=work.id,
            job=work.spec.label,
            target=target,
            handler=work.spec.callback_job,
            acknowledges=acknowledges,
        )
    )
    if acknowledges:
        return _record_delivery(ports, sent_write(work), CallbackState.SENT)
    delivered = delivered_write(ticket_of(work, ports.table), now=ports.clock.now())
    return _record_delivery(ports, delivered, CallbackState.DELIVERED)


def _failed(ports: Ports, work: WorkItem, error: str) -> CallbackState:
    ports.telemetry.emit(
        events.CallbackFailed(
            pool=work.pool,
            work_id=work.id,
            job=work.spec.label,
            target=work.spec.callback_target or "",
            handler=work.spec.callback_job,
            error=error,
        )
    )
    return CallbackState.PENDING


def give_up(ports: Ports, work: WorkItem, reason: str) -> CallbackState | None:
    """Makes a callback a dead letter, and reports it.

    Returns the state of the callback as far as it is known, `pending` if the store did not answer.
    """
    state = _record_delivery(ports, dead_write(work, now=ports.clock.now()), CallbackState.DEAD)
    if state is CallbackState.DEAD:
        ports.telemetry.emit(
            events.CallbackDead(
                pool=work.pool,
                work_id=work.id,
                job=work.spec.label,
                target=work.spec.callback_target or "",
                handler=work.spec.callback_job,
                reason=reason,
            )
        )
    return state


def _record_delivery(
    ports: Ports, write: Update, state: CallbackState | None
) -> CallbackState | None:
    try:
        marked: Record | Unreadable | None = ports.store.write(write).record
    except ConditionFailed as met:
        # A quick handler has acknowledged before, or the SDK repeated this write of its own.
        marked, state = met.current, None
    except StoreUnavailable:
        return CallbackState.PENDING
    if not isinstance(marked, WorkItem):
        return state
    try:
        let_expire(ports.store, overdue_expiries(marked))
    except StoreUnavailable:
        # It is delivered. The loop looks at a sent one again, and then lets the chunks expire.
        return CallbackState.SENT
    if marked.callback is CallbackState.DELIVERED and marked.spawned:
        # The same for work items that its handler enqueued, if that dies now.
        return CallbackState.SENT
    return marked.callback
