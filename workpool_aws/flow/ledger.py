"""Reads the ledger of a pool, with its pages.

The ledger's own item has only some of the starts in flight, so each reader of them comes here [WP-43].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.loop.pages import assembled
from workpool_aws.model.loop import Ledger
from workpool_aws.model.refs import LedgerPageRef, LedgerRef, Unreadable, readable

if TYPE_CHECKING:
    from workpool_aws.ports import Store

__all__ = ["ledger_of", "read_ledger", "whole"]


def whole(store: Store, found: object) -> Ledger | Unreadable | None:
    """Returns a ledger as it was found, with the slots of its pages.

    `None` means that it was none. A page is named as long as it has a slot, and its item outlasts that
    by days. So one that is missing is damage, and makes the ledger unreadable. Pages cost a read unit
    for each 4 KB; a ledger without any costs none. Raises StoreUnavailable.
    """
    if not isinstance(found, Ledger):
        return found if isinstance(found, Unreadable) else None
    if not found.pages:
        return found
    refs = [LedgerPageRef(found.pool, page.token) for page in found.pages]
    items = store.get_many(refs)
    return assembled(found, {ref.token: items[ref] for ref in refs if ref in items})


def read_ledger(store: Store, pool: str) -> Ledger | Unreadable | None:
    """Returns the ledger as last committed, with the slots of its pages. Raises StoreUnavailable."""
    return whole(store, store.get(LedgerRef(pool)))


def ledger_of(store: Store, pool: str) -> Ledger | None:
    """Returns the ledger as last committed, with the slots of its pages.

    `None` means that no loop ever ran, or that it is damaged. Raises StoreUnavailable.
    """
    return readable(read_ledger(store, pool))
