"""Counts what the ledger costs an action with thousands of work items in flight.

Only the ledger is simulated, by the code of the loop: its rule of places, its packing, and the sizes by
which DynamoDB bills. A whole cloud with ten thousand running functions would take an hour.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workpool_aws.adapters.items.capacity import item_size, write_units
from workpool_aws.adapters.items.codec import encode
from workpool_aws.core.loop.pages import laid_out
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import Entry, EntryKey, Ledger
from workpool_aws.model.pages import LedgerPage

if TYPE_CHECKING:
    from workpool_aws.model.pages import NamedPage

__all__ = ["FULL_LEDGERS", "FullLedger", "LedgerCost"]

_NOW: Final = 1_780_000_000_000
_DEADLINE_MS: Final = 15 * 60_000
_LOOKS: Final = 25
"""One of so many passes is also packed into one item, which takes long."""
_EXPIRES_AT: Final = _NOW // 1_000 + 14 * 86_400


@dataclass(frozen=True, slots=True)
class LedgerCost:
    """Write units of the ledger an action, in pages and in one item, and bytes of pages an action."""

    write_units: float
    in_one_item: float
    pages: int
    """Most pages at one time."""
    page_bytes: float


@dataclass(frozen=True, slots=True)
class FullLedger:
    """So many work items in flight, each for `takes_s` on the mean, and a pass each `pass_ms`.

    `long`: so many others that outlast the measurement.
    """

    name: str
    in_flight: int
    takes_s: float
    pass_ms: int
    long: int = 0
    write_units_max: float = 0.5

    def measure(self, seed: int) -> LedgerCost:
        """Return the costs after the first third of the time."""
        return _Loads(self, random.Random(seed)).run()  # noqa: S311 - durations of a benchmark


FULL_LEDGERS: Final = (
    FullLedger("ledger: 10,000 in flight for 10 s each", 10_000, 10, 250),
    FullLedger("ledger: 10,000 in flight for 10 min each", 10_000, 600, 800),
    FullLedger("ledger: 9,900 long, 10 short a second", 6, 0.6, 800, long=9_900),
    FullLedger("ledger: 1,000 in flight for 1 s each", 1_000, 1, 250),
)


class _Loads:
    """The passes of one load."""

    def __init__(self, load: FullLedger, chance: random.Random) -> None:
        self._load, self._chance = load, chance
        self._now = EpochMs(_NOW)
        self._entries: dict[EntryKey, Entry] = {}
        self._ends: list[tuple[float, EntryKey]] = []
        self._pages: tuple[NamedPage, ...] = ()
        self._ledger = Ledger(pool="benchmark", holder="h" * 16, generation=9, version=10**5)
        for _ in range(load.long):
            self._start(confirmed=True)
        for _ in range(load.in_flight):
            self._start(ends_in_s=load.takes_s * chance.random(), confirmed=True)

    def run(self) -> LedgerCost:
        load = self._load
        passes = max(60, round(1.5 * load.takes_s * 1_000 / load.pass_ms))
        actions = units = one = most = page_bytes = 0
        for number in range(passes):
            settled = self._settle()
            spent, written = self._commit()
            most = max(most, len(self._pages))
            if number < passes // 3:
                continue
            actions += settled
            units += spent
            page_bytes += written
            if number % _LOOKS == 0:
                size = self._item(())
                one += _LOOKS * write_units(size, size)
        return LedgerCost(units / actions, one / actions, most, page_bytes / actions)

    def _start(self, *, ends_in_s: float | None = None, confirmed: bool = False) -> None:
        work_id = WorkId(make_id(self._now, random_bits=self._chance.getrandbits(74)))
        key = EntryKey(work_id, 1)
        deadline = EpochMs(self._now + _DEADLINE_MS + self._chance.randrange(200))
        self._entries[key] = Entry(deadline, confirmed=confirmed)
        if ends_in_s is not None:
            heapq.heappush(self._ends, (self._now + 1_000 * ends_in_s, key))

    def _settle(self) -> int:
        """Let those end that are over, and start as many. Return their number."""
        before, self._now = self._now, EpochMs(self._now + self._load.pass_ms)
        for key, entry in self._entries.items():
            if not entry.confirmed:
                self._entries[key] = Entry(entry.deadline, confirmed=True)
        settled = 0
        while self._ends and self._ends[0][0] <= self._now:
            _, key = heapq.heappop(self._ends)
            del self._entries[key]
            settled += 1
        now = self._now
        for _ in range(settled):
            self._now = EpochMs(self._chance.randrange(before, now))
            self._start(ends_in_s=self._load.takes_s * self._chance.uniform(0.5, 1.5))
        self._now = now
        return settled

    def _commit(self) -> tuple[int, int]:
        """Return the units of a commit with its page, and the bytes of that."""
        places = laid_out(self._entries, self._pages, EpochMs(_NOW))
        written = 0
        if places.page:
            page = LedgerPage(
                pool="benchmark",
                token=f"{self._chance.getrandbits(64):016x}",
                entries=dict(places.page),
                expires_at=_EXPIRES_AT,
            )
            written = item_size(encode(page))
            places = places.naming(page)
        self._pages = places.pages
        head = self._item(places.pages)
        return write_units(head, head) + (write_units(0, written) if written else 0), written

    def _item(self, pages: tuple[NamedPage, ...]) -> int:
        ledger = Ledger(
            pool=self._ledger.pool,
            holder=self._ledger.holder,
            generation=self._ledger.generation,
            version=self._ledger.version,
            entries=self._entries,
            pages=pages,
            committed_by="c" * 16,
        )
        return item_size(encode(ledger))
