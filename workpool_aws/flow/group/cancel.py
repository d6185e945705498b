"""Cancels the members of a group that have not started, one by one.

The commit point of each is that of a cancel. A crash leaves some of them as they were, and the same
call again cancels these.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.group.cancel import lost_outcome, notice_of_place, void_at
from workpool_aws.core.group.count import uncounted
from workpool_aws.core.group.members import member_ids
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.work.end import CancelAnswer
from workpool_aws.flow.commit import commit_with_notice, put_notice
from workpool_aws.flow.pool.kick import kick
from workpool_aws.flow.work.cancel import cancel_without_kick
from workpool_aws.model import events
from workpool_aws.model.refs import Unreadable, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import WorkItem
from workpool_aws.model.writes import IsAbsent, Put
from workpool_aws.ports import Ports, TransactionFailed
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workpool_aws.model.group import GroupItem
    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.loop import Notice

__all__ = ["cancel_members"]


def cancel_members(
    ports: Ports, item: GroupItem, on_step: Callable[[int, int], object] | None = None
) -> int:
    """Cancels the members that are not over, and requests it of those that run.

    A member that is not stored never will be, and counts as canceled. `on_step` is called after each
    step with the members that were left and those of them that were changed; its error ends the
    call. Returns the number of members that this call ended. Raises StoreUnavailable: some are
    canceled, and repeating the call is safe.
    """
    cancel, ids = _Cancel(ports, item), member_ids(item)
    left = [ids[place] for place in uncounted(item)]
    ended = 0
    try:
        for first in range(0, len(left), limits.GROUP_CANCELS_A_STEP):
            step = left[first : first + limits.GROUP_CANCELS_A_STEP]
            answers = Counter(cancel.step(step))
            ended += answers[CancelAnswer.CANCELED]
            # After each step, so that the loop counts while the others are canceled.
            kick(ports, item.pool, KickReason.CANCEL)
            if on_step is not None:
                on_step(len(step), answers[CancelAnswer.CANCELED] + answers[CancelAnswer.REQUESTED])
    finally:
        ports.telemetry.emit(events.GroupCanceled(pool=item.pool, group=item.id, canceled=ended))
    return ended


@dataclass(frozen=True, slots=True)
class _Cancel:
    """The cancel of one group."""

    ports: Ports
    item: GroupItem

    def step(self, ids: list[WorkId]) -> Iterable[CancelAnswer]:
        """Cancels these members, and returns the answer of each."""
        refs = [WorkRef(self.item.pool, work_id) for work_id in ids]
        found = self.ports.store.get_many(refs)
        places = [(ref.id, found.get(ref)) for ref in refs]
        return self.ports.fan_out(lambda place: self._end(*place), places)

    def _end(self, work_id: WorkId, found: WorkItem | Unreadable | None) -> CancelAnswer:
        """Ends one member. `CANCELED` means that this call did."""
        if found is None:
            return self._prevent(work_id)
        if isinstance(found, Unreadable):
            # It cannot start as it is, and the others must not wait for it [WP-12].
            return self._announce(work_id, Outcome.CANCELED)
        answer = cancel_without_kick(self.ports, found)
        lost = lost_outcome(found, self.ports.clock.now())
        if answer is CancelAnswer.FINISHED and lost is not None:
            self._announce(work_id, lost)
        return answer

    def _prevent(self, work_id: WorkId) -> CancelAnswer:
        """Keeps a member from being stored; if it was stored meanwhile, cancels it."""
        void = void_at(self.item, work_id, now=self.ports.clock.now())
        try:
            commit_with_notice(
                self.ports,
                Put(void, IsAbsent()),
                lambda at: self._notice(work_id, Outcome.CANCELED, at),
            )
        except TransactionFailed as met:
            current = met.current[0]
            if not isinstance(current, WorkItem):
                return CancelAnswer.FINISHED
            return self._end(work_id, current)
        return CancelAnswer.CANCELED

    def _announce(self, work_id: WorkId, outcome: Outcome) -> CancelAnswer:
        put_notice(self.ports, lambda at: self._notice(work_id, outcome, at))
        return CancelAnswer.CANCELED

    def _notice(self, work_id: WorkId, outcome: Outcome, at: EpochMs) -> Notice:
        bits = self.ports.entropy.bits(75)
        return notice_of_place(self.item, work_id, outcome, now=at, random_bits=bits)
