"""A wanted callback is delivered or dead, whatever is lost, doubled or killed on the way [WP-8]."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.functions import double
from tests.kit.records import NOW, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import Stage
from tests.kit.stores import then, updates
from workpool_aws import OnCompleteEvent, Workpool
from workpool_aws.core import limits
from workpool_aws.core.callback.ending import record_of_end
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.core.work.cancel import decide_cancel
from workpool_aws.core.work.end import CancelWrite
from workpool_aws.local import LocalCloud
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import Ledger, LoopState, Notice
from workpool_aws.model.refs import Collection, KeyRange, LedgerRef, StatusRef, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem
from workpool_aws.model.writes import Put
from workpool_aws.ports import InvokeThrottled

WORKS = 15
LATENCY = timedelta(milliseconds=5)


QUEUE = "arn:aws:sqs:us-east-1:123456789012:ends"


CANCELED = a_work(
    id=an_id(n=2),
    state=State.FINISHED,
    outcome=Outcome.CANCELED,
    on_complete=QUEUE,
    callback_outcomes=(Outcome.CANCELED,),
    callback=CallbackState.PENDING,
)


def enqueue_all(cloud: LocalCloud, pool: Workpool, target: str, works: int = WORKS) -> list[WorkId]:
    jobs = Workpool(cloud.table, pool.name)

    @jobs.action
    def work(n: int) -> int:
        return n

    fn = cloud.function(work, takes=timedelta(milliseconds=300))
    return pool.enqueue_action_batch(
        None, fn, [{"n": n} for n in range(works)], retry=True, on_complete=target
    )


@pytest.mark.parametrize(
    "faults",
    [
        {"crash_rate": 0.3},
        {"lost_deliveries": 0.3},
        {"duplicate_deliveries": 0.5},
        {"lost_destinations": 1.0, "crash_rate": 0.2},
        {
            "crash_rate": 0.15,
            "lost_deliveries": 0.15,
            "duplicate_deliveries": 0.15,
            "lost_destinations": 0.15,
        },
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", [1])
def test_decorated_handler_hears_of_every_work_under_faults(
    faults: dict[str, float], seed: int
) -> None:
    heard: Counter[str] = Counter()
    with LocalCloud(engine="memory", seed=seed, call_latency=LATENCY, **faults) as cloud:
        pool = cloud.workpool("email", max_parallelism=5)

        @pool.on_complete
        def ended(event: OnCompleteEvent) -> None:
            heard[event.work_id] += 1

        ids = enqueue_all(cloud, pool, cloud.function(ended, takes=timedelta(milliseconds=50)))
        cloud.run_until_idle(timeout=timedelta(hours=12))
        callbacks = Counter(status.callback for status in pool.status_batch(None, ids))

    assert callbacks == {"delivered": WORKS}, f"seed {seed}"
    assert set(heard) == set(ids), f"seed {seed}"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_undecorated_target_is_sent_every_work_though_workers_are_doubled(seed: int) -> None:
    heard: Counter[str] = Counter()

    def told(event: dict[str, Any], _context: object) -> None:
        heard[event["work_id"]] += 1

    with LocalCloud(
        engine="memory", seed=seed, call_latency=LATENCY, duplicate_deliveries=0.3
    ) as cloud:
        pool = cloud.workpool("email", max_parallelism=5)
        ids = enqueue_all(cloud, pool, cloud.function(told))
        cloud.run_until_idle(timeout=timedelta(hours=12))
        callbacks = Counter(status.callback for status in pool.status_batch(None, ids))

    assert callbacks == {"delivered": WORKS}, f"seed {seed}"
    assert set(heard) == set(ids), f"seed {seed}"


def test_canceller_that_dies_before_its_kick_is_found_by_watchdog() -> None:
    told: list[dict[str, Any]] = []
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("email")
        target = cloud.function(lambda event, _context: told.append(event), name="told")
        work_id = pool.enqueue_action(
            None, cloud.function(double), {"n": 1}, run_after=timedelta(hours=5), on_complete=target
        )
        cloud.run_until_idle()
        ports = cloud._ports_of(cloud.table)
        work = ports.store.get(WorkRef("email", work_id))
        assert isinstance(work, WorkItem)
        decision = decide_cancel(work, token="t", now=ports.clock.now())
        assert isinstance(decision, CancelWrite)
        record = record_of_end(work, Outcome.CANCELED, now=ports.clock.now(), random_bits=1)

        ports.store.transact([decision.write, Put(record)])
        cloud.advance(timedelta(minutes=3))

        assert [event["result"] for event in told] == [{"kind": "canceled"}]
        assert [fact.reason for fact in cloud.facts if fact.name == "watchdog_acted"] == [
            "a callback is owed"
        ]


def test_broken_target_does_not_hold_up_works_or_other_callbacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[WP-12]"""
    monkeypatch.setattr(limits, "CALLBACKS_OWED_MAX", 20)
    told: list[str] = []
    works = limits.CALLBACKS_OWED_MAX + 15
    with LocalCloud(engine="memory", call_latency=LATENCY) as cloud:
        pool = cloud.workpool("email", max_parallelism=100)
        broken = enqueue_all(cloud, pool, "nobody", works)
        sound = enqueue_all(
            cloud,
            pool,
            cloud.function(lambda event, _context: told.append(event["work_id"]), name="told"),
            20,
        )
        cloud.advance(timedelta(seconds=30))

        assert {status.state for status in pool.status_batch(None, [*broken, *sound])} == {
            "finished"
        }
        assert sorted(told) == sorted(sound)
        ledger = cloud._ports_of(cloud.table).store.get(LedgerRef("email"))
        assert isinstance(ledger, Ledger)
        assert len(ledger.callbacks) == limits.CALLBACKS_OWED_MAX
        cloud.run_until_idle(timeout=timedelta(hours=6))
        assert Counter(status.callback for status in pool.status_batch(None, broken)) == {
            "dead": works
        }


def test_owed_callbacks_are_all_settled_at_rest() -> None:
    with LocalCloud(engine="memory", call_latency=LATENCY) as cloud:
        pool = cloud.workpool("email", max_parallelism=10)
        enqueue_all(cloud, pool, "nobody", 10)
        cloud.run_until_idle(timeout=timedelta(hours=6))
        store = cloud._ports_of(cloud.table).store
        records = [
            row.record
            for row in store.query(KeyRange(collection=Collection.DONE, pool="email")).rows
        ]

        ledger = store.get(LedgerRef("email"))
        assert isinstance(ledger, Ledger)
        assert ledger.callbacks == ()
        assert [
            record
            for record in records
            if not isinstance(record, Notice) or record.expires_at is None
        ] == []


def test_slow_handler_is_not_called_twice() -> None:
    calls: list[str] = []
    with LocalCloud(engine="memory", call_latency=LATENCY) as cloud:
        pool = cloud.workpool("email")

        @pool.on_complete
        def ended(event: OnCompleteEvent) -> None:
            calls.append(event.work_id)

        target = cloud.function(ended, takes=timedelta(minutes=4), timeout=timedelta(minutes=5))
        ids = enqueue_all(cloud, pool, target, 3)
        cloud.run_until_idle(timeout=timedelta(hours=1))

        assert sorted(calls) == sorted(ids)
        assert {status.callback for status in pool.status_batch(None, ids)} == {"delivered"}
        assert [fact for fact in cloud.facts if fact.name == "watchdog_acted"] == []


def test_callback_that_is_owed_while_loop_goes_idle_is_sent(stage: Stage) -> None:
    """[WP-8] [WP-24] Its canceler found a loop running, so it does not kick."""
    stage.pool().enqueue_action(None, TARGET, {})
    record = record_of_end(CANCELED, Outcome.CANCELED, now=EpochMs(NOW + 1_500), random_bits=5)
    stage.store.plan(
        updates(StatusRef, state=LoopState.IDLE), then(lambda: stage.place(CANCELED, record))
    )
    stage.run(30_000)

    assert stage.work(CANCELED.id).callback is CallbackState.DELIVERED


def test_record_that_owes_callback_carries_no_time_to_live(stage: Stage) -> None:
    """[WP-10] Else a loop that stays away for two weeks loses it."""
    running = a_running_work(on_complete=QUEUE, callback_outcomes=(Outcome.SUCCESS,), claimed=False)
    stage.place(running)
    stage.ports.messenger.refuses = InvokeThrottled()
    stage.complete(assignment_of(running, "jobs"))

    assert [(done.callback, done.expires_at) for done in stage.dones()] == [
        (CallbackState.PENDING, None)
    ]
