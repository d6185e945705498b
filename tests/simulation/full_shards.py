"""Shards whose partitions take no writes for some seconds, as those of a pool that has not grown."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from tests.simulation.scenario import SHARDS_SEEN_MAX, Scenario
from workpool_aws.adapters.items.records import key_of, ref_of
from workpool_aws.local.faults.faults import CallThrottled
from workpool_aws.model.actions import Action, Guest, GuestItem, GuestPlace
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import KeyRange, RowPage, Unreadable
from workpool_aws.model.writes import Put, Write, Written
from workpool_aws.ports import Store

__all__ = ["FullShardStore", "FullTime", "full_times"]

R = TypeVar("R", bound=Record)

_RATE: Final = 0.5
_LENGTHS_S: Final = (0.3, 1, 3, 10)
_KINDS: Final = ("work", "done")


@dataclass(frozen=True, slots=True)
class FullTime:
    """A time over which the partitions of a shard take no write."""

    shard: int
    begins: timedelta
    ends: timedelta
    """Both counted from the first act of the scenario."""


def full_times(scenario: Scenario) -> tuple[FullTime, ...]:
    """Return those of a scenario: none of half of them, and none where nothing goes wrong.

    They are over when the last fault has struck.
    """
    chance = random.Random(f"full shards {scenario.seed}")
    if scenario.is_calm or not scenario.sharded or chance.random() >= _RATE:
        return ()
    times = []
    for _ in range(chance.randint(1, 4)):
        # While work items are stored, or soon after.
        begins = timedelta(milliseconds=chance.choice(scenario.submissions).at_ms)
        begins += timedelta(seconds=chance.choice((0, 0, 1, 4)) * chance.random())
        ends = min(begins + timedelta(seconds=chance.choice(_LENGTHS_S)), scenario.calm_after)
        shard = chance.choice((0, chance.randrange(SHARDS_SEEN_MAX)))
        times.append(FullTime(shard, begins, ends))
    return tuple(times)


class FullShardStore:
    """A table that throttles writes to shards in their full times."""

    def __init__(
        self,
        store: Store,
        times: Sequence[FullTime],
        elapsed: Callable[[], timedelta],
        refused: Callable[[], None],
    ) -> None:
        """`elapsed` tells the time since the first act. `refused` is called for each refusal."""
        self._store = store
        self._times = times
        self._elapsed = elapsed
        self._refused = refused

    def get(self, ref: Ref[R]) -> R | Unreadable | None:
        return self._store.get(ref)

    def get_many(self, refs: Sequence[Ref[R]]) -> Mapping[Ref[R], R | Unreadable]:
        return self._store.get_many(refs)

    def query(self, key_range: KeyRange) -> RowPage:
        return self._store.query(key_range)

    def write(self, write: Write) -> Written:
        self._admit([write])
        return self._store.write(write)

    def transact(self, writes: Sequence[Action], token: str | None = None) -> Written:
        self._admit(writes)
        return self._store.transact(writes, token)

    def read_guests(self, places: Sequence[GuestPlace]) -> tuple[GuestItem | None, ...]:
        return self._store.read_guests(places)

    def delete(self, ref: Ref[Record]) -> None:
        self._admit_refs([ref])
        self._store.delete(ref)

    def _admit(self, writes: Sequence[Action]) -> None:
        own = [write for write in writes if not isinstance(write, Guest)]
        self._admit_refs([ref_of(w.record) if isinstance(w, Put) else w.ref for w in own])

    def _admit_refs(self, refs: Sequence[Ref[Record]]) -> None:
        now = self._elapsed()
        full = {time.shard for time in self._times if time.begins <= now < time.ends}
        if full and any(_shard_in(ref) in full for ref in refs):
            self._refused()
            raise CallThrottled("the partition is full")


def _shard_in(ref: Ref[Record]) -> int | None:
    """Return the shard in whose partitions an item lies; `None` means in no shard."""
    names = key_of(ref).pk.split("#")
    return int(names[-1]) if names[-2:-1] and names[-2] in _KINDS else None
