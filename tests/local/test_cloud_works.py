"""Pools in a cloud: results, failures, callers' views, capacity.

In memory, but for what shows that boto3 and moto are wired alike.
"""

import json
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from workpool_aws import NonRetryableError, RetryPolicy, Work
from workpool_aws.core import limits
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import Completed, Started

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)


@both_engines
def test_undecorated_functions_value_is_result(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(
        None, cloud.function(lambda event, _: {"twice": event["n"] * 2}, name="double"), {"n": 21}
    )
    cloud.run_until_idle()

    result = pool.result(None, work_id)

    assert result is not None
    assert (result.kind, result.return_value) == ("success", {"twice": 42})
    assert len(cloud.invocations(cloud.completion_arn)) == 1


@both_engines
def test_decorated_function_reports_by_itself(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def double(n: int) -> int:
        return n * 2

    work_id = pool.enqueue_action(None, cloud.function(double), {"n": 21})
    cloud.run_until_idle()

    result = pool.result(None, work_id)
    assert result is not None
    assert result.return_value == 42
    assert cloud.invocations(cloud.completion_arn) == []
    assert [(each.attempt, each.outcome) for each in cloud.invocations(double)] == [(1, "success")]


@pytest.mark.parametrize("decorated", [True, False])
def test_attempts_are_written_down_with_their_outcome(cloud: LocalCloud, decorated: bool) -> None:
    pool = cloud.workpool()
    tries: list[int] = []

    def flaky(n: int) -> int:
        tries.append(n)
        if len(tries) < 3:
            raise ValueError("not yet")
        return n

    handler: Any = pool.action(flaky) if decorated else lambda event, _: flaky(event["n"])
    fn = cloud.function(handler, name="flaky")
    work_id = pool.enqueue_action(
        None, fn, {"n": 1}, retry=RetryPolicy(max_attempts=5, jitter=False)
    )
    cloud.run_until_idle()

    assert [(each.attempt, each.outcome) for each in cloud.invocations(fn)] == [
        (1, "failed"),
        (2, "failed"),
        (3, "success"),
    ]
    assert pool.status(None, work_id).outcome == "success"


@pytest.mark.parametrize("decorated", [True, False])
def test_taking_too_long_is_timeout(cloud: LocalCloud, decorated: bool) -> None:
    pool = cloud.workpool()
    handler: Any = pool.action(lambda: None) if decorated else lambda _event, _: None
    fn = cloud.function(
        handler, name="slow", timeout=timedelta(seconds=10), takes=timedelta(seconds=11)
    )
    work_id = pool.enqueue_action(None, fn, {})
    cloud.run_until_idle()

    result = pool.result(None, work_id)
    assert result is not None
    assert result.kind == "failed"
    # The destination's word about a claimed start counts after its deadline only; before, recovery
    # ends it.
    assert result.error_type in ({"timeout", "no_report"} if decorated else {"timeout"})
    (entry,) = cloud.invocations(fn)
    assert entry.outcome == "timeout"
    assert entry.ended_at is not None
    assert entry.ended_at - entry.started_at == timedelta(seconds=10)


def test_duration_may_depend_on_event(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=10)
    fn = cloud.function(
        lambda event, _: event["s"], name="work", takes=lambda event: timedelta(seconds=event["s"])
    )
    pool.enqueue_action_batch(None, fn, [{"s": s} for s in (1, 5, 9)])
    cloud.run_until_idle()

    lengths = {
        each.event["s"]: each.ended_at - each.started_at
        for each in cloud.invocations(fn)
        if each.ended_at is not None
    }
    assert lengths == {s: timedelta(seconds=s) for s in (1, 5, 9)}


def test_work_sleeps_in_clouds_time(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def nap(work: Work) -> int:
        before = work.remaining
        work.sleep(12)
        return (before - work.remaining) // timedelta(seconds=1)

    work_id = pool.enqueue_action(None, cloud.function(nap), {})
    cloud.run_until_idle()

    result = pool.result(None, work_id)
    assert result is not None
    assert result.return_value == 12


@both_engines
def test_failure_is_final_where_it_says_so(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def refuse() -> None:
        raise NonRetryableError("not a url")

    fn = cloud.function(refuse)
    work_id = pool.enqueue_action(None, fn, {}, retry=True)
    cloud.run_until_idle()

    assert len(cloud.invocations(fn)) == 1
    assert pool.status(None, work_id).outcome == "failed"


def test_parallelism_is_kept_and_used(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=3)
    decorated = cloud.function(
        pool.action(lambda n: n), name="decorated", takes=timedelta(seconds=4)
    )
    pool.enqueue_action_batch(None, decorated, [{"n": n} for n in range(12)])
    cloud.run_until_idle()

    assert cloud.max_concurrency(decorated) == 3


def test_pools_do_not_share_their_limits(cloud: LocalCloud) -> None:
    fn = cloud.function(lambda *_: None, name="work", takes=timedelta(seconds=2))
    for name in ("a", "b"):
        cloud.workpool(name, max_parallelism=2).enqueue_action_batch(None, fn, [{}] * 6)
    cloud.run_until_idle()

    assert cloud.max_concurrency(fn) == 4


def test_worker_may_enqueue_more(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def countdown(work: Work, n: int) -> int:
        if n:
            work.pool.enqueue_action(None, fn, {"n": n - 1})
        return n

    fn = cloud.function(countdown)
    pool.enqueue_action(None, fn, {"n": 5})
    cloud.run_until_idle()

    assert [each.event["n"] for each in cloud.invocations(fn)] == [5, 4, 3, 2, 1, 0]


def test_unknown_target_fails_in_end(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, "arn:aws:lambda:us-east-1:123456789012:function:nobody", {})
    cloud.run_until_idle()

    result = pool.result(None, work_id)
    assert result is not None
    assert result.error_type == "not_invocable"


def test_facts_are_kept_in_order(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, cloud.function(pool.action(lambda: 1), name="one"), {})
    cloud.run_until_idle()

    told = [
        type(fact)
        for fact in cloud.facts
        if isinstance(fact, Started | Completed) and fact.work_id == work_id
    ]

    assert told == [Started, Completed]


def run_a_day(
    engine: str, seed: int, works: int = 8, **faults: Any
) -> tuple[list[str], Any, list[Any]]:
    """A mixed workload; its trace, capacity and results."""
    with LocalCloud(
        engine=engine, seed=seed, scheduler="aws", call_latency=timedelta(milliseconds=4), **faults
    ) as cloud:
        pool = cloud.workpool("mixed", max_parallelism=4)
        decorated = cloud.function(
            pool.action(lambda n: n), name="decorated", takes=timedelta(seconds=2)
        )
        plain = cloud.function(
            lambda event, _: event["n"],
            name="plain",
            takes=lambda event: timedelta(seconds=event["n"]),
        )
        ids = pool.enqueue_action_batch(None, decorated, [{"n": n} for n in range(works)])
        ids += pool.enqueue_query_batch(
            None, plain, [{"n": n} for n in range(works)], run_after=timedelta(minutes=20)
        )
        cloud.run_until_idle(timeout=timedelta(hours=12))
        return (
            [str(line) for line in cloud.trace],
            cloud.capacity,
            [pool.result(None, work_id) for work_id in ids],
        )


def test_same_seed_is_same_run() -> None:
    faults = {
        "duplicate_deliveries": 0.2,
        "lost_deliveries": 0.1,
        "lost_destinations": 0.2,
        "crash_rate": 0.2,
    }
    first, again, other = (run_a_day("memory", seed, works=5, **faults)[0] for seed in (5, 5, 6))

    assert first == again
    assert first != other
    assert len(first) > 100


def test_capacity_is_same_on_moto_and_in_memory() -> None:
    capacities = [run_a_day(engine, 3, works=3)[1] for engine in ("memory", "moto")]

    assert capacities[0].by_label == capacities[1].by_label
    assert capacities[0].write_units > 20
    assert capacities[0].read_units > 20


@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_commit_of_ledger_costs_by_bytes_of_its_slots(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On both engines 80 running work items take more than one kilobyte, and less than two."""
    monkeypatch.setattr(limits, "LEDGER_HEAD_SLOTS", 100)
    with LocalCloud(engine=engine, seed=3) as cloud:
        pool = cloud.workpool(max_parallelism=80)
        fn = cloud.function(
            lambda _event, _: None,
            name="long",
            takes=timedelta(minutes=10),
            timeout=timedelta(minutes=15),
        )
        for _ in range(80):
            pool.enqueue_query(None, fn, {})
            cloud.advance(timedelta(milliseconds=10))
        cloud.advance(timedelta(seconds=2))
        before = cloud.capacity.by_label["ledger.update"]
        pool.configure(None, max_parallelism=79)
        after = cloud.capacity.by_label["ledger.update"]

    assert (after.write_units - before.write_units, after.requests - before.requests) == (2, 1)


def test_cloud_may_use_endpoint() -> None:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        with LocalCloud(engine="https://dynamodb.us-east-1.amazonaws.com") as cloud:
            pool = cloud.workpool()
            work_id = pool.enqueue_action(
                None,
                cloud.function(lambda event, _: event["n"], name="work"),
                {"n": 3},
                run_after=timedelta(hours=5),
            )
            cloud.run_until_idle(timeout=timedelta(hours=6))
            result = pool.result(None, work_id)
            during = client.list_tables()["TableNames"]

        assert result is not None
        assert json.dumps(result.return_value) == "3"
        assert during == [cloud.table]
        assert client.list_tables()["TableNames"] == []
