"""The session of a loop: the ledger that it trusts, its lease, and handing over [WP-2].

Each test drives `flow/loop/session.py` alone, where nothing behind it would notice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.kit.records import NOW, POOL, TARGET, an_id
from tests.kit.stage import LAMBDA_MS, Stage
from tests.kit.stores import Apply, first, puts, unanswered, updates
from workpool_aws.core import limits
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.loop.session import Fenced, LoopSession, acquire_session
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, Ledger, LoopState, PendingCallback
from workpool_aws.model.refs import LedgerRef, StatusRef
from workpool_aws.model.writes import Written

GENERATION = 3
RUNNING, UNSEEN, GONE = (EntryKey(an_id(NOW, n), 1) for n in (1, 2, 3))
ENTRIES = {
    RUNNING: Entry(EpochMs(NOW + 60_000), confirmed=True),
    UNSEEN: Entry(EpochMs(NOW + 60_000)),
}
OWED = (PendingCallback(an_id(NOW, 4), EpochMs(NOW + 1_000)),)


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.resting_as(LoopState.RUNNING, generation=GENERATION)
    return stage


def held(stage: Stage, *, lives_ms: int = LAMBDA_MS) -> LoopSession:
    hold = acquire_session(stage.ports, POOL, GENERATION, lambda: lives_ms)
    assert hold is not None
    return hold


@pytest.mark.parametrize("changes", [{}, {"entries": ENTRIES}, {"callbacks": OWED}])
def test_ledger_is_taken_by_commit_only_if_nothing_is_in_flight(
    stage: Stage, changes: dict[str, object]
) -> None:
    """[WP-2] The first pass reads work items and notices at one time, as if no notice freed a slot."""
    held(stage)
    stage.resting_as(LoopState.RUNNING, generation=GENERATION + 1)
    stage.place(replace(stage.ledger(), **changes))
    before = stage.ledger()
    hold = acquire_session(
        stage.ports, POOL, GENERATION + 1, lambda: LAMBDA_MS, status=stage.status(), seen=before
    )

    assert hold is not None
    assert hold.held == bool(changes)
    assert (stage.ledger() == before) == (not changes)


def commit(hold: LoopSession) -> bool:
    return hold.commit(replace(hold.ledger, entries={}, callbacks=()))


@pytest.mark.parametrize("look_fails", [False, True], ids=["at once", "by the next pass"])
def test_commit_without_answer_is_looked_at_although_nothing_is_left_to_do(
    *, look_fails: bool
) -> None:
    """[WP-21] It went through, and what it was about is canceled: the next pass finds nothing to commit, and the slot would stay taken."""
    stage = Stage()
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})

    def canceled_meanwhile(apply: Apply) -> Written:
        apply()
        pool.cancel(None, work_id)
        if look_fails:
            stage.store.before_get(LedgerRef, unanswered)
        raise StoreUnavailable("no answer")

    stage.store.plan(updates(LedgerRef, "entries"), canceled_meanwhile)
    stage.run(60_000)

    assert stage.ledger().entries == {}
    assert stage.status().state is LoopState.IDLE


def test_ledger_that_is_read_again_is_trusted_in_every_part(stage: Stage) -> None:
    """[WP-8] [WP-21] A commit without an answer may have gone through with callbacks that this loop knows nothing of yet."""
    hold = held(stage)
    stage.place(replace(stage.ledger(), entries=ENTRIES, callbacks=OWED, version=9))
    hold.memory = replace(hold.memory, unconfirmed=frozenset({RUNNING, GONE}), config_read_at=NOW)

    hold.reload()

    assert (hold.ledger, hold.memory.callbacks, hold.memory.config_read_at) == (
        stage.ledger(),
        OWED,
        None,
    )
    assert hold.memory.unconfirmed == {RUNNING, UNSEEN}


def test_start_sent_by_this_loop_is_sure_before_its_entry_is_confirmed(stage: Stage) -> None:
    hold = held(stage)
    stage.place(replace(stage.ledger(), entries=ENTRIES))
    hold.memory = replace(hold.memory, sent=frozenset({UNSEEN}))

    hold.reload()

    assert hold.memory.unconfirmed == set()


@pytest.mark.parametrize(
    ("happens", "error"),
    [
        (lambda stage: stage.memory.delete(LedgerRef(POOL)), Fenced),
        (lambda stage: stage.place(replace(stage.ledger(), holder="another", version=9)), Fenced),
        (lambda stage: stage.place(replace(stage.ledger(), generation=9, version=9)), Fenced),
        (lambda stage: stage.damage(LedgerRef(POOL)), StoreUnavailable),
    ],
    ids=["gone", "another's", "another generation's", "damaged"],
)
def test_ledger_that_is_not_this_loops_stops_it(
    stage: Stage, happens: Callable[[Stage], object], error: type[Exception]
) -> None:
    """[WP-2] A damaged one is reported as damaged. No other loop holds it, and people must look."""
    hold = held(stage)
    happens(stage)

    with pytest.raises(error):
        commit(hold)
    with pytest.raises(error):
        hold.reload()


def test_status_that_is_gone_fences_its_loop_off(stage: Stage) -> None:
    hold = held(stage)
    stage.memory.delete(StatusRef(POOL))

    with pytest.raises(Fenced):
        hold.write_status({"state": LoopState.IDLE}, expected=LoopState.RUNNING)


def test_lease_is_renewed_when_less_than_half_of_it_is_left_and_then_not_again(
    stage: Stage,
) -> None:
    """[WP-20] [WP-23] A write for each pass would be a bill."""
    hold = held(stage)
    half = EpochMs(hold.lease_until - limits.LEASE_RENEW_MS)

    hold.renew_lease(half)
    early = stage.notes.count("status renewed")
    hold.renew_lease(EpochMs(half + 1))
    hold.renew_lease(EpochMs(half + 1))

    assert (early, stage.notes.count("status renewed")) == (0, 1)
    assert hold.lease_until == stage.status().lease_until == half + 1 + limits.LEASE_MS


def test_lease_that_kick_wrote_is_taken_for_older_than_it_is(stage: Stage) -> None:
    """[WP-20] The event may have been on its way for a while."""
    assert held(stage).lease_until == NOW + limits.LEASE_MS - limits.LEASE_MS // 3


def test_next_generation_begins_as_new_holder_does(stage: Stage) -> None:
    """[WP-8] [WP-21]"""
    hold = held(stage)
    stage.place(replace(stage.ledger(), entries=ENTRIES, callbacks=OWED))
    hold.memory = replace(
        hold.memory, unconfirmed=frozenset({GONE}), deep_read_at=NOW, config_read_at=NOW
    )

    hold.next_generation()

    assert (hold.generation, stage.ledger().generation) == (GENERATION + 1, GENERATION + 1)
    assert (hold.ledger, hold.memory.callbacks) == (stage.ledger(), OWED)
    assert hold.memory.unconfirmed == {UNSEEN}
    assert (hold.memory.deep_read_at, hold.memory.config_read_at) == (None, None)


def test_new_holder_looks_at_what_was_not_confirmed_and_at_nothing_else(stage: Stage) -> None:
    """[WP-21]"""
    stage.place(
        Ledger(
            pool=POOL,
            holder="the one before",
            generation=1,
            version=3,
            entries=ENTRIES,
            callbacks=OWED,
        )
    )

    hold = held(stage)

    assert (hold.memory.unconfirmed, hold.memory.callbacks) == ({UNSEEN}, OWED)


@pytest.mark.parametrize(
    ("left_ms", "life_ms"),
    [
        (LAMBDA_MS, limits.LOOP_LIFE_MS_MAX),
        (3 * limits.HAND_OVER_MS, 2 * limits.HAND_OVER_MS),
        (limits.HAND_OVER_MS, limits.HAND_OVER_MS // 2),
    ],
    ids=["the longest Lambda", "a short one", "a very short one"],
)
def test_loop_hands_over_before_its_lambda_ends_and_after_half_of_it(
    stage: Stage, left_ms: int, life_ms: int
) -> None:
    """[WP-20]"""
    assert held(stage, lives_ms=left_ms).ends_at == NOW + life_ms


def test_second_maker_of_first_ledger_holds_nothing(stage: Stage) -> None:
    """[WP-2] Were it only fenced off at its first commit, it would read, and rest, meanwhile."""
    other = Ledger(pool=POOL, holder="another", generation=GENERATION, version=1)
    stage.store.plan(puts(Ledger), first(lambda: stage.place(other)))

    assert acquire_session(stage.ports, POOL, GENERATION, lambda: LAMBDA_MS) is None
    assert stage.ledger() == other
