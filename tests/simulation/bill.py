"""Bounds the cost of a simulated run, in capacity units.

The bound follows from the requests of callers, and from the time for which a loop had reason to be
awake.

It is a formula of the judge's own, with room for mixed scenarios. It finds costs that run away:
requests that grow with time, with finished work, or for no reason. `benchmarks/cost.py` measures
the cost of a work item to a tenth of a unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.record import Record
from workpool_aws.model.work import CallbackState, State, WorkItem

__all__ = ["OpenTime", "Use", "reads_max", "writes_max"]

_NEAR_MS: Final = 120_000
"""A loop waits for work that is due so soon by itself, and without one by a schedule."""
_LINGER_MS: Final = 5_000
"""While works run a loop has no reason to be awake, but for a moment in which a short one ends."""
_OWED_MS: Final = 60_000
"""A loop waits for the next try of a callback, which comes sooner than that after the first ones."""
_ROOM_CALM: Final = 1.5
_ROOM_FAULTY: Final = 3.0
"""A process that dies or waits in vain leaves its requests to be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """The requests of a run, and their effects."""

    pools: int
    works: int
    starts: int
    put_backs: int
    """Starts that spent no attempt: each ends alone, by its event's age, and wakes a loop for that
    and for the next one."""
    callbacks: int
    asks: int
    """Calls of the public interface but for enqueues."""
    large_works: int
    """Their arguments and contexts lie in chunks."""
    large_results: int
    open_ms: int
    """See OpenTime."""
    ranges: int = 1
    """The most that a loop reads in each of its passes: one a shard, and four pages of each where
    pages hold few rows."""
    faults: int


def writes_max(use: Use) -> float:
    """The most write units that are plausible.

    A chunk is written in a transaction, at twice its size, and again for its time to live.
    """
    plain = (
        12 * use.works
        + 10 * use.starts
        + 8 * use.put_backs
        + 8 * use.callbacks
        + 10 * (use.asks + use.pools)
    )
    return _room(use) * (plain + 105 * use.large_works + 55 * use.large_results) + 5 * use.faults


def reads_max(use: Use) -> float:
    """The most read units that are plausible: most of them are those of a loop that is awake, five a second and range."""
    plain = 15 * use.works + 15 * use.starts + 15 * use.callbacks + 25 * use.asks + 30 * use.pools
    return (
        _room(use)
        * (
            plain
            + 30 * use.large_works
            + 30 * use.large_results
            + 5 * use.ranges * use.open_ms / 1000
        )
        + 20 * use.faults
    )


def _room(use: Use) -> float:
    return _ROOM_FAULTY if use.faults else _ROOM_CALM


class OpenTime:
    """For how long, in all, each pool had a reason to keep its loop awake.

    That is a work item that had just begun to run, that was pending and due within two minutes, or
    that owed a callback.
    """

    def __init__(self) -> None:
        self._open: dict[str, dict[WorkId, tuple[EpochMs, EpochMs | None]]] = {}
        """By pool, its unfinished work items, with the time from which they are near, and the time until
        which they are at most. `None` means until they change."""
        self._stretches: dict[str, list[tuple[EpochMs, EpochMs]]] = {}

    def saw(self, record: Record | None, now: EpochMs) -> None:
        """A record was written."""
        if not isinstance(record, WorkItem):
            return
        opened = self._open.setdefault(record.pool, {})
        since, end = opened.pop(record.id, (now, None))
        if since < now:
            self._stretches.setdefault(record.pool, []).append(
                (since, now if end is None else min(now, end))
            )
        if record.state is State.RUNNING:
            opened[record.id] = (now, EpochMs(now + _LINGER_MS))
        elif record.state is State.PENDING:
            opened[record.id] = (EpochMs(max(now, record.due_at - _NEAR_MS)), None)
        elif record.callback in (CallbackState.PENDING, CallbackState.SENT):
            opened[record.id] = (now, EpochMs(now + _OWED_MS))

    def total_ms(self) -> int:
        """The sum over all pools of what is over."""
        return sum(_union_ms(stretches) for stretches in self._stretches.values())


def _union_ms(stretches: list[tuple[EpochMs, EpochMs]]) -> int:
    total, reached = 0, 0
    for since, until in sorted(stretches):
        total += max(0, until - max(since, reached))
        reached = max(reached, until)
    return total
