"""Groups: many work items that one callback follows when all of them are over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType

from workpool_aws.model.record import Record

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.spec import Spec

__all__ = ["GroupId", "GroupItem"]

GroupId = NewType("GroupId", str)
"""The id of one group: 1 to 64 letters, digits, `_`, `-` and `.`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupItem(Record):
    """A group: the number of its members, and the outcome of each that is over.

    Written by: `enqueue_group` (put; that all members are stored), the loop (outcomes, the end).
    Read by: those, `group`, `groups`, `cancel_group`. Removed by: TTL, set only once all members
    are over. An item of its own, because no member is written for another. A member's place among
    the outcomes follows from its id, so that no end is counted twice [WP-19].
    """

    pool: str
    id: GroupId
    spec: Spec
    """The request behind the group's own work item, which owes the callback of the group."""
    total: int
    """Number of its members."""
    born: str
    """Random text of this group. One of the same id that is made later has another, and so have its
    members."""
    digest: str
    """Digest of what its members are asked for, so that one id never names two requests."""
    created_at: EpochMs
    due_at: EpochMs
    """Due time of the members, and the time in their ids."""
    stored: bool = False
    """True once all members were stored. False does not say that one is missing."""
    outcomes: bytes = b"\0"
    """Two bits for each member (`core/group/count.py`), as far as any is over."""
    version: int = 1
    """Raised by each write of outcomes."""
    finished_at: EpochMs | None = None
    """Time at which the last end was counted; `None` means that members are not over, or not
    counted."""
    follow_up: WorkId | None = None
    """The work item that owes the callback of the group; `None` means that the group is not
    finished, or wants none."""
    expires_at: int | None = None
    """TTL in epoch seconds. Only a finished group has one."""
