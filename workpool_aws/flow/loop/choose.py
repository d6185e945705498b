"""Chooses what a pass starts: reads the due work items of each shard, and says by when each chosen one must have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.loop.admit import Headroom, Refusal
from workpool_aws.core.loop.choose import Choice, WorkRead, choose, read_from
from workpool_aws.core.loop.start import Taken
from workpool_aws.flow.reading import read_works
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.core.loop.memory import Memory
    from workpool_aws.core.loop.settle import Settled
    from workpool_aws.flow.loop.recover import Looked
    from workpool_aws.flow.loop.session import LoopSession

__all__ = ["choose_starts", "entries_for"]


def choose_starts(
    hold: LoopSession,
    memory: Memory,
    looked: Looked,
    settled: Settled,
    room: Headroom | Refusal,
    *,
    deep: bool,
    now: EpochMs,
) -> Choice:
    """Choose starts by strong reads; where nothing may start, nothing is read.

    Raises StoreUnavailable.
    """
    if isinstance(room, Refusal):
        return Choice((), (), (None,) * len(hold.ledger.shards))
    unconfirmed = {
        key.work_id for key in memory.unconfirmed - looked.understood if key in looked.entries
    }
    taken = Taken(looked.entries, unconfirmed, memory.config)
    reads: list[WorkRead] = []
    for shard, mark in enumerate(hold.ledger.shards):
        low = read_from(mark, back_to=settled.back_to, deep=deep)
        reads.append(
            read_works(
                hold.ports.store,
                hold.ports.telemetry,
                hold.pool,
                shard,
                low,
                free=room.slots,
                taken=taken,
                now=now,
            )
        )
    return choose(reads, room)


def entries_for(hold: LoopSession, choice: Choice, now: EpochMs) -> Mapping[EntryKey, Entry]:
    """Return the entries of chosen work items, each until event age and timeout are over."""
    entries = {}
    for found in choice.chosen:
        function = hold.ports.invoker.limits(found.work.target)
        entries[found.start] = Entry(EpochMs(now + function.event_age_ms + function.timeout_ms))
    return entries
