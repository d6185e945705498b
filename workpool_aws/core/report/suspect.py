"""Keeps a failure that does not count yet, for recovery [WP-5]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.error_text import kept_text
from workpool_aws.core.lifecycle import Move, entering, this_start
from workpool_aws.model.messages import ReportKind
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Is, Update

if TYPE_CHECKING:
    from workpool_aws.model.messages import Assignment, Report
    from workpool_aws.model.refs import Unreadable

__all__ = ["decide_suspicion"]


def decide_suspicion(
    a: Assignment, current: WorkItem | Unreadable | None, report: Report
) -> Update | None:
    """Keeps a failure that does not count yet; `None` means that there is nothing to keep.

    The start is claimed, and the sender may be a duplicate.
    """
    if (
        report.kind is not ReportKind.FAILED
        or report.claim is not None
        or not isinstance(current, WorkItem)
    ):
        return None
    if (
        current.state is not State.RUNNING
        or current.starts != a.start
        or current.proof != a.proof
        or current.claim is None
    ):
        return None
    text = None if report.error is None else kept_text(report.error)
    changes = {
        **entering(Move.SUSPECT),
        "suspected_type": report.error_type or "no_report",
        "suspected_error": text,
    }
    return Update(
        ref=WorkRef(a.pool, a.work_id),
        set=changes,
        condition=this_start(
            Move.SUSPECT, a.start, Is("proof", a.proof), Is("claim", current.claim)
        ),
    )
