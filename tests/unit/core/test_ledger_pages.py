"""The places of slots: each has one, few are in the head, and no page is ever changed [WP-43]."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.kit.records import NOW, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.pages import assembled, laid_out
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, Ledger
from workpool_aws.model.pages import LedgerPage, NamedPage
from workpool_aws.model.refs import Unreadable

KEPT = NOW // 1000 + limits.LEDGER_PAGE_KEPT_S


def slots(count: int, *, first: int = 0, confirmed: bool = True) -> dict[EntryKey, Entry]:
    return {
        EntryKey(an_id(NOW + n, n), 1): Entry(EpochMs(NOW + 60_000 + n), confirmed=confirmed)
        for n in range(first, first + count)
    }


def item(token: str, entries: dict[EntryKey, Entry]) -> LedgerPage:
    return LedgerPage(pool="email", token=token, entries=entries, expires_at=KEPT)


def page_of(token: str, entries: dict[EntryKey, Entry]) -> NamedPage:
    return NamedPage(token, len(entries), slots=tuple(sorted(entries.items())), expires_at=KEPT)


@pytest.mark.parametrize("seed", range(8))
def test_every_slot_has_one_place_whatever_starts_and_ends(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of head and pages finds the committed slots after each of 60 commits."""
    for name, value in (("HEAD_SLOTS", 4), ("PAGES", 3), ("PAGES_MERGED", 2)):
        monkeypatch.setattr(limits, f"LEDGER_{name}", value)
    chance = random.Random(seed)
    entries: dict[EntryKey, Entry] = {}
    pages: tuple[NamedPage, ...] = ()
    items: dict[str, LedgerPage | Unreadable] = {}
    for n in range(60):
        entries = {
            key: replace(entry, deadline=entry.deadline + (chance.random() < 0.1), confirmed=True)
            for key, entry in entries.items()
            if chance.random() < 0.9
        }
        entries |= slots(chance.randrange(4), first=10 * n, confirmed=False)
        places = laid_out(entries, pages, NOW)
        if places.page:
            written = item(f"page {n}", dict(places.page))
            items[written.token] = written
            places = places.naming(written)
        pages = places.pages

        bare = tuple(NamedPage(page.token, page.count, page.gone) for page in pages)
        head = Ledger(
            pool="email",
            holder="h",
            generation=1,
            version=n,
            entries=dict(places.head),
            pages=bare,
        )
        found = assembled(head, items)
        assert isinstance(found, Ledger)
        assert found.entries == entries
        assert found.pages == pages
        assert len(pages) <= limits.LEDGER_PAGES + 1
        assert all(2 * page.left >= page.count for page in pages)
        confirmed = sum(entry.confirmed for entry in places.head.values())
        assert confirmed <= limits.LEDGER_HEAD_SLOTS + limits.LEDGER_HEAD_SLOTS // 2


def test_head_that_is_small_stays_as_it_is() -> None:
    entries = slots(limits.LEDGER_HEAD_SLOTS)

    assert laid_out(entries, (), NOW).head == entries


def test_newest_slots_and_those_that_will_change_stay_in_head() -> None:
    old, new = slots(limits.LEDGER_HEAD_SLOTS), slots(20, first=1_000, confirmed=False)
    run = EntryKey(an_id(NOW, 2_000), 1)
    shared = {run: Entry(NOW, confirmed=True, run=run)}

    places = laid_out({**old, **new, **shared}, (), NOW)

    assert places.head.keys() >= new.keys() | shared.keys()
    assert len(places.head) == 21 + limits.LEDGER_HEAD_SLOTS // 4
    assert max(places.page) < min(places.head.keys() & old.keys())


def test_head_of_slots_that_are_not_confirmed_is_no_page() -> None:
    assert laid_out(slots(400, confirmed=False), (), NOW).page == {}


def test_freed_slot_and_moved_deadline_are_gone_from_their_page() -> None:
    entries = slots(10)
    freed, moved, *_ = entries
    later = {**entries, moved: replace(entries[moved], deadline=EpochMs(NOW + 99_000))}
    del later[freed]

    places = laid_out(later, (page_of("one", entries),), NOW)

    assert places.pages[0].standing() == {
        key: entry for key, entry in later.items() if key != moved
    }
    assert places.head == {moved: later[moved]}


def test_slot_that_comes_back_stands_in_head() -> None:
    """A start that was not made is chosen again: it has the same number."""
    entries = slots(10)
    back, *_ = entries
    without = {key: entry for key, entry in entries.items() if key != back}
    freed = laid_out(without, (page_of("one", entries),), NOW).pages

    places = laid_out(entries, freed, NOW)

    assert places.head == {back: entries[back]}
    assert back not in places.pages[0].standing()


def test_page_of_which_less_than_half_is_left_is_named_no_more() -> None:
    entries = slots(10)
    half = dict(list(entries.items())[5:])
    less = dict(list(entries.items())[6:])

    assert laid_out(half, (page_of("one", entries),), NOW).pages
    places = laid_out(less, (page_of("one", entries),), NOW)
    assert (places.head, places.pages) == (less, ())


def test_page_is_written_again_long_before_its_item_expires() -> None:
    entries = slots(10)
    page = page_of("one", entries)
    half = EpochMs(NOW + limits.LEDGER_PAGE_KEPT_S * 500)

    assert laid_out(entries, (page,), half).pages == (page,)
    places = laid_out(entries, (page,), EpochMs(half + 1_000))
    assert (places.head, places.pages) == (entries, ())


def test_emptiest_pages_of_too_many_are_written_as_one() -> None:
    entries: dict[EntryKey, Entry] = {}
    pages = []
    for n in range(limits.LEDGER_PAGES + 1):
        mine = slots(30 + n, first=1_000 * n)
        pages.append(page_of(f"page {n}", mine))
        entries |= mine

    places = laid_out(entries, pages, NOW)

    assert [page.token for page in places.pages] == [
        page.token for page in pages[limits.LEDGER_PAGES_MERGED :]
    ]
    assert len(places.page) > limits.LEDGER_HEAD_SLOTS // 2
