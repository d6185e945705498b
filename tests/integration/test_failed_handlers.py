"""Callbacks whose handlers fail, and unreadable destination records."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.functions import double
from tests.kit.records import NOW, POOL, a_running_work, an_assignment, an_id
from tests.kit.stage import LATE_MS, Stage
from tests.kit.stores import Apply, puts
from tests.kit.world import TABLE
from workpool_aws import OnCompleteEvent, Workpool
from workpool_aws.adapters.items.records import key_of
from workpool_aws.adapters.wire.assignment import assignment_to_wire
from workpool_aws.compose import use_ports
from workpool_aws.core import limits
from workpool_aws.flow.callback.acknowledge import note_failure
from workpool_aws.handlers import completion
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import CallbackFailed, RecordUnreadable
from workpool_aws.model.ids import time_of
from workpool_aws.model.loop import LoopState, Notice, NoticeKind
from workpool_aws.model.messages import CallbackTicket
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem
from workpool_aws.model.writes import Written

SECRET = "card 4111"


HANDLER = "arn:aws:lambda:us-east-1:123456789012:function:told"


SENT = a_running_work(
    state=State.FINISHED,
    outcome=Outcome.SUCCESS,
    on_complete=HANDLER,
    callback_outcomes=(Outcome.SUCCESS,),
    callback=CallbackState.SENT,
)


TICKET = CallbackTicket(table=TABLE, pool=POOL, work_id=SENT.id, retention_s=60)


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.resting_as(LoopState.IDLE)
    return stage


def fail(stage: Stage) -> None:
    note_failure(stage.ports, TICKET, target=HANDLER, reason="boom")


def owes(stage: Stage) -> list[tuple[NoticeKind, CallbackState | None]]:
    return [(done.kind, done.callback) for done in stage.dones()]


def gone(stage: Stage) -> None:
    stage.remove(WorkRef(POOL, SENT.id))


def damaged(stage: Stage) -> None:
    key = key_of(WorkRef(POOL, SENT.id))
    stage.memory.inject(key.pk, key.sk, {"kind": "no such thing"})


def delivered(stage: Stage) -> None:
    stage.place(replace(SENT, callback=CallbackState.DELIVERED))


def dead(stage: Stage) -> None:
    stage.place(replace(SENT, callback=CallbackState.DEAD))


class Handler:
    """Fails so many times, then accepts."""

    def __init__(self, fails: int) -> None:
        self.fails = fails
        self.told_at: list[float] = []

    def into(self, cloud: LocalCloud, **options: Any) -> str:
        def ended(_event: OnCompleteEvent) -> None:
            self.told_at.append(cloud.now.timestamp())
            if len(self.told_at) <= self.fails:
                raise ConnectionError(SECRET)

        return cloud.function(Workpool(cloud.table, "email").on_complete(ended), **options)


def test_handler_that_fails_is_called_again_soon_and_less_and_less_often() -> None:
    """[WP-8] Not when its event age, timeout and margin are over."""
    handler = Handler(fails=4)
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("email")
        target = handler.into(cloud, timeout=timedelta(minutes=5))
        work_id = pool.enqueue_action(None, cloud.function(double), {"n": 1}, on_complete=target)
        cloud.run_until_idle()
        facts = [fact for fact in cloud.facts if isinstance(fact, CallbackFailed)]

        assert pool.status(None, work_id).callback == "delivered"
        assert len(cloud.invocations(cloud.completion_arn)) == 1 + handler.fails
    waits = [
        later - earlier
        for earlier, later in zip(handler.told_at, handler.told_at[1:], strict=False)
    ]
    assert waits == pytest.approx([1, 1, 2, 4], abs=0.7)
    assert [(fact.target.rpartition(":function:")[2], fact.error) for fact in facts] == [
        ("ended:$LATEST", "its handler failed: RetriesExhausted: ConnectionError")
    ] * 4


def test_handler_that_always_fails_is_given_up_after_as_many_tries_as_one_that_refuses() -> None:
    """[WP-8] [WP-23]"""
    handler = Handler(fails=100)
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("email")
        work_id = pool.enqueue_action(
            None, cloud.function(double), {"n": 1}, on_complete=handler.into(cloud)
        )
        cloud.run_until_idle(timeout=timedelta(hours=3))
        after = len(handler.told_at)
        cloud.run_until_idle(timeout=timedelta(hours=3))

        assert pool.status(None, work_id).callback == "dead"
    assert (after, len(handler.told_at)) == (13, 13)
    assert handler.told_at[-1] - handler.told_at[0] < 3_600


@pytest.mark.parametrize("table", ["workpool-local", None])
def test_unreadable_record_of_ours_is_reported_and_fails_function(
    table: str | None,
) -> None:
    own = {**assignment_to_wire(an_assignment()), "version": 2, "table": table}
    record = {
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": {"to": SECRET, "_workpool": own},
    }
    with LocalCloud(engine="memory") as cloud, use_ports(cloud._ports_of):
        with pytest.raises(completion.RecordRejected) as raised:
            completion.handler(json.loads(json.dumps(record)), None)
        told = [fact for fact in cloud.facts if isinstance(fact, RecordUnreadable)]

    assert an_id() in str(raised.value)
    assert SECRET not in f"{raised.value}{told}"
    assert [(fact.pool, fact.work_id) for fact in told] == (
        [] if table is None else [("email", an_id())]
    )


def test_failed_handler_makes_its_callback_owed_and_wakes_loop_once(stage: Stage) -> None:
    """[WP-24]"""
    stage.place(SENT)
    fail(stage)

    assert stage.work(SENT.id).callback is CallbackState.PENDING
    assert owes(stage) == [(NoticeKind.CHECK, CallbackState.PENDING)]
    assert [event.error for event in stage.telemetry.of(CallbackFailed)] == [
        "its handler failed: boom"
    ]
    assert ([order.generation for order in stage.invoker.loops], stage.clock.slept_ms) == ([2], [])


def test_record_of_failed_handler_that_was_late_is_put_again(stage: Stage) -> None:
    """[WP-3]"""
    stage.place(SENT)

    def late(apply: Apply) -> Written:
        stage.clock.at += LATE_MS
        return apply()

    stage.store.plan(puts(Notice), late)
    fail(stage)

    assert [time_of(done.at) for done in stage.dones()] == [NOW, NOW + LATE_MS]


@pytest.mark.parametrize("meanwhile", [gone, damaged, delivered, dead])
def test_failure_of_what_is_over_changes_nothing(
    stage: Stage, meanwhile: Callable[[Stage], None]
) -> None:
    stage.place(SENT)
    meanwhile(stage)
    before: list[WorkItem] = stage.works()
    fail(stage)

    assert (stage.works(), owes(stage), stage.invoker.loops, stage.clock.slept_ms) == (
        before,
        [],
        [],
        [],
    )


def test_failure_that_came_before_mark_of_what_was_sent_waits_for_it(stage: Stage) -> None:
    """[WP-8] Else the loop would wait for the whole time of a handler that is over."""
    stage.place(replace(SENT, callback=CallbackState.PENDING))
    stage.after(limits.CALLBACK_LOOK_MS + 1, lambda: stage.place(SENT))
    fail(stage)

    assert owes(stage) == [(NoticeKind.CHECK, CallbackState.PENDING)]
    assert stage.clock.slept_ms == [limits.CALLBACK_LOOK_MS] * 2


def test_failure_of_what_is_owed_already_is_said_three_times_and_no_more(stage: Stage) -> None:
    """[WP-23]"""
    stage.place(replace(SENT, callback=CallbackState.PENDING))
    fail(stage)

    assert (owes(stage), stage.invoker.loops) == ([], [])
    assert stage.clock.slept_ms == [limits.CALLBACK_LOOK_MS] * 2
