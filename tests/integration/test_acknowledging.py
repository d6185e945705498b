"""An answer to a caller means a stored work item, and a loop that knows it or will [WP-3, WP-24]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.doubles import LOOP
from tests.kit.records import NOW, POOL, TARGET, a_work, an_id
from tests.kit.stage import Stage
from tests.kit.stores import first, lost_before, puts, repeated, unanswered, updates
from workpool_aws import StoreUnavailable
from workpool_aws.core import limits
from workpool_aws.flow.work.enqueue import enqueue
from workpool_aws.model.events import KickFailed
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import Deployment, LoopState, LoopStatus, Registration
from workpool_aws.model.refs import StatusRef, WorkRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.ports import InvokeRefused, InvokeThrottled, InvokeUnanswered


def resting(
    state: LoopState, *, lease_until: int | None = None, wake_at: int | None = None
) -> Stage:
    """A pool that the watchdog knows, and whose loop needs a kick."""
    stage = Stage()
    stage.clock.at = NOW + 60_000
    stage.place(Registration(pool=POOL, registered_at=NOW))
    stage.resting_as(state, lease_until=lease_until, wake_at=wake_at)
    return stage


def test_kick_loses_to_loop_that_renewed_its_lease() -> None:
    """[WP-2] The lease is part of what was judged: that loop is alive."""
    stage = resting(LoopState.RUNNING, lease_until=NOW)
    alive = replace(stage.status(), lease_until=EpochMs(NOW + 99_000))
    stage.store.plan(updates(StatusRef), first(lambda: stage.place(alive)))
    stage.watch()

    assert stage.status() == alive
    assert stage.invoker.loops == []


@pytest.mark.parametrize(("generation", "state"), [(7, LoopState.WAITING), (1, LoopState.IDLE)])
def test_kick_loses_to_whoever_was_faster(generation: int, state: LoopState) -> None:
    """[WP-2]"""
    stage = resting(LoopState.WAITING, wake_at=NOW)
    moved = replace(stage.status(), generation=generation, state=state)
    stage.store.plan(updates(StatusRef), first(lambda: stage.place(moved)))
    stage.watch()

    assert stage.status() == moved
    assert stage.invoker.loops == []


def test_kicks_that_come_first_together_start_one_loop() -> None:
    """[WP-2]"""
    stage = Stage()
    pool = stage.pool()
    stage.store.plan(puts(LoopStatus), first(lambda: pool.enqueue_action(None, TARGET, {})))
    pool.enqueue_action(None, TARGET, {})

    assert [loop.generation for loop in stage.invoker.loops] == [1]


@pytest.mark.parametrize("first_ever", [True, False])
def test_kick_that_sdk_repeated_is_its_own(*, first_ever: bool) -> None:
    """[WP-24] Otherwise the loop would not be invoked."""
    stage = Stage()
    if not first_ever:
        stage.pool().enqueue_action(None, TARGET, {})
        stage.run()
    stage.store.plan(puts(LoopStatus) if first_ever else updates(StatusRef), repeated)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(5_000)

    assert stage.work(work_id).state is State.FINISHED


def test_enqueue_whose_kick_was_not_answered_is_not_acknowledged() -> None:
    """[WP-3] [WP-24] The status is part of the promise."""
    stage = Stage()
    stage.place(Registration(pool=POOL, registered_at=NOW))
    stage.resting_as(LoopState.IDLE)
    stage.store.plan(updates(StatusRef), lost_before)

    with pytest.raises(StoreUnavailable) as raised:
        stage.pool().enqueue_action(None, TARGET, {})

    (maybe,) = raised.value.maybe_enqueued
    stage.run(120_000, watchdog=True)
    assert stage.work(maybe).state is State.FINISHED


@pytest.mark.parametrize(
    "error", [InvokeRefused("no", lasting=True), InvokeUnanswered("no"), InvokeThrottled()]
)
def test_loop_that_cannot_be_invoked_is_reported_and_left_to_watchdog(error: Exception) -> None:
    """[WP-20] The enqueue is acknowledged all the same."""
    stage = Stage()
    stage.invoker.refuses_loop = (
        [error] * limits.INVOKE_TRIES if isinstance(error, InvokeThrottled) else [error]
    )
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    told = stage.telemetry.of(KickFailed)
    stage.run(120_000, watchdog=True)

    assert len(told) == 1
    assert stage.work(work_id).state is State.FINISHED


def test_short_throttle_of_loop_is_waited_for() -> None:
    stage = Stage()
    stage.invoker.refuses_loop = [InvokeThrottled()] * (limits.INVOKE_TRIES - 1)
    stage.pool().enqueue_action(None, TARGET, {})

    assert len(stage.invoker.loops) == 1
    assert stage.telemetry.of(KickFailed) == []


def test_completion_with_unanswered_kick_is_recorded_and_reported() -> None:
    """[WP-4] The watchdog finds the report."""
    stage = Stage(takes_ms=None)
    work_id = stage.pool(max_parallelism=1).enqueue_action(None, TARGET, {})
    stage.run(1_000)
    (a,) = stage.invoker.started
    stage.store.before_get(StatusRef, unanswered)
    stage.complete(a)
    told = len(stage.telemetry.of(KickFailed))
    stage.run(180_000, watchdog=True)

    assert told == 1
    assert stage.work(work_id).state is State.FINISHED
    assert stage.ledger().entries == {}


def test_batch_stored_in_part_runs_that_part_and_names_all() -> None:
    """[WP-3]"""
    stage = Stage()
    stage.store.plan(puts(WorkItem), lost_before)

    with pytest.raises(StoreUnavailable) as raised:
        stage.pool().enqueue_action_batch(None, TARGET, [{}] * 3)
    stage.run(10_000)

    lost, *stored = raised.value.maybe_enqueued
    assert [stage.work(work_id).state for work_id in stored] == [State.FINISHED] * 2
    assert stage.memory.peek(WorkRef(POOL, WorkId(lost))) is None


def test_earliest_of_many_decides_whether_waiting_loop_is_kicked() -> None:
    """[WP-24]"""
    stage = resting(LoopState.WAITING)
    now = stage.clock.at
    stage.place(
        replace(stage.status(), wake_at=EpochMs(now + 3_600_000), timer_at=EpochMs(now + 3_540_000))
    )
    soon, late = (a_work(id=an_id(now + ms), due_at=now + ms) for ms in (600_000, 36_000_000))
    enqueue(stage.ports, [late])
    alone = len(stage.invoker.loops)
    enqueue(stage.ports, [soon, replace(late, id=an_id(late.due_at, 2))])

    assert (alone, len(stage.invoker.loops)) == (0, 1)


@pytest.mark.parametrize("known", [True, False])
def test_loop_is_found_by_deployments_item_where_no_environment_names_it(*, known: bool) -> None:
    """[WP-24] Without that, too, the work item is stored, and an event reports it."""
    stage = Stage()
    stage.ports = replace(stage.ports, loop_arn=None)
    if known:
        stage.place(Deployment(loop_arn=LOOP))
    work_id = stage.pool().enqueue_action(None, TARGET, {})

    assert stage.work(work_id).state is State.PENDING
    assert (len(stage.invoker.loops), len(stage.telemetry.of(KickFailed))) == (
        (1, 0) if known else (0, 1)
    )
