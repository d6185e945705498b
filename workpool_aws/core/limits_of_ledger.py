"""Defines the bounds of the ledger's size. They are read as `limits.NAME`."""

from __future__ import annotations

from typing import Final

__all__ = [
    "GUEST_STARTS_MAX",
    "LEDGER_BYTES_MIN",
    "LEDGER_HEAD_SLOTS",
    "LEDGER_OWED_BYTES",
    "LEDGER_PAGES",
    "LEDGER_PAGES_MERGED",
    "LEDGER_PAGES_STORED_MAX",
    "LEDGER_PAGE_BYTES",
    "LEDGER_PAGE_KEPT_S",
    "LEDGER_SLOT_BYTES",
    "LEDGER_UNITS_AN_ACTION",
]

LEDGER_UNITS_AN_ACTION: Final = 0.6
"""Units that the ledger's size may cost an action before passes get longer
(docs/decisions/0009-the-ledger-packed-and-paced.md)."""
LEDGER_BYTES_MIN: Final = 350
LEDGER_SLOT_BYTES: Final = 14
LEDGER_OWED_BYTES: Final = 45
LEDGER_PAGE_BYTES: Final = 45
"""By them the loop knows about what a commit costs."""
LEDGER_HEAD_SLOTS: Final = 60
"""Slots in the ledger's own item, beyond which confirmed ones go into a page: mostly the item is one
unit then."""
LEDGER_PAGES: Final = 32
"""Pages beyond which the emptiest are written as one."""
LEDGER_PAGES_MERGED: Final = 8
LEDGER_PAGES_STORED_MAX: Final = 256
"""Pages that a ledger may name."""
LEDGER_PAGE_KEPT_S: Final = 14 * 24 * 3600
"""Time to live of a page. A commit that would name one in the second half of it writes its slots
again."""
GUEST_STARTS_MAX: Final = 16
"""Starts that a caller commits itself. A loop sends hundreds at one time."""
