"""Decides the writes by which a running worker reports that it lives, and its progress.

A beat moves the deadline of the start ahead. It counts only for the start that runs, under the claim
of the worker that sends it, so no beat revives a start that recovery has ended [WP-14].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.error_text import kept_text
from workpool_aws.core.lifecycle import Move, entering, this_start
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.writes import Below, Is, Update

if TYPE_CHECKING:
    from workpool_aws.model.messages import Assignment

__all__ = ["beat_write", "lease_after", "progress_write", "report_timed_out"]


def lease_after(heartbeat_ms: int | None, now: EpochMs, ends_at: EpochMs) -> EpochMs:
    """Returns the time until which a worker that beats now may run.

    That is the end of its invocation, or a heartbeat timeout from now, if that is earlier.
    """
    return ends_at if heartbeat_ms is None else min(ends_at, EpochMs(now + heartbeat_ms))


def beat_write(a: Assignment, *, token: str | None, until: EpochMs, now: EpochMs) -> Update:
    """Returns the beat of a start: its deadline becomes `until`, if that is later.

    A beat that lands late never takes back a later one. `token`: the claim of its worker; `None` means that its function claims nothing.
    """
    return Update(
        ref=WorkRef(a.pool, a.work_id),
        set={**entering(Move.BEAT), "deadline": until, "beat_at": now},
        condition=this_start(
            Move.BEAT,
            a.start,
            Is("proof", a.proof),
            Is("claim", token),
            Below("deadline", until),
        ),
    )


def progress_write(a: Assignment, share: float, note: str | None) -> Update:
    """Returns the write of the progress of a start, if it is the one that runs."""
    return Update(
        ref=WorkRef(a.pool, a.work_id),
        set={
            **entering(Move.BEAT),
            "progress": round(share * limits.PROGRESS_PARTS),
            "note": note,
        },
        condition=this_start(Move.BEAT, a.start, Is("proof", a.proof)),
    )


def report_timed_out(timeout_ms: int, *, claim: str | None) -> Report:
    """Returns the failure of an attempt that ran for longer than its own timeout."""
    return Report(
        kind=ReportKind.FAILED,
        error=kept_text(f"it ran for longer than its timeout of {timeout_ms / 1000:g} s"),
        error_type="timeout",
        claim=claim,
    )
