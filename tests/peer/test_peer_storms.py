"""Behaviours of the peer's list as stories, in a calm and in storms: what is lost, doubled or late there changes when, and never what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.peer.conftest import STORMS, OpenCloud
from workpool_aws import NonRetryableError, OnCompleteEvent, RetryPolicy, Workpool
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.adapters.wire.loop import LOOP_KEY
from workpool_aws.local import LocalCloud
from workpool_aws.local.faults.faults import Fault
from workpool_aws.local.services.invocations import Invocation
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import Ledger, LoopState, LoopStatus
from workpool_aws.model.payload import Part
from workpool_aws.model.record import Ref
from workpool_aws.model.refs import (
    ChunkRef,
    Collection,
    ConfigRef,
    KeyRange,
    LedgerRef,
    RegistrationRef,
    StatusRef,
    WorkRef,
)
from workpool_aws.model.work import Pointer, WorkItem
from workpool_aws.model.writes import Put
from workpool_aws.ports import Store

ALL = pytest.mark.parametrize("open_cloud", ["calm", *STORMS], indirect=True)
WITH_MOTO = pytest.mark.parametrize("open_cloud", ["calm", "moto", *STORMS], indirect=True)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
LONG = timedelta(minutes=7)
DAY = timedelta(hours=24)


def store_of(cloud: LocalCloud) -> Store:
    """The table behind everybody's back: no fault, no time, no cost."""
    return cloud._engine_open.quiet(cloud.table)


def status_of(cloud: LocalCloud, pool: Workpool) -> LoopStatus:
    status = store_of(cloud).get(StatusRef(pool.name))
    assert isinstance(status, LoopStatus)
    return status


def work_of(cloud: LocalCloud, pool: Workpool, work_id: WorkId) -> WorkItem:
    work = store_of(cloud).get(WorkRef(pool.name, work_id))
    assert isinstance(work, WorkItem)
    return work


def entries_of(cloud: LocalCloud, pool: Workpool) -> set[str]:
    ledger = store_of(cloud).get(LedgerRef(pool.name))
    return {key.work_id for key in ledger.entries} if isinstance(ledger, Ledger) else set()


def pointers_of(cloud: LocalCloud, pool: Workpool) -> list[Pointer]:
    return [
        row.record
        for row in store_of(cloud).query(KeyRange(collection=Collection.WORK, pool=pool.name)).rows
        if isinstance(row.record, Pointer)
    ]


def until(
    cloud: LocalCloud,
    holds: Callable[[], bool],
    *,
    step: timedelta = SECOND,
    within: timedelta = timedelta(hours=2),
) -> None:
    end = cloud.now + within
    while not holds():
        assert cloud.now < end, "it never came about"
        cloud.advance(step)


def states_of(pool: Workpool, ids: list[Any]) -> list[str]:
    return [status.state for status in pool.status_batch(None, ids)]


def outcomes_of(pool: Workpool, ids: list[Any]) -> list[str | None]:
    return [status.outcome for status in pool.status_batch(None, ids)]


def worker(
    cloud: LocalCloud,
    pool: Workpool,
    *,
    takes: timedelta = SECOND,
    timeout: timedelta = timedelta(minutes=14),
    ran: list[str] | None = None,
) -> str:
    """A decorated function: `end` says what becomes of it."""

    def work(name: str = "", end: str = "ok", pad: str = "") -> str:
        if ran is not None:
            ran.append(name)
        if end == "fails":
            raise ValueError(f"{name} failed")
        if end == "fails for good":
            raise NonRetryableError(f"{name} failed")
        return name

    return cloud.function(pool.action(work), name=f"work-{pool.name}", takes=takes, timeout=timeout)


def runs_of(cloud: LocalCloud, fn: str) -> list[Invocation]:
    """The invocations that ran user code that takes its time, each until its end is recorded.

    What was refused, or came too late to run, is over at once. An invocation that asks for a loop
    again and again after its record holds no slot.
    """
    return [
        replace(each, ended_at=min(each.ended_at, recorded_end(cloud, each)))
        for each in cloud.invocations(fn)
        if each.ended_at is not None and each.ended_at - each.started_at > MINUTE
    ]


def recorded_end(cloud: LocalCloud, run: Invocation) -> datetime:
    own = run.event[WORKPOOL_KEY]
    work = store_of(cloud).get(WorkRef(own["pool"], WorkId(own["work_id"])))
    assert isinstance(work, WorkItem)
    assert work.finished_at is not None
    return datetime.fromtimestamp(work.finished_at / 1000, UTC)


def most_at_once(runs: list[Invocation]) -> int:
    return max(
        sum(one.started_at <= each.started_at < one.ended_at for one in runs) for each in runs
    )


def library_errors(cloud: LocalCloud) -> list[str]:
    own = (cloud.loop_arn, cloud.completion_arn, cloud.watchdog_arn)
    return [
        each.error
        for arn in own
        for each in cloud.invocations(arn)
        if each.error is not None and "StoreUnavailable" not in each.error
    ]


@WITH_MOTO
@pytest.mark.peer("SM01", "SM03", "SM11", "LP01", "LP02", "LB03", "CP01", "KK01", "BW23", "LB12")
def test_work_goes_from_pending_to_its_result(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", max_parallelism=2)
    ran: list[str] = []
    fn = worker(cloud, pool, takes=LONG, ran=ran)

    work_id = pool.enqueue_action(None, fn, {"name": "a"})

    first = pool.status(None, work_id)
    assert (first.state, first.previous_attempts, first.outcome) == ("pending", 0, None)
    assert [each.work_id for each in pool.list(None, state="pending").items] == [work_id]
    until(cloud, lambda: pool.status(None, work_id).state == "running")
    assert pool.status(None, work_id).cancel_requested is False
    assert entries_of(cloud, pool) == {work_id}
    cloud.run_until_idle(timeout=DAY)
    assert pool.status(None, work_id).outcome == "success"
    assert pool.result(None, work_id).return_value == "a"
    assert ran == ["a"]
    assert entries_of(cloud, pool) == set()
    until(cloud, lambda: status_of(cloud, pool).state is LoopState.IDLE)


@WITH_MOTO
@pytest.mark.peer("SM02", "SM04", "SM05", "SM12", "SM13", "LP03", "LP10", "CP03", "CP05", "LB14")
def test_failure_is_tried_again_until_its_last_attempt(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", max_parallelism=2)
    fn = worker(cloud, pool)
    retried = pool.enqueue_action(
        None,
        fn,
        {"name": "a", "end": "fails"},
        retry=RetryPolicy(max_attempts=2, initial_backoff=LONG),
    )
    single = pool.enqueue_action(None, fn, {"name": "b", "end": "fails"})

    until(cloud, lambda: pool.status(None, retried).previous_attempts == 1)

    waits = pool.status(None, retried)
    assert (waits.state, waits.outcome) == ("pending", None)
    until(cloud, lambda: entries_of(cloud, pool) == set())
    cloud.run_until_idle(timeout=DAY)
    assert outcomes_of(pool, [retried, single]) == ["failed", "failed"]
    assert [status.previous_attempts for status in pool.status_batch(None, [retried, single])] == [
        1,
        0,
    ]
    assert pool.result(None, single).error == "b failed"
    assert entries_of(cloud, pool) == set()


@ALL
@pytest.mark.peer("SM22", "SM37", "SM43", "SM40", "LP11")
def test_work_that_backs_off_is_canceled_before_or_after_loop_knows(
    cloud: LocalCloud,
) -> None:
    pool = cloud.workpool("email", max_parallelism=2)
    fn = worker(cloud, pool)
    work_id = pool.enqueue_action(
        None, fn, {"end": "fails"}, retry=RetryPolicy(max_attempts=3, initial_backoff=LONG)
    )
    until(
        cloud,
        lambda: pool.status(None, work_id).previous_attempts == 1,
        step=timedelta(milliseconds=50),
    )

    starts = work_of(cloud, pool, work_id).starts
    told = pool.cancel(None, work_id)

    assert told == "canceled"
    cloud.run_until_idle(timeout=DAY)
    cloud.advance(timedelta(hours=1))
    assert pool.status(None, work_id).outcome == "canceled"
    assert (work_of(cloud, pool, work_id).attempts_made, work_of(cloud, pool, work_id).starts) == (
        1,
        starts,
    )
    assert entries_of(cloud, pool) == set()
    assert pool.list(None, state="pending").items == pool.list(None, state="running").items
    assert library_errors(cloud) == []


@ALL
@pytest.mark.peer("SM06", "SM14", "SM20", "SM24", "SM38", "LB06", "LB07", "LP12", "CP06")
def test_pending_work_is_canceled_for_itself_and_twice_is_once(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", max_parallelism=1)
    ran: list[str] = []
    fn = worker(cloud, pool, ran=ran)
    ids = pool.enqueue_action_batch(None, fn, [{"name": name} for name in "abc"], run_after=LONG)

    told = [pool.cancel(None, ids[1]), pool.cancel(None, ids[1])]

    assert told == ["canceled", "finished"]
    assert states_of(pool, ids) == ["pending", "finished", "pending"]
    cloud.run_until_idle(timeout=DAY)
    assert sorted(ran) == ["a", "c"]
    assert outcomes_of(pool, ids) == ["success", "canceled", "success"]
    assert library_errors(cloud) == []


@ALL
@pytest.mark.peer("SM07", "SM10", "SM15", "SM21", "SM28", "LB15", "LP13")
def test_running_work_that_was_asked_to_cancel_runs_on(cloud: LocalCloud, is_calm: bool) -> None:
    pool = cloud.workpool("email", max_parallelism=1)
    ran: list[str] = []
    fn = worker(cloud, pool, takes=LONG, ran=ran)
    work_id = pool.enqueue_action(None, fn, {"name": "a"})
    until(cloud, lambda: ran == ["a"])

    told = [pool.cancel(None, work_id), pool.cancel(None, work_id)]

    assert told == ["requested", "requested"]
    cloud.advance(MINUTE)
    written = cloud.capacity.write_units
    cloud.advance(5 * MINUTE)
    status = pool.status(None, work_id)
    assert (status.state, status.cancel_requested, status.previous_attempts) == ("running", True, 0)
    assert not is_calm or cloud.capacity.write_units == written
    cloud.run_until_idle(timeout=DAY)
    assert (pool.status(None, work_id).outcome, work_of(cloud, pool, work_id).attempts_made) == (
        "success",
        1,
    )


@ALL
@pytest.mark.peer("SM08")
def test_work_that_was_asked_to_cancel_and_fails_is_not_tried_again(
    cloud: LocalCloud, is_calm: bool
) -> None:
    pool = cloud.workpool("email", max_parallelism=1)
    ran: list[str] = []
    fn = worker(cloud, pool, takes=LONG, ran=ran)
    work_id = pool.enqueue_action(None, fn, {"end": "fails"}, retry=True)
    until(cloud, lambda: ran == [""])

    pool.cancel(None, work_id)

    starts = work_of(cloud, pool, work_id).starts
    cloud.run_until_idle(timeout=DAY)
    assert work_of(cloud, pool, work_id).starts == starts
    assert (pool.status(None, work_id).outcome, work_of(cloud, pool, work_id).attempts_made) in {
        ("canceled", 1),
        ("canceled", int(is_calm)),
    }
    assert pool.list(None, state="pending").items == pool.list(None, state="running").items


@ALL
@pytest.mark.peer("SM23", "SM39", "LB08", "LP14", "LB11")
def test_cancel_of_finished_or_unknown_work_fails(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", status_ttl=MINUTE)
    fn = worker(cloud, pool)
    over = pool.enqueue_action(None, fn, {"name": "a"})
    never = make_id(EpochMs(1_767_225_600_000), random_bits=7)
    until(cloud, lambda: pool.status(None, over).state == "finished")
    before = [store_of(cloud).get(WorkRef(pool.name, work_id)) for work_id in (over, never)]

    told = [pool.cancel(None, over), pool.cancel(None, never)]

    assert told == ["finished", "unknown"]
    assert [store_of(cloud).get(WorkRef(pool.name, work_id)) for work_id in (over, never)] == before
    cloud.advance(DAY)
    written = cloud.capacity.write_units
    assert (pool.cancel(None, over), pool.status(None, over).state) == ("unknown", "unknown")
    assert cloud.capacity.write_units == written


@ALL
@pytest.mark.peer("SM17", "SM25", "RC03")
def test_work_that_is_removed_while_it_runs_hurts_no_other(cloud: LocalCloud) -> None:
    """Its report finds nothing, its slot is freed once, and what waited for the slot runs."""
    pool = cloud.workpool("email", max_parallelism=1)
    ran: list[str] = []
    fn = worker(cloud, pool, takes=LONG, ran=ran)
    gone = pool.enqueue_action(None, fn, {"name": "gone"})
    until(cloud, lambda: ran == ["gone"])
    waits = pool.enqueue_action(None, fn, {"name": "waits"})

    store_of(cloud).delete(WorkRef(pool.name, gone))

    cloud.run_until_idle(timeout=DAY)
    assert ran == ["gone", "waits"]
    assert (pool.status(None, gone).state, pool.status(None, waits).outcome) == (
        "unknown",
        "success",
    )
    assert entries_of(cloud, pool) == set()
    assert library_errors(cloud) == []


@ALL
@pytest.mark.peer("SM32", "SM33")
def test_stale_entry_of_queue_is_removed_and_hurts_no_task(cloud: LocalCloud) -> None:
    """One whose work is gone, and one whose work is over already."""
    pool = cloud.workpool("email", max_parallelism=2)
    ran: list[str] = []
    fn = worker(cloud, pool, ran=ran)
    over = pool.enqueue_action(None, fn, {"name": "over"})
    cloud.run_until_idle(timeout=DAY)
    now = EpochMs(int(cloud.now.timestamp() * 1000))
    for number, work_id in enumerate((over, make_id(now, random_bits=5))):
        pointer = Pointer(
            pool=pool.name,
            at=make_id(EpochMs(now + 10), random_bits=number),
            work_id=type(over)(work_id),
        )
        store_of(cloud).write(Put(pointer))

    later = pool.enqueue_action(None, fn, {"name": "later"})

    cloud.run_until_idle(timeout=DAY)
    assert ran == ["over", "later"]
    assert pool.status(None, later).outcome == "success"
    assert pointers_of(cloud, pool) == []
    assert library_errors(cloud) == []


@ALL
@pytest.mark.peer("SM29", "SM30", "RC05", "RC01")
def test_start_that_is_never_heard_of_blocks_no_other_work(
    open_cloud: OpenCloud, is_calm: bool
) -> None:
    """Its event was lost: when its time is over it is a failed attempt, its slot goes to the backlog, and its next attempt runs."""
    cloud = open_cloud({Fault.EVENT_LOST: 0.5, Fault.EVENT_TWICE: 0.0}, budget=6)
    pool = cloud.workpool("email", max_parallelism=1)
    fn = cloud.function(lambda event, _: event["n"], name="plain", timeout=30 * SECOND)
    ids = pool.enqueue_action_batch(
        None, fn, [{"n": n} for n in range(6)], retry=RetryPolicy(max_attempts=20)
    )

    cloud.run_until_idle(timeout=DAY)

    assert outcomes_of(pool, ids) == ["success"] * 6
    spent = sum(work_of(cloud, pool, work_id).attempts_made for work_id in ids)
    lost = sum(fact.name == "recovered" for fact in cloud.facts)
    assert spent >= len(ids) + lost
    assert lost >= is_calm


@ALL
@pytest.mark.peer("RC08", "RC01")
def test_lost_starts_each_get_end_of_their_own_and_tell_who_wants_failures(
    open_cloud: OpenCloud,
) -> None:
    cloud = open_cloud(
        {Fault.EVENT_LOST: 1.0, Fault.EVENT_TWICE: 0.0, Fault.LOOP_LOST: 0.0}, budget=0
    )
    told: Counter[str] = Counter()
    pool = cloud.workpool("email", max_parallelism=10)
    fn = cloud.function(lambda event, _: event["n"], name="plain", takes=LONG, timeout=5 * SECOND)
    listener = cloud.function(lambda event, _: told.update([event["work_id"]]), name="listener")
    wanted = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(3)], on_complete=listener)
    unwanted = pool.enqueue_action_batch(
        None, fn, [{"n": n} for n in range(2)], on_complete=listener, on_complete_exclude=["failed"]
    )

    cloud.run_until_idle(timeout=DAY)

    assert outcomes_of(pool, [*wanted, *unwanted]) == ["failed"] * 5
    assert {pool.result(None, work_id).error_type for work_id in (*wanted, *unwanted)} <= {
        "no_report",
        "timeout",
    }
    assert set(told) == set(wanted)


@ALL
@pytest.mark.peer("SM42", "SM35", "LP08", "OL07")
def test_freed_slot_passes_over_canceled_to_next(cloud: LocalCloud, is_calm: bool) -> None:
    pool = cloud.workpool("email", max_parallelism=1)
    ran: list[str] = []
    fn = worker(cloud, pool, takes=LONG, ran=ran)
    ids = [pool.enqueue_action(None, fn, {"name": "a"})]
    until(cloud, lambda: ran == ["a"])
    ids += [pool.enqueue_action(None, fn, {"name": name}) for name in "bc"]
    cloud.advance(MINUTE)
    assert states_of(pool, ids) == ["running", "pending", "pending"]

    pool.cancel(None, ids[1])

    until(cloud, lambda: ran == ["a", "c"])
    first, third = pool.status(None, ids[0]), pool.status(None, ids[2])
    assert first.finished_at is not None
    assert third.started_at is not None
    assert not is_calm or third.started_at - first.finished_at <= SECOND
    cloud.run_until_idle(timeout=DAY)
    assert outcomes_of(pool, ids) == ["success", "canceled", "success"]


@ALL
@pytest.mark.peer("SM36", "CP10")
def test_attempts_that_fail_and_succeed_at_one_time_are_each_what_they_are(
    cloud: LocalCloud,
) -> None:
    pool = cloud.workpool("email", max_parallelism=3)
    fn = worker(cloud, pool)
    policy = RetryPolicy(max_attempts=2, initial_backoff=timedelta(hours=1))
    ids = pool.enqueue_action_batch(None, fn, [{"end": "fails"}, {"end": "fails"}], retry=policy)
    ids.append(pool.enqueue_action(None, fn, {"end": "ok"}))

    until(
        cloud,
        lambda: (
            states_of(pool, ids) == ["pending", "pending", "finished"]
            and [work_of(cloud, pool, each).attempts_made for each in ids[:2]] == [1, 1]
        ),
    )

    cloud.run_until_idle(timeout=DAY)
    assert outcomes_of(pool, ids) == ["failed", "failed", "success"]
    assert [work_of(cloud, pool, work_id).attempts_made for work_id in ids[:2]] == [2, 2]
    assert work_of(cloud, pool, ids[2]).attempts_made == 1


@WITH_MOTO
@pytest.mark.peer("LP07", "LP04", "LP08")
def test_limit_is_never_exceeded_and_all_of_it_used(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", max_parallelism=3)
    fn = worker(cloud, pool, takes=LONG)
    ids = pool.enqueue_action_batch(None, fn, [{"name": str(n)} for n in range(7)])

    until(cloud, lambda: states_of(pool, ids).count("running") == 3)

    assert states_of(pool, ids).count("pending") == 4
    cloud.run_until_idle(timeout=DAY)
    assert outcomes_of(pool, ids) == ["success"] * 7
    assert most_at_once(runs_of(cloud, fn)) == 3


@ALL
@pytest.mark.peer("LP09")
def test_limit_below_what_runs_starts_nothing_and_kills_nothing(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", max_parallelism=3)
    ran: list[str] = []
    fn = worker(cloud, pool, takes=LONG, ran=ran)
    ids = pool.enqueue_action_batch(None, fn, [{"name": str(n)} for n in range(5)])
    until(cloud, lambda: len(ran) == 3)

    pool.configure(None, max_parallelism=1)

    changed_at = cloud.now
    cloud.run_until_idle(timeout=DAY)
    assert outcomes_of(pool, ids) == ["success"] * 5
    runs = runs_of(cloud, fn)
    before, after = (
        [each for each in runs if each.started_at <= changed_at],
        [each for each in runs if each.started_at > changed_at],
    )
    assert (len(before), len(after)) == (3, 2)
    assert max(each.ended_at for each in before) <= after[0].started_at
    assert after[0].ended_at <= after[1].started_at


@ALL
@pytest.mark.peer("LP19", "OL03", "OL05", "LB13")
def test_work_for_later_lets_loop_wait_and_wakes_it_in_time(
    cloud: LocalCloud, is_calm: bool
) -> None:
    pool = cloud.workpool("email", max_parallelism=2)
    fn = worker(cloud, pool, takes=LONG)
    work_id = pool.enqueue_action(None, fn, {"name": "a"}, run_after=LONG)
    due = pool.status(None, work_id).next_run_at
    until(
        cloud,
        lambda: status_of(cloud, pool).state is LoopState.WAITING,
        within=timedelta(minutes=5),
    )

    waiting = status_of(cloud, pool)

    assert waiting.saturated is False
    assert waiting.wake_at is not None
    assert waiting.wake_at <= due.timestamp() * 1000
    until(cloud, lambda: pool.status(None, work_id).state == "running")
    began = pool.status(None, work_id).started_at
    assert timedelta(0) <= began - due <= (SECOND if is_calm else 6 * MINUTE)


@ALL
@pytest.mark.peer("LP15", "OL01", "BW16", "BW05", "SM09")
def test_pool_at_rest_leaves_and_writes_nothing(cloud: LocalCloud) -> None:
    """After a far wake too, and while paused."""
    pool = cloud.workpool("email")
    fn = worker(cloud, pool)
    pool.enqueue_action(None, fn, {"name": "a"}, run_after=LONG)
    cloud.run_until_idle(timeout=DAY)
    pool.configure(None, paused=True)
    pool.enqueue_action(None, fn, {"name": "b"}, run_after=LONG)
    cloud.advance(timedelta(hours=2))
    written, loops = cloud.capacity.write_units, len(cloud.invocations(cloud.loop_arn))

    cloud.advance(timedelta(hours=2))

    assert cloud.capacity.write_units == written
    assert len(cloud.invocations(cloud.loop_arn)) == loops
    assert list(cloud._open.schedules.standing) == []
    assert all(each.ended_at is not None for each in cloud.invocations(cloud.loop_arn))


@ALL
@pytest.mark.peer("LP22")
def test_messages_of_earlier_version_still_make_progress(cloud: LocalCloud) -> None:
    """A worker's event and a loop's order without the fields that came later; an order that is none does no harm."""
    pool = cloud.workpool("email", max_parallelism=1)
    decorated = pool.action(lambda name: name)
    optional = {"loop_until", "args_chunks", "context_chunks", "callback_for"}

    def earlier(event: dict[str, Any], context: object) -> object:
        told = {key: value for key, value in event[WORKPOOL_KEY].items() if key not in optional}
        return decorated({**event, WORKPOOL_KEY: {**told, "of_a_later_version": 1}}, context)

    earlier.__workpool__ = True
    fn = cloud.function(earlier, name="earlier", takes=SECOND)
    ids = [pool.enqueue_action(None, fn, {"name": name}) for name in "ab"]
    bare = {LOOP_KEY: {"table": cloud.table, "pool": pool.name}}
    for event in (
        bare,
        {LOOP_KEY: {"table": cloud.table, "pool": pool.name, "generation": 1}},
        {"nonsense": 1},
    ):
        cloud.invoke(cloud.loop_arn, event)

    cloud.run_until_idle(timeout=DAY)

    assert [pool.result(None, work_id).return_value for work_id in ids] == ["a", "b"]


@ALL
@pytest.mark.peer("CP02")
def test_work_whose_stored_payload_is_gone_ends_and_hurts_no_other(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", max_parallelism=1)
    fn = worker(cloud, pool)
    gone, sound = pool.enqueue_action_batch(
        None, fn, [{"pad": "x" * 20_000}, {"pad": "y" * 20_000, "name": "sound"}], run_after=LONG
    )

    store_of(cloud).delete(ChunkRef(pool.name, gone, Part.ARGS, 0))

    cloud.run_until_idle(timeout=DAY)
    assert (pool.result(None, gone).error_type, pool.result(None, sound).return_value) == (
        "payload_missing",
        "sound",
    )
    assert entries_of(cloud, pool) == set()
    assert library_errors(cloud) == []


@ALL
@pytest.mark.peer("CP07", "CP08", "KK02", "OK04", "OK05", "OL04", "OL06", "OL08", "LP16")
def test_ends_wake_saturated_loop_and_enqueues_do_not(cloud: LocalCloud, is_calm: bool) -> None:
    """One slot, taken by a failure that will be retried, then by a success, then by the retry."""
    pool = cloud.workpool("email", max_parallelism=1)
    ran: list[str] = []
    fn = worker(cloud, pool, takes=LONG, ran=ran)
    policy = RetryPolicy(max_attempts=2, initial_backoff=MINUTE)
    first = pool.enqueue_action(None, fn, {"name": "first", "end": "fails"}, retry=policy)
    until(cloud, lambda: ran != [])
    until(cloud, lambda: status_of(cloud, pool).state is LoopState.WAITING)
    saturated = status_of(cloud, pool)

    second = pool.enqueue_action(None, fn, {"name": "second"})

    cloud.advance(MINUTE)
    assert not is_calm or saturated.saturated
    assert not is_calm or status_of(cloud, pool).generation == saturated.generation
    assert pool.status(None, second).state == "pending"
    until(cloud, lambda: "second" in ran)
    assert not is_calm or pool.status(None, first).state == "pending"
    until(cloud, lambda: status_of(cloud, pool).state is LoopState.WAITING)
    assert not is_calm or status_of(cloud, pool).saturated
    cloud.run_until_idle(timeout=DAY)
    assert outcomes_of(pool, [first, second]) == ["failed", "success"]
    lags = [fact.lag_ms for fact in cloud.facts if fact.name == "started"]
    assert not is_calm or [lag > 1_000 for lag in lags] == [False, True, True]
    ends = sorted(each.ended_at for each in cloud.invocations(fn) if each.outcome != "duplicate")
    begins = sorted(
        each.started_at for each in cloud.invocations(fn) if each.outcome != "duplicate"
    )
    assert not is_calm or [
        later - earlier < SECOND for earlier, later in zip(ends, begins[1:], strict=False)
    ] == [True, True]


@ALL
@pytest.mark.peer("KK02", "CP07")
def test_cancel_and_higher_limit_wake_it_too(cloud: LocalCloud) -> None:
    told: list[str] = []
    pool = cloud.workpool("email", max_parallelism=1)
    ran: list[str] = []
    fn = worker(cloud, pool, takes=LONG, ran=ran)
    listener = cloud.function(lambda event, _: told.append(event["work_id"]), name="listener")
    first = pool.enqueue_action(None, fn, {"name": "first"})
    until(cloud, lambda: ran == ["first"])
    second, third = pool.enqueue_action_batch(
        None, fn, [{}, {"name": "third"}], on_complete=listener
    )
    cloud.advance(MINUTE)

    pool.cancel(None, second)
    pool.configure(None, max_parallelism=2)

    until(cloud, lambda: "third" in ran, within=8 * MINUTE)
    until(cloud, lambda: second in told, within=8 * MINUTE)
    assert pool.status(None, third).state == "running"
    assert pool.status(None, first).state == "running"


@WITH_MOTO
@pytest.mark.peer("CP09")
def test_callback_tells_id_context_and_result(cloud: LocalCloud) -> None:
    heard: list[OnCompleteEvent] = []
    pool = cloud.workpool("email")

    def note(event: OnCompleteEvent) -> None:
        heard.append(event)

    target = cloud.function(pool.on_complete(note), name="heard")
    fn = worker(cloud, pool)

    work_id = pool.enqueue_action(None, fn, {"name": "a"}, on_complete=target, context={"user": 7})

    cloud.run_until_idle(timeout=DAY)
    assert {(event.work_id, event.result.kind, event.result.return_value) for event in heard} == {
        (work_id, "success", "a")
    }
    assert all(event.context == {"user": 7} for event in heard)


@WITH_MOTO
@pytest.mark.peer("BW24", "BW28", "BW06", "BW05")
def test_pause_halts_and_resume_finishes(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", max_parallelism=1)
    ran: list[str] = []
    fn = worker(cloud, pool, takes=LONG, ran=ran)
    ids = [pool.enqueue_action(None, fn, {"name": "a"})]
    until(cloud, lambda: ran == ["a"])
    ids.append(pool.enqueue_action(None, fn, {"name": "b"}))

    pool.configure(None, paused=True)
    ids.append(pool.enqueue_action(None, fn, {"name": "c"}))

    cloud.advance(timedelta(hours=1))
    assert states_of(pool, ids) == ["finished", "pending", "pending"]
    assert list(cloud._open.schedules.standing) == []
    generation = status_of(cloud, pool).generation
    pool.configure(None, paused=False)
    assert status_of(cloud, pool).generation == generation + 1
    cloud.invoke(
        cloud.loop_arn,
        {LOOP_KEY: {"table": cloud.table, "pool": pool.name, "generation": generation}},
    )
    cloud.run_until_idle(timeout=DAY)
    assert outcomes_of(pool, ids) == ["success"] * 3
    assert sorted(ran) == ["a", "b", "c"]


@ALL
@pytest.mark.peer("BW19", "LP19")
def test_wake_that_never_comes_is_made_up_for(open_cloud: OpenCloud) -> None:
    cloud = open_cloud({Fault.WAKE_NEVER: 1.0}, budget=1)
    pool = cloud.workpool("email")
    fn = worker(cloud, pool)
    work_id = pool.enqueue_action(None, fn, {}, run_after=LONG)

    # Each lost order of the watchdog costs two minutes more, and a storm loses several.
    cloud.advance(LONG + 10 * MINUTE)

    assert pool.status(None, work_id).outcome == "success"


@ALL
@pytest.mark.peer("BW21", "OK06", "OK07")
def test_pool_whose_own_items_and_schedules_were_removed_goes_on(cloud: LocalCloud) -> None:
    """Status, ledger, config and the far schedule are gone. The stored work items are enough."""
    pool = cloud.workpool("email", max_parallelism=1)
    fn = worker(cloud, pool)
    ids = pool.enqueue_action_batch(None, fn, [{"name": "a"}, {"name": "b"}], run_after=LONG)
    cloud.advance(3 * MINUTE)
    removed: list[Ref] = [StatusRef(pool.name), LedgerRef(pool.name), ConfigRef(pool.name)]
    for ref in removed:
        store_of(cloud).delete(ref)
    for schedule in cloud._open.schedules.standing:
        cloud._open.schedules.drop(schedule.group, schedule.name)

    ids.append(Workpool(cloud.table, pool.name).enqueue_action(None, fn, {"name": "c"}))

    cloud.run_until_idle(timeout=DAY)
    assert outcomes_of(pool, ids) == ["success"] * 3
    assert library_errors(cloud) == []
    assert Workpool(cloud.table, pool.name).config(None).max_parallelism == 10


@WITH_MOTO
@pytest.mark.peer("OK01", "BW01", "BW04", "BW14", "OK08", "KK01")
def test_first_kicks_that_race_make_one_of_each_item_and_one_loop(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", max_parallelism=20)
    fn = worker(cloud, pool, takes=LONG)
    ids: list[WorkId] = []
    caller = cloud.function(
        lambda event, _: ids.append(pool.enqueue_action(None, fn, event)), name="caller"
    )
    refs: tuple[Ref, ...] = (StatusRef(pool.name), LedgerRef(pool.name), RegistrationRef(pool.name))
    assert [store_of(cloud).get(ref) for ref in refs] == [None] * 3

    for number in range(10):
        cloud.invoke(caller, {"name": str(number)})

    cloud.advance(5 * MINUTE)
    until(cloud, lambda: "pending" not in states_of(pool, ids), step=MINUTE)
    assert len(ids) >= 5
    assert all(store_of(cloud).get(ref) is not None for ref in refs)
    held = Counter(fact.generation for fact in cloud.facts if fact.name == "loop_took")
    assert max(held.values()) == 1
    cloud.run_until_idle(timeout=DAY)
    assert outcomes_of(pool, ids) == ["success"] * len(ids)


@ALL
@pytest.mark.peer("BW22")
def test_pools_side_by_side_do_not_interfere(cloud: LocalCloud) -> None:
    pools = [
        cloud.workpool(name, max_parallelism=limit)
        for name, limit in (("a", 1), ("b", 2), ("c", 0))
    ]
    fns = [worker(cloud, pool, takes=LONG) for pool in pools]
    ids = [
        pool.enqueue_action_batch(None, fn, [{}] * 3) for pool, fn in zip(pools, fns, strict=True)
    ]

    cloud.run_until_idle(timeout=DAY)

    assert [outcomes_of(pool, mine) for pool, mine in zip(pools, ids, strict=True)] == [
        ["success"] * 3,
        ["success"] * 3,
        [None] * 3,
    ]
    assert [most_at_once(runs_of(cloud, fn)) for fn in fns[:2]] == [1, 2]
    assert cloud.invocations(fns[2]) == []
    assert pools[0].status(None, ids[1][0]).state == "unknown"


@ALL
@pytest.mark.peer("BW10", "OK03", "OK10")
def test_earlier_work_ends_far_wait_and_old_wake_finds_nothing(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email")
    ran: list[str] = []
    fn = worker(cloud, pool, ran=ran)
    far = pool.enqueue_action(None, fn, {"name": "far"}, run_after=timedelta(hours=2))
    until(cloud, lambda: status_of(cloud, pool).state is LoopState.WAITING)
    waiting = status_of(cloud, pool)

    near = pool.enqueue_action(None, fn, {"name": "near"}, run_after=LONG)

    assert status_of(cloud, pool).generation == waiting.generation + 1
    cloud.run_until_idle(timeout=DAY)
    assert ran == ["near", "far"]
    assert outcomes_of(pool, [near, far]) == ["success", "success"]
    assert list(cloud._open.schedules.standing) == []


@WITH_MOTO
@pytest.mark.peer("CF01", "KK02", "OK09")
def test_changed_limit_is_kept_and_higher_one_is_used_at_once(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", max_parallelism=1)
    fn = worker(cloud, pool, takes=LONG)
    ids = pool.enqueue_action_batch(None, fn, [{}] * 3)
    until(cloud, lambda: states_of(pool, ids).count("running") == 1)

    pool.configure(None, max_parallelism=2)

    until(cloud, lambda: states_of(pool, ids).count("running") == 2, within=4 * MINUTE)
    cloud.run_until_idle(timeout=DAY)
    assert most_at_once(runs_of(cloud, fn)) == 2
    config = pool.config(None)
    assert config.override is not None
    assert (config.max_parallelism, config.base.max_parallelism) == (2, 1)


@ALL
@pytest.mark.peer("SM26", "RC02", "SM27", "SM31", "RC09", "LP18", "LP21")
def test_live_start_is_left_alone_however_long_it_takes(cloud: LocalCloud) -> None:
    """And its report is what counts, not the deadline that passes while the loop rests."""
    pool = cloud.workpool("email", max_parallelism=1)
    ran: list[str] = []
    fn = worker(cloud, pool, takes=timedelta(minutes=13), ran=ran)
    ids = [pool.enqueue_action(None, fn, {"name": "a"})]
    until(cloud, lambda: ran == ["a"])
    ids.append(pool.enqueue_action(None, fn, {"name": "b"}))

    cloud.advance(timedelta(minutes=11))

    assert (states_of(pool, ids), entries_of(cloud, pool)) == (["running", "pending"], {ids[0]})
    cloud.run_until_idle(timeout=DAY)
    assert outcomes_of(pool, ids) == ["success", "success"]
    assert ran == ["a", "b"]
    assert [fact for fact in cloud.facts if fact.name == "recovered"] == []


@ALL
@pytest.mark.peer("SM16", "SM18", "SM19", "SM34", "CP11", "CP12", "RC04")
def test_second_report_of_attempt_changes_nothing_while_next_one_runs(
    open_cloud: OpenCloud,
) -> None:
    """Every destination record comes twice, the second time while the next attempt runs or when all is over."""
    cloud = open_cloud({Fault.RECORD_TWICE: 1.0}, budget=12)
    told: list[str] = []
    pool = cloud.workpool("email", max_parallelism=2)

    def plain(event: dict[str, Any], _: object) -> str:
        raise ValueError(f"attempt {event[WORKPOOL_KEY]['attempts_made'] + 1} failed")

    fn = cloud.function(plain, name="plain", takes=3 * SECOND)
    listener = cloud.function(
        lambda event, _: told.append(event["result"]["error"]), name="listener"
    )
    policy = RetryPolicy(max_attempts=3, initial_backoff=SECOND, jitter=False)
    work_id = pool.enqueue_action(None, fn, {}, retry=policy, on_complete=listener)

    cloud.run_until_idle(timeout=DAY)

    status = pool.status(None, work_id)
    assert (status.outcome, work_of(cloud, pool, work_id).attempts_made) == ("failed", 3)
    assert set(told) == {pool.result(None, work_id).error}
    ignored = [fact for fact in cloud.facts if fact.name == "report_ignored"]
    assert len(ignored) >= 2
    work = store_of(cloud).get(WorkRef(pool.name, work_id))
    assert isinstance(work, WorkItem)
    assert work.starts <= 3 + sum(fact.name == "put_back" for fact in cloud.facts)
