"""Deliveries that go wrong: every work ends, nothing claimed runs twice, limits hold.

A failing seed is in the test's name.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import RetryPolicy
from workpool_aws.local import LocalCloud

SEEDS = range(5)
FAULTS: dict[str, Any] = {
    "duplicate_deliveries": 0.15,
    "lost_deliveries": 0.08,
    "lost_destinations": 0.15,
    "crash_rate": 0.15,
}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_work_ends_whatever_goes_wrong(seed: int) -> None:
    with LocalCloud(
        engine="memory",
        seed=seed,
        scheduler="aws",
        call_latency=timedelta(milliseconds=5),
        **FAULTS,
    ) as cloud:
        pool = cloud.workpool(max_parallelism=3)
        ran: Counter[int] = Counter()

        @pool.action
        def once(n: int) -> int:
            ran[n] += 1
            return n

        claimed = cloud.function(once, takes=timedelta(seconds=2))
        plain = cloud.function(
            lambda event, _: event["n"], name="plain", takes=timedelta(seconds=1)
        )
        single = pool.enqueue_action_batch(None, claimed, [{"n": n} for n in range(12)])
        retried = pool.enqueue_action_batch(
            None, plain, [{"n": n} for n in range(12)], retry=RetryPolicy(max_attempts=20)
        )
        cloud.run_until_idle(timeout=timedelta(hours=24))

        assert {pool.status(None, work_id).state for work_id in single + retried} == {"finished"}
        assert {pool.status(None, work_id).outcome for work_id in retried} == {"success"}
        assert max(ran.values()) == 1
        assert cloud.max_concurrency(claimed) <= 3


def test_faults_really_happen() -> None:
    outcomes: Counter[str] = Counter()
    watchdog = 0
    for seed in SEEDS:
        with LocalCloud(engine="memory", seed=seed, **FAULTS) as cloud:
            pool = cloud.workpool(max_parallelism=3)
            fn = cloud.function(pool.action(lambda n: n), name="work", takes=timedelta(seconds=2))
            pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(12)])
            cloud.run_until_idle(timeout=timedelta(hours=24))
            outcomes.update(each.outcome for each in cloud.invocations(fn))
            watchdog += len(cloud.invocations(cloud.watchdog_arn))

    assert set(outcomes) >= {"success", "crashed", "duplicate"}
    assert watchdog > 0


def test_claimed_work_that_always_comes_twice_runs_once() -> None:
    with LocalCloud(engine="memory", duplicate_deliveries=1.0) as cloud:
        pool = cloud.workpool(max_parallelism=2)
        ran: list[int] = []

        def note(n: int) -> None:
            ran.append(n)

        fn = cloud.function(pool.action(note), name="work", takes=timedelta(seconds=2))
        pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(5)])
        cloud.run_until_idle()

        assert sorted(ran) == list(range(5))
        assert Counter(each.outcome for each in cloud.invocations(fn)) == {
            "success": 5,
            "duplicate": 5,
        }
        assert cloud.max_concurrency(fn) <= 2


def test_moto_survives_same_faults() -> None:
    with LocalCloud(seed=2, **FAULTS) as cloud:
        pool = cloud.workpool(max_parallelism=3)
        fn = cloud.function(lambda event, _: event["n"], name="plain", takes=timedelta(seconds=1))
        ids = pool.enqueue_action_batch(
            None, fn, [{"n": n} for n in range(8)], retry=RetryPolicy(max_attempts=20)
        )
        cloud.run_until_idle(timeout=timedelta(hours=24))

        assert {pool.status(None, work_id).outcome for work_id in ids} == {"success"}
