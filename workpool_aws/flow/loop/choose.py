"""Reads the due work items of each shard, and the deadlines of those that were chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.loop.admit import Headroom, Refusal
from workpool_aws.core.loop.choose import Choice, WorkRead, read_from
from workpool_aws.core.loop.start import Taken
from workpool_aws.flow.reading import read_works, work_range
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.core.loop.memory import Inputs, Memory
    from workpool_aws.core.loop.recover import Checked
    from workpool_aws.ports import Invoker, Ports

__all__ = ["deadlines_of", "read_due"]


def read_due(
    ports: Ports,
    memory: Memory,
    inputs: Inputs,
    checked: Checked,
    room: Headroom | Refusal,
    *,
    back_to: str | None,
) -> list[WorkRead | None]:
    """Returns the due work items of each shard, by strong reads; where none may start, no read.

    `back_to`: as `core.loop.choose.read_from` takes it. Raises StoreUnavailable.
    """
    if isinstance(room, Refusal):
        return [None for _ in memory.ledger.shards]
    doubtful = (memory.unconfirmed - checked.understood).intersection(checked.entries)
    taken = Taken(checked.entries, {key.work_id for key in doubtful}, inputs.config)
    return [
        read_works(
            ports.store,
            ports.telemetry,
            work_range(
                memory.ledger.pool, shard, read_from(mark, back_to=back_to, deep=inputs.deep)
            ),
            free=room.slots,
            taken=taken,
            now=inputs.now,
        )
        for shard, mark in enumerate(memory.ledger.shards)
    ]


def deadlines_of(invoker: Invoker, choice: Choice, now: EpochMs) -> Mapping[EntryKey, Entry]:
    """Returns the entries of chosen work items, each until event age and timeout are over."""
    entries = {}
    for found in choice.chosen:
        function = invoker.limits(found.work.target)
        entries[found.start] = Entry(EpochMs(now + function.event_age_ms + function.timeout_ms))
    return entries
