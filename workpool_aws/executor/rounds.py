"""Numbers the rounds of an executor's tasks, and hands failures to the drains that wait for them.

A task belongs to a *round*, and drains number them. A drain closes the round that is open and waits
for everything of that round and earlier ones. What a task adds belongs to its own round. So a drain
waits for that as well, and not for what others add meanwhile. This costs a queued task one
reference, and a task's end a look at each drain that waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.executor.threads import DrainRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.executor.records import TaskFailure

__all__ = ["Rounds"]


class Rounds:
    """Tasks that are not over, by drain, and failures that no drain has received.

    The executor's lock guards all of it.
    """

    def __init__(self) -> None:
        self.current = 0
        """The round that is open."""
        self.outstanding = 0
        """Tasks of all rounds that are not over."""
        self.drains: list[DrainRecord] = []
        """Drains that wait, in the order of their rounds."""
        self.unreported: list[TaskFailure] = []
        """Failures for the next drain."""

    @property
    def is_settled(self) -> bool:
        """True when every task is over and every failure was reported."""
        return not self.outstanding and not self.unreported

    def count(self, order: int, count: int) -> None:
        """Add tasks to a round, or with a negative count take them from it: they are over."""
        self.outstanding += count
        for drain in self.drains:
            if order <= drain.round:
                drain.left += count
                if not drain.left:
                    drain.call()

    def report(self, order: int, failures: Sequence[TaskFailure]) -> None:
        """Give a task's failures to every drain that waits for its round, or else to the next."""
        waiting = [drain for drain in self.drains if order <= drain.round]
        for drain in waiting:
            drain.failures.extend(failures)
        if not waiting:
            self.unreported.extend(failures)

    def begin_drain(self) -> DrainRecord:
        """Close the round that is open. The drain takes the failures that wait for one."""
        drain = DrainRecord(self.current, self.outstanding, self.unreported)
        drain.bell.acquire()
        self.current += 1
        self.unreported = []
        self.drains.append(drain)
        return drain

    def end_drain(self, drain: DrainRecord, *, returns: bool) -> None:
        """Count no longer for this drain. If an error ends it, the next one gets its failures."""
        self.drains.remove(drain)
        if not returns:
            self.unreported.extend(drain.failures)

    def call_drains(self) -> None:
        """Make every drain that waits look again."""
        for drain in self.drains:
            drain.call()
