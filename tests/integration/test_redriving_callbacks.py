"""A dead callback can be listed and redriven: it is delivered again, and its work never runs again for it [WP-8]."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.doubles import NotingMessenger
from tests.kit.records import POOL, TARGET, a_work, an_id
from tests.kit.stage import Stage, late
from tests.kit.stores import Fault, lost_after, lost_before, repeated, updates
from workpool_aws import NotFound, OnCompleteEvent, StoreUnavailable, UsageError, Workpool
from workpool_aws.core import limits
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import CallbackRedriven
from workpool_aws.model.ids import WorkId, time_of
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State
from workpool_aws.ports import InvokeRefused

HALF_A_DAY = timedelta(hours=12)


QUEUE = "arn:aws:sqs:us-east-1:123456789012:ends"


CANCELED = a_work(
    id=an_id(n=2),
    state=State.FINISHED,
    outcome=Outcome.CANCELED,
    on_complete=QUEUE,
    callback_outcomes=(Outcome.CANCELED,),
    callback=CallbackState.PENDING,
)


class Target:
    """Refuses every callback until it is mended."""

    def __init__(self) -> None:
        self.mended = False
        self.told: list[tuple[str, str]] = []

    def __call__(self, event: OnCompleteEvent) -> None:
        if not self.mended:
            raise ConnectionError("closed")
        self.told.append((event.work_id, event.result.kind))


def enqueue_each(cloud: LocalCloud, pool: Workpool, target: str) -> tuple[dict[str, WorkId], str]:
    """A work item of every outcome, and the function that ran them."""

    def work(event: dict[str, Any], _: object) -> int:
        return 7 // event["n"]

    fn = cloud.function(work)
    good, bad = (pool.enqueue_action(None, fn, {"n": n}, on_complete=target) for n in (1, 0))
    gone = pool.enqueue_action(None, fn, {"n": 1}, run_after=timedelta(days=3), on_complete=target)
    pool.cancel(None, gone)
    return {"success": good, "failed": bad, "canceled": gone}, fn


def dead(pool: Workpool) -> list[str]:
    return [each.work_id for each in pool.list(None, state="dead").items if each.callback == "dead"]


def decorated(cloud: LocalCloud, target: Target) -> str:
    def ended(event: OnCompleteEvent) -> None:
        target(event)

    return cloud.function(Workpool(cloud.table, POOL).on_complete(ended))


@pytest.mark.parametrize("outcome", ["success", "failed", "canceled"])
def test_dead_callback_is_delivered_again_whatever_outcome(cloud: LocalCloud, outcome: str) -> None:
    pool, target = cloud.workpool(POOL), Target()
    works, fn = enqueue_each(cloud, pool, decorated(cloud, target))
    cloud.run_until_idle(timeout=HALF_A_DAY)
    listed, runs = dead(pool), len(cloud.invocations(fn))
    target.mended = True

    answer = pool.redrive(None, works[outcome])
    cloud.run_until_idle()

    assert sorted(listed) == sorted(works.values())
    assert answer == works[outcome]
    assert target.told == [(works[outcome], outcome)]
    assert len(cloud.invocations(fn)) == runs
    assert (pool.status(None, answer).callback, pool.status(None, answer).outcome) == (
        "delivered",
        outcome,
    )
    assert sorted(dead(pool)) == sorted(set(works.values()) - {answer})


def test_all_dead_letters_are_redriven_and_failure_stays_one_for_its_own_sake(
    cloud: LocalCloud,
) -> None:
    pool, target = cloud.workpool(POOL), Target()
    works, fn = enqueue_each(cloud, pool, decorated(cloud, target))
    cloud.run_until_idle(timeout=HALF_A_DAY)
    runs, target.mended = len(cloud.invocations(fn)), True

    counts = [pool.redrive_all(None)]
    cloud.run_until_idle()
    runs_between = len(cloud.invocations(fn))
    left = [(each.work_id, each.callback) for each in pool.list(None, state="dead").items]
    counts.append(pool.redrive_all(None))
    cloud.run_until_idle()

    assert (counts, runs_between) == ([3, 1], runs)
    assert left == [(works["failed"], "delivered")]
    assert len(cloud.invocations(fn)) == runs + 1
    assert Counter(kind for _, kind in target.told) == {"success": 1, "failed": 2, "canceled": 1}


def test_callback_that_dies_again_is_dead_letter_again(cloud: LocalCloud) -> None:
    pool = cloud.workpool(POOL)
    works, _ = enqueue_each(cloud, pool, "nobody")
    cloud.run_until_idle(timeout=HALF_A_DAY)
    pool.redrive(None, works["success"])
    between = pool.status(None, works["success"]).callback
    cloud.run_until_idle(timeout=HALF_A_DAY)

    assert (between, pool.status(None, works["success"]).callback) == ("pending", "dead")
    assert works["success"] in dead(pool)
    assert pool.redrive(None, works["success"]) == works["success"]


def test_redrive_leaves_work_alone_that_is_neither_dead_nor_failed(cloud: LocalCloud) -> None:
    pool, target = cloud.workpool(POOL), Target()
    target.mended = True
    works, _ = enqueue_each(cloud, pool, decorated(cloud, target))
    cloud.run_until_idle()

    with pytest.raises(UsageError, match=r"whose callback is dead; got .*, which is success$"):
        pool.redrive(None, works["success"])
    with pytest.raises(NotFound):
        pool.redrive(None, "nonsense")
    assert Counter(kind for _, kind in target.told) == {"success": 1, "failed": 1, "canceled": 1}


def given_up() -> tuple[Stage, WorkId]:
    """A success whose callback its target refused for good."""
    stage = Stage()
    stage.invoker.claims = False  # else it would be asked to acknowledge
    messenger = stage.ports.messenger
    assert isinstance(messenger, NotingMessenger)
    messenger.refuses = InvokeRefused("too large", lasting=True)
    work_id = stage.pool().enqueue_action(None, TARGET, {}, on_complete="told")
    stage.run(60_000)
    messenger.refuses = None
    return stage, work_id


@pytest.mark.parametrize("fault", [lost_before, lost_after])
def test_redrive_without_answer_may_be_asked_again(fault: Fault) -> None:
    stage, work_id = given_up()
    stage.store.plan(updates(WorkRef, callback=CallbackState.PENDING), fault)
    with pytest.raises(StoreUnavailable):
        stage.pool().redrive(None, work_id)
    if fault is lost_before:
        assert stage.pool().redrive(None, work_id) == work_id
    stage.run(120_000, watchdog=True)

    assert stage.work(work_id).callback is CallbackState.DELIVERED
    assert stage.work(work_id).dead is None
    assert len(stage.invoker.started) == 1


def test_redrive_that_sdk_repeated_is_its_own() -> None:
    stage, work_id = given_up()
    stage.store.plan(updates(WorkRef, callback=CallbackState.PENDING), repeated)

    assert stage.pool().redrive(None, work_id) == work_id
    stage.run(60_000)
    assert stage.work(work_id).callback is CallbackState.DELIVERED
    assert len(stage.telemetry.of(CallbackRedriven)) <= 1


def test_dead_letter_has_no_time_to_live_until_it_is_delivered() -> None:
    """[WP-10]"""
    stage, work_id = given_up()
    before = stage.work(work_id)
    stage.pool().redrive(None, work_id)
    between = stage.work(work_id)
    stage.run(60_000)

    assert (before.expires_at, between.expires_at) == (None, None)
    assert stage.work(work_id).expires_at is not None


def test_redrive_that_lands_late_is_seen_all_same() -> None:
    """[WP-8] Its record would lie behind the loop's cursor: another one is put at the server's time."""
    stage, work_id = given_up()
    stage.clock.pass_to(stage.clock.at + 3_600_000)
    stage.pool(at=stage.clock.at - 60_000).redrive(None, work_id)
    owing = [
        time_of(record.at) for record in stage.dones() if record.callback is CallbackState.PENDING
    ]

    assert min(owing) < stage.clock.at - limits.BUFFER_MS
    assert max(owing) >= stage.clock.at - limits.LATE_MS


def test_record_of_redelivery_that_was_late_is_put_again(stage: Stage) -> None:
    """[WP-8]"""
    stage.place(replace(CANCELED, callback=CallbackState.DEAD, dead="dead"))
    stage.store.plan(updates(WorkRef, callback=CallbackState.PENDING), late(stage, repeated=False))

    stage.pool().redrive(None, CANCELED.id)

    assert [done.work_id for done in stage.dones()] == [CANCELED.id] * 2
