"""View of a group, for people: `Group`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workpool_aws.core import limits
from workpool_aws.core.group.count import counts_in
from workpool_aws.core.views.instants import instant
from workpool_aws.errors import UsageError
from workpool_aws.model.group import GroupId
from workpool_aws.model.names import GROUP

if TYPE_CHECKING:
    from datetime import datetime

    from workpool_aws.core.views.status import CallbackName
    from workpool_aws.model.group import GroupItem
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.work import WorkItem

__all__ = ["Group", "GroupPage", "GroupState", "check_group_id", "group_view", "unknown_group"]

GroupState = Literal["running", "finished", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group as one strong read saw it. Times are aware, in UTC."""

    group_id: GroupId
    state: GroupState
    """"finished" once all members are over and counted. "unknown" means that no group of this id was
    enqueued, or that its retention is over."""
    total: int = 0
    """Number of members that were asked for."""
    enqueued: int = 0
    """Members that are stored, or were canceled before they were. Fewer than `total` means that
    `enqueue_group` is still at work, or died; the same call again stores the others."""
    succeeded: int = 0
    failed: int = 0
    """Members that failed for good."""
    canceled: int = 0
    target: str | None = None
    """The function of the members; `None` as for an unknown group."""
    job: str | None = None
    """Its job; `None` means that no name led to the function."""
    created_at: datetime | None = None
    finished_at: datetime | None = None
    """Time at which the last end was counted; `None` means that it is not finished."""
    follow_up: WorkId | None = None
    """The work item that stands for the finished group, and owes its callback. `None` means that it
    is not finished, or wants no callback."""
    callback: CallbackName | None = None
    """State of that callback."""

    @property
    def over(self) -> int:
        """Members that are over."""
        return self.succeeded + self.failed + self.canceled


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPage:
    """Some groups of a pool, by id."""

    items: tuple[Group, ...]
    next: str | None
    """The `after` of the next page. `None` means that this is the last."""


def check_group_id(group_id: object, *, field: str = "group_id") -> GroupId:
    """Returns the id of a group. Raises UsageError for what cannot be one."""
    if not isinstance(group_id, str) or GROUP.fullmatch(group_id) is None:
        allowed = (
            f"a str of 1 to {limits.GROUP_ID_LENGTH_MAX} letters, digits, '_', '-' and '.', "
            "beginning with a letter or digit"
        )
        raise UsageError(field, group_id, allowed)
    return GroupId(group_id)


def unknown_group(group_id: GroupId) -> Group:
    """Returns the view of a group that is not there."""
    return Group(group_id=group_id, state="unknown")


def group_view(item: GroupItem, *, enqueued: int, follow_up: WorkItem | None) -> Group:
    """Returns the view of a group. `follow_up`: its work item, if that is there."""
    counts = counts_in(item.outcomes)
    owed = None if follow_up is None else follow_up.callback
    return Group(
        group_id=item.id,
        state="running" if item.finished_at is None else "finished",
        total=item.total,
        enqueued=enqueued,
        succeeded=counts.succeeded,
        failed=counts.failed,
        canceled=counts.canceled,
        target=item.spec.target,
        job=item.spec.job,
        created_at=instant(item.created_at),
        finished_at=None if item.finished_at is None else instant(item.finished_at),
        follow_up=item.follow_up,
        callback=None if owed is None else owed.value,
    )
