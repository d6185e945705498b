"""Time in a cloud: `advance` and `run_until_idle`, virtual and real."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workpool_aws import RetryPolicy, Work, Workpool
from workpool_aws.compose import ports_for
from workpool_aws.local import LocalCloud, LocalCloudError
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import LoopState, LoopStatus, Registration
from workpool_aws.model.writes import Put

START = datetime(2026, 1, 1, tzinfo=UTC)


def nothing(event: object, context: object) -> None:
    pass


def test_fresh_cloud_is_idle() -> None:
    with LocalCloud(engine="memory") as cloud:
        cloud.run_until_idle(timeout=timedelta(days=365))

        assert cloud.now == START
        assert cloud.invocations(cloud.watchdog_arn) == []


def test_advance_ends_exactly_there() -> None:
    with LocalCloud(engine="memory") as cloud:
        cloud.advance(timedelta(hours=1))
        cloud.advance(timedelta(milliseconds=1))

        assert cloud.now == START + timedelta(hours=1, milliseconds=1)


def test_advance_does_what_is_due_up_to_its_end_and_nothing_later() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        fn = cloud.function(nothing)
        for minutes in (10, 20, 30):
            pool.enqueue_action(
                None, fn, {"minutes": minutes}, run_after=timedelta(minutes=minutes)
            )

        cloud.advance(timedelta(minutes=25))

        assert [each.event["minutes"] for each in cloud.invocations(fn)] == [10, 20]
        assert cloud.now == START + timedelta(minutes=25)


@pytest.mark.parametrize("minutes", [0, 1, 5, 600])
def test_due_times_are_kept_to_second_near_and_far(minutes: int) -> None:
    with LocalCloud(engine="memory", scheduler="aws", seed=minutes) as cloud:
        pool = cloud.workpool()
        fn = cloud.function(nothing)
        due = cloud.now + timedelta(minutes=minutes)
        pool.enqueue_action(None, fn, {}, run_at=due)
        cloud.run_until_idle(timeout=timedelta(days=1))

        (entry,) = cloud.invocations(fn)
        assert timedelta(0) <= entry.started_at - due <= timedelta(seconds=1)


def test_idle_jumps_over_future_but_not_beyond_its_timeout() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        fn = cloud.function(nothing)
        near = pool.enqueue_action(None, fn, {}, run_after=timedelta(minutes=50))
        far = pool.enqueue_action(None, fn, {}, run_after=timedelta(days=2))

        cloud.run_until_idle()
        states = pool.status(None, near).state, pool.status(None, far).state
        cloud.run_until_idle(timeout=timedelta(days=3))

        assert states == ("finished", "pending")
        assert pool.status(None, far).state == "finished"


def test_paused_pool_is_at_rest() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool(max_parallelism=0)
        fn = cloud.function(nothing)
        work_id = pool.enqueue_action(None, fn, {})

        cloud.run_until_idle()
        waiting = pool.status(None, work_id).state
        pool.configure(None, max_parallelism=1)
        cloud.run_until_idle()

        assert waiting == "pending"
        assert pool.status(None, work_id).state == "finished"


def test_running_work_at_end_of_timeout_is_named() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool(max_parallelism=1)
        fn = cloud.function(
            nothing, name="endless", takes=timedelta(minutes=14), timeout=timedelta(minutes=15)
        )
        running, waiting = pool.enqueue_action_batch(None, fn, [{}, {}])

        with pytest.raises(LocalCloudError) as raised:
            cloud.run_until_idle(timeout=timedelta(minutes=10))

        assert "2 work items left" in str(raised.value)
        assert f"{running} (running, pool default, endless)" in str(raised.value)
        assert f"{waiting} (pending" in str(raised.value)


def test_idle_waits_for_everything_pool_still_has_to_do() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool(max_parallelism=2)
        fn = cloud.function(nothing, takes=timedelta(minutes=3), timeout=timedelta(minutes=5))
        ids = pool.enqueue_action_batch(None, fn, [{}] * 8)
        cloud.run_until_idle()

        assert {pool.status(None, work_id).state for work_id in ids} == {"finished"}
        assert cloud.max_concurrency(fn) == 2
        assert timedelta(minutes=12) <= cloud.now - START < timedelta(minutes=13)


def test_pool_at_rest_has_no_loop_and_no_schedule() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        pool.enqueue_action(None, cloud.function(nothing), {})
        cloud.run_until_idle()
        before = len(cloud.trace)
        cloud.advance(timedelta(days=7))

        assert len(cloud.trace) == before
        assert cloud.invocations(cloud.watchdog_arn) == []


def test_dead_loop_is_found_by_watchdog() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        fn = cloud.function(nothing)
        # The status says that a loop runs, and none does, so no caller kicks.
        store, now = ports_for(cloud.table).store, EpochMs(int(START.timestamp() * 1000))
        store.write(Put(Registration(pool="default", registered_at=now)))
        store.write(
            Put(
                LoopStatus(
                    pool="default",
                    state=LoopState.RUNNING,
                    generation=7,
                    lease_until=EpochMs(now + 30_000),
                )
            )
        )
        work_id = pool.enqueue_action(None, fn, {})
        cloud.run_until_idle()

        assert pool.status(None, work_id).state == "finished"
        assert [each.started_at - START for each in cloud.invocations(cloud.watchdog_arn)] == [
            timedelta(minutes=1)
        ]


def test_clouds_may_be_nested_and_do_not_meet() -> None:
    with LocalCloud(engine="memory") as outer, LocalCloud(engine="memory") as inner:
        ids = [
            cloud.workpool().enqueue_action(None, cloud.function(nothing), {})
            for cloud in (outer, inner)
        ]
        inner.run_until_idle()

        states = [
            cloud.workpool().status(None, work_id).state
            for cloud, work_id in zip((outer, inner), ids, strict=True)
        ]

    assert states == ["pending", "finished"]


def test_clouds_may_run_in_threads_at_same_time() -> None:
    ends: list[datetime] = []

    def live() -> None:
        with LocalCloud(engine="memory") as cloud:
            cloud.workpool().enqueue_action_batch(
                None, cloud.function(nothing, takes=timedelta(seconds=1)), [{}] * 20
            )
            cloud.run_until_idle()
            ends.append(cloud.now)

    threads = [threading.Thread(target=live) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(ends) == 3
    assert len(set(ends)) == 1


def test_leaving_ends_every_thread() -> None:
    before = set(threading.enumerate())
    with LocalCloud(engine="memory") as cloud:
        cloud.workpool(max_parallelism=5).enqueue_action_batch(
            None, cloud.function(nothing, takes=timedelta(seconds=9)), [{}] * 9
        )
        cloud.advance(timedelta(seconds=3))

    assert set(threading.enumerate()) <= before


def test_work_that_runs_when_cloud_ends_was_killed() -> None:
    with LocalCloud(engine="memory") as cloud:
        fn = cloud.function(nothing, takes=timedelta(seconds=9))
        cloud.invoke(fn, {})
        cloud.advance(timedelta(seconds=3))
        during = cloud.invocations(fn)

    (after,) = cloud.invocations(fn)
    assert [(each.outcome, each.ended_at) for each in during] == [("running", None)]
    assert after.outcome == "killed"


def test_worker_that_waits_for_another_is_reported(request: pytest.FixtureRequest) -> None:
    met = threading.Barrier(2)
    request.addfinalizer(met.abort)

    def rendezvous(_event: object, _context: object) -> None:
        met.wait(60)

    with LocalCloud(engine="memory", stall_timeout=timedelta(seconds=0.3)) as cloud:
        cloud.workpool().enqueue_action_batch(None, cloud.function(rendezvous), [{}, {}])

        with pytest.raises(LocalCloudError, match="rendezvous"):
            cloud.run_until_idle()


def test_workers_meet_on_real_clock() -> None:
    met = threading.Barrier(3)
    with LocalCloud(engine="memory", clock="real", speed=10.0) as cloud:
        pool = cloud.workpool(max_parallelism=3)
        fn = cloud.function(
            lambda _event, _: met.wait(30) >= 0, name="rendezvous", timeout=timedelta(minutes=10)
        )
        ids = pool.enqueue_action_batch(None, fn, [{}] * 3)
        cloud.run_until_idle(timeout=timedelta(minutes=5))
        outcomes = [pool.status(None, work_id).outcome for work_id in ids]

        assert outcomes == ["success"] * 3
        assert cloud.max_concurrency(fn) == 3


@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_real_clock_does_same_work(engine: str) -> None:
    with LocalCloud(engine=engine, clock="real", speed=20.0) as cloud:
        pool = cloud.workpool(max_parallelism=4)

        @pool.action
        def flaky(work: Work, n: int) -> int:
            work.sleep(0.5)
            if work.attempt == 1 and n % 2:
                raise ValueError("first attempt")
            return n

        fn = cloud.function(flaky)
        ids = pool.enqueue_action_batch(
            None, fn, [{"n": n} for n in range(8)], retry=RetryPolicy(max_attempts=3)
        )
        cloud.run_until_idle(timeout=timedelta(minutes=20))
        results: list[Any] = [pool.result(None, work_id) for work_id in ids]

        assert [result.return_value for result in results] == list(range(8))
        assert cloud.max_concurrency(fn) <= 4


def test_timeout_on_real_clock_is_one() -> None:
    free = threading.Event()
    with LocalCloud(engine="memory", clock="real", speed=50.0) as cloud:
        fn = cloud.function(
            lambda _event, _: free.wait(20), name="stuck", timeout=timedelta(seconds=5)
        )
        work_id = cloud.workpool().enqueue_action(None, fn, {})
        cloud.run_until_idle(timeout=timedelta(minutes=10))
        result = cloud.workpool().result(None, work_id)
        free.set()

        assert result is not None
        assert result.error_type == "timeout"
        assert cloud.invocations(fn)[0].outcome == "timeout"


def test_other_tables_are_there_when_they_are_named() -> None:
    pool = Workpool("another-table", "email")
    with LocalCloud(engine="memory") as cloud:
        work_id = pool.enqueue_action(None, cloud.function(nothing), {})
        cloud.run_until_idle()

        assert pool.status(None, work_id).state == "finished"
        assert cloud.workpool("email").status(None, work_id).state == "unknown"


def test_reading_for_watchdog_costs_nothing() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        pool.enqueue_action(None, cloud.function(nothing), {})
        cloud.run_until_idle()
        before = cloud.capacity
        cloud.advance(timedelta(days=1))

        assert before.write_units > 0
        assert cloud.capacity == before


def test_callback_that_is_owed_is_reported_and_one_for_later_is_not() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        work_id = pool.enqueue_action(
            None,
            cloud.function(lambda _event, _context: None, name="work"),
            {},
            on_complete="nobody",
        )
        cloud.run_until_idle(timeout=timedelta(seconds=20))
        between = pool.status(None, work_id).callback
        with (
            LeftOwed(cloud),
            pytest.raises(
                LocalCloudError, match=rf"{work_id} .*: its callback to nobody is pending"
            ),
        ):
            cloud.run_until_idle(timeout=timedelta(minutes=3))
        cloud.run_until_idle()

        assert (between, pool.status(None, work_id).callback) == ("pending", "dead")


class LeftOwed:
    """While it lasts the loop's function does nothing, and no work item starts."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._functions = cloud._open.functions

    def __enter__(self) -> None:
        self._loop = self._functions._by_name["workpool-loop"]
        self._functions._by_name["workpool-loop"] = replace(self._loop, handler=nothing)

    def __exit__(self, *_: object) -> None:
        self._functions._by_name["workpool-loop"] = self._loop
