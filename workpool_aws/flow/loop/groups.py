"""Counts the ends of groups' members that a pass has met, before its commit [WP-19, WP-27]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.callback.ending import is_owed
from workpool_aws.core.loop.groups import ends_among, of_unknown_group
from workpool_aws.flow.commit import put_end
from workpool_aws.flow.group.count import count_ends
from workpool_aws.flow.reading import works_of
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.core.loop.memory import Inputs
    from workpool_aws.core.loop.recover import Checked
    from workpool_aws.core.loop.settle import Settled
    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.model.work import WorkItem

__all__ = ["GroupsCounted", "count_groups"]


@dataclass(frozen=True, slots=True)
class GroupsCounted:
    """Result of a pass's count of ends.

    `follow_ups`: work items of finished groups whose callbacks the pass takes over. `spent`: keys of
    notices that have nothing else to say.
    """

    follow_ups: tuple[WorkItem, ...] = ()
    spent: tuple[str, ...] = ()


def count_groups(
    session: LoopSession, inputs: Inputs, settled: Settled, checked: Checked
) -> GroupsCounted:
    """Counts the ends of members that the coming commit forgets.

    Raises StoreUnavailable: the pass is not committed then, so the next one meets them again.
    """
    if not (checked.dropped or any(each.records for each in inputs.notices)):
        return GroupsCounted()
    ports, pool = session.ports, session.pool
    unknown = works_of(ports.store, pool, of_unknown_group(settled.records))
    seen = (notice for each in inputs.notices for notice in each.records)
    found = ends_among(settled.records, seen, (*checked.dropped, *unknown.values()))
    if not found.ends:
        return GroupsCounted()
    follow_ups = count_ends(ports, pool, found.ends)
    dropped = sum(map(is_owed, checked.dropped))
    room = max(0, limits.CALLBACKS_OWED_MAX - len(session.memory.callbacks) - dropped)
    for work in follow_ups[room:]:
        # It waits as any callback that finds no room in the ledger.
        put_end(ports, work, owes_callback=True)
    return GroupsCounted(tuple(follow_ups[:room]), found.spent)
