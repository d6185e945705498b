"""Rebuilds a lost ledger from the work items, which contain everything except the counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, shard_of
from workpool_aws.model.loop import Entry, EntryKey, Ledger, PendingCallback, ShardCursors
from workpool_aws.model.work import CallbackState, State, WorkItem

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["rebuilt_from"]


def rebuilt_from(pool: str, works: Sequence[WorkItem], *, now: EpochMs, epoch: int) -> Ledger:
    """Returns a ledger with an entry for each running start, and each owed callback.

    Its cursors are at the beginning. `epoch`: the config's. Work items of an earlier one are
    canceled again, which changes none twice.
    """
    running = [work for work in works if work.state is State.RUNNING]
    entries = {
        EntryKey(work.id, work.starts): Entry(work.deadline or now, confirmed=True)
        for work in running
    }
    owing = [work for work in works if work.callback in (CallbackState.PENDING, CallbackState.SENT)]
    shards = 1 + max((shard_of(work.id) for work in works), default=0)
    return Ledger(
        pool=pool,
        holder="",
        generation=0,
        version=1,
        entries=dict(list(entries.items())[: limits.STORED_SLOTS_MAX]),
        shards=(ShardCursors(),) * shards,
        callbacks=tuple(
            PendingCallback(work.id, now) for work in owing[: limits.CALLBACKS_OWED_MAX]
        ),
        epoch=max(0, epoch - 1),
    )
