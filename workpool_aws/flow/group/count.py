"""Counts the ends of groups' members, and makes the follow-ups of groups that are over [WP-19].

The commit point is one write for each group; with the last ends, one transaction with the follow-up.
A crash after it loses nothing: the pass that meets one of the ends again finds the group finished, and
its follow-up.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.callback.ending import is_owed
from workpool_aws.core.group.count import Counted, decide_count
from workpool_aws.core.proof import callback_nonce
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model import events
from workpool_aws.model.refs import GroupRef, Unreadable, WorkRef, readable
from workpool_aws.model.writes import IsAbsent, Put
from workpool_aws.ports import ConditionFailed, Ports, TransactionFailed
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.model.group import GroupItem
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.spec import Outcome
    from workpool_aws.model.work import WorkItem

__all__ = ["count_ends"]


def count_ends(
    ports: Ports, pool: str, ends: Mapping[str, Sequence[tuple[WorkId, Outcome]]]
) -> list[WorkItem]:
    """Counts ends of members by group, and returns the follow-ups whose callbacks are owed.

    The caller sees to these callbacks. Raises StoreUnavailable: some may not be counted, and
    counting again is safe.
    """
    if not ends:
        return []
    counts = [_Count(ports, pool, group, of_it) for group, of_it in ends.items()]
    followed = ports.fan_out(_Count.carry_out, counts)
    return [work for work in followed if work is not None]


@dataclass(frozen=True, slots=True)
class _Count:
    """The count of ends of one group."""

    ports: Ports
    pool: str
    group: str
    ends: Sequence[tuple[WorkId, Outcome]]

    def carry_out(self) -> WorkItem | None:
        """Writes the ends, against concurrent counts. Returns the follow-up whose callback is owed."""
        for _ in range(limits.GROUP_TRIES):
            item = self._load()
            if item is None:
                return None
            nonce = callback_nonce(self.ports.entropy.token())
            counted = decide_count(item, self.ends, nonce=nonce, now=self.ports.clock.now())
            if counted is None:
                return self._owed_by(item)
            if self._write(counted):
                return counted.follow_up
        raise StoreUnavailable(f"group {self.group} kept changing")

    def _load(self) -> GroupItem | None:
        """Returns the group; `None` means that it is gone or damaged, so nothing can be counted."""
        found = self.ports.store.get(GroupRef(self.pool, self.group))
        if isinstance(found, Unreadable):
            bad = events.SetAside(
                pool=self.pool, partition=found.partition, sort=found.sort, reason=found.reason
            )
            self.ports.telemetry.emit(bad)
        return readable(found)

    def _owed_by(self, item: GroupItem) -> WorkItem | None:
        """Returns the follow-up of a finished group, whose maker may have died before it saw to it."""
        if item.follow_up is None:
            return None
        work = readable(self.ports.store.get(WorkRef(self.pool, item.follow_up)))
        return work if is_owed(work) else None

    def _write(self, counted: Counted) -> bool:
        """Writes a count. False means that another one came between."""
        store, follow_up = self.ports.store, counted.follow_up
        try:
            if follow_up is None:
                store.write(counted.update)
            else:
                store.transact([counted.update, Put(follow_up, IsAbsent())])
        except (ConditionFailed, TransactionFailed):
            return False
        if counted.finished:
            counts = asdict(counted.counts)
            finished = events.GroupFinished(pool=self.pool, group=self.group, **counts)
            self.ports.telemetry.emit(finished)
        return True
