"""State of a task in the virtual kernel: its place in the round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.local.kernel.kernel import Alarm, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.local.kernel.threads import PooledThread

__all__ = ["TaskSlot"]


class TaskSlot(Task):
    """A task and its place in the round.

    `left`: it is out of the round for good, whatever its thread still does.
    """

    __slots__ = ("alarm", "awaited", "deaths", "lane", "left", "streak", "waiter")

    def __init__(self, name: str, body: Callable[[], None], process: Task | None) -> None:
        super().__init__(name, body, process=process)
        self.lane: PooledThread | None = None
        self.alarm: Alarm | None = None
        self.left = False
        self.streak = 0
        """Steps since it last let time pass."""
        self.deaths = 0
        """Number of times that Killed was raised in it."""
        self.awaited = 0
        """Tasks whose end it waits for."""
        self.waiter: TaskSlot | None = None
