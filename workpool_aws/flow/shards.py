"""Lists the shards of a pool that may hold work items, by the cursors of its ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.model.loop import ShardCursors
from workpool_aws.model.refs import LedgerRef, readable

if TYPE_CHECKING:
    from workpool_aws.model.loop import Ledger
    from workpool_aws.ports import Store

__all__ = ["marks_of", "shards_of"]


def marks_of(ledger: Ledger | None) -> tuple[ShardCursors, ...]:
    """Returns the cursors of each shard."""
    return (ShardCursors(),) if ledger is None else ledger.shards


def shards_of(store: Store, pool: str) -> int:
    """Returns the number of shards."""
    return len(marks_of(readable(store.get(LedgerRef(pool)))))
