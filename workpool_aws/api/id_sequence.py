"""`IdSequence`, by which the work items of one caller keep their order."""

from __future__ import annotations

from typing import Final

from workpool_aws.model.ids import EpochMs, WorkId, make_ids

__all__ = ["IdSequence"]

_SEQUENCES_KEPT: Final = 64


class IdSequence:
    """Hands out ids that grow within one due time, so that a caller's work items keep their order.

    Fresh randomness enters every id: a copy of the process (a fork, a clone of a snapshot) that
    goes on from the same last id takes others. The sequence remembers the last few due times only:
    a caller that jumps between more of them gets unordered ids, never equal ones.
    """

    def __init__(self) -> None:
        self._last: dict[EpochMs, WorkId] = {}

    def take(self, count: int, due: EpochMs, *, random_bits: int, shards: int) -> list[WorkId]:
        """`count` ids, at least one, beyond the last one for that due time, if it is known.

        They go round the shards, so a batch fills all of them alike and keeps its order.
        """
        after = self._last.pop(due, None)
        ids = make_ids(due, random_bits=random_bits, shards=shards, after=after)
        taken = [WorkId(next(ids)) for _ in range(count)]
        self._last[due] = taken[-1]
        while len(self._last) > _SEQUENCES_KEPT:
            del self._last[next(iter(self._last))]
        return taken
