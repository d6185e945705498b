"""The section "Local and tests": virtual time, what run_until_idle and advance mean, durations, deliveries, determinism."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from tests.kit.functions import echo
from workpool_aws import RetryPolicy, Work
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

SECOND = timedelta(seconds=1)


def test_time_stands_still_between_calls(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    before = cloud.now

    pool.enqueue_action(None, cloud.function(echo), {})
    pool.config(None)

    assert cloud.now == before
    assert before.utcoffset() == timedelta(0)


def test_advance_moves_time_by_exactly_that_much(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    pool.enqueue_action(None, cloud.function(echo, takes=timedelta(seconds=7)), {})
    before = cloud.now

    cloud.advance(timedelta(minutes=3, milliseconds=17))
    cloud.advance(timedelta(0))

    assert cloud.now - before == timedelta(minutes=3, milliseconds=17)


def test_advance_does_what_is_due_up_to_its_end_and_no_more(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    for minutes in (1, 2, 3, 4):
        pool.enqueue_action(None, fn, {"n": minutes}, run_after=timedelta(minutes=minutes))

    cloud.advance(timedelta(minutes=2, seconds=2))
    at_two = [each.event["n"] for each in cloud.invocations(fn)]
    cloud.advance(timedelta(minutes=2, seconds=2))

    assert at_two == [1, 2]
    assert [each.event["n"] for each in cloud.invocations(fn)] == [1, 2, 3, 4]


def test_advance_leaves_running_work_running(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo, takes=timedelta(seconds=20))
    work_id = pool.enqueue_action(None, fn, {})

    cloud.advance(timedelta(seconds=19))
    (running,) = cloud.invocations(fn)
    cloud.advance(timedelta(seconds=3))
    (ended,) = cloud.invocations(fn)

    assert (running.outcome, running.ended_at) == ("running", None)
    assert ended.ended_at == ended.started_at + timedelta(seconds=20)
    assert pool.status(None, work_id).outcome == "success"


@pytest.mark.parametrize("delta", [timedelta(seconds=-1), 5, None], ids=repr)
def test_advance_takes_no_step_back(cloud: LocalCloud, delta: Any) -> None:
    before = cloud.now

    with pytest.raises(ValueError, match="delta"):
        cloud.advance(delta)

    assert cloud.now == before


def test_run_until_idle_of_nothing_takes_no_time(cloud: LocalCloud) -> None:
    before = cloud.now

    cloud.workpool()
    cloud.run_until_idle()

    assert cloud.now == before


def test_run_until_idle_jumps_to_future_works_within_its_timeout(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    near = pool.enqueue_action(None, fn, {"n": 1}, run_after=timedelta(minutes=50))
    far = pool.enqueue_action(None, fn, {"n": 2}, run_after=timedelta(hours=30))

    cloud.run_until_idle()

    assert (pool.status(None, near).state, pool.status(None, far).state) == ("finished", "pending")
    cloud.run_until_idle(timeout=timedelta(days=2))
    assert pool.status(None, far).state == "finished"


def test_run_until_idle_raises_when_work_is_left_running(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(
        None, cloud.function(echo, takes=timedelta(minutes=10), timeout=timedelta(minutes=15)), {}
    )

    with pytest.raises(Exception, match="run") as caught:
        cloud.run_until_idle(timeout=timedelta(minutes=5))

    assert not isinstance(caught.value, AssertionError)
    cloud.run_until_idle()
    assert pool.status(None, work_id).outcome == "success"


def test_run_until_idle_raises_when_due_work_is_left(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=1)
    pool.enqueue_action_batch(
        None, cloud.function(echo, takes=timedelta(seconds=25)), [{"n": n} for n in range(20)]
    )

    with pytest.raises(Exception, match="default"):
        cloud.run_until_idle(timeout=timedelta(minutes=1))


def test_paused_pool_counts_as_rest(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=0)
    pool.enqueue_action_batch(None, cloud.function(echo), [{"n": n} for n in range(5)])

    cloud.run_until_idle(timeout=timedelta(minutes=5))

    assert cloud.invocations("echo") == []


def test_takes_is_duration_in_virtual_time(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    at: list[datetime] = []

    @pool.action
    def note(n: int) -> int:
        at.append(cloud.now)
        return n

    fn = cloud.function(note, takes=timedelta(seconds=12))
    work_id = pool.enqueue_action(None, fn, {"n": 1})
    cloud.advance(timedelta(seconds=10))
    midway = pool.status(None, work_id).state
    cloud.run_until_idle()

    (delivery,) = cloud.invocations(fn)
    assert midway == "running"
    assert at[0] - delivery.started_at <= timedelta(milliseconds=100)
    assert delivery.ended_at is not None
    assert (
        timedelta(seconds=12)
        <= delivery.ended_at - delivery.started_at
        <= timedelta(seconds=12, milliseconds=100)
    )


def test_takes_may_depend_on_event(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo, takes=lambda event: timedelta(seconds=event["n"]))

    pool.enqueue_action_batch(None, fn, [{"n": n} for n in (1, 5, 9)])
    cloud.run_until_idle()

    assert {
        each.event["n"]: each.ended_at - each.started_at
        for each in cloud.invocations(fn)
        if each.ended_at
    } == {
        1: timedelta(seconds=1),
        5: timedelta(seconds=5),
        9: timedelta(seconds=9),
    }


def test_effect_of_body_that_takes_time_comes_at_end(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo, takes=timedelta(seconds=30), timeout=timedelta(seconds=30))
    work_id = pool.enqueue_action(None, fn, {"n": 1})

    cloud.advance(timedelta(seconds=29))
    assert pool.result(None, work_id) is None
    cloud.advance(timedelta(seconds=3))

    assert pool.status(None, work_id).outcome == "success"


@both_engines
def test_deliveries_tell_event_attempt_times_and_outcome(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    began = cloud.now

    @pool.action
    def third_time(work: Work, n: int) -> int:
        work.sleep(timedelta(seconds=2))
        if work.attempt < 3:
            raise ConnectionError("busy")
        return n

    fn = cloud.function(third_time)
    pool.enqueue_action(None, fn, {"n": 8}, retry=True)
    cloud.run_until_idle()

    deliveries = cloud.invocations(fn)
    assert [(each.attempt, each.outcome, each.event["n"]) for each in deliveries] == [
        (1, "failed", 8),
        (2, "failed", 8),
        (3, "success", 8),
    ]
    assert all(
        each.ended_at is not None and each.ended_at - each.started_at >= timedelta(seconds=2)
        for each in deliveries
    )
    assert all(began <= each.started_at <= cloud.now for each in deliveries)
    assert [each.started_at for each in deliveries] == sorted(
        each.started_at for each in deliveries
    )


def test_invocations_can_be_asked_by_arn_name_and_handler(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo, name="mine")
    pool.enqueue_action(None, fn, {"n": 1})
    cloud.run_until_idle()

    assert cloud.invocations(fn) == cloud.invocations("mine") == cloud.invocations(echo)
    assert cloud.max_concurrency("mine") == 1
    with pytest.raises(ValueError, match="absent"):
        cloud.invocations("absent")


def test_refused_duplicates_are_shown_and_not_counted() -> None:
    with LocalCloud(engine="memory", duplicate_deliveries=1.0) as cloud:
        pool = cloud.workpool(max_parallelism=1)

        @pool.action
        def send() -> None:
            return None

        fn = cloud.function(send, takes=SECOND)
        pool.enqueue_action(None, fn, {})
        cloud.run_until_idle()

        assert sorted(each.outcome for each in cloud.invocations(fn)) == ["duplicate", "success"]
        assert cloud.max_concurrency(fn) == 1


def history(seed: int, engine: str = "memory", works: int = 10) -> list[tuple[object, ...]]:
    rates: dict[str, Any] = {
        "duplicate_deliveries": 0.3,
        "lost_deliveries": 0.2,
        "lost_destinations": 0.2,
        "crash_rate": 0.1,
    }
    with LocalCloud(clock="virtual", engine=engine, scheduler="aws", seed=seed, **rates) as cloud:
        pool = cloud.workpool(max_parallelism=3)

        @pool.action
        def flaky(work: Work, n: int) -> int:
            work.sleep(timedelta(seconds=n % 3))
            if work.attempt == 1:
                raise ConnectionError("busy")
            return n

        fn = cloud.function(flaky)
        ids = pool.enqueue_action_batch(
            None, fn, [{"n": n} for n in range(works)], retry=RetryPolicy(max_attempts=9)
        )
        pool.enqueue_action(None, fn, {"n": 99}, run_after=timedelta(minutes=20), retry=True)
        cloud.run_until_idle()
        told: list[tuple[object, ...]] = [
            (each.event["n"], each.attempt, each.started_at, each.ended_at, each.outcome)
            for each in cloud.invocations(fn)
        ]
        return [*told, tuple(ids), (cloud.now,)]


@pytest.mark.parametrize("seed", [0, 7])
def test_same_seed_gives_same_history(seed: int) -> None:
    first, second = history(seed), history(seed)

    assert first == second, f"seed {seed}"


def test_same_seed_gives_same_history_through_boto3() -> None:
    assert history(3, "moto", works=1) == history(3, "moto", works=1)


def test_seed_decides_history() -> None:
    assert history(1) != history(2)


def test_ids_are_unique_across_pools_and_clouds_of_another_seed() -> None:
    seen: set[str] = set()
    for seed in range(3):
        with LocalCloud(engine="memory", seed=seed) as cloud:
            for name in ("a", "b"):
                pool = cloud.workpool(name, max_parallelism=0)
                seen |= set(pool.enqueue_action_batch(None, "fn", [{"n": n} for n in range(10)]))

    assert len(seen) == 60


@pytest.fixture
def real() -> Iterator[LocalCloud]:
    with LocalCloud(clock="real", engine="memory", speed=20.0) as cloud:
        yield cloud


def test_real_clock_runs_same_code(real: LocalCloud) -> None:
    pool = real.workpool(max_parallelism=2)

    @pool.action
    def flaky(work: Work, n: int) -> int:
        work.sleep(timedelta(milliseconds=200))
        if work.attempt == 1 and n == 0:
            raise ConnectionError("busy")
        return n * 2

    fn = real.function(flaky)
    ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(6)], retry=True)
    later = pool.enqueue_action(None, fn, {"n": 50}, run_after=timedelta(seconds=3))
    real.run_until_idle(timeout=timedelta(minutes=1))

    results = [pool.result(None, work_id) for work_id in (*ids, later)]
    assert [each.return_value for each in results if each] == [0, 2, 4, 6, 8, 10, 100]
    assert real.max_concurrency(fn) == 2


def test_real_clock_shows_time_of_day() -> None:
    with LocalCloud(clock="real", engine="memory") as cloud:
        assert abs(cloud.now - datetime.now(UTC)) < timedelta(seconds=30)


def test_users_own_tables_stand_beside_pools() -> None:
    with LocalCloud(engine="moto") as cloud:
        table = boto3.resource("dynamodb").create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        pool = cloud.workpool()

        @pool.action
        def order(order_id: str) -> None:
            boto3.resource("dynamodb").Table("orders").put_item(
                Item={"id": order_id, "state": "shipped"}
            )

        pool.enqueue_action(None, cloud.function(order), {"order_id": "o-1"})
        cloud.run_until_idle()

        assert table.get_item(Key={"id": "o-1"})["Item"]["state"] == "shipped"


def test_moto_serves_one_cloud_at_time() -> None:
    with (
        LocalCloud(engine="moto"),
        pytest.raises(Exception, match=r"(?i)one|already|another"),
        LocalCloud(engine="moto"),
    ):
        pass


def test_clouds_follow_each_other_without_traces_of_last() -> None:
    for _ in range(2):
        with LocalCloud(engine="moto") as cloud:
            pool = cloud.workpool()
            fn = cloud.function(echo)
            assert cloud.invocations(fn) == []
            pool.enqueue_action(None, fn, {"n": 1})
            cloud.run_until_idle()
            assert len(cloud.invocations(fn)) == 1


def test_error_inside_block_comes_out_and_cloud_ends() -> None:
    def fail_midway() -> None:
        with LocalCloud(engine="memory") as cloud:
            cloud.workpool().enqueue_action(
                None,
                cloud.function(echo, takes=timedelta(hours=1), timeout=timedelta(minutes=15)),
                {},
            )
            cloud.advance(timedelta(seconds=3))
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        fail_midway()


def test_worker_that_waits_for_another_by_lock_is_reported() -> None:
    from threading import Event  # noqa: PLC0415 - only here does a worker do what it must not

    gate = Event()
    with LocalCloud(engine="memory", stall_timeout=timedelta(milliseconds=300)) as cloud:
        pool = cloud.workpool()
        fn = cloud.function(lambda event, ctx: gate.wait(20), name="stuck")
        pool.enqueue_action(None, fn, {})

        with pytest.raises(Exception, match="stuck"):
            cloud.run_until_idle()
        gate.set()
