"""Rest is a race with every producer: the loop says that it rests, and then looks again [WP-22, WP-24]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import FAILED, NOT_DELIVERED, SUCCESS, Stage, order
from tests.kit.stores import Apply, dies_after, first, puts, then, updates
from tests.kit.world import TABLE
from workpool_aws import RetryPolicy
from workpool_aws.core import limits
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import (
    LoopFenced,
    LoopRested,
    LoopTook,
    TimerFailed,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import (
    Config,
    Entry,
    EntryKey,
    Ledger,
    LoopState,
    LoopStatus,
    Notice,
    NoticeKind,
    Registration,
    ShardCursors,
)
from workpool_aws.model.refs import LedgerRef, RegistrationRef, StatusRef
from workpool_aws.model.work import State
from workpool_aws.model.writes import Written

TO_IDLE = updates(StatusRef, state=LoopState.IDLE)
TO_WAITING = updates(StatusRef, state=LoopState.WAITING)


def test_pool_whose_works_are_over_does_nothing_at_all() -> None:
    """[WP-22] No loop, no schedule, no polling, and no watchdog that finds something."""
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool(max_parallelism=2)
        fn = cloud.function(lambda event, _: event["n"], name="work", takes=timedelta(seconds=1))
        pool.enqueue_action_batch(
            None, fn, [{"n": n} for n in range(5)], run_after=timedelta(minutes=10)
        )
        cloud.run_until_idle()
        before = len(cloud.trace)
        cloud.advance(timedelta(days=3))

        assert len(cloud.trace) == before
        assert cloud.invocations(cloud.watchdog_arn) == []


@pytest.mark.parametrize("due_in_ms", [0, 90_000, 3_600_000, 30 * 86_400_000])
def test_work_stored_while_loop_goes_idle_is_found(due_in_ms: int) -> None:
    """[WP-24] Its producer has not read the status yet, and would find a loop running: reading only what is due now is not enough."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    at = NOW + 1_500 + due_in_ms
    work = a_work(id=an_id(at, 7), due_at=at)
    stage.store.plan(TO_IDLE, then(lambda: stage.place(work)))
    stage.run(due_in_ms + 3_600_000)

    assert stage.work(work.id).state is State.FINISHED
    assert stage.work(work.id).due_at <= (stage.work(work.id).started_at or 0) <= at + 2_000


def test_earlier_work_stored_while_loop_begins_to_wait_is_found() -> None:
    """[WP-24] And what is due later is not taken for something to do now."""
    stage = Stage()
    hour, half, two = (NOW + ms for ms in (3_600_000, 1_800_000, 7_200_000))
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
    earlier, later = (a_work(id=an_id(at, 7), due_at=at) for at in (half, two))
    stage.store.plan(TO_WAITING, then(lambda: stage.place(later)))
    stage.store.plan(TO_WAITING, then(lambda: stage.place(earlier)))
    stage.run(60_000)
    stage.timer.at = EpochMs(hour - limits.FAR_LEAD_MS)
    stage.run(9_000_000)

    assert [a.work_id for a in stage.invoker.started][-1] == later.id
    assert stage.generation() < 12


def test_wait_that_meets_earlier_work_is_taken_back() -> None:
    """[WP-24]"""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
    at = NOW + 600_000
    work = a_work(id=an_id(at, 7), due_at=at)
    stage.store.plan(TO_WAITING, then(lambda: stage.place(work)))
    stage.run(900_000)

    assert at <= (stage.work(work.id).started_at or 0) <= at + 1_000


def test_report_that_is_stored_while_loop_begins_to_wait_is_settled() -> None:
    """[WP-24] Its worker has not read the status yet."""
    stage = Stage(takes_ms=None)
    ids = stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 2)
    done = Notice(
        pool=POOL, at=an_id(NOW + 900, 5), work_id=ids[0], start=1, kind=NoticeKind.FINISHED
    )
    stage.store.plan(
        TO_WAITING,
        then(lambda: stage.place(replace(stage.work(ids[0]), state=State.FINISHED), done)),
    )
    stage.run(30_000)

    assert [a.work_id for a in stage.invoker.started] == ids


def test_report_that_lies_behind_cursor_is_seen_before_rest() -> None:
    """[WP-24] [WP-21] It became visible a little later than the one that the cursor is at."""
    stage = Stage(takes_ms=None)
    early, late = stage.pool(max_parallelism=2).enqueue_action_batch(None, TARGET, [{}] * 2)
    stage.after(
        5_000, lambda: stage.complete(next(a for a in stage.invoker.started if a.work_id == early))
    )
    done = Notice(
        pool=POOL, at=an_id(NOW + 3_000, 5), work_id=late, start=1, kind=NoticeKind.FINISHED
    )
    stage.store.plan(TO_WAITING, lambda apply: apply())
    stage.store.plan(
        TO_WAITING, then(lambda: stage.place(replace(stage.work(late), state=State.FINISHED), done))
    )
    stage.run(30_000)

    assert stage.ledger().entries == {}
    assert stage.status().state is LoopState.IDLE


def test_look_that_is_asked_for_while_loop_begins_to_wait_is_taken() -> None:
    """[WP-24] [WP-14] The work's deadline is nearer than the ledger knows."""
    stage = Stage(takes_ms=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    look = Notice(
        pool=POOL, at=an_id(NOW + 900, 5), work_id=work_id, start=1, kind=NoticeKind.CHECK
    )

    def suspected() -> None:
        changed = replace(
            stage.work(work_id), claim="c", deadline=EpochMs(NOW + 20_000), suspected_type="timeout"
        )
        stage.place(changed, look)

    stage.store.plan(TO_WAITING, then(suspected))
    stage.run(10_000)

    assert stage.status().wake_at == NOW + 20_000 + limits.RECOVERY_MARGIN_MS + 1


def test_resume_that_is_stored_while_loop_begins_to_wait_is_seen() -> None:
    """[WP-24] [WP-13] Not reading the config again would miss it."""
    stage = Stage()
    paused = Config(
        pool=POOL, version=4, max_parallelism=1, base_by="t", base_at=NOW, override_paused=True
    )
    stage.place(paused)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(
        TO_WAITING, then(lambda: stage.place(replace(paused, version=5, override_paused=None)))
    )
    stage.run(30_000)

    assert stage.work(work_id).state is State.FINISHED


def test_second_look_comes_after_status() -> None:
    """[WP-24] Looking first would miss what is stored between the two."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run()
    after = stage.notes[stage.notes.index("status idle") :]

    assert after == ["status idle", "get ConfigRef", "query done", "query work"]


@pytest.mark.peer("BW12")
def test_loop_that_takes_itself_back_does_so_as_next_generation() -> None:
    """[WP-2] And reads over the buffer, as it did when it found something."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    late = a_work(id=an_id(NOW - 3_000, 7), due_at=NOW - 3_000)
    stage.store.plan(TO_IDLE, then(lambda: stage.place(late)))
    stage.run()

    assert stage.work(late.id).state is State.FINISHED
    assert (stage.generation(), stage.ledger().generation) == (2, 2)
    assert len(stage.telemetry.of(LoopRested)) == 1


def test_loop_that_is_kicked_before_it_takes_itself_back_stops() -> None:
    """[WP-2] Its own work goes on in the other's hands."""
    stage = Stage()
    pool = stage.pool()
    pool.enqueue_action(None, TARGET, {})
    stage.store.plan(TO_IDLE, then(lambda: pool.enqueue_action(None, TARGET, {})))
    stage.run()

    assert [fact.generation for fact in stage.telemetry.of(LoopTook)] == [1, 2]
    assert len(stage.telemetry.of(LoopFenced)) == 1
    assert len(stage.invoker.started) == 2


def test_taken_back_generation_is_lost_to_whoever_holds_ledger() -> None:
    """[WP-2]"""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    work = a_work(id=an_id(NOW + 1_500, 7), due_at=NOW + 1_500)
    stage.store.plan(TO_IDLE, then(lambda: stage.place(work)))
    stage.store.plan(updates(LedgerRef, "holder"), lambda apply: apply())
    stage.store.plan(
        updates(LedgerRef, "holder"),
        first(
            lambda: stage.place(
                replace(stage.ledger(), generation=9, holder="another"),
                replace(stage.status(), generation=9),
            )
        ),
    )
    stage.run(20_000)

    assert stage.work(work.id).state is State.PENDING
    assert len(stage.telemetry.of(LoopFenced)) == 1


def test_loop_that_dies_before_its_second_look_is_found_by_watchdog() -> None:
    """[WP-20] Only the watchdog can."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    work = a_work(id=an_id(NOW + 1_000, 7), due_at=NOW + 1_000)

    def dies_with_it(apply: Apply) -> Written:
        stage.place(work)
        return dies_after(apply)

    stage.store.plan(TO_IDLE, dies_with_it)
    stage.run(300_000, watchdog=True)

    assert "died" in stage.notes
    assert stage.work(work.id).state is State.FINISHED


def test_far_wake_is_ordered_before_status_says_so() -> None:
    """[WP-20] A crash between leaves a wake too many, never one too few."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
    stage.run(60_000)

    assert stage.notes.index("timer") < stage.notes.index("status waiting")
    assert stage.timer.at == NOW + 3_600_000 - limits.FAR_LEAD_MS
    assert (stage.status().timer_at, stage.status().wake_at) == (stage.timer.at, NOW + 3_600_000)


def test_far_wake_sleeps_until_work_is_due_instead_of_polling() -> None:
    """[WP-20]"""
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        fn = cloud.function(lambda event, _: None, name="work")
        due_at = cloud.now + timedelta(hours=1)
        work_id = pool.enqueue_action(None, fn, {}, run_after=timedelta(hours=1))
        cloud.advance(timedelta(minutes=58))
        before = cloud.capacity.read_units
        cloud.advance(due_at - cloud.now - timedelta(milliseconds=limits.WAKE_AHEAD_MS + 100))
        asleep = cloud.capacity.read_units - before
        cloud.run_until_idle()
        started_at = pool.show(None, work_id).status.started_at

    assert asleep <= 4
    assert started_at is not None
    assert timedelta(0) <= started_at - due_at <= timedelta(milliseconds=200)


def test_work_that_is_due_while_far_wake_sleeps_starts_at_once() -> None:
    """[WP-20, WP-24] Its kick starts a loop, and the one that slept takes nothing from it."""
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        fn = cloud.function(lambda event, _: None, name="work")
        pool.enqueue_action(None, fn, {"n": 1}, run_after=timedelta(hours=1))
        cloud.advance(timedelta(minutes=59, seconds=20))
        asked_at = cloud.now
        work_id = pool.enqueue_action(None, fn, {"n": 2})
        cloud.run_until_idle()
        started_at = pool.show(None, work_id).status.started_at

    assert started_at is not None
    assert started_at - asked_at <= timedelta(milliseconds=500)
    assert [call.event["n"] for call in cloud.invocations(fn)] == [2, 1]


def test_far_wake_that_is_of_no_use_any_more_is_forgotten() -> None:
    """[WP-22]"""
    stage = Stage()
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
    stage.run(60_000)
    pool.cancel(None, work_id)
    pool.enqueue_action(None, TARGET, {})
    stage.run(60_000)

    assert stage.timer.at is None
    assert stage.notes.count("no timer") == 1
    assert stage.status().state is LoopState.IDLE


def test_wake_that_was_never_ordered_is_not_forgotten() -> None:
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run()

    assert "no timer" not in stage.notes


def test_watchdog_wakes_pool_without_scheduler() -> None:
    """[WP-20] A far wake is a hint."""
    stage = Stage()
    stage.timer.broken = True
    work_id = stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
    stage.run(7_200_000, watchdog=True)

    assert (
        0
        <= (stage.work(work_id).started_at or 0) - stage.work(work_id).due_at
        <= limits.WATCHDOG_MS + 1_000
    )
    assert len(stage.telemetry.of(TimerFailed)) == 1


def test_wake_order_wins_generation_first() -> None:
    """[WP-2] It carries no authority: beside a live loop it does nothing."""
    stage = Stage(takes_ms=50)
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 30)
    stage.after(1_000, lambda: stage.serve(order(None)))
    stage.run()
    stage.serve(order(None))

    assert [fact.generation for fact in stage.telemetry.of(LoopTook)] == [1, 2]


def test_pool_is_registered_before_its_first_status() -> None:
    """[WP-20] From the first moment at which it can have unseen work, the watchdog must know it."""
    stage = Stage()
    known: list[object] = []
    stage.store.plan(
        puts(LoopStatus),
        first(lambda: known.append(stage.memory.peek(RegistrationRef(POOL)))),
    )
    stage.pool().enqueue_action(None, TARGET, {})

    assert [type(record) for record in known] == [Registration]


@pytest.mark.parametrize("promised", [True, False])
def test_busy_loop_promises_to_stay_and_does(*, promised: bool) -> None:
    """[WP-24] Completions rely on it: they skip their kick."""
    stage = Stage(takes_ms=None)
    count = limits.PROMISE_ENTRIES_MIN if promised else limits.PROMISE_ENTRIES_MIN - 1
    stage.pool().enqueue_action_batch(None, TARGET, [{}] * count)
    stage.invoker.on_start = lambda a: stage.after(10, lambda: stage.complete(a))
    stage.run(60_000)
    (until,) = {a.loop_until for a in stage.invoker.started}

    assert (until is not None) is promised
    if until is not None:
        assert until == NOW + limits.PROMISE_MS
        assert NOW + sum(stage.clock.slept_ms) >= until


def test_backlog_is_promise_too() -> None:
    stage = Stage(takes_ms=500)
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 2)
    stage.run()

    assert [a.loop_until is not None for a in stage.invoker.started] == [True, False]


def test_promise_ends_with_loop() -> None:
    """[WP-24]"""
    stage = Stage(takes_ms=200)
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 200)
    stage.serve(stage.invoker.loops.pop(), lives_ms=30_000)
    ends_at = NOW + 15_000

    assert any(a.loop_until is None for a in stage.invoker.started)
    assert all(a.loop_until < ends_at for a in stage.invoker.started if a.loop_until is not None)


@pytest.mark.parametrize(
    ("left_ms", "kicks"),
    [(None, True), (limits.SKEW_MS, True), (limits.SKEW_MS + 1, False), (-1, True)],
)
def test_completion_relies_on_promise_less_clocks_difference(
    left_ms: int | None, *, kicks: bool
) -> None:
    """[WP-24]"""
    stage = Stage()
    work = a_running_work(claimed=False)
    stage.place(work)
    stage.resting_as(LoopState.WAITING, saturated=True)
    until = None if left_ms is None else EpochMs(NOW + left_ms)
    stage.complete(replace(assignment_of(work, TABLE), loop_until=until), SUCCESS)

    assert len(stage.invoker.loops) == int(kicks)


@pytest.mark.parametrize(
    "deed",
    [
        lambda stage, a: stage.complete(a, SUCCESS),
        lambda stage, a: stage.complete(a, FAILED),
        lambda stage, a: stage.complete(a, NOT_DELIVERED),
        lambda stage, a: stage.complete(replace(a, start=9), FAILED),
        lambda stage, _: stage.pool().configure(None, paused=False),
        lambda stage, _: stage.pool(max_parallelism=44).enqueue_action(None, TARGET, {}),
    ],
    ids=["success", "retry", "put back", "ignored", "resume", "base"],
)
def test_resting_loop_is_kicked_by_all_that_it_must_know(
    deed: Callable[[Stage, object], object],
) -> None:
    """[WP-24] A second report, too: the first reporter may have died before its kick."""
    stage = Stage()
    work = a_running_work(claimed=False, retry=RetryPolicy())
    stage.place(work, Config(pool=POOL, version=1, max_parallelism=1, base_by="t", base_at=NOW))
    stage.resting_as(LoopState.WAITING, saturated=True)
    deed(stage, assignment_of(work, TABLE))

    assert [loop.generation for loop in stage.invoker.loops] == [2]


@pytest.mark.parametrize("by", ["loop", "recovery"])
def test_loop_does_not_kick_itself(by: str) -> None:
    stage = Stage()
    work = a_running_work(claimed=False)
    stage.place(work)
    stage.resting_as(LoopState.WAITING, saturated=True)
    stage.complete(assignment_of(work, TABLE), SUCCESS, by=by)

    assert stage.invoker.loops == []


def test_old_keys_of_moved_works_and_running_ones_keep_no_loop_up() -> None:
    """[WP-23] What the look before rest calls something is what a pass calls something, or the loop would spin between the two."""
    stage = Stage()
    moved = a_work(id=an_id(NOW - 1_000, 3), starts=1, due_at=NOW + 86_400_000)
    running = a_running_work(id=an_id(NOW - 900, 4))
    over = a_work(id=an_id(NOW - 800, 5), state=State.FINISHED)
    asked = a_work(id=an_id(NOW - 700, 6), cancel_requested=True)
    entry = {EntryKey(running.id, 1): Entry(EpochMs(NOW + 3_000_000), confirmed=True)}
    stage.place(moved, running, over, asked)
    stage.place(
        Ledger(
            pool=POOL,
            holder="before",
            generation=1,
            version=1,
            entries=entry,
            shards=(ShardCursors(),),
        )
    )
    stage.resting_as(LoopState.RUNNING, generation=2)
    stage.serve(order(2))

    assert stage.status().state is LoopState.WAITING
    assert stage.generation() == 2
    assert stage.clock.at - NOW < 5_000


def test_stale_key_hides_no_later_work() -> None:
    """[WP-20] The old key of a work item that waits for its retry lies before due work items."""
    stage = Stage()
    moved = a_work(id=an_id(NOW - 1_000, 3), starts=1, due_at=NOW + 86_400_000)
    stage.place(moved)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(5_000)

    assert stage.work(work_id).state is State.FINISHED


@pytest.mark.parametrize("minutes", [1, 3, 600])
def test_due_time_costs_one_loop_invocation_and_is_kept_to_second(minutes: int) -> None:
    """[WP-20] [WP-22] Near ones are waited for, far ones are slept through."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(minutes=minutes))
    stage.run(minutes * 60_000 + 60_000)
    work = stage.work(work_id)

    assert 0 <= (work.started_at or 0) - work.due_at <= limits.DUE_TO_START_MS
    assert len(stage.telemetry.of(LoopTook)) == (1 if minutes == 1 else 2)
    assert stage.telemetry.of(LoopFenced) == []


def test_status_write_finds_state_that_it_leaves() -> None:
    """[WP-2] Any other process that changes the state takes the next generation, too."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    resting = updates(StatusRef, state=LoopState.IDLE)
    stage.store.plan(
        resting, first(lambda: stage.place(replace(stage.status(), state=LoopState.WAITING)))
    )
    stage.run(20_000)

    assert stage.status().state is LoopState.WAITING
    assert len(stage.telemetry.of(LoopFenced)) == 1


def test_loop_promises_nothing_for_works_that_run_already() -> None:
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


def test_wake_that_cannot_be_taken_back_hinders_no_rest(stage: Stage) -> None:
    """[WP-22] It comes for nothing."""
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
    stage.run(60_000)
    stage.timer.broken = True
    pool.cancel(None, work_id)
    pool.enqueue_action(None, TARGET, {})
    stage.run(60_000)

    assert stage.status().state is LoopState.IDLE
    assert stage.telemetry.of(LoopRested)[-1].state == "idle"
    assert len(stage.telemetry.of(TimerFailed)) == 1
