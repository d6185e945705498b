"""A ledger of many slots has most of them in pages, and every reader counts them [WP-43]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import Stage, watched_stage
from tests.kit.stores import Fault, dies_before, first, lost_before, puts, updates
from workpool_aws.core import limits
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.flow.ledger import ledger_of, read_ledger
from workpool_aws.flow.loop import run_pass
from workpool_aws.flow.loop.session import acquire_session
from workpool_aws.flow.pool.kick import kick
from workpool_aws.flow.reading import works_of
from workpool_aws.flow.watchdog.watch import needs_a_kick
from workpool_aws.model.events import ControlRepaired, PassFailed
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import Entry, EntryKey, Ledger, LoopState
from workpool_aws.model.pages import LedgerPage, NamedPage
from workpool_aws.model.refs import LedgerPageRef, LedgerRef, Unreadable
from workpool_aws.model.work import State
from workpool_aws.ports import Store

COMMIT = updates(LedgerRef, "entries")
RUNNING = [EntryKey(an_id(NOW - 60_000, n), 1) for n in range(3)]
SLOTS = {key: Entry(EpochMs(NOW + 3_600_000), confirmed=True) for key in RUNNING}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEDGER_HEAD_SLOTS", 2)


def crowd(fault: Fault | None = None) -> Stage:
    """Return a stage on which six work items run for a minute, most of them in a page.

    The second commit has those of the first as confirmed. `fault`: of the write of the page.
    """
    stage = Stage(takes_ms=60_000)
    pool = stage.pool(max_parallelism=6)
    pool.enqueue_action_batch(None, TARGET, [{}] * 5)
    stage.run(2_000)
    if fault is not None:
        stage.store.plan(puts(LedgerPage), fault)
    pool.enqueue_action(None, TARGET, {})
    stage.run(3_000)
    return stage


def full_pool(*, gone: int = 0) -> Stage:
    """Return the stage of a pool with one more work item than slots, all of which lie in a page."""
    stage = watched_stage(limit=len(RUNNING))
    for key in RUNNING:
        stage.place(a_running_work(id=key.work_id, deadline=EpochMs(NOW + 3_600_000)))
    stage.place(
        LedgerPage(pool=POOL, token="one", entries=SLOTS, expires_at=NOW // 1000 + 10**6),
        replace(stage.ledger(), pages=(NamedPage("one", len(SLOTS), gone),)),
        a_work(id=an_id(NOW, 9), due_at=NOW),
    )
    return stage


def paged(stage: Stage) -> set[EntryKey]:
    """Return the slots that lie in pages."""
    whole = ledger_of(stage.memory, POOL)
    assert whole is not None
    return {key for page in whole.pages for key in page.standing()}


def test_page_is_written_before_commit_that_names_it_and_every_slot_has_one_place() -> None:
    """[WP-43]"""
    stage = crowd()
    assert len(stage.invoker.started) == 6
    head, whole = stage.ledger(), ledger_of(stage.memory, POOL)

    assert whole is not None
    assert len(paged(stage)) >= 4
    assert {key.work_id for key in whole.entries} == {a.work_id for a in stage.invoker.started}
    assert head.entries.keys().isdisjoint(paged(stage))
    named = stage.notes.index("put LedgerPage")
    assert "commit" in stage.notes[named:]


def test_slots_of_pages_are_freed_and_ledger_at_rest_has_no_pages() -> None:
    stage = crowd()
    more = stage.pool().enqueue_action_batch(None, TARGET, [{}] * 6)
    stage.run(100_000)
    assert {stage.work(work_id).state for work_id in more} == {State.RUNNING}
    stage.run()

    assert {work.state for work in stage.works()} == {State.FINISHED}
    assert (stage.ledger().entries, stage.ledger().pages) == ({}, ())
    assert stage.status().state is LoopState.IDLE


def test_next_holder_counts_slots_of_pages() -> None:
    """[WP-1]"""
    stage = crowd()
    waiting = stage.pool().enqueue_action(None, TARGET, {})
    before = stage.generation()
    kick(stage.ports, POOL, KickReason.WATCHDOG)
    stage.run(30_000, watchdog=True)

    assert stage.ledger().generation > before
    assert len(stage.invoker.started) == 6
    assert stage.work(waiting).state is State.PENDING
    stage.run(watchdog=True)
    assert {work.state for work in stage.works()} == {State.FINISHED}
    assert len(stage.invoker.started) == 7


def test_commit_that_met_change_of_limits_is_made_again_with_slots_of_pages() -> None:
    """[WP-1, WP-13]"""
    stage = crowd()
    pool = stage.pool()
    stage.store.plan(COMMIT, first(lambda: pool.configure(None, max_parallelism=7)))
    pool.configure(None, max_parallelism=9)
    pool.enqueue_action_batch(None, TARGET, [{}] * 4)
    stage.run(10_000)

    assert len(stage.invoker.started) == 7


@pytest.mark.parametrize("fault", [lost_before, dies_before])
def test_page_that_was_not_written_is_named_by_no_commit(fault: Fault) -> None:
    """[WP-43]"""
    stage = crowd(fault)
    assert isinstance(read_ledger(stage.memory, POOL), Ledger)
    assert "died" in stage.notes or stage.telemetry.of(PassFailed)
    stage.run(watchdog=True)

    assert {work.state for work in stage.works()} == {State.FINISHED}
    assert len(stage.invoker.started) == 6


def test_ledger_is_not_taken_by_commit_where_pages_have_its_slots() -> None:
    """[WP-1] Its own item has none."""
    stage = full_pool()
    kick(stage.ports, POOL, KickReason.WATCHDOG)
    stage.run(20_000)

    assert stage.status().generation == 2
    assert stage.invoker.started == []


def test_slot_that_is_gone_from_its_page_is_free() -> None:
    stage = full_pool(gone=0b010)
    kick(stage.ports, POOL, KickReason.WATCHDOG)
    stage.run(20_000)

    assert [a.work_id for a in stage.invoker.started] == [an_id(NOW, 9)]


def _missing(stage: Stage) -> None:
    stage.memory.delete(LedgerPageRef(POOL, "one"))


def _damaged(stage: Stage) -> None:
    stage.damage(LedgerPageRef(POOL, "one"))


def _another(stage: Stage) -> None:
    stage.place(LedgerPage(pool=POOL, token="one", entries={}, expires_at=1))


def _twice(stage: Stage) -> None:
    stage.place(replace(stage.ledger(), entries={RUNNING[0]: SLOTS[RUNNING[0]]}))


@pytest.mark.parametrize("damage", [_missing, _damaged, _another, _twice])
def test_ledger_whose_page_is_not_there_is_made_anew_from_work_items(
    damage: Callable[[Stage], None],
) -> None:
    """[WP-1, WP-12] It would start too much otherwise."""
    stage = full_pool()
    damage(stage)
    assert isinstance(read_ledger(stage.memory, POOL), Unreadable)
    stage.watch()
    stage.run(20_000)

    assert [fact.item for fact in stage.telemetry.of(ControlRepaired)] == ["ledger"]
    assert stage.invoker.started == []
    whole = ledger_of(stage.memory, POOL)
    assert whole is not None
    assert whole.entries.keys() == set(RUNNING)


def test_watchdog_counts_slots_of_pages() -> None:
    """[WP-22] It would kick a full pool once a minute, for ever."""
    for gone, reason in ((0, None), (0b100, "due work, free slots, no loop")):
        stage = full_pool(gone=gone)
        found = needs_a_kick(stage.store, stage.telemetry, POOL, stage.clock.now())
        assert found == reason


def test_people_see_work_items_of_pages() -> None:
    stage = full_pool()
    pool = stage.pool()

    assert pool.stats(None).running == 3
    assert {work.work_id for work in pool.list(None, state="running").items} == {
        str(key.work_id) for key in RUNNING
    }
    waits = pool.why(None, WorkId(an_id(NOW, 9)))
    assert "slots_taken" in {reason.code for reason in waits.reasons}


@pytest.mark.parametrize("token", ["", "a b", "x" * 65])
def test_head_that_names_what_is_no_page_is_made_anew(token: str) -> None:
    """[WP-12]"""
    stage = full_pool()
    stage.place(replace(stage.ledger(), entries={}, pages=(NamedPage(token, 3),)))
    kick(stage.ports, POOL, KickReason.ENQUEUE)
    stage.run(20_000)

    assert [fact.item for fact in stage.telemetry.of(ControlRepaired)] == ["ledger"]
    assert stage.invoker.started == []


def test_former_holder_does_not_repair_pages_of_next_one() -> None:
    """[WP-2] The next one knows its slots, and need not have met the damage."""
    stage = full_pool()
    head = replace(stage.ledger(), generation=9, holder="the next one")
    stage.place(head, replace(stage.status(), generation=9))
    stage.memory.delete(LedgerPageRef(POOL, "one"))

    assert acquire_session(stage.ports, POOL, 8, lambda: 900_000) is None
    assert stage.ledger() == head


def test_pass_looks_at_some_of_those_that_are_overdue_and_next_ones_at_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[WP-14] Else each pass would read all that were lost at one time, and recover a few."""
    looks: list[int] = []

    def noting(store: Store, pool: str, starts: Sequence[EntryKey]) -> object:
        looks.append(len(starts))
        return works_of(store, pool, starts)

    monkeypatch.setattr(run_pass, "works_of", noting)
    lost = 3 * limits.OVERDUE_A_PASS
    stage = watched_stage(limit=lost)
    keys = [EntryKey(an_id(NOW - 600_000, n), 1) for n in range(lost)]
    over = EpochMs(NOW - 60_000)
    stage.place(*(a_running_work(id=key.work_id, deadline=over) for key in keys))
    stage.place(replace(stage.ledger(), entries={key: Entry(over, confirmed=True) for key in keys}))
    kick(stage.ports, POOL, KickReason.WATCHDOG)
    stage.run(60_000)

    assert {work.state for work in stage.works()} == {State.FINISHED}
    assert max(looks) == limits.OVERDUE_A_PASS
    assert sum(looks) < 3 * lost
