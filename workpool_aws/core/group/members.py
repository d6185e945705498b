"""Computes the ids of a group's members, which follow from the group's item alone.

A producer that died is therefore continued by another, and no member exists twice [WP-19].
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING

from workpool_aws.model.ids import WorkId, make_ids, place_after

if TYPE_CHECKING:
    from workpool_aws.model.group import GroupItem

__all__ = ["bounds_of", "member_ids", "place_of", "random_bits_of"]


def random_bits_of(item: GroupItem, purpose: str = "") -> int:
    """Returns the random part of ids of this group, which is always the same for a purpose."""
    text = f"{item.pool}/{item.id}/{item.born}/{purpose}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:10], "big")


def member_ids(item: GroupItem, count: int | None = None) -> list[WorkId]:
    """Returns the ids of the first members, in order; `None` means of all."""
    ids = make_ids(item.due_at, random_bits=random_bits_of(item))
    return [WorkId(each) for each in islice(ids, item.total if count is None else count)]


def bounds_of(item: GroupItem) -> tuple[WorkId, WorkId]:
    """Returns the ids of the first and the last member."""
    ids = member_ids(item)
    return ids[0], ids[-1]


def place_of(item: GroupItem, work_id: WorkId) -> int | None:
    """Returns the place of a member, counted from 0; `None` means that the work item is none."""
    place = place_after(member_ids(item, 1)[0], work_id)
    return place if place is not None and place < item.total else None
