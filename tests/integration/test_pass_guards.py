"""What a pass must not do too often, too fast or alone: guards of `flow/loop/iterate.py`, each where nothing behind it would notice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import FAILED, Stage, order
from tests.kit.stores import then, updates
from workpool_aws import RetryPolicy
from workpool_aws.core import limits
from workpool_aws.core.callback.ending import record_of_cancel
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.events import (
    HandedOver,
    LoopFenced,
    LoopRested,
    NoProgress,
    PassFailed,
    PassReport,
)
from workpool_aws.model.ids import EpochMs, time_of
from workpool_aws.model.loop import Entry, EntryKey, Ledger, LoopState
from workpool_aws.model.refs import Collection, KeyRange, Ref, RowPage, StatusRef, WorkRef
from workpool_aws.model.work import CallbackState, Outcome, State

QUEUE = "arn:aws:sqs:us-east-1:123456789012:ends"


def test_the_buffer_is_read_again_every_so_often_and_not_by_every_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[WP-23] A busy pool's records of the last fifteen seconds are many."""
    stage = Stage(takes_ms=400)
    backs: dict[int, int] = {}
    query = stage.store.query

    def noting(span: KeyRange) -> RowPage:
        if span.shelf is Collection.DONE and span.low and stage.clock.at < NOW + 30_000:
            backs.setdefault(stage.clock.at, stage.clock.at - time_of(span.low))
        return query(span)

    monkeypatch.setattr(stage.store, "query", noting)
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 100)
    stage.run(30_000)
    deep = sum(back_ms >= limits.BUFFER_MS for back_ms in backs.values())

    assert 20_000 // limits.DEEP_EVERY_MS <= deep <= 30_000 // limits.DEEP_EVERY_MS + 1
    assert len(backs) > 10 * deep


@pytest.mark.parametrize(("took_ms", "wait_ms"), [(0, limits.PASS_FLOOR_MS), (700, 1)])
def test_a_pass_after_a_rest_that_was_taken_back_keeps_the_floor(
    took_ms: int, wait_ms: int
) -> None:
    """[WP-23] And no clock sleeps for less than nothing."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    late = a_work(id=an_id(NOW - 3_000, 7), due_at=NOW - 3_000)

    def meanwhile() -> None:
        stage.place(late)
        stage.clock.at += took_ms

    stage.store.plan(updates(StatusRef, state=LoopState.IDLE), then(meanwhile))
    stage.run()

    assert stage.work(late.id).state is State.FINISHED
    assert min(stage.clock.slept_ms) == wait_ms


def test_a_loop_that_has_handed_over_does_nothing_more() -> None:
    """[WP-2] The next one works already."""
    stage = Stage(takes_ms=50)
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 300)
    stage.serve(stage.invoker.loops.pop(), lives_ms=40_000)

    assert [event.generation for event in stage.telemetry.of(HandedOver)] == [2]
    assert stage.telemetry.of(LoopFenced) == []
    assert stage.notes[-1].startswith("status")


def test_callbacks_alone_are_progress() -> None:
    """[WP-23] [WP-8] A loop that does nothing else must not slow down for it."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    owing = [
        a_work(
            id=an_id(n=n + 2),
            state=State.FINISHED,
            outcome=Outcome.CANCELED,
            on_complete=QUEUE,
            callback_for=(Outcome.CANCELED,),
            callback=CallbackState.PENDING,
        )
        for n in range(3 * limits.STALLED_PASSES)
    ]
    for n, work in enumerate(owing):
        at = EpochMs(NOW + 2_000 + 300 * n)
        stage.clock.enter(
            at,
            lambda work=work, at=at: stage.place(
                work, record_of_cancel(work, now=at, random_bits=5)
            ),
        )
    stage.run(60_000)

    assert {stage.work(work.id).callback for work in owing} == {CallbackState.DELIVERED}
    assert stage.telemetry.of(NoProgress) == []


def test_a_drain_alone_is_progress_and_keeps_the_loop_up() -> None:
    """[WP-13] More pages than a loop makes passes in vain, and nothing that is due for an hour."""
    stage = Stage()
    pool = stage.pool()
    ids = pool.enqueue_action_batch(
        None,
        TARGET,
        [{}] * (limits.DRAIN_ROWS * 2 * limits.STALLED_PASSES),
        run_after=timedelta(hours=1),
    )
    pool.cancel_all(None)
    stage.run(20_000)

    assert {stage.work(work_id).state for work_id in ids} == {State.FINISHED}
    assert stage.telemetry.of(NoProgress) == []


def test_a_recovery_that_gets_no_answer_is_not_made_again_by_each_pass() -> None:
    """[WP-23] [WP-21] It may have been written: its record tells, or the next look some seconds later."""
    stage = Stage()
    running = a_running_work(
        started_by="the loop before", claim="worker-1", deadline=EpochMs(NOW - 60_000)
    )
    entry = Entry(EpochMs(NOW - 60_000), confirmed=True)
    stage.place(
        running,
        Ledger(
            pool=POOL,
            holder="the loop before",
            generation=1,
            version=3,
            entries={EntryKey(running.id, 1): entry},
        ),
    )
    stage.resting_as(LoopState.RUNNING, generation=2)
    tried: list[int] = []

    def no_answer(apply: object) -> object:
        tried.append(stage.clock.at)
        raise StoreUnavailable("no answer")

    stage.store.plan(updates(WorkRef, state=State.FINISHED), no_answer, times=2)
    stage.invoker.loops.append(order(2))
    stage.run(120_000)

    assert stage.work(running.id).outcome is Outcome.FAILED
    assert tried[1] - tried[0] >= limits.RECHECK_MS


def test_a_pointer_that_cannot_be_removed_does_not_fail_its_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[WP-12]"""
    stage = Stage(report=FAILED)
    work_id = stage.pool().enqueue_action(
        None, TARGET, {}, retry=RetryPolicy(max_attempts=2, jitter=False)
    )

    def no_answer(ref: Ref) -> None:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(stage.store, "delete", no_answer)
    stage.run()

    assert stage.work(work_id).attempts_made == 2
    assert stage.telemetry.of(PassFailed) == []


def test_a_pass_that_moved_something_is_told_and_no_other() -> None:
    stage = Stage()
    stage.pool().enqueue_action_batch(None, TARGET, [{}] * 3)
    stage.run()

    assert [(event.started, event.settled) for event in stage.telemetry.of(PassReport)] == [
        (3, 0),
        (0, 3),
    ]
    (rested,) = stage.telemetry.of(LoopRested)
    assert rested.passes > 2


def test_a_loop_promises_nothing_for_works_that_run_already() -> None:
    """[WP-22] A promise with each pass would keep it up, polling, for as long as they run."""
    stage = Stage()
    running = [
        a_running_work(
            id=an_id(n=n + 1), started_by="the loop before", deadline=EpochMs(NOW + 3_600_000)
        )
        for n in range(9)
    ]
    entries = {
        EntryKey(work.id, 1): Entry(EpochMs(NOW + 3_600_000), confirmed=True) for work in running
    }
    stage.place(
        *running,
        Ledger(pool=POOL, holder="the loop before", generation=1, version=3, entries=entries),
    )
    stage.resting_as(LoopState.RUNNING, generation=2)
    stage.serve(order(2))

    assert stage.status().state is LoopState.WAITING
    assert stage.clock.at - NOW < limits.PROMISE_MS
