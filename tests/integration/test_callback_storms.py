"""Callbacks while calls, deliveries, schedules, clocks and processes go wrong at once [WP-8, WP-10]."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import OnCompleteEvent, Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.local.faults.faults import Fault, Faults
from workpool_aws.model.refs import Collection, KeyRange
from workpool_aws.model.work import State, WorkItem

CALM = {Fault.TICK_DROPPED}
STORM = Faults(
    rates={kind: 0.03 for kind in Fault if kind not in CALM},
    budget=60,
    until=timedelta(minutes=20),
    skewed_clocks=True,
    jitter_ms=20,
)


@pytest.mark.parametrize("seed", range(3))
def test_callbacks_of_all_works_arrive_in_storm_before_they_expire(seed: int) -> None:
    heard: Counter[str] = Counter()
    with LocalCloud(
        engine="memory", seed=seed, call_latency=timedelta(milliseconds=5), faults=STORM
    ) as cloud:
        pool, jobs = cloud.workpool("email", max_parallelism=4), Workpool(cloud.table, "email")

        @jobs.action
        def work(n: int) -> int:
            if n % 5 == 0:
                raise ConnectionError("busy")
            return n

        @jobs.on_complete
        def ended(event: OnCompleteEvent) -> None:
            heard[event.work_id] += 1

        def raw(event: dict[str, Any], _context: object) -> None:
            heard[event["work_id"]] += 1

        fn = cloud.function(work, takes=timedelta(milliseconds=400))
        decorated = cloud.function(ended, takes=timedelta(milliseconds=100))
        plain = cloud.function(raw, name="raw")
        told = pool.enqueue_action_batch(
            None, fn, [{"n": n} for n in range(15)], retry=True, on_complete=decorated
        )
        sent = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(10)], on_complete=plain)
        gone = pool.enqueue_action_batch(
            None,
            fn,
            [{"n": n} for n in range(5)],
            run_after=timedelta(days=2),
            on_complete=decorated,
        )
        cloud.advance(timedelta(seconds=3))
        for work_id in gone:
            assert pool.cancel(None, work_id) == "canceled"
        cloud.run_until_idle(timeout=timedelta(days=1))
        callbacks = {
            work_id: pool.status(None, work_id).callback for work_id in (*told, *sent, *gone)
        }
        rows = (
            cloud._ports_of(cloud.table)
            .store.query(KeyRange(collection=Collection.WORK, pool="email"))
            .rows
        )
        works = [row.record for row in rows if isinstance(row.record, WorkItem)]

    assert Counter(callbacks.values()) == {"delivered": 30}, f"seed {seed}"
    assert {*told, *gone} - set(heard) == set(), f"seed {seed}: a decorated handler ran for each"
    assert [
        work for work in works if work.expires_at is None and work.state is State.FINISHED
    ] == [], f"seed {seed}"
