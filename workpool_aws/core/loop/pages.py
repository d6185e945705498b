"""Decides which slots of a ledger lie in its own item, the head, and which in pages [WP-43].

A commit writes the head, whatever it has changed, and so pays for each slot there. A page is written
once, before the commit that first names it, and never changed. The head has a bit for each slot of a
page that is free again, or whose deadline has changed: that slot then stands in the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.model.pages import NamedPage
from workpool_aws.model.refs import Unreadable
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Entry, EntryKey, Ledger
    from workpool_aws.model.pages import LedgerPage

__all__ = ["Places", "assembled", "laid_out"]


@dataclass(frozen=True, slots=True)
class Places:
    """Places of a ledger's slots. Each stands in exactly one."""

    head: Mapping[EntryKey, Entry]
    pages: tuple[NamedPage, ...]
    """The pages that the ledger goes on naming."""
    page: Mapping[EntryKey, Entry]
    """Slots of a new page. Empty if none is worth it."""

    def naming(self, item: LedgerPage) -> Places:
        """Returns the places with the page that was written for it."""
        slots = tuple(sorted(item.entries.items()))
        page = NamedPage(item.token, len(slots), slots=slots, expires_at=item.expires_at)
        return replace(self, pages=(*self.pages, page), page={})


def laid_out(entries: Mapping[EntryKey, Entry], pages: Sequence[NamedPage], now: EpochMs) -> Places:
    """Returns the places of a ledger's slots for a commit. `pages`: those of the commit before.

    A page with less than half of its slots is not worth its name. Of a head that is too long,
    confirmed slots go into a page: the others will have another deadline soon. The newest stay, since
    many of them are free again before the next page is due. Slots of runs stay, too, as runs are short.
    """
    kept = [left for page in pages if (left := _left_of(page, entries, now)) is not None]
    if len(kept) > limits.LEDGER_PAGES:
        kept.sort(key=lambda page: (page.left, page.token))
        kept = kept[limits.LEDGER_PAGES_MERGED :]
    paged = {key for page in kept for key in page.standing()}
    head = {key: entry for key, entry in entries.items() if key not in paged}
    page = {key: head.pop(key) for key in _worth_a_page(head)}
    return Places(head, tuple(kept), page)


def _worth_a_page(head: Mapping[EntryKey, Entry]) -> Sequence[EntryKey]:
    """Returns the slots of a head that go into a page: none, as long as it is short."""
    if len(head) <= limits.LEDGER_HEAD_SLOTS:
        return ()
    still = sorted(key for key, entry in head.items() if entry.confirmed and entry.run is None)
    oldest = still[: len(still) - limits.LEDGER_HEAD_SLOTS // 4]
    return oldest if len(oldest) >= limits.LEDGER_HEAD_SLOTS // 2 else ()


def _left_of(page: NamedPage, entries: Mapping[EntryKey, Entry], now: EpochMs) -> NamedPage | None:
    """Returns a page with its slots of now; `None` means that it is worth no name any more."""
    gone = page.gone
    for place, (key, entry) in enumerate(page.slots):
        found = entries.get(key)
        if found is not entry and found != entry:
            gone |= 1 << place
    left = replace(page, gone=gone)
    old = now // 1000 > page.expires_at - limits.LEDGER_PAGE_KEPT_S // 2
    return None if old or 2 * left.left < page.count else left


def assembled(head: Ledger, items: Mapping[str, LedgerPage | Unreadable]) -> Ledger | Unreadable:
    """Returns a ledger with the slots of its pages, whose items are given by token.

    A page that is missing, or is not the one that the head names, makes the whole ledger damaged:
    whatever it stood for might be started again [WP-1].
    """
    entries = dict(head.entries)
    pages: list[NamedPage] = []
    for page in head.pages:
        item = items.get(page.token)
        if isinstance(item, Unreadable):
            return item
        if item is None or len(item.entries) != page.count:
            reason = f"its page {page.token} is missing, or has other slots"
            return Unreadable(head.pool, "ledger", reason)
        slots = tuple(sorted(item.entries.items()))
        read = replace(page, slots=slots, expires_at=item.expires_at)
        pages.append(read)
        entries |= read.standing()
    if len(entries) != len(head.entries) + sum(page.left for page in pages):
        return Unreadable(head.pool, "ledger", "one start has a slot in two places")
    if len(entries) > limits.STORED_SLOTS_MAX:
        return Unreadable(head.pool, "ledger", "more slots than a ledger has")
    return replace(head, entries=entries, pages=tuple(pages))
