"""Claims a start for the invocation that runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.report.claim import claim_write, why_refused
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.work import WorkItem
from workpool_aws.ports import ConditionFailed, Ports

if TYPE_CHECKING:
    from workpool_aws.model.messages import Assignment

__all__ = ["ClaimUnanswered", "claim"]


class ClaimUnanswered(StoreUnavailable):
    """The claim may or may not hold, so nothing was run.

    The report that requeues the start must name this token.
    """

    def __init__(self, error: StoreUnavailable, token: str) -> None:
        super().__init__(f"claim not answered: {error}")
        self.token = token


def claim(ports: Ports, assignment: Assignment, *, remaining_ms: int) -> str | None:
    """Returns the token of this invocation's claim.

    `None` means that the start belongs to another delivery or is over, so its code must not run.
    `remaining_ms`: time left of this invocation. Raises ClaimUnanswered if the claim may or may not
    hold; its code must not run then either.
    """
    token = ports.entropy.token()
    ends_by = EpochMs(ports.clock.now() + max(0, remaining_ms))
    try:
        ports.store.write(claim_write(assignment, token=token, ends_by=ends_by))
    except ConditionFailed as refused:
        current = refused.current if isinstance(refused.current, WorkItem | Unreadable) else None
        reason = why_refused(current, assignment, token)
        if reason is not None:
            event = events.DuplicateRefused(
                pool=assignment.pool,
                work_id=assignment.work_id,
                job=assignment.label,
                start=assignment.start,
                reason=reason,
            )
            ports.telemetry.emit(event)
            return None
    except StoreUnavailable as error:
        raise ClaimUnanswered(error, token) from error
    return token
