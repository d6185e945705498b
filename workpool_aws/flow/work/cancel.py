"""Cancels a work item by one conditional write, or one transaction if it has chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.proof import callback_nonce
from workpool_aws.core.work.bulk_cancel import is_bulk_canceled, is_older
from workpool_aws.core.work.cancel import decide_cancel
from workpool_aws.core.work.end import CancelAnswer, CancelWrite
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.pool.kick import kick
from workpool_aws.flow.reading import load_works
from workpool_aws.flow.work.end import refusal
from workpool_aws.model import events

if TYPE_CHECKING:
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.loop import Config
    from workpool_aws.model.work import WorkItem
    from workpool_aws.ports import Ports

__all__ = ["cancel", "cancel_called_off", "cancel_without_kick"]


def cancel(ports: Ports, pool: str, work_id: WorkId) -> CancelAnswer:
    """Keeps the work item from starting (again), and returns the answer that holds from now on.

    Raises StoreUnavailable if it may or may not be canceled; repeating the call is safe.
    """
    work = load_works(ports, pool, [work_id])[0]
    decision = _carry_out(ports, work)
    if isinstance(decision, CancelAnswer):
        return decision
    if work is not None and decision.answer is CancelAnswer.CANCELED:
        try:
            due = None if decision.needs_notice else work.due_at
            kick(ports, pool, KickReason.CANCEL, due=due)
        except StoreUnavailable as error:
            # Canceled all the same; the watchdog finds the record of an owed callback, and a far
            # wake finds nothing.
            ports.telemetry.emit(
                events.KickFailed(pool=pool, reason=KickReason.CANCEL, error=str(error))
            )
    return decision.answer


def cancel_without_kick(ports: Ports, work: WorkItem) -> CancelAnswer:
    """As `cancel`, for a work item as last read. Its caller kicks."""
    decision = _carry_out(ports, work)
    return decision if isinstance(decision, CancelAnswer) else decision.answer


def cancel_called_off(ports: Ports, work: WorkItem, config: Config) -> bool:
    """Cancels a work item as last read, or requests it of a running one, in a pass of the loop.

    Returns True if this call ended it. There is no kick. A work item that its caller has moved into
    a later epoch meanwhile is unchanged [WP-3]. Raises StoreUnavailable, as `cancel`.
    """
    decision = _carry_out(ports, work, called_off_by=config)
    return isinstance(decision, CancelWrite) and decision.answer is CancelAnswer.CANCELED


def _carry_out(
    ports: Ports, work: WorkItem | None, *, called_off_by: Config | None = None
) -> CancelWrite | CancelAnswer:
    """Returns the write of a cancel, or the reason why there was none.

    `called_off_by`: a work item that this config does not call off (any more) counts as unknown;
    `None` means any epoch.
    """
    token = ports.entropy.token()
    if work is None:
        return CancelAnswer.UNKNOWN
    nonce = callback_nonce(ports.entropy.token()) if work.spec.callback_outcomes else None
    only_if = None if called_off_by is None else is_older(called_off_by)
    current: WorkItem | None = work
    for _ in range(limits.CANCEL_TRIES):
        if current is None or (
            called_off_by is not None and not is_bulk_canceled(current, called_off_by)
        ):
            return CancelAnswer.UNKNOWN
        decision = decide_cancel(
            current, token=token, now=ports.clock.now(), nonce=nonce, only_if=only_if
        )
        if isinstance(decision, CancelAnswer):
            return decision
        refused = refusal(ports, current, decision, token)
        if refused is None:
            ports.telemetry.emit(
                events.CancelAsked(
                    pool=work.pool, work_id=work.id, job=work.spec.label, answer=decision.answer
                )
            )
            return decision
        current = refused.current
    raise StoreUnavailable(f"work item {work.id} kept changing")
