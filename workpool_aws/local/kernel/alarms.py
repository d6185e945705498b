"""Order in which alarms go off: by time, the last ones of an instant after the others, else as they were set."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workpool_aws.local.kernel.kernel import Alarm
    from workpool_aws.model.ids import EpochMs

__all__ = ["Alarms"]


class Alarms:
    """A queue of alarms. Not safe by itself: its kernel's lock guards it."""

    def __init__(self) -> None:
        self._heap: list[tuple[EpochMs, bool, int, Alarm]] = []
        self._count = 0

    def add(self, alarm: Alarm, *, last: bool) -> None:
        """Set an alarm. `last`: after everything else of its instant."""
        self._count += 1
        heapq.heappush(self._heap, (alarm.at, last, self._count, alarm))

    def peek(self) -> Alarm | None:
        """Return the next alarm that is not canceled."""
        while self._heap and self._heap[0][3].canceled:
            heapq.heappop(self._heap)
        return self._heap[0][3] if self._heap else None

    def take_due(self, now: EpochMs) -> Alarm | None:
        """Take the next alarm whose time has come.

        `None` means there is none, or it wants everything else of its instant to happen first.
        """
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, last, _, alarm = heap[0]
            if last and not alarm.canceled:
                return None
            heapq.heappop(heap)
            if not alarm.canceled:
                return alarm
        return None

    def pop(self) -> Alarm:
        """Take the alarm that `peek` showed."""
        return heapq.heappop(self._heap)[3]

    def waited_for(self, until: EpochMs) -> bool:
        """True if an alarm up to `until` keeps a run going."""
        return any(
            at <= until and not alarm.canceled and not alarm.background
            for at, _, _, alarm in self._heap
        )

    def clear(self) -> None:
        """Forget them all."""
        self._heap.clear()
