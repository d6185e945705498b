"""Enqueues groups: the group's item first, then the members that it names.

| step | commit point | lost afterwards? |
|---|---|---|
| group | its put, if absent | members: the same call again |
| members | the put of each, if absent | kick: watchdog; further members: the same call again |
| all are stored | an update of the group's item | nothing: members are counted all the same |
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from workpool_aws.core.group.enqueue import members_of
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.proof import start_permit
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.pool.kick import epoch_of, kick
from workpool_aws.flow.work.enqueue import enqueue_members
from workpool_aws.model import events
from workpool_aws.model.group import GroupItem
from workpool_aws.model.refs import GroupRef
from workpool_aws.model.writes import IsAbsent, Put, Update
from workpool_aws.ports import ConditionFailed, Ports
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.model.spec import Spec

__all__ = ["GroupTaken", "enqueue_group"]


class GroupTaken(Exception):
    """A group of this id exists, of other work items. Nothing was stored."""


def enqueue_group(ports: Ports, item: GroupItem, spec: Spec, args: Sequence[str]) -> None:
    """Stores a group and its members, and ensures that a loop will see them.

    A group of this id that exists is completed: members that are stored stay as they are. `spec`:
    of the members. Raises GroupTaken, and StoreUnavailable: members may be missing, and the same
    call again stores them.
    """
    _Enqueue(ports, spec, args).run(item)


@dataclass(frozen=True, slots=True)
class _Enqueue:
    """An enqueue of one group."""

    ports: Ports
    spec: Spec
    args: Sequence[str]

    def run(self, asked: GroupItem) -> None:
        """Stores what is missing of the group."""
        ports = self.ports
        # Before the put: a member that is canceled and counted is not stored again [WP-19].
        epoch = epoch_of(ports, asked.pool)
        item = self._put(asked)
        if item.stored or item.finished_at is not None:
            # An earlier call may have died before its kick.
            kick(ports, item.pool, KickReason.ENQUEUE, due=item.due_at)
        else:
            permits = [start_permit(ports.entropy.token()) for _ in self.args]
            enqueue_members(ports, members_of(item, self.spec, self.args, permits, epoch=epoch))
            self._mark_stored(item)

    def _put(self, asked: GroupItem) -> GroupItem:
        """Returns the group, as this call or an earlier one has stored it."""
        try:
            self.ports.store.write(Put(asked, IsAbsent()))
        except ConditionFailed as met:
            current = met.current
        else:
            return asked
        if not isinstance(current, GroupItem):
            raise StoreUnavailable(f"another item has the place of group {asked.id}")
        if (current.total, current.digest) != (asked.total, asked.digest):
            raise GroupTaken
        return current

    def _mark_stored(self, item: GroupItem) -> None:
        # Only for people. Refused if the group is over and gone.
        update = Update(ref=GroupRef(item.pool, item.id), set={"stored": True})
        with suppress(ConditionFailed):
            self.ports.store.write(update)
        self.ports.telemetry.emit(
            events.GroupEnqueued(pool=item.pool, group=item.id, total=item.total)
        )
