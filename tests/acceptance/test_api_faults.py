"""Faults: over many seeds nothing is lost, nothing claimed runs twice, and the limit holds."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from workpool_aws import RetryPolicy, Work
from workpool_aws.local import LocalCloud

RATES: list[dict[str, Any]] = [
    {"duplicate_deliveries": 0.5},
    {"lost_deliveries": 0.3},
    {"lost_destinations": 0.7},
    {"crash_rate": 0.25},
    {
        "duplicate_deliveries": 0.2,
        "lost_deliveries": 0.15,
        "lost_destinations": 0.3,
        "crash_rate": 0.15,
    },
]
LIMIT = 4


def most_at_once(spans: list[tuple[datetime, datetime]]) -> int:
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


@pytest.mark.parametrize("rates", RATES, ids="+".join)
@pytest.mark.parametrize("seed", range(2))
def test_claimed_work_is_never_lost_and_never_runs_twice(rates: Any, seed: int) -> None:
    with LocalCloud(engine="memory", seed=seed, **rates) as cloud:
        pool = cloud.workpool(max_parallelism=LIMIT)
        runs: Counter[int] = Counter()

        @pool.action
        def send(work: Work, n: int) -> int:
            runs[n] += 1
            work.sleep(timedelta(seconds=n % 3))
            return n

        fn = cloud.function(send)
        ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(20)])
        cloud.run_until_idle()

        statuses = pool.status_batch(None, ids)
        results = [pool.result(None, work_id) for work_id in ids]
        assert {each.state for each in statuses} == {"finished"}, f"seed {seed}"
        assert max(runs.values()) == 1, f"seed {seed}"
        assert [each.return_value for each in results if each and each.kind == "success"] == [
            n for n, each in enumerate(statuses) if each.outcome == "success"
        ], f"seed {seed}"
        assert all(runs[n] == 1 for n, each in enumerate(statuses) if each.outcome == "success"), (
            f"seed {seed}"
        )
        assert cloud.max_concurrency(fn) <= LIMIT, f"seed {seed}"


@pytest.mark.parametrize("rates", RATES, ids="+".join)
@pytest.mark.parametrize(("decorated", "seed"), [(True, 0), (False, 1)])
def test_retried_work_is_never_lost_and_keeps_to_its_policy(
    rates: Any, seed: int, decorated: bool
) -> None:
    with LocalCloud(engine="memory", seed=seed, **rates) as cloud:
        pool = cloud.workpool(max_parallelism=LIMIT)

        @pool.action
        def echo(n: int) -> int:
            return n

        handler: Any = echo if decorated else lambda event, ctx: event["n"]
        fn = cloud.function(
            handler, name="echo", takes=timedelta(seconds=1), timeout=timedelta(seconds=3)
        )
        policy = RetryPolicy(max_attempts=40, base=1)
        ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(16)], retry=policy)
        cloud.run_until_idle(timeout=timedelta(hours=9))

        attempts = Counter((each.event["n"], each.attempt) for each in cloud.invocations(fn))
        results = [pool.result(None, work_id) for work_id in ids]
        assert [each.return_value for each in results if each] == list(range(16)), f"seed {seed}"
        assert all(attempt is not None and 1 <= attempt <= 40 for _, attempt in attempts), (
            f"seed {seed}"
        )
        assert all(each.previous_attempts <= 39 for each in pool.status_batch(None, ids)), (
            f"seed {seed}"
        )


@pytest.mark.parametrize("seed", range(2))
def test_busy_pool_with_delays_failures_and_pauses_survives_everything(seed: int) -> None:
    with LocalCloud(engine="memory", seed=seed, scheduler="aws", **RATES[-1]) as cloud:
        pool = cloud.workpool(max_parallelism=LIMIT)

        @pool.action
        def flaky(work: Work, n: int) -> int:
            work.sleep(timedelta(seconds=n % 5))
            if work.attempt <= n % 3:
                raise ConnectionError("busy")
            return n

        fn = cloud.function(flaky)
        ids = [
            pool.enqueue_action(
                None,
                fn,
                {"n": n},
                retry=RetryPolicy(max_attempts=9),
                run_after=timedelta(seconds=(n * 37) % 400),
            )
            for n in range(30)
        ]
        cloud.advance(timedelta(minutes=1))
        pool.configure(None, paused=True)
        cloud.advance(timedelta(minutes=20))
        pool.configure(None, reset=True)
        cloud.run_until_idle(timeout=timedelta(hours=6))

        results = [pool.result(None, work_id) for work_id in ids]
        assert [each.return_value for each in results if each] == list(range(30)), f"seed {seed}"


@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_both_engines_survive_faults(engine: str) -> None:
    with LocalCloud(engine=engine, seed=9, **RATES[-1]) as cloud:
        pool = cloud.workpool(max_parallelism=LIMIT)
        fn = cloud.function(lambda event, ctx: event["n"], name="echo", takes=timedelta(seconds=1))
        ids = pool.enqueue_action_batch(
            None, fn, [{"n": n} for n in range(6)], retry=RetryPolicy(max_attempts=20, base=1)
        )
        cloud.run_until_idle(timeout=timedelta(hours=6))

        assert {each.outcome for each in pool.status_batch(None, ids)} == {"success"}


@pytest.mark.parametrize("seed", range(3))
def test_lost_worker_frees_its_slot(seed: int) -> None:
    with LocalCloud(engine="memory", seed=seed, lost_deliveries=0.5) as cloud:
        pool = cloud.workpool(max_parallelism=1)
        fn = cloud.function(
            lambda event, ctx: event["n"], name="echo", timeout=timedelta(seconds=10)
        )
        ids = pool.enqueue_action_batch(
            None, fn, [{"n": n} for n in range(5)], retry=RetryPolicy(max_attempts=20)
        )
        cloud.run_until_idle(timeout=timedelta(days=1))

        assert {each.outcome for each in pool.status_batch(None, ids)} == {"success"}, (
            f"seed {seed}"
        )


def test_limit_holds_for_undecorated_work_without_duplicates() -> None:
    with LocalCloud(engine="memory", seed=2, lost_deliveries=0.2, crash_rate=0.2) as cloud:
        pool = cloud.workpool(max_parallelism=LIMIT)
        fn = cloud.function(
            lambda event, ctx: event["n"],
            name="echo",
            takes=lambda event: timedelta(seconds=1 + event["n"] % 4),
        )
        pool.enqueue_action_batch(
            None, fn, [{"n": n} for n in range(40)], retry=RetryPolicy(max_attempts=8)
        )
        cloud.run_until_idle(timeout=timedelta(hours=6))

        spans = [
            (each.started_at, each.ended_at)
            for each in cloud.invocations(fn)
            if each.ended_at is not None
        ]
        assert cloud.max_concurrency(fn) <= LIMIT
        assert most_at_once(spans) <= LIMIT
