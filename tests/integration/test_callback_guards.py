"""A callback whose handler failed is owed again at once: guards of `flow/callback.py`, each where nothing behind it would notice [WP-8]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.kit.records import NOW, POOL, a_running_work
from tests.kit.stage import Stage
from tests.kit.stores import Apply, puts
from tests.kit.world import TABLE
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core import limits
from workpool_aws.flow.callback import note_failure
from workpool_aws.model.events import CallbackFailed
from workpool_aws.model.ids import time_of
from workpool_aws.model.loop import LoopState, Notice, NoticeKind
from workpool_aws.model.messages import CallbackTicket
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import CallbackState, Outcome, State, WorkItem
from workpool_aws.model.writes import Written

HANDLER = "arn:aws:lambda:us-east-1:123456789012:function:told"
LATE_MS = 20_000
SENT = a_running_work(
    state=State.FINISHED,
    outcome=Outcome.SUCCESS,
    on_complete=HANDLER,
    callback_for=(Outcome.SUCCESS,),
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


def test_a_failed_handler_makes_its_callback_owed_and_wakes_the_loop_once(stage: Stage) -> None:
    """[WP-24]"""
    stage.place(SENT)
    fail(stage)

    assert stage.work(SENT.id).callback is CallbackState.PENDING
    assert owes(stage) == [(NoticeKind.CHECK, CallbackState.PENDING)]
    assert [event.error for event in stage.telemetry.of(CallbackFailed)] == [
        "its handler failed: boom"
    ]
    assert ([order.generation for order in stage.invoker.loops], stage.clock.slept_ms) == ([2], [])


def test_the_record_of_a_failed_handler_that_was_late_is_put_again(stage: Stage) -> None:
    """[WP-3]"""
    stage.place(SENT)

    def late(apply: Apply) -> Written:
        stage.clock.at += LATE_MS
        return apply()

    stage.store.plan(puts(Notice), late)
    fail(stage)

    assert [time_of(done.at) for done in stage.dones()] == [NOW, NOW + LATE_MS]


def gone(stage: Stage) -> None:
    stage.remove(WorkRef(POOL, SENT.id))


def damaged(stage: Stage) -> None:
    key = key_of(WorkRef(POOL, SENT.id))
    stage.memory.inject(key.pk, key.sk, {"kind": "no such thing"})


def delivered(stage: Stage) -> None:
    stage.place(replace(SENT, callback=CallbackState.DELIVERED))


def dead(stage: Stage) -> None:
    stage.place(replace(SENT, callback=CallbackState.DEAD))


@pytest.mark.parametrize("meanwhile", [gone, damaged, delivered, dead])
def test_a_failure_of_what_is_over_changes_nothing(
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


def test_a_failure_that_came_before_the_mark_of_what_was_sent_waits_for_it(stage: Stage) -> None:
    """[WP-8] Else the loop would wait for the whole time of a handler that is over."""
    stage.place(replace(SENT, callback=CallbackState.PENDING))
    stage.after(limits.CALLBACK_LOOK_MS + 1, lambda: stage.place(SENT))
    fail(stage)

    assert owes(stage) == [(NoticeKind.CHECK, CallbackState.PENDING)]
    assert stage.clock.slept_ms == [limits.CALLBACK_LOOK_MS] * 2


def test_a_failure_of_what_is_owed_already_is_said_three_times_and_no_more(stage: Stage) -> None:
    """[WP-23]"""
    stage.place(replace(SENT, callback=CallbackState.PENDING))
    fail(stage)

    assert (owes(stage), stage.invoker.loops) == ([], [])
    assert stage.clock.slept_ms == [limits.CALLBACK_LOOK_MS] * 2
