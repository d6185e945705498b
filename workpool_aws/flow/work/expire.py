"""Ends a work item whose time to start is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.proof import callback_nonce
from workpool_aws.core.work.expire import decide_expiry
from workpool_aws.flow.work.end import refusal
from workpool_aws.model import events

if TYPE_CHECKING:
    from workpool_aws.model.work import WorkItem
    from workpool_aws.ports import Ports

__all__ = ["expire"]


def expire(ports: Ports, work: WorkItem) -> None:
    """Ends an expired work item as last read, in a pass of the loop, if it is pending still.

    Its callback is owed by a notice, as for a cancel. There is no kick. Raises StoreUnavailable if
    it may or may not be ended; the next pass meets it again, or its entry.
    """
    token, now = ports.entropy.token(), ports.clock.now()
    nonce = callback_nonce(ports.entropy.token()) if work.spec.callback_outcomes else None
    decision = decide_expiry(work, token=token, now=now, nonce=nonce)
    if refusal(ports, work, decision, token) is None:
        late_ms = now - (work.start_before or now)
        ports.telemetry.emit(
            events.Expired(pool=work.pool, work_id=work.id, job=work.spec.label, late_ms=late_ms)
        )
