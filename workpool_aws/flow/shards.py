"""Lists the shards of a pool that may hold work items, by the cursors of its ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.model.loop import Ledger, ShardCursors
from workpool_aws.model.refs import LedgerRef, readable

if TYPE_CHECKING:
    from workpool_aws.ports import Store

__all__ = ["ledger_of", "marks_of", "shards_of"]


def ledger_of(store: Store, pool: str) -> Ledger | None:
    """Returns the ledger as last committed.

    `None` means that no loop ever ran, or that it is damaged.
    """
    return readable(store.get(LedgerRef(pool)))


def marks_of(ledger: Ledger | None) -> tuple[ShardCursors, ...]:
    """Returns the cursors of each shard."""
    return (ShardCursors(),) if ledger is None else ledger.shards


def shards_of(store: Store, pool: str) -> int:
    """Returns the number of shards."""
    return len(marks_of(ledger_of(store, pool)))
