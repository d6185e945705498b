"""Due work starts within a second, and a loop that achieves nothing slows down and says so [WP-20, WP-23]."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_work, an_id
from tests.kit.stage import Stage
from tests.kit.stores import lost_before, then, unanswered, updates
from workpool_aws.core import limits
from workpool_aws.core.callback.ending import record_of_end
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import (
    LoopEnded,
    LoopRested,
    NoProgress,
    PassFailed,
    PassReport,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import LoopState
from workpool_aws.model.refs import Collection, LedgerRef, StatusRef, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State

START = updates(WorkRef, "starts")


QUEUE = "arn:aws:sqs:us-east-1:123456789012:ends"


@pytest.mark.parametrize("due_in_s", [0, 1, 7.3, 61, 119, 121, 600])
@pytest.mark.peer("LP17")
def test_due_work_with_free_slot_starts_within_second(due_in_s: float) -> None:
    """[WP-20] By a loop that runs, sleeps through a near wait, or is woken by a schedule that fires up to a minute late."""
    with LocalCloud(engine="memory", scheduler="aws", seed=3) as cloud:
        pool = cloud.workpool()
        fn = cloud.function(lambda _event, _: None, name="work")
        due = cloud.now + timedelta(seconds=due_in_s)
        pool.enqueue_action(None, fn, {}, run_at=due)
        cloud.run_until_idle()
        (run,) = cloud.invocations(fn)

        assert (
            timedelta(0) <= run.started_at - due <= timedelta(milliseconds=limits.DUE_TO_START_MS)
        )


def test_work_that_comes_in_while_loop_polls_starts_within_second() -> None:
    """[WP-20] It is kept up by a work item that is due in a minute and a half, without a kick."""
    stage = Stage(takes_ms=50)
    pool = stage.pool()
    pool.enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=90))
    ids: list[str] = []
    for ms in (5_050, 21_490, 43_333, 70_001):
        stage.after(ms, lambda: ids.append(pool.enqueue_action(None, TARGET, {})))
    stage.run(120_000)
    lags = [
        (stage.work(work_id).started_at or 0) - stage.work(work_id).enqueued_at for work_id in ids
    ]

    assert len(lags) == 4
    assert max(lags) <= limits.DUE_TO_START_MS
    assert stage.generation() == 1


def test_loop_with_nothing_in_flight_reads_notices_in_deep_reads_alone() -> None:
    """[WP-24] It waits for a work item that is due in a minute."""
    with LocalCloud(call_latency=timedelta(milliseconds=5)) as cloud:
        fn = cloud.function(lambda _event, _: None, name="work")
        cloud.workpool().enqueue_action(None, fn, {}, run_after=timedelta(minutes=1))
        cloud.advance(timedelta(seconds=5))
        began = cloud.now
        cloud.advance(timedelta(seconds=40))
        seconds = (cloud.now - began).total_seconds()
        reads = [
            line.label.split()[1]
            for line in cloud.trace
            if line.label.startswith("query ") and line.at > began.timestamp() * 1_000
        ]

    deep_reads = seconds * 1_000 / limits.DEEP_EVERY_MS
    assert 0 < reads.count("done") <= deep_reads + 1
    assert reads.count("work") > 2 * reads.count("done")


@pytest.mark.parametrize("passed_ms", range(0, limits.DEEP_EVERY_MS, 370))
def test_callback_of_canceled_work_comes_by_next_deep_read(passed_ms: int) -> None:
    """[WP-24] The loop is awake for another work item, and has nothing in flight."""
    with LocalCloud(call_latency=timedelta(milliseconds=5)) as cloud:
        fn = cloud.function(lambda _event, _: None, name="work")
        ended = cloud.function(lambda _event, _: None, name="ended")
        pool = cloud.workpool()
        pool.enqueue_action(None, fn, {}, run_after=timedelta(minutes=1))
        work_id = pool.enqueue_action(
            None, fn, {}, run_after=timedelta(seconds=50), on_complete=ended
        )
        cloud.advance(timedelta(seconds=10, milliseconds=passed_ms))
        canceled_at = cloud.now
        pool.cancel(None, work_id)
        cloud.advance(timedelta(seconds=8))
        (run,) = cloud.invocations(ended)

    assert run.started_at - canceled_at <= timedelta(
        milliseconds=limits.DEEP_EVERY_MS + limits.POLL_MAX_MS
    )


def test_freed_slot_is_filled_within_second() -> None:
    """[WP-20] Work items of half a minute each, and a loop that rests meanwhile: each end kicks."""
    stage = Stage(takes_ms=30_000)
    ids = stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 4)
    stage.run()
    starts = [stage.work(work_id).started_at or 0 for work_id in ids]

    assert all(later - earlier <= 31_000 for earlier, later in pairwise(starts))


@pytest.mark.peer("BW02")
def test_dead_pool_is_found_within_watchdogs_minute() -> None:
    """[WP-20] The kick's invoke was lost, and with it the only loop."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.loops.clear()
    stage.run(300_000, watchdog=True)

    assert (
        stage.work(work_id).started_at or 0
    ) - NOW <= limits.LEASE_MS + limits.WATCHDOG_MS + limits.DUE_TO_START_MS


def test_passes_begin_floor_apart() -> None:
    """[WP-23]"""
    stage = Stage(takes_ms=10)
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 50)
    stage.run(60_000)

    assert min(stage.clock.slept_ms) >= limits.PASS_EAGER_MS


def test_waiting_loop_polls_ever_slower_up_to_second() -> None:
    """[WP-23] [WP-20]"""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=100))
    stage.run(60_000)
    polls = stage.clock.slept_ms[:24]

    assert polls == sorted(polls)
    assert (polls[0], polls[-1]) == (limits.POLL_MIN_MS, limits.POLL_MAX_MS)


def test_loop_that_achieves_nothing_slows_down_and_says_so() -> None:
    """[WP-23] Every start write is refused for a quarter of an hour."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(START, lost_before, times=150)
    stage.run(900_000)
    told = stage.telemetry.of(NoProgress)

    assert told[0].passes == limits.STALLED_PASSES
    assert stage.clock.slept_ms.count(limits.STALLED_SLEEP_MS) == len(told)
    assert len(told) > 100
    assert stage.work(work_id).state is State.FINISHED


def test_loop_that_achieves_something_at_times_does_not_slow_down() -> None:
    """[WP-23] [WP-20] One work cannot be started; the others go their way."""
    stage = Stage(takes_ms=200)
    bad, *good = stage.pool(max_parallelism=2).enqueue_action_batch(None, TARGET, [{}] * 40)
    stage.store.plan(
        lambda write: START(write) and getattr(write, "ref", None) == WorkRef(POOL, bad),
        lost_before,
        times=60,
    )
    stage.run(120_000)
    ends = [stage.work(work_id).finished_at or 0 for work_id in good]

    assert max(ends) - NOW < 20_000


def test_commits_that_fail_again_and_again_slow_loop_down() -> None:
    """[WP-23]"""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(updates(LedgerRef, "entries"), lost_before, times=40)
    stage.run(900_000)

    assert len(stage.telemetry.of(NoProgress)) == 40 - limits.STALLED_PASSES + 1
    assert stage.work(work_id).state is State.FINISHED


def test_pass_without_answer_is_made_again() -> None:
    """[WP-20] By the same loop, without a wait for the end of its lease."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.before_query(Collection.WORK, unanswered)
    stage.run(10_000)

    assert (stage.work(work_id).started_at or 0) - NOW < limits.DUE_TO_START_MS
    assert (
        len(stage.telemetry.of(PassFailed)),
        len(stage.telemetry.of(LoopEnded)),
        stage.generation(),
    ) == (1, 0, 1)


def test_loop_that_gets_no_answer_again_and_again_gives_up() -> None:
    """[WP-23] And says so; the watchdog starts another."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})

    def never() -> None:
        stage.store.before_query(Collection.WORK, never)
        unanswered()

    stage.store.before_query(Collection.WORK, never)
    stage.run(60_000)

    assert len(stage.telemetry.of(PassFailed)) == limits.FAILED_PASSES_MAX - 1
    assert len(stage.telemetry.of(LoopEnded)) == 1


def test_passes_without_answer_count_only_in_row() -> None:
    """[WP-20]"""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=60))
    for n in range(2 * limits.FAILED_PASSES_MAX):
        stage.after(
            1_000 + n * 3_000, lambda: stage.store.before_query(Collection.WORK, unanswered)
        )
    stage.run(90_000)

    assert len(stage.telemetry.of(PassFailed)) == 2 * limits.FAILED_PASSES_MAX
    assert stage.telemetry.of(LoopEnded) == []
    assert stage.work(work_id).state is State.FINISHED


def test_long_wait_costs_loop_few_passes() -> None:
    """[WP-23] One work item far ahead, one near, and some that run: no generation chases the next."""
    stage = Stage(takes_ms=40_000)
    pool = stage.pool(max_parallelism=2)
    pool.enqueue_action_batch(None, TARGET, [{}] * 4)
    pool.enqueue_action(None, TARGET, {}, run_after=timedelta(hours=5))
    stage.run(6 * 3_600_000)

    assert stage.notes.count("get ConfigRef") < 200
    assert stage.generation() < 10


def test_later_rows_are_looked_through_part_at_time() -> None:
    """[WP-23] Rows ahead that mean nothing must not make a pass as long as they are many; what is due behind them is still met."""
    stage = Stage()
    far = NOW + 90_000
    stage.place(
        *(
            a_work(id=an_id(far + n, n + 1), state=State.FINISHED)
            for n in range(12 * limits.LOOKAHEAD_ROWS_MAX)
        )
    )
    work = a_work(id=an_id(far + 10_000, 7), due_at=far + 10_000)
    stage.place(work)
    stage.pool().enqueue_action(None, TARGET, {})
    read_in_a_minute: list[tuple[int, int]] = []
    stage.after(
        60_000,
        lambda: read_in_a_minute.append(
            (stage.notes.count("query work"), len(stage.clock.slept_ms))
        ),
    )
    stage.run(120_000)

    assert stage.work(work.id).state is State.FINISHED
    assert stage.generation() == 1
    ((reads, passes),) = read_in_a_minute
    assert reads <= passes * 2 * limits.LOOKAHEAD_ROWS_MAX // limits.QUERY_LIMIT_MIN


@pytest.mark.parametrize("count", [3, 30])
def test_loop_does_not_stay_up_beside_works_that_run_for_long(count: int) -> None:
    """[WP-22] It promises its workers to stay for a few seconds when it starts them, and not again and again while they run."""
    stage = Stage(takes_ms=None)
    stage.pool(max_parallelism=50).enqueue_action_batch(None, TARGET, [{}] * count)
    seen: list[tuple[LoopState, int]] = []
    for at_s in (10, 70):
        stage.after(at_s * 1_000, lambda: seen.append((stage.status().state, len(stage.notes))))
    stage.run(80_000)
    (state, asked), later = seen

    assert state is LoopState.WAITING
    assert later == (state, asked)


@pytest.mark.parametrize(("took_ms", "wait_ms"), [(0, limits.PASS_FLOOR_MS), (700, 1)])
def test_pass_after_rest_that_was_taken_back_keeps_floor(took_ms: int, wait_ms: int) -> None:
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
            callback_outcomes=(Outcome.CANCELED,),
            callback=CallbackState.PENDING,
        )
        for n in range(3 * limits.STALLED_PASSES)
    ]
    for n, work in enumerate(owing):
        at = EpochMs(NOW + 2_000 + 300 * n)
        stage.clock.enter(
            at,
            lambda work=work, at=at: stage.place(
                work, record_of_end(work, Outcome.CANCELED, now=at, random_bits=5)
            ),
        )
    stage.run(60_000)

    assert {stage.work(work.id).callback for work in owing} == {CallbackState.DELIVERED}
    assert stage.telemetry.of(NoProgress) == []


def test_drain_alone_is_progress_and_keeps_loop_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """[WP-13] More pages than a loop makes passes in vain, and nothing that is due for an hour."""
    monkeypatch.setattr(limits, "BULK_CANCEL_ROWS", 20)
    stage = Stage()
    pool = stage.pool()
    ids = pool.enqueue_action_batch(
        None,
        TARGET,
        [{}] * (limits.BULK_CANCEL_ROWS * 2 * limits.STALLED_PASSES),
        run_after=timedelta(hours=1),
    )
    pool.cancel_all(None)
    stage.run(20_000)

    assert {stage.work(work_id).state for work_id in ids} == {State.FINISHED}
    assert stage.telemetry.of(NoProgress) == []


def test_only_pass_that_moved_something_is_reported() -> None:
    stage = Stage()
    stage.pool().enqueue_action_batch(None, TARGET, [{}] * 3)
    stage.run()

    assert [(event.started, event.settled) for event in stage.telemetry.of(PassReport)] == [
        (3, 0),
        (0, 3),
    ]
    (rested,) = stage.telemetry.of(LoopRested)
    assert rested.passes > 2
