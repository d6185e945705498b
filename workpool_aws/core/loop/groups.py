"""Collects the ends of groups' members that a pass must count before its commit [WP-19].

The commit forgets notices and entries. A member whose end is not counted by then is never counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.model.loop import EntryKey, NoticeKind
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.loop import Notice
    from workpool_aws.model.spec import Outcome
    from workpool_aws.model.work import WorkItem

__all__ = [
    "EndsByGroup",
    "GroupEnds",
    "by_group",
    "end_is_uncounted",
    "ends_among",
    "of_unknown_group",
]

EndsByGroup = dict[str, list[tuple["WorkId", "Outcome"]]]
"""Ends of members, by the id of their group."""


@dataclass(frozen=True, slots=True)
class GroupEnds:
    """Ends of members, from notices and dropped entries.

    `spent`: keys of the notices that have nothing else to say. They are deleted once the ends are
    counted.
    """

    ends: Mapping[str, list[tuple[WorkId, Outcome]]]
    spent: tuple[str, ...]


def of_unknown_group(settled: Iterable[Notice]) -> list[EntryKey]:
    """Returns the starts whose notices do not say if their work items are members of groups.

    Version 0.1 wrote them. It names no job either.
    """
    return [
        EntryKey(notice.work_id, notice.start)
        for notice in settled
        if notice.kind is NoticeKind.FINISHED and notice.job is None and notice.group is None
    ]


def ends_among(
    settled: Iterable[Notice], seen: Iterable[Notice], over: Iterable[WorkItem]
) -> GroupEnds:
    """Returns the ends that a pass must count.

    `settled`: the notices that freed a slot. `seen`: all that were read, of which those without TTL
    count, too. `over`: work items that were read because no notice has their end.
    """
    kept = [notice for notice in seen if notice.group is not None and notice.awaits_loop]
    noticed = dict.fromkeys((each.work_id, each.group) for each in (*settled, *kept))
    found: EndsByGroup = {}
    for work_id, end in noticed:
        if end is not None:
            found.setdefault(end.group, []).append((work_id, end.outcome))
    for group, ends in by_group(over).items():
        found.setdefault(group, []).extend(ends)
    return GroupEnds(found, tuple(notice.at for notice in kept if notice.callback is None))


def by_group(works: Iterable[WorkItem]) -> EndsByGroup:
    """Returns the ends of those of these work items that are members and over."""
    found: EndsByGroup = {}
    for work in works:
        end = work.group_end
        if end is not None:
            found.setdefault(end.group, []).append((work.id, end.outcome))
    return found


def end_is_uncounted(records: Iterable[Notice]) -> bool:
    """True if a notice has the end of a group's member that no loop has counted."""
    return any(record.callback is None and record.awaits_loop for record in records)
