"""Records what a handler of a callback says of itself: that it ran to its end, or that it failed [WP-8].

`flow/callback/deliver.py` has the steps of a callback, and the repair of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.callback.delivery import (
    delivered_write,
    failed_write,
    is_forged,
    record_of_failure,
)
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.flow.commit import commit_with_notice
from workpool_aws.flow.pool.kick import kick
from workpool_aws.model import events
from workpool_aws.model.work import CallbackState, WorkItem
from workpool_aws.ports import ConditionFailed, Ports, TransactionFailed

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Notice
    from workpool_aws.model.messages import CallbackTicket

__all__ = ["acknowledge", "note_acknowledged", "note_failure", "note_missed"]


def acknowledge(ports: Ports, ticket: CallbackTicket) -> None:
    """Records that a decorated handler ran to its end for this callback.

    A second acknowledgement changes nothing, nor does a forged ticket.

    Raises StoreUnavailable: the record may or may not be written. Without it, the loop sends the
    callback again.
    """
    try:
        written = ports.store.write(delivered_write(ticket, now=ports.clock.now()))
    except ConditionFailed as met:
        note_missed(ports, ticket, met.current)
        return
    note_acknowledged(ports, ticket, job=_label_of(written.record))


def note_missed(ports: Ports, ticket: CallbackTicket, current: object) -> None:
    """Reports an acknowledgement that changed nothing, if its ticket is forged [WP-28]."""
    _reported_as_forged(ports, ticket, current, "acknowledgement")


def note_acknowledged(ports: Ports, ticket: CallbackTicket, *, job: str | None) -> None:
    """Emits the event of an acknowledged callback. `job` of `None` means that it is not known."""
    ports.telemetry.emit(
        events.CallbackAcknowledged(
            pool=ticket.pool,
            work_id=ticket.work_id,
            job=job,
            handler=ticket.job,
        )
    )


def note_failure(ports: Ports, ticket: CallbackTicket, *, target: str, reason: str) -> None:
    """Records that the handler of a sent callback failed, so that the loop sends it again soon.

    A callback that was acknowledged or given up stays so, and a second record changes nothing.

    Raises StoreUnavailable: the loop sends the callback again when the handler's time is over.
    """

    def notice_at(at: EpochMs) -> Notice:
        return record_of_failure(ticket, now=at, random_bits=ports.entropy.bits(75))

    for attempt in range(limits.CALLBACK_FAILURE_TRIES):
        try:
            commit_with_notice(ports, failed_write(ticket), notice_at)
        except TransactionFailed as met:
            work = met.current[0]
            if _reported_as_forged(ports, ticket, work, "destination"):
                return
            if not isinstance(work, WorkItem) or work.callback is not CallbackState.PENDING:
                return
            # It failed before its sender recorded the delivery, or another record of the failure was
            # first.
            if attempt + 1 < limits.CALLBACK_FAILURE_TRIES:
                ports.clock.sleep(limits.CALLBACK_LOOK_MS)
            continue
        error = f"its handler failed: {reason}"
        ports.telemetry.emit(
            events.CallbackFailed(
                pool=ticket.pool,
                work_id=ticket.work_id,
                target=target,
                handler=ticket.job,
                error=error,
            )
        )
        kick(ports, ticket.pool, KickReason.COMPLETE)
        return


def _reported_as_forged(ports: Ports, ticket: CallbackTicket, current: object, by: str) -> bool:
    forged = isinstance(current, WorkItem) and is_forged(ticket, current)
    if forged:
        ports.telemetry.emit(
            events.ReportUnproven(
                pool=ticket.pool, work_id=ticket.work_id, job=_label_of(current), by=by
            )
        )
    return forged


def _label_of(record: object) -> str | None:
    return record.spec.label if isinstance(record, WorkItem) else None
