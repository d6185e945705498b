"""Locks of unique keys, and marks of request ids: items that name a work item [WP-16, WP-17].

The work item is the only truth about its progress. A lock is judged by the work item that it names,
so nothing has to release it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.model.record import Record
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs, WorkId

__all__ = ["RequestMark", "UniqueLock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueLock(Record):
    """Names the work item that a unique key was given to last [WP-16].

    Written by: the enqueue of that work item, in its transaction. Read by: later enqueues of the
    key. Removed by: TTL, long after the end of the work item.
    """

    pool: str
    key: str
    work_id: WorkId
    until: EpochMs | None = None
    """Time until which the work item holds the key. `None` means that its progress says so."""
    expires_at: int | None = None
    """TTL in epoch seconds. `None` means that the work item is not known to be over, or is kept for
    ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMark(Record):
    """Names the work item that a request was answered with [WP-17].

    Written by: the first enqueue with the request's id, in the transaction of its work item. Read
    by: later enqueues with the id. Removed by: TTL.
    """

    pool: str
    request_id: str
    work_id: WorkId
    digest: str | None = None
    """Digest of what was asked for. `None` means that any repetition counts as the same."""
    until: EpochMs | None = None
    """Time until which the answer stays the same; `None` means for ever."""
    expires_at: int | None = None
    """TTL in epoch seconds; `None` means none."""
