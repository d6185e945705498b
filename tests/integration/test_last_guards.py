"""Guards that hide behind others: each test needs its one alone, where nothing else would find the same a little later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import NOT_DELIVERED, Stage
from tests.kit.stores import Apply, puts, then, updates
from workpool_aws.core import limits
from workpool_aws.core.callback.ending import record_of_cancel
from workpool_aws.core.loop.callbacks import newly_owed
from workpool_aws.core.loop.effects import Start
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.flow.loop.start import begin
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import Config, EntryKey, LoopState
from workpool_aws.model.refs import ConfigRef, RegistrationRef, StatusRef, WorkRef
from workpool_aws.model.work import CallbackState, Outcome, State, WorkItem
from workpool_aws.model.writes import Written
from workpool_aws.ports import InvokeThrottled

QUEUE = "arn:aws:sqs:us-east-1:123456789012:ends"
LATE_MS = 20_000
FAILED = a_work(
    state=State.FINISHED, outcome=Outcome.FAILED, error_type="X", attempts_made=1, starts=1
)
CANCELED = a_work(
    id=an_id(n=2),
    state=State.FINISHED,
    outcome=Outcome.CANCELED,
    on_complete=QUEUE,
    callback_for=(Outcome.CANCELED,),
    callback=CallbackState.PENDING,
)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def late(stage: Stage, *, repeated: bool) -> Callable[[Apply], Written]:
    """The request arrives late; `repeated`: twice, because its first answer was lost."""

    def fault(apply: Apply) -> Written:
        stage.clock.at += LATE_MS
        written = apply()
        return apply() if repeated else written

    return fault


def test_a_callback_that_is_owed_while_the_loop_goes_idle_is_sent(stage: Stage) -> None:
    """[WP-8] [WP-24] Its canceller found a loop running, so nobody kicks."""
    stage.pool().enqueue_action(None, TARGET, {})
    record = record_of_cancel(CANCELED, now=EpochMs(NOW + 1_500), random_bits=5)
    stage.store.plan(
        updates(StatusRef, state=LoopState.IDLE), then(lambda: stage.place(CANCELED, record))
    )
    stage.run(30_000)

    assert stage.work(CANCELED.id).callback is CallbackState.DELIVERED


def test_a_pending_callback_that_landed_behind_the_cursor_counts() -> None:
    """[WP-8] Each record that owes one is deleted once the ledger has it, so one that is seen is new wherever it lies."""
    record = record_of_cancel(CANCELED, now=NOW, random_bits=5)

    found = newly_owed(
        [record], {}, (), cursor=id_floor(EpochMs(NOW + 10_000)), room=9, now=EpochMs(NOW + 11_000)
    )

    assert [owed.work_id for owed in found.callbacks] == [CANCELED.id]


def test_a_record_that_owes_a_callback_carries_no_time_to_live(stage: Stage) -> None:
    """[WP-10] Else a loop that stays away for two weeks loses it."""
    running = a_running_work(on_complete=QUEUE, callback_for=(Outcome.SUCCESS,), claimed=False)
    stage.place(running)
    stage.ports.messenger.refuses = InvokeThrottled()
    stage.complete(assignment_of(running, "jobs"))

    assert [(done.callback, done.expires_at) for done in stage.dones()] == [
        (CallbackState.PENDING, None)
    ]


def test_a_work_whose_put_was_late_and_repeated_is_pointed_at(stage: Stage) -> None:
    """[WP-3] The repetition says that the work is one's own, and not when it became visible."""
    stage.store.plan(puts(WorkItem), late(stage, repeated=True))

    work_id = stage.pool().enqueue_action(None, TARGET, {})

    assert [pointer.work_id for pointer in stage.pointers()] == [work_id]


def test_a_start_that_another_holder_made_is_not_sent_again(stage: Stage) -> None:
    """[WP-4] It is this very start, but by another's token."""
    stage.place(a_running_work(started_by="loop-2"))

    begun = begin(stage.ports, "loop-1", "secret", Start(EntryKey(an_id(), 1), a_work(), None))

    assert not begun.sent
    assert stage.invoker.started == []


def test_a_redriven_work_whose_transaction_was_late_is_pointed_at(stage: Stage) -> None:
    """[WP-3]"""
    stage.place(FAILED)
    stage.store.plan(puts(WorkItem), late(stage, repeated=False))

    new = stage.pool().redrive(None, FAILED.id)

    assert [pointer.work_id for pointer in stage.pointers()] == [new]


def test_a_second_redrive_points_at_what_the_first_one_made(stage: Stage) -> None:
    """[WP-3] Who made it may have died before it proved that it was in time."""
    stage.place(FAILED)
    first = stage.pool().redrive(None, FAILED.id)
    assert stage.pointers() == []

    second = stage.pool().redrive(None, FAILED.id)

    assert second == first
    assert [pointer.work_id for pointer in stage.pointers()] == [first]


def test_a_redrive_starts_a_resting_loop(stage: Stage) -> None:
    """[WP-24]"""
    stage.place(FAILED)
    stage.resting_as(LoopState.IDLE)

    stage.pool().redrive(None, FAILED.id)

    assert [order.generation for order in stage.invoker.loops] == [2]


def test_a_cancel_that_owes_a_callback_starts_a_resting_loop(stage: Stage) -> None:
    """[WP-24] [WP-8]"""
    later = NOW + 3_600_000
    work = a_work(
        id=an_id(later), due_at=later, on_complete=QUEUE, callback_for=(Outcome.CANCELED,)
    )
    stage.place(work)
    stage.resting_as(LoopState.WAITING, wake_at=later)

    assert stage.pool().cancel(None, work.id) == "canceled"

    assert [order.generation for order in stage.invoker.loops] == [2]


def test_a_pool_that_was_configured_first_is_known_to_the_watchdog(stage: Stage) -> None:
    """[WP-20] Its status stands there before its first work, which therefore registers nothing."""
    stage.pool().configure(None, paused=True)

    assert stage.memory.peek(RegistrationRef(POOL)) is not None


def test_a_first_enqueue_looks_for_its_registration(stage: Stage) -> None:
    """The look that makes a pool known costs one read in the life of a process, and one more in the life of a pool."""
    reads = []
    for pool in [stage.pool(), stage.pool()]:
        for _ in range(2):
            before = stage.notes.count("get RegistrationRef")
            pool.enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
            reads.append(stage.notes.count("get RegistrationRef") - before)

    assert reads == [2, 0, 1, 0]


def test_a_put_back_of_an_older_start_changes_nothing(stage: Stage) -> None:
    """[WP-4]"""
    running = a_running_work(starts=2)
    stage.place(running)

    stage.complete(assignment_of(replace(running, starts=1), "jobs"), NOT_DELIVERED)

    assert stage.work(running.id) == running


def test_the_record_of_a_cancel_that_was_late_is_put_again(stage: Stage) -> None:
    """[WP-8]"""
    work = a_work(on_complete=QUEUE, callback_for=(Outcome.CANCELED,))
    stage.place(work)
    stage.store.plan(updates(WorkRef, outcome=Outcome.CANCELED), late(stage, repeated=False))

    assert stage.pool().cancel(None, work.id) == "canceled"

    assert [done.work_id for done in stage.dones()] == [work.id] * 2


def test_the_record_of_a_redelivery_that_was_late_is_put_again(stage: Stage) -> None:
    """[WP-8]"""
    stage.place(replace(CANCELED, callback=CallbackState.DEAD, dead="dead"))
    stage.store.plan(updates(WorkRef, callback=CallbackState.PENDING), late(stage, repeated=False))

    stage.pool().redrive(None, CANCELED.id)

    assert [done.work_id for done in stage.dones()] == [CANCELED.id] * 2


def test_a_cancel_all_by_a_slow_clock_takes_back_nothing_of_the_one_before(stage: Stage) -> None:
    """[WP-13] What the first one called off has an old epoch still, and must not become plainly younger by the second."""
    times = []
    for _ in range(2):
        stage.pool().cancel_all(None)
        config = stage.memory.peek(ConfigRef(POOL))
        assert isinstance(config, Config)
        times.append((config.epoch, config.epoch_at))
        stage.clock.at -= 2 * limits.SKEW_MS

    assert times == [(1, NOW), (2, NOW)]


def test_a_pool_does_not_wait_for_works_that_are_over(stage: Stage) -> None:
    """[WP-22] More rows ahead than one pass looks through, all of them canceled."""
    far = NOW + 3_600_000
    stage.place(
        *(
            a_work(id=an_id(far + n, n + 1), state=State.FINISHED)
            for n in range(2 * limits.LOOKAHEAD_ROWS_MAX)
        )
    )
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)

    assert (stage.status().state, stage.status().wake_at) == (LoopState.IDLE, None)
