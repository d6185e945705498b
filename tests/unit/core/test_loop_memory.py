"""Memory of a holder: what it keeps, and what it gives up, when the ledger was read again."""

from __future__ import annotations

from dataclasses import replace

from tests.kit.records import NOW, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.ahead import Ahead
from workpool_aws.core.loop.memory import Memory
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, Ledger, PendingCallback

RUNNING, UNSEEN, GONE = (EntryKey(an_id(NOW, n), 1) for n in (1, 2, 3))
LEDGER = Ledger(
    pool="email",
    holder="h",
    generation=1,
    version=1,
    entries={
        RUNNING: Entry(EpochMs(NOW + 60_000), confirmed=True),
        UNSEEN: Entry(EpochMs(NOW + 60_000)),
    },
    callbacks=(PendingCallback(an_id(NOW, 4), NOW),),
)
EMPTY = Ledger(pool="email", holder="h", generation=1, version=2)
USED = Memory(
    ledger=EMPTY,
    unconfirmed=frozenset({RUNNING, GONE}),
    checked={RUNNING: "a notice"},
    config_read_at=NOW,
    deep_read_at=NOW,
)


def test_memory_of_new_holder_doubts_what_is_not_confirmed_and_nothing_else() -> None:
    """[WP-21]"""
    memory = Memory.of(LEDGER)

    assert (memory.ledger, memory.callbacks) == (LEDGER, LEDGER.callbacks)
    assert memory.unconfirmed == {UNSEEN}


def test_memory_that_adopts_ledger_keeps_its_doubts_and_reads_config_again() -> None:
    """[WP-13] [WP-21]"""
    memory = USED.adopting(LEDGER)

    assert memory.unconfirmed == {RUNNING, UNSEEN}
    assert (memory.checked, memory.config_read_at, memory.deep_read_at) == ({}, None, NOW)


def test_memory_that_adopts_ledger_forgets_what_was_read_ahead() -> None:
    """[WP-4] Another holder may have started it meanwhile."""
    memory = replace(USED, ahead=Ahead(NOW, (), more=True))

    assert memory.adopting(LEDGER).ahead is None


def test_memory_that_adopts_ledger_does_not_doubt_what_it_has_sent_itself() -> None:
    """[WP-4] Sent a second time, a start could run twice."""
    memory = Memory(ledger=EMPTY, sent=frozenset({UNSEEN})).adopting(LEDGER)

    assert memory.unconfirmed == frozenset()


def test_memory_in_next_generation_begins_as_new_holders() -> None:
    memory = USED.in_next_generation(LEDGER)

    assert memory.unconfirmed == {UNSEEN}
    assert (memory.config_read_at, memory.deep_read_at) == (None, None)


def test_config_is_kept_longer_while_nothing_is_in_flight() -> None:
    busy = Memory(ledger=LEDGER, config_read_at=NOW)
    quiet = Memory(ledger=EMPTY, config_read_at=NOW)
    at = EpochMs(NOW + limits.CONFIG_EVERY_MS)

    assert (busy.config_is_old(at), quiet.config_is_old(at)) == (True, False)
    assert not busy.config_is_old(EpochMs(at - 1))
    assert quiet.config_is_old(EpochMs(NOW + limits.CONFIG_QUIET_EVERY_MS))


def test_deep_read_is_due_at_first_and_then_every_so_often() -> None:
    """[WP-3]"""
    at = EpochMs(NOW + limits.DEEP_EVERY_MS)

    assert Memory(ledger=EMPTY).deep_read_is_due(NOW)
    assert not USED.deep_read_is_due(EpochMs(at - 1))
    assert USED.deep_read_is_due(at)
