"""Pages of the ledger: slots that commits need not write again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from workpool_aws.model.record import Record
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.loop import Entry, EntryKey

__all__ = ["PAGE_TOKEN", "LedgerPage", "NamedPage", "Slots"]

PAGE_TOKEN: Final = re.compile(r"[!-~]{1,64}", re.ASCII)
"""The name of a page: a part of its key."""


@dataclass(frozen=True, slots=True)
class NamedPage:
    """A page of the ledger, as the ledger names it. The item itself is never changed [WP-43]."""

    token: str
    """Name of its item, which no other page ever has."""
    count: int
    """Number of slots that it was written with."""
    gone: int = 0
    """A bit for each of these, in order: set once the slot is free, or stands elsewhere with another
    deadline."""
    slots: tuple[tuple[EntryKey, Entry], ...] = ()
    """The slots that it was written with, in order of id and start. Empty until its item is read."""
    expires_at: int = 0
    """Time to live of its item, in seconds; 0 until that is read."""

    @property
    def left(self) -> int:
        """Number of slots that it still stands for."""
        return self.count - self.gone.bit_count()

    def standing(self) -> dict[EntryKey, Entry]:
        """Returns the slots that it still stands for, if its item was read."""
        return dict(slot for place, slot in enumerate(self.slots) if not self.gone >> place & 1)


class Slots(NamedTuple):
    """The slots of a ledger, as its item has them."""

    head: Mapping[EntryKey, Entry]
    """Slots that lie in no page."""
    pages: tuple[NamedPage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPage(Record):
    """Some slots of a ledger.

    Written by: the loop, once, before the commit that names it. Read by: whoever reads the ledger,
    if that names it. Removed by: TTL. A loop that commits never names one whose TTL is near.
    """

    pool: str
    token: str
    """Made for this page alone."""
    entries: dict[EntryKey, Entry]
    expires_at: int
