"""Takes a start for the invocation that runs it: claims it, or makes it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from workpool_aws.core.report.beat import lease_after
from workpool_aws.core.report.claim import ClaimAnswer, left_unmade, take_write, why_refused
from workpool_aws.core.report.execute import report_not_run
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.report.complete import complete
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.work import WorkItem
from workpool_aws.ports import ConditionFailed, Ports

if TYPE_CHECKING:
    from workpool_aws.model.messages import Assignment

__all__ = ["ClaimUnanswered", "claim", "take"]


class ClaimUnanswered(StoreUnavailable):
    """The claim may or may not hold, so nothing was run.

    The report that requeues the start must name this token.
    """

    def __init__(self, error: StoreUnavailable, token: str) -> None:
        super().__init__(f"claim not answered: {error}")
        self.token = token


def claim(
    ports: Ports, assignment: Assignment, *, remaining_ms: int, claims: bool = True
) -> str | None:
    """Returns the token of this invocation's claim, or `None`; as `take`."""
    return take(ports, assignment, remaining_ms=remaining_ms, claims=claims).token


def take(
    ports: Ports, assignment: Assignment, *, remaining_ms: int, claims: bool = True
) -> ClaimAnswer:
    """Claims a start for this invocation, after it made the start where that is its part.

    Without a token the start belongs to another delivery or is over. `remaining_ms`: time left of
    this invocation. `claims`: False if it only makes the start, since the effect of its code cannot
    be doubled. Raises ClaimUnanswered if the claim may or may not hold; its code must not run then
    either.
    """
    token = ports.entropy.token()
    now = ports.clock.now()
    ends_by = lease_after(assignment.heartbeat_ms, now, EpochMs(now + max(0, remaining_ms)))
    try:
        ports.store.write(
            take_write(assignment, token=token, now=now, ends_by=ends_by, claims=claims)
        )
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
            is_over = left_unmade(current, assignment)
            if is_over:
                # Otherwise the entry would occupy its slot until its deadline.
                with suppress(StoreUnavailable):
                    complete(ports, assignment, report_not_run(reason), by="worker")
            return ClaimAnswer(None, is_over)
    except StoreUnavailable as error:
        raise ClaimUnanswered(error, token) from error
    return ClaimAnswer(token)
