"""Reads groups, with their progress and the callbacks that they owe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.group.members import bounds_of
from workpool_aws.core.views.groups import Group, GroupPage, group_view
from workpool_aws.flow.reading import pages
from workpool_aws.model import events
from workpool_aws.model.group import GroupId, GroupItem
from workpool_aws.model.ids import shard_of
from workpool_aws.model.refs import (
    Collection,
    GroupRef,
    KeyRange,
    Unreadable,
    WorkRef,
    key_after,
    key_before,
    readable,
)
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.ports import Ports

__all__ = ["list_groups", "load_group", "one_group"]


def load_group(ports: Ports, pool: str, group_id: GroupId) -> GroupItem | None:
    """Returns a group; `None` means that it is unknown, past its retention, or damaged."""
    found = ports.store.get(GroupRef(pool, group_id))
    if isinstance(found, Unreadable):
        bad = events.SetAside(
            pool=pool, partition=found.partition, sort=found.sort, reason=found.reason
        )
        ports.telemetry.emit(bad)
    item = readable(found)
    return item if item is not None and _is_kept(item, ports.clock.now() / 1000) else None


def one_group(ports: Ports, pool: str, group_id: GroupId) -> Group | None:
    """Returns the view of a group; `None` as `load_group`."""
    item = load_group(ports, pool, group_id)
    return None if item is None else _views(ports, [item])[0]


def list_groups(
    ports: Ports, pool: str, *, limit: int, after: str | None, newest: bool
) -> GroupPage:
    """Returns a page of a pool's groups by id, beyond `after`; if `newest`, with the highest first."""
    page = ports.store.query(
        KeyRange(
            collection=Collection.GROUPS,
            pool=pool,
            low="" if after is None or newest else key_after(after),
            high=key_before(after) if after is not None and newest else None,
            limit=limit,
            reverse=newest,
        )
    )
    now_s = ports.clock.now() / 1000
    items = [
        row.record
        for row in page.rows
        if isinstance(row.record, GroupItem) and _is_kept(row.record, now_s)
    ]
    ends = page.next_low is None and page.next_high is None
    last = None if ends or not page.rows else page.rows[-1].sort
    return GroupPage(items=tuple(_views(ports, items)), next=last)


def _is_kept(item: GroupItem, now_s: float) -> bool:
    # DynamoDB deletes expired items days later.
    return item.expires_at is None or item.expires_at > now_s


def _views(ports: Ports, items: Sequence[GroupItem]) -> list[Group]:
    refs = [WorkRef(item.pool, item.follow_up) for item in items if item.follow_up is not None]
    found = ports.store.get_many(refs) if refs else {}
    works = {ref.id: readable(each) for ref, each in found.items() if isinstance(ref, WorkRef)}
    return [
        group_view(
            item,
            enqueued=_Stored(ports, item).count(),
            follow_up=None if item.follow_up is None else works.get(item.follow_up),
        )
        for item in items
    ]


@dataclass(frozen=True, slots=True)
class _Stored:
    """The members of a group that are stored."""

    ports: Ports
    item: GroupItem

    def count(self) -> int:
        """Returns their number, from a read of their range unless it is known to be complete."""
        item = self.item
        if item.stored or item.finished_at is not None:
            return item.total
        first, last = bounds_of(item)
        key_range = KeyRange(
            collection=Collection.WORK,
            pool=item.pool,
            shard=shard_of(first),
            low=first,
            high=last,
        )
        return sum(len(page) for page in pages(self.ports.store, self.ports.telemetry, key_range))
