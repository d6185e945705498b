"""Only the holder commits, at the version that it read; only what stands in a committed ledger is started [WP-2]."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import Stage, order, undecorated_stage
from tests.kit.stores import (
    Fault,
    dies_after,
    dies_before,
    first,
    lost_after,
    lost_before,
    puts,
    repeated,
    then,
    updates,
)
from workpool_aws.core import limits
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.flow.pool.kick import kick
from workpool_aws.model.events import (
    HandedOver,
    LoopEnded,
    LoopFenced,
    LoopRested,
    LoopTook,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, Ledger, LoopState
from workpool_aws.model.refs import LedgerRef, StatusRef, WorkRef
from workpool_aws.model.work import State

COMMIT = updates(LedgerRef, "entries")


def overtake(stage: Stage) -> None:
    """Another loop runs, under a later generation."""
    stage.place(replace(stage.status(), generation=7, lease_until=EpochMs(NOW + 99_000)))


@pytest.mark.parametrize("decorated", [True, False])
def test_ledger_is_committed_before_work_is_started(*, decorated: bool) -> None:
    """[WP-2] A decorated worker makes its start itself."""
    stage = Stage()
    stage.invoker.claims = decorated
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run()

    deeds = [note for note in stage.notes if note in {"commit", "start", "invoke"}]
    assert deeds[:3] == ["commit", *(("invoke", "start") if decorated else ("start", "invoke"))]


def test_loop_that_dies_before_its_commit_has_started_nothing() -> None:
    """[WP-2]"""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(COMMIT, dies_before)
    stage.run(10_000)

    assert stage.work(work_id).state is State.PENDING
    assert stage.invoker.started == []


@pytest.mark.peer("OL10", "BW09")
def test_hold_is_won_by_one_of_two_deliveries() -> None:
    """[WP-2] Lambda may deliver one loop invocation twice."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    (kicked,) = stage.invoker.loops
    stage.store.plan(COMMIT, first(lambda: stage.serve(kicked)))
    stage.run()

    assert len(stage.telemetry.of(LoopFenced)) == 1
    assert len(stage.invoker.started) == 1


@pytest.mark.peer("BW09")
def test_second_delivery_does_nothing_beside_first() -> None:
    """[WP-2] It reads status and ledger and writes nothing: what it would find is the other's to act on."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=60))
    (kicked,) = stage.invoker.loops
    done: list[str] = []

    def second() -> None:
        before = len(stage.notes)
        stage.serve(kicked)
        done.extend(stage.notes[before:])

    stage.after(5_000, second)
    stage.run(20_000)

    assert done == ["get StatusRef", "get LedgerRef"]
    assert len(stage.telemetry.of(LoopFenced)) == 1


@pytest.mark.peer("BW09", "OL09", "BW06")
def test_late_delivery_of_older_generation_does_not_take_hold() -> None:
    """[WP-2]"""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run()
    stage.pool().enqueue_action(None, TARGET, {})
    newer = stage.invoker.loops.pop()
    before = stage.ledger()
    stage.serve(order(1))

    assert newer.generation == stage.generation()
    assert stage.ledger() == before
    assert len(stage.invoker.started) == 1


@pytest.mark.peer("OL10")
def test_loop_that_was_frozen_cannot_commit_past_next_holder() -> None:
    """[WP-2] Both read the same due work items. Together they must not start more than the limit."""
    stage = Stage(takes_ms=None)
    stage.pool(max_parallelism=2).enqueue_action_batch(None, TARGET, [{}] * 4)

    def next_holder() -> None:
        stage.place(replace(stage.status(), lease_until=EpochMs(NOW)))
        kick(stage.ports, POOL, KickReason.WATCHDOG)
        stage.kill_at(5_000)
        stage.serve(stage.invoker.loops.pop())

    stage.store.plan(COMMIT, first(next_holder))
    stage.run(60_000)

    assert len(stage.invoker.started) == 2
    assert len({a.work_id for a in stage.invoker.started}) == 2
    assert len(stage.telemetry.of(LoopFenced)) == 1


def test_commit_names_its_holder() -> None:
    """[WP-2] Another invocation that holds the ledger at the very version that a commit read keeps it."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})

    def another() -> None:
        stage.place(replace(stage.ledger(), holder="somebody else"))

    stage.store.plan(COMMIT, first(another))
    stage.run(10_000)

    assert stage.invoker.started == []
    assert stage.ledger().holder == "somebody else"
    assert len(stage.telemetry.of(LoopFenced)) == 1


def test_commit_names_its_generation() -> None:
    """[WP-2]"""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(COMMIT, first(lambda: stage.place(replace(stage.ledger(), generation=9))))
    stage.run(10_000)

    assert stage.invoker.started == []
    assert len(stage.telemetry.of(LoopFenced)) == 1


@pytest.mark.parametrize("fault", [repeated, lost_after])
def test_commit_whose_answer_was_lost_is_its_own(fault: Fault) -> None:
    """[WP-2] Neither fenced off by itself, nor started twice."""
    stage = Stage()
    ids = stage.pool().enqueue_action_batch(None, TARGET, [{}] * 2)
    stage.store.plan(COMMIT, fault)
    stage.run()

    assert [stage.work(work_id).state for work_id in ids] == [State.FINISHED] * 2
    assert len(stage.invoker.started) == 2
    assert stage.telemetry.of(LoopFenced) == []
    assert stage.status().state is LoopState.IDLE


def test_commit_that_did_not_go_through_casts_no_doubt_on_what_runs() -> None:
    """[WP-2] What this very loop has sent, it need not look at."""
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    pool.enqueue_action(None, TARGET, {})
    pool.enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=5))
    stage.after(3_000, lambda: stage.store.plan(COMMIT, lost_before))
    stage.run(20_000)

    assert len(stage.invoker.started) == 2
    assert "get many" not in stage.notes


def test_repeated_commit_is_taken_for_what_it_is() -> None:
    """[WP-2] No second pass is needed to find out that the first one went through: the work starts at once."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(COMMIT, repeated)
    stage.notes.clear()
    stage.run()

    assert stage.notes[: stage.notes.index("invoke")].count("get ConfigRef") == 1


@pytest.mark.parametrize("first_ever", [True, False])
def test_taking_hold_whose_answer_was_lost_is_its_own(*, first_ever: bool) -> None:
    """[WP-2]"""
    stage = Stage()
    if not first_ever:
        stage.pool().enqueue_action(None, TARGET, {})
        stage.run()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(puts(Ledger) if first_ever else updates(LedgerRef, "holder"), repeated)
    stage.run()

    assert stage.work(work_id).state is State.FINISHED
    assert stage.telemetry.of(LoopFenced) == []


def test_loops_that_both_see_no_ledger_make_one() -> None:
    """[WP-2] The second must not forget what the first has started."""
    stage = Stage(takes_ms=None)
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 2)
    (kicked,) = stage.invoker.loops

    def faster() -> None:
        stage.kill_at(500)
        stage.serve(kicked)

    stage.store.plan(puts(Ledger), first(faster))
    stage.run(20_000)

    assert len(stage.invoker.started) == 1
    assert len(stage.ledger().entries) == 1
    assert len(stage.telemetry.of(LoopFenced)) == 1


def second_holder(stage: Stage) -> Ledger:
    """The ledger of a pool that has run a work item and has another, which its loop has not seen."""
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run()
    before = stage.ledger()
    stage.pool().enqueue_action(None, TARGET, {})
    return before


def test_taking_hold_bumps_version() -> None:
    """[WP-2] The version is the fence: a commit of the holder before must find another one."""
    stage = Stage()
    before = second_holder(stage)
    in_flight = {EntryKey(an_id(NOW, 7), 1): Entry(EpochMs(NOW + 600_000))}
    stage.place(replace(before, entries=in_flight))
    stage.store.plan(COMMIT, dies_before)
    stage.run(1_000)

    assert stage.ledger().version == before.version + 1
    assert stage.ledger().holder != before.holder
    assert stage.ledger().generation == stage.generation()


def test_first_commit_takes_hold_where_nothing_is_in_flight() -> None:
    """[WP-2] By one write, which starts what is due."""
    stage = Stage()
    before = second_holder(stage)
    stage.store.plan(COMMIT, dies_after)
    stage.run(1_000)

    assert stage.ledger().version == before.version + 1
    assert stage.ledger().holder != before.holder
    assert stage.ledger().generation == stage.generation()
    assert len(stage.ledger().entries) == 1


def test_loop_with_nothing_to_do_takes_hold_all_the_same() -> None:
    """[WP-2] Each later pass is its holder's."""
    stage = Stage()
    second_holder(stage)
    stage.pool().configure(None, paused=True)
    stage.run(1_000)

    assert stage.ledger().generation == stage.generation()


def test_commit_of_former_holder_before_first_one_is_not_lost() -> None:
    """[WP-1] [WP-2] What it has started is in flight: the loop takes the ledger then, and looks at it."""
    stage = Stage()
    before = second_holder(stage)
    theirs = EntryKey(an_id(NOW, 7), 1)
    entries = {theirs: Entry(EpochMs(NOW + 99_000_000), confirmed=True)}
    late = replace(before, version=before.version + 1, entries=entries)
    stage.store.plan(COMMIT, first(lambda: stage.place(late)))
    stage.run(500)

    assert len(stage.invoker.started) == 2
    assert theirs in stage.ledger().entries
    assert stage.ledger().generation == stage.generation()
    assert len(stage.telemetry.of(LoopTook)) == 2


def test_first_commit_whose_answer_was_lost_is_its_own() -> None:
    """[WP-2] Either the answer or the repetition shows it."""
    for lost in (repeated, lost_after):
        stage = Stage()
        second_holder(stage)
        stage.store.plan(COMMIT, lost)
        stage.run()

        assert len(stage.invoker.started) == 2
        assert stage.ledger().entries == {}
        assert stage.telemetry.of(LoopFenced) == []
        assert stage.telemetry.of(LoopTook)[1].in_flight == 0, (
            "it began again, as a holder of others' starts does"
        )


def test_first_commit_that_did_not_land_is_made_by_holder() -> None:
    """[WP-2] [WP-20]"""
    stage = Stage()
    second_holder(stage)
    stage.store.plan(COMMIT, lost_before)
    stage.run()

    assert len(stage.invoker.started) == 2
    assert stage.ledger().entries == {}
    assert len(stage.telemetry.of(LoopTook)) == 2


def test_config_that_changes_before_first_commit_is_in_force() -> None:
    """[WP-13] It bumps the version that the loop has read."""
    stage = Stage()
    second_holder(stage)
    stage.store.plan(COMMIT, first(lambda: stage.pool().configure(None, paused=True)))
    stage.run(1_000)

    assert len(stage.invoker.started) == 1
    assert stage.ledger().generation == stage.generation()


def test_new_holder_starts_what_was_committed_and_never_started() -> None:
    """[WP-21] The one before died between its commit and the start."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(COMMIT, dies_after)
    stage.run(120_000, watchdog=True)

    assert stage.work(work_id).state is State.FINISHED
    assert [(a.work_id, a.start) for a in stage.invoker.started] == [(work_id, 1)]


def test_new_holder_does_not_send_what_one_before_may_have_sent() -> None:
    """[WP-4] It died after the start write, perhaps after its invoke."""
    stage = undecorated_stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(updates(WorkRef, "starts"), dies_after)
    stage.run(60_000, watchdog=True)

    assert stage.invoker.started == []
    assert stage.work(work_id).state is State.RUNNING
    assert set(stage.ledger().entries) == {EntryKey(work_id, 1)}


def test_new_holder_keeps_slot_of_what_runs() -> None:
    """[WP-1] An entry that was not confirmed may be running."""
    stage = Stage(takes_ms=None)
    running = a_running_work(started_by="the loop before")
    entry = {EntryKey(running.id, 1): Entry(EpochMs(NOW + 60_000))}
    stage.place(
        running, Ledger(pool=POOL, holder="the loop before", generation=1, version=3, entries=entry)
    )
    waiting = stage.pool(max_parallelism=1).enqueue_action(None, TARGET, {})
    stage.serve(order(2))

    assert stage.invoker.started == []
    assert stage.work(waiting).state is State.PENDING


def test_status_write_of_older_generation_is_fenced_off() -> None:
    """[WP-2] A loop that was overtaken must not say that the pool rests."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(updates(StatusRef, state=LoopState.IDLE), first(lambda: overtake(stage)))
    stage.run(30_000)

    assert (stage.status().state, stage.status().generation) == (LoopState.RUNNING, 7)
    assert stage.telemetry.of(LoopRested) == []
    assert len(stage.telemetry.of(LoopFenced)) == 1


def test_status_write_whose_answer_was_lost_is_its_own() -> None:
    """[WP-22]"""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(updates(StatusRef, state=LoopState.IDLE), repeated)
    stage.run()

    assert [event.state for event in stage.telemetry.of(LoopRested)] == ["idle"]
    assert stage.telemetry.of(LoopFenced) == []


def test_trouble_with_table_ends_loop_and_watchdog_starts_another() -> None:
    """[WP-20]"""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(puts(Ledger), lost_before)
    stage.run(120_000, watchdog=True)

    assert len(stage.telemetry.of(LoopEnded)) == 1
    assert stage.work(work_id).state is State.FINISHED


def test_loop_renews_its_lease_while_it_lives() -> None:
    """[WP-20] No watchdog starts a second loop beside one that works."""
    stage = Stage(takes_ms=400)
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 110)
    leases: list[bool] = []
    for second in range(1, 40):
        stage.after(
            second * 1_000, lambda: leases.append(stage.status().lease_until > stage.clock.at)
        )
    stage.run(120_000, watchdog=True)

    assert set(leases) == {True}
    assert stage.notes.count("status renewed") >= 1
    assert stage.generation() == 1


def test_loop_hands_over_before_its_lambda_ends() -> None:
    """[WP-20] The next generation goes on where it was, without waiting for a watchdog."""
    stage = Stage(takes_ms=400)
    ids = stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 70)
    stage.serve(stage.invoker.loops.pop(), lives_ms=40_000)
    (handed,) = stage.invoker.loops
    left = [work_id for work_id in ids if stage.work(work_id).state is State.PENDING]
    at = stage.clock.at
    stage.run()

    assert at <= NOW + 20_000 + 1_000
    assert left
    assert handed.generation == 2
    assert {stage.work(work_id).state for work_id in ids} == {State.FINISHED}


def test_loop_that_was_overtaken_hands_nothing_over() -> None:
    """[WP-2]"""
    stage = Stage(takes_ms=400)
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 70)
    stage.after(15_000, lambda: overtake(stage))
    stage.serve(stage.invoker.loops.pop(), lives_ms=40_000)

    assert stage.invoker.loops == []
    assert stage.generation() == 7


def test_work_that_was_canceled_between_commit_and_start_is_not_started() -> None:
    """[WP-2] [WP-7] The start write finds what is not pending any more."""
    stage = undecorated_stage()
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    stage.store.plan(COMMIT, then(lambda: pool.cancel(None, work_id)))
    stage.run()

    assert stage.invoker.started == []
    assert stage.status().state is LoopState.IDLE


def test_due_work_of_other_loops_start_is_not_started_twice() -> None:
    """[WP-4] Its start number does not fit any more."""
    stage = undecorated_stage(takes_ms=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    put_back = replace(stage.work(work_id), starts=1)
    stage.store.plan(COMMIT, then(lambda: stage.place(put_back)))
    stage.kill_at(50)
    stage.run(60)

    assert stage.invoker.started == []
    assert stage.work(work_id) == put_back


def test_loop_that_has_handed_over_does_nothing_more() -> None:
    """[WP-2] The next one is at work already."""
    stage = Stage(takes_ms=400)
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 70)
    stage.serve(stage.invoker.loops.pop(), lives_ms=40_000)

    assert [event.generation for event in stage.telemetry.of(HandedOver)] == [2]
    assert stage.telemetry.of(LoopFenced) == []
    assert stage.notes[-1].startswith("status")


def test_loop_that_takes_itself_back_has_whole_lease(stage: Stage) -> None:
    """[WP-20] Else the watchdog would start another beside it."""
    stage.pool().enqueue_action(None, TARGET, {})
    late = a_work(id=an_id(NOW - 3_000, 7), due_at=NOW - 3_000)
    rested: list[int] = []

    def meanwhile() -> None:
        rested.append(stage.clock.at)
        stage.place(late)

    stage.store.plan(updates(StatusRef, state=LoopState.IDLE), then(meanwhile))
    stage.run(10_000)

    assert stage.status().lease_until == rested[0] + limits.LEASE_MS


def test_next_generation_gets_whole_lease(stage: Stage) -> None:
    """[WP-20]"""
    stage.takes_ms = 50
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 300)
    stage.serve(stage.invoker.loops.pop(), lives_ms=40_000)

    assert (stage.generation(), stage.status().lease_until) == (2, stage.clock.at + limits.LEASE_MS)


def test_loop_that_cannot_hand_over_because_it_was_overtaken_says_so(stage: Stage) -> None:
    """[WP-2]"""
    stage.takes_ms = 50
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 300)
    stage.after(15_000, lambda: stage.resting_as(LoopState.RUNNING, generation=7))
    stage.serve(stage.invoker.loops.pop(), lives_ms=40_000)

    assert [event.generation for event in stage.telemetry.of(LoopFenced)] == [1]
    assert stage.invoker.loops == []
