"""Recovers starts that never reported [WP-14, WP-21]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.recover import lost_report
from workpool_aws.core.report.claim import assignment_of, assignment_to_start
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.report.complete import complete
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry

if TYPE_CHECKING:
    from workpool_aws.core.loop.recover import Recover
    from workpool_aws.ports import Ports

__all__ = ["recover"]


def recover(ports: Ports, lost: Recover) -> Entry:
    """Ends a start that can no longer be running; its notice settles the entry.

    Returns the entry until then, with the time of its next check. Never raises: without an answer,
    the start is judged again by then.
    """
    work = lost.work
    claims = ports.invoker.limits(work.spec.target).claims
    report = lost_report(work, target_claims=claims)
    assignment = (
        assignment_to_start(work, ports.table, lost.key.start)
        if lost.judged is None
        else assignment_of(work, ports.table)
    )
    try:
        if complete(ports, assignment, report, by="recovery", judged=lost.judged):
            recovered = events.Recovered(
                pool=work.pool, work_id=work.id, job=work.spec.label, start=lost.key.start
            )
            ports.telemetry.emit(recovered)
    except StoreUnavailable:
        pass
    again_at = ports.clock.now() + limits.RECHECK_MS - limits.RECOVERY_MARGIN_MS
    return Entry(EpochMs(again_at), confirmed=True)
