"""After `cancel_all` answered, no start of what was enqueued before is committed, and nothing enqueued later is lost [WP-3, WP-13]."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_work, an_id
from tests.kit.stage import FAILED, SUCCESS, Stage
from tests.kit.stores import (
    Died,
    Fault,
    Match,
    bumps,
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
from workpool_aws import RetryPolicy, StoreUnavailable
from workpool_aws.core import limits
from workpool_aws.model.events import CancelAllAsked, Drained, NoProgress, WatchdogActed
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import Config, LoopState, LoopStatus
from workpool_aws.model.refs import Collection, ConfigRef, StatusRef, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import Pointer, State, WorkItem
from workpool_aws.model.writes import Update, Write, Written

LATER = timedelta(hours=1)


def raises_epoch(write: Write) -> bool:
    return updates(StatusRef)(write) and isinstance(write, Update) and "epoch" in write.add


def test_pass_that_read_old_config_cannot_commit() -> None:
    """[WP-13]"""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.before_query(Collection.WORK, lambda: stage.pool().cancel_all(None))
    stage.run()

    assert stage.invoker.started == []
    assert stage.work(work_id).outcome is Outcome.CANCELED


def test_start_committed_before_cancel_all_may_go_out_and_is_asked() -> None:
    """[WP-13]"""
    stage = Stage(takes_ms=5_000, report=FAILED)
    work_id = stage.pool().enqueue_action(None, TARGET, {}, retry=True)
    stage.after(1_000, lambda: stage.pool().cancel_all(None))
    stage.run()

    assert len(stage.invoker.started) == 1
    assert (stage.work(work_id).outcome, stage.work(work_id).cancel_requested) == (
        Outcome.CANCELED,
        True,
    )


def test_works_that_run_are_looked_at_once_however_many_pages_are_canceled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[WP-23]"""
    monkeypatch.setattr(limits, "BULK_CANCEL_ROWS", 50)
    stage = Stage(takes_ms=60_000)
    stage.pool(max_parallelism=3).enqueue_action_batch(
        None, TARGET, [{}] * (3 * limits.BULK_CANCEL_ROWS), retry=True
    )
    stage.after(1_000, lambda: stage.pool().cancel_all(None))
    stage.run(5_000)

    assert (
        sum(work.outcome is Outcome.CANCELED for work in stage.works())
        == 3 * limits.BULK_CANCEL_ROWS - 3
    )
    assert stage.notes.count("get many") == 1


def test_works_that_waited_for_far_retry_leave_no_pointer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[WP-22] Those lie pages after their work items, and no read would meet them before their time."""
    monkeypatch.setattr(limits, "BULK_CANCEL_ROWS", 50)
    works = 2 * limits.BULK_CANCEL_ROWS + 25
    stage = Stage(takes_ms=100, report=FAILED)
    far = RetryPolicy(max_attempts=2, initial_backoff=timedelta(minutes=10), jitter=False)
    stage.pool(max_parallelism=works).enqueue_action_batch(None, TARGET, [{}] * works, retry=far)
    stage.run(20_000)
    waiting = len(stage.pointers())
    stage.pool().cancel_all(None)
    stage.run(60_000)

    assert waiting == works
    assert (stage.status().state, stage.pointers()) == (LoopState.IDLE, [])


def test_caller_with_old_epoch_is_told_by_status() -> None:
    """[WP-3]"""
    stage = Stage()
    stale = stage.pool()
    stale.enqueue_action(None, TARGET, {}, run_after=LATER)
    stage.pool().cancel_all(None)
    work_id = stale.enqueue_action(None, TARGET, {}, run_after=LATER)
    second = stale.enqueue_action(None, TARGET, {}, run_after=LATER)
    raises = [note for note in stage.notes if note == "update WorkRef"]
    stage.run(2 * 3_600_000)

    assert [stage.work(each).outcome for each in (work_id, second)] == [Outcome.SUCCESS] * 2
    assert len(raises) == 1  # it knows by then


def test_work_that_was_canceled_before_its_caller_was_told_is_enqueued_anew() -> None:
    """[WP-3] An acknowledged enqueue is never lost: its caller gets the id of a work item that runs."""
    stage = Stage()
    stage.pool().cancel_all(None)
    stage.run(60_000)
    pool = stage.pool()
    stage.store.plan(puts(WorkItem), then(lambda: cancel_all_and_drain(stage)))
    acknowledged = pool.enqueue_action(None, TARGET, {"n": 1})
    stage.run()

    canceled = [work for work in stage.works() if work.outcome is Outcome.CANCELED]
    assert stage.work(acknowledged).outcome is Outcome.SUCCESS
    assert [work.id for work in canceled] != [acknowledged]
    assert len(canceled) == 1
    assert len(stage.invoker.started) == 1


@pytest.mark.parametrize("told", [None, "arn:aws:sqs:eu-west-1:123456789012:told"])
@pytest.mark.parametrize("args", [{}, {"text": "x" * 6_000}], ids=["small", "in chunks"])
@pytest.mark.parametrize("drained_before", [False, True])
def test_work_that_its_caller_moves_into_epoch_after_loop_read_it_stays(
    told: str | None, args: dict[str, str], *, drained_before: bool
) -> None:
    """[WP-3] Its caller acknowledges it between the loop's read and the loop's cancel."""
    stage = Stage()
    pool = stage.pool()
    pool.cancel_all(None)
    if drained_before:
        stage.run(60_000)
    stage.store.plan(updates(WorkRef, "epoch"), lambda _: Written(None, None))
    ids: list[WorkId] = []
    stage.store.plan(
        updates(WorkRef, outcome=Outcome.CANCELED), first(lambda: move_into_epoch(stage, ids[0]))
    )
    ids.append(
        stage.pool(at=stage.clock.at - 60_001).enqueue_action(None, TARGET, args, on_complete=told)
    )
    before = stage.work(ids[0]).epoch
    stage.run()

    assert before == 0
    assert [work.outcome for work in stage.works()] == [Outcome.SUCCESS]
    assert len(stage.invoker.started) == 1
    assert stage.status().state is LoopState.IDLE


def test_running_work_that_its_caller_moves_into_epoch_is_not_asked() -> None:
    """[WP-3]"""
    stage = Stage(takes_ms=5_000)
    work_id = stage.pool().enqueue_action(None, TARGET, {}, retry=True)
    stage.store.plan(
        updates(WorkRef, "cancel_requested"), first(lambda: move_into_epoch(stage, work_id))
    )
    stage.after(1_000, lambda: stage.pool().cancel_all(None))
    stage.run()

    assert (stage.work(work_id).outcome, stage.work(work_id).cancel_requested) == (
        Outcome.SUCCESS,
        False,
    )


def test_work_that_started_before_its_caller_was_told_is_moved_as_well() -> None:
    """[WP-3]"""
    stage = Stage(takes_ms=5_000)
    others: list[WorkId] = []

    def start_and_cancel_all() -> None:
        others.append(stage.pool().enqueue_action(None, TARGET, {}, retry=True))
        stage.run(300)
        stage.pool().cancel_all(None)

    stage.store.plan(puts(WorkItem), then(start_and_cancel_all))
    acknowledged = stage.pool().enqueue_action(None, TARGET, {}, retry=True)
    state = stage.work(acknowledged).state
    stage.run()

    assert state is State.RUNNING
    assert [stage.work(each).cancel_requested for each in (acknowledged, *others)] == [False, True]


def move_into_epoch(stage: Stage, work_id: WorkId) -> None:
    stage.place(replace(stage.work(work_id), epoch=1))


def cancel_all_and_drain(stage: Stage) -> None:
    stage.pool().cancel_all(None)
    stage.run(5_000)


@pytest.mark.parametrize("fault", [lost_after, lost_before, repeated])
@pytest.mark.parametrize("write", [raises_epoch, updates(ConfigRef, "epoch"), bumps])
def test_asking_again_after_no_answer_cancels_all(fault: Fault, write: Match) -> None:
    stage = Stage()
    pool = stage.pool(max_parallelism=3)
    ids = pool.enqueue_action_batch(None, TARGET, [{}] * 3, run_after=LATER)
    stage.store.plan(write, fault)
    for _ in range(2):
        try:
            pool.cancel_all(None)
            break
        except StoreUnavailable:
            continue
    stage.run(60_000)

    assert [stage.work(each).outcome for each in ids] == [Outcome.CANCELED] * 3
    assert (
        len([event for event in stage.telemetry.events if isinstance(event, CancelAllAsked)]) == 1
    )


def test_caller_that_died_on_way_leaves_rest_to_watchdog() -> None:
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {}, run_after=LATER)
    stage.run(60_000)
    stage.store.plan(bumps, dies_before)
    with pytest.raises(Died):
        stage.pool(max_parallelism=5).cancel_all(None)
    stage.run(120_000, watchdog=True)

    assert stage.work(work_id).outcome is Outcome.CANCELED
    assert [
        event.reason for event in stage.telemetry.events if isinstance(event, WatchdogActed)
    ] == ["work items to cancel, no loop"]


def test_caller_that_died_before_config_has_canceled_nothing() -> None:
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {}, run_after=LATER)
    stage.store.plan(raises_epoch, dies_after)
    with pytest.raises(Died):
        stage.pool().cancel_all(None)
    stage.run(2 * 3_600_000, watchdog=True)

    assert stage.work(work_id).outcome is Outcome.SUCCESS


@pytest.mark.peer("LB10")
def test_loop_that_dies_while_it_drains_is_followed_by_one_that_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "BULK_CANCEL_ROWS", 100)
    stage = Stage()
    pool = stage.pool()
    ids = pool.enqueue_action_batch(
        None, TARGET, [{}] * (2 * limits.BULK_CANCEL_ROWS + 7), run_after=LATER
    )
    stage.run(60_000)
    pool.cancel_all(None)
    stage.kill_at(150)
    stage.run(3_000)
    half = sum(stage.work(each).outcome is Outcome.CANCELED for each in ids)
    stage.run(180_000, watchdog=True)

    assert 0 < half < len(ids)
    assert {stage.work(each).outcome for each in ids} == {Outcome.CANCELED}
    assert stage.ledger().epoch == 1
    assert stage.status().state is LoopState.IDLE


@pytest.mark.parametrize("fault", [lost_after, lost_before, repeated])
def test_cancel_without_answer_is_tried_again(fault: Fault) -> None:
    stage = Stage()
    pool = stage.pool()
    ids = pool.enqueue_action_batch(None, TARGET, [{}] * 5, run_after=LATER)
    pool.cancel_all(None)
    stage.store.plan(updates(WorkRef, outcome=Outcome.CANCELED), fault, times=3)
    stage.run(60_000)

    assert {stage.work(each).outcome for each in ids} == {Outcome.CANCELED}
    assert stage.status().state is LoopState.IDLE


def test_pointers_of_canceled_works_go_with_them() -> None:
    stage = Stage(report=FAILED)
    pool = stage.pool()
    pool.enqueue_action(None, TARGET, {}, retry=RetryPolicy(initial_backoff=LATER))
    stage.run(60_000)
    waiting = stage.pointers()
    pool.cancel_all(None)
    stage.run(60_000)

    assert len(waiting) == 1
    assert stage.pointers() == []


def test_pointers_of_works_that_are_not_meant_stay() -> None:
    """[WP-3] They are the only way to a work item whose own key is long past."""
    stage = Stage()
    moved = EpochMs(NOW + 600_000)
    stage.clock.at = NOW + 60_000
    young, told = (
        a_work(id=an_id(NOW - 60_000, n), due_at=moved, enqueued_at=EpochMs(NOW + at))
        for n, at in ((1, 120_000), (2, 0))
    )
    stage.place(
        young,
        told,
        *(
            Pointer(pool=POOL, at=an_id(moved, n), work_id=work.id)
            for n, work in ((1, young), (2, told))
        ),
    )
    stage.store.plan(
        updates(WorkRef, outcome=Outcome.CANCELED), first(lambda: move_into_epoch(stage, told.id))
    )
    stage.pool().cancel_all(None)
    stage.run(60_000)
    waiting = {pointer.work_id for pointer in stage.pointers()}
    stage.run(1_200_000)

    assert waiting == {young.id, told.id}
    assert {work.outcome for work in stage.works()} == {Outcome.SUCCESS}


def test_straggler_is_canceled_when_it_is_due() -> None:
    """[WP-13] A caller that was frozen before its put, and never acknowledged it, brings an old epoch after all was drained."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(days=1))
    stage.pool().cancel_all(None)
    stage.run(60_000)
    due = EpochMs(stage.clock.at + 30_000)
    straggler = a_work(id=an_id(due), pool=POOL, due_at=due, enqueued_at=EpochMs(NOW))
    stage.place(straggler)
    stage.run(180_000, watchdog=True)

    assert stage.ledger().epoch == 1
    assert stage.invoker.started == []
    assert stage.work(straggler.id).outcome is Outcome.CANCELED
    assert stage.status().state is LoopState.IDLE


def test_stragglers_are_canceled_part_at_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pass must stay far below the lease."""
    monkeypatch.setattr(limits, "BULK_CANCEL_ROWS", 50)
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(days=1))
    stage.pool().cancel_all(None)
    stage.run(60_000)
    due = EpochMs(stage.clock.at + 30_000)
    stage.place(
        *(
            a_work(id=an_id(due, n), pool=POOL, due_at=due, enqueued_at=EpochMs(NOW))
            for n in range(2 * limits.BULK_CANCEL_ROWS + 50)
        )
    )
    before = len(stage.telemetry.of(Drained))
    stage.run(180_000, watchdog=True)

    assert [event.canceled for event in stage.telemetry.of(Drained)[before:]] == [
        limits.BULK_CANCEL_ROWS,
        limits.BULK_CANCEL_ROWS,
        50,
    ]
    assert {work.outcome for work in stage.works()} == {Outcome.CANCELED}


def test_young_work_with_old_epoch_runs() -> None:
    """[WP-3] Its caller is still on the way to the status: what was plainly enqueued later is not meant."""
    stage = Stage()
    stage.pool().cancel_all(None)
    stage.run(60_000)
    now = EpochMs(stage.clock.at)
    young = a_work(id=an_id(now), pool=POOL, due_at=now, enqueued_at=now)
    stage.place(young)
    stage.run(180_000, watchdog=True)

    assert stage.work(young.id).outcome is Outcome.SUCCESS


def test_cancel_alls_at_same_time_agree() -> None:
    stage = Stage()
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {}, run_after=LATER)
    stage.store.plan(updates(ConfigRef, "epoch"), first(lambda: stage.pool().cancel_all(None)))
    stage.pool(max_parallelism=4).configure(None, max_parallelism=3)
    pool.cancel_all(None)
    between = pool.enqueue_action(None, TARGET, {}, run_after=LATER)
    stage.run(2 * 3_600_000)

    config = stage.memory.peek(ConfigRef(POOL))
    assert isinstance(config, Config)
    assert (config.epoch, stage.status().epoch, stage.ledger().epoch) == (2, 2, 2)
    assert [stage.work(each).outcome for each in (work_id, between)] == [
        Outcome.CANCELED,
        Outcome.SUCCESS,
    ]


def test_second_one_by_clock_that_is_behind_calls_off_no_less() -> None:
    stage = Stage()
    stage.clock.at = NOW + 60_000
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {}, run_after=LATER)
    pool.cancel_all(None)
    stage.pool(at=NOW).cancel_all(None)
    stage.run(2 * 3_600_000)

    assert stage.work(work_id).outcome is Outcome.CANCELED


@pytest.mark.parametrize("straggling", [False, True])
def test_canceling_counts_as_progress(monkeypatch: pytest.MonkeyPatch, *, straggling: bool) -> None:
    """A loop that cancels page after page must neither poll nor slow down between them."""
    monkeypatch.setattr(limits, "BULK_CANCEL_ROWS", 10)
    stage = Stage()
    pool = stage.pool()
    keeps = pool.enqueue_action(None, TARGET, {}, run_after=timedelta(days=1))
    if straggling:
        pool.cancel_all(None)
        stage.run(60_000)
    due = EpochMs(stage.clock.at if straggling else stage.clock.at + 3_600_000)
    stage.place(
        *(
            a_work(id=an_id(due, n), pool=POOL, due_at=due, enqueued_at=EpochMs(NOW))
            for n in range(1, 201)
        )
    )
    if straggling:
        pool.configure(None, max_parallelism=3)
    else:
        pool.cancel_all(None)
    generation = stage.generation()
    stage.run(2_600)

    assert {work.outcome for work in stage.works()} == {Outcome.CANCELED}
    assert stage.work(keeps).outcome is Outcome.CANCELED
    assert stage.generation() == generation  # it did not try to rest on the way
    assert stage.telemetry.of(NoProgress) == []


def test_redrive_right_after_cancel_all_runs() -> None:
    """[WP-3] A redrive is younger, however soon it follows."""
    stage = Stage(report=FAILED)
    pool = stage.pool()
    ids = pool.enqueue_action_batch(None, TARGET, [{}] * 3)
    stage.run(60_000)
    pool.cancel_all(None)
    stage.report = SUCCESS
    counts = [pool.redrive(None, ids[0]) not in ids, pool.redrive_all(None)]
    stage.run(60_000)

    assert counts == [True, 2]
    assert [work.outcome for work in stage.works()] == [Outcome.FAILED] * 3 + [Outcome.SUCCESS] * 3


def test_saturated_pool_is_drained_at_once() -> None:
    stage = Stage(takes_ms=50_000)
    pool = stage.pool(max_parallelism=1)
    ids = pool.enqueue_action_batch(None, TARGET, [{}] * 9)
    stage.run(2_000)
    pool.cancel_all(None)
    stage.run(2_000)

    assert [stage.work(each).state for each in ids[:1]] == [State.RUNNING]
    assert stage.work(ids[0]).cancel_requested
    assert {stage.work(WorkId(each)).outcome for each in ids[1:]} == {Outcome.CANCELED}


def test_second_copy_that_may_have_been_stored_is_named() -> None:
    """[WP-3] The first was canceled before its caller knew the epoch, and no caller knows the second."""
    stage = Stage()
    pool = stage.pool()
    stage.store.plan(puts(WorkItem), then(lambda: cancel_all_and_drain(stage)))
    stage.store.plan(puts(WorkItem), lost_after)

    with pytest.raises(StoreUnavailable) as caught:
        pool.enqueue_action(None, TARGET, {})

    assert set(caught.value.maybe_enqueued) == {work.id for work in stage.works()}
    assert len(caught.value.maybe_enqueued) == 2


def test_batch_names_every_second_copy() -> None:
    """[WP-3] Also those of the work items beside the one whose second copy met an outage."""
    stage = Stage()
    pool = stage.pool()
    for fault in (then(lambda: None), then(lambda: cancel_all_and_drain(stage)), lost_after):
        stage.store.plan(puts(WorkItem), fault)

    with pytest.raises(StoreUnavailable, match="cancel_all") as caught:
        pool.enqueue_action_batch(None, TARGET, [{"n": 1}, {"n": 2}])

    alive = {work.id for work in stage.works() if work.state is State.PENDING}
    assert len(alive) == 2
    assert alive <= set(caught.value.maybe_enqueued)
    assert len(caught.value.maybe_enqueued) == 3


def test_cancel_all_by_slow_clock_takes_back_nothing_of_one_before(stage: Stage) -> None:
    """[WP-13] What the first one called off has an old epoch still, and must not become plainly younger by the second."""
    times = []
    for _ in range(2):
        stage.pool().cancel_all(None)
        config = stage.memory.peek(ConfigRef(POOL))
        assert isinstance(config, Config)
        times.append((config.epoch, config.epoch_at))
        stage.clock.at -= 2 * limits.SKEW_MS

    assert times == [(1, NOW), (2, NOW)]


def test_cancel_all_is_not_answered_when_status_it_made_is_gone_again(stage: Stage) -> None:
    """[WP-13] Without an epoch nothing is called off."""
    stage.store.plan(puts(LoopStatus), then(lambda: stage.memory.delete(StatusRef(POOL))))

    with pytest.raises(StoreUnavailable, match="is gone"):
        stage.pool().cancel_all(None)


def test_cancel_all_is_not_answered_when_status_is_damaged(stage: Stage) -> None:
    """[WP-13] [WP-12]"""
    stage.damage(StatusRef(POOL))

    with pytest.raises(StoreUnavailable, match="damaged"):
        stage.pool().cancel_all(None)
