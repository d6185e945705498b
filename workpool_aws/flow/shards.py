"""Knows which shards of a pool may hold works: those that its ledger marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.model.loop import Ledger, ShardCursors
from workpool_aws.model.refs import LedgerRef, readable

if TYPE_CHECKING:
    from workpool_aws.ports import Store

__all__ = ["ledger_of", "marks_of", "shards_of"]


def ledger_of(store: Store, pool: str) -> Ledger | None:
    """The ledger as it was last committed; `None` means no loop ever ran, or it is damaged."""
    return readable(store.get(LedgerRef(pool)))


def marks_of(ledger: Ledger | None) -> tuple[ShardCursors, ...]:
    """Return the cursors of each shard."""
    return (ShardCursors(),) if ledger is None else ledger.shards


def shards_of(store: Store, pool: str) -> int:
    """Return the number of shards."""
    return len(marks_of(ledger_of(store, pool)))
