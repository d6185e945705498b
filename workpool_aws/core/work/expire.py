"""Decides when the time of a pending work item to start is over, and how it ends then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from workpool_aws.core.lifecycle import Move
from workpool_aws.core.work.end import EndWrite, end_pending
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import WorkItem, dead_key
from workpool_aws.values import replace

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs

__all__ = ["EXPIRED", "decide_expiry"]

EXPIRED = "expired"
"""Error type of a work item that ended because its time to start was over."""


def decide_expiry(work: WorkItem, *, token: str, now: EpochMs, nonce: str | None) -> EndWrite:
    """Ends a pending work item that has expired as failed, without a further start [WP-25].

    `token` and `nonce`: as `end_pending` takes them.
    """
    after = timedelta(milliseconds=work.spec.expires_after_ms or 0)
    begun = "" if work.starts == 0 else " again"
    changes = {
        "error": f"it did not start{begun} within {after} of its due time",
        "error_type": EXPIRED,
        "dead": dead_key(now, work.id),
    }
    end = end_pending(work, Move.EXPIRE, Outcome.FAILED, changes, token=token, now=now, nonce=nonce)
    # Its notice is not counted among the attempts, since the end spent none.
    return replace(end, outcome=None)
