"""What a cancel meets instead of what it had read: guards of `flow/work/cancel.py`, each where nothing behind it would notice [WP-7]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.kit.records import NOW, POOL, a_running_work, a_work
from tests.kit.stage import Stage
from tests.kit.stores import first, lost_before, puts, repeated, then, updates
from workpool_aws import StoreUnavailable
from workpool_aws.adapters.items.records import key_of
from workpool_aws.model.events import KickFailed
from workpool_aws.model.loop import LoopState, LoopStatus
from workpool_aws.model.refs import Ref, StatusRef, WorkRef
from workpool_aws.model.work import CallbackState, Outcome, State, WorkItem

QUEUE = "arn:aws:sqs:us-east-1:123456789012:ends"
PLAIN = a_work()
OWING = a_work(on_complete=QUEUE, callback_for=(Outcome.CANCELED,))
CANCEL = updates(WorkRef, outcome=Outcome.CANCELED)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_cancel_with_a_callback_that_the_sdk_repeated_is_its_own(stage: Stage) -> None:
    """[WP-8] How late its record became visible is not known, so there is one more."""
    stage.place(OWING)
    stage.store.plan(CANCEL, repeated)

    assert stage.pool().cancel(None, OWING.id) == "canceled"
    assert [(done.work_id, done.callback) for done in stage.dones()] == [
        (OWING.id, CallbackState.PENDING)
    ] * 2


@pytest.mark.parametrize("work", [PLAIN, OWING], ids=["alone", "with a record"])
def test_a_cancel_that_another_one_forestalled_says_so(stage: Stage, work: WorkItem) -> None:
    stage.place(work)
    ended = replace(work, state=State.FINISHED, outcome=Outcome.CANCELED, started_by="another")
    stage.store.plan(CANCEL, first(lambda: stage.place(ended)))

    assert stage.pool().cancel(None, work.id) == "finished"
    assert (stage.work(work.id), stage.dones()) == (ended, [])


@pytest.mark.parametrize("work", [PLAIN, OWING], ids=["alone", "with a record"])
def test_a_cancel_of_what_begins_to_run_asks(stage: Stage, work: WorkItem) -> None:
    stage.place(work)
    running = a_running_work(on_complete=work.on_complete, callback_for=work.callback_for)
    stage.store.plan(CANCEL, first(lambda: stage.place(running)))

    assert stage.pool().cancel(None, work.id) == "requested"
    assert stage.work(work.id) == replace(running, cancel_requested=True)


def gone(stage: Stage) -> None:
    stage.remove(WorkRef(POOL, PLAIN.id))


def damage(stage: Stage, ref: Ref) -> None:
    key = key_of(ref)
    stage.memory.inject(key.pk, key.sk, {"kind": "no such thing"})


def damaged(stage: Stage) -> None:
    damage(stage, WorkRef(POOL, PLAIN.id))


@pytest.mark.parametrize("work", [PLAIN, OWING], ids=["alone", "with a record"])
@pytest.mark.parametrize("meanwhile", [gone, damaged])
def test_a_cancel_of_what_cannot_be_read_any_more_changes_nothing(
    stage: Stage, work: WorkItem, meanwhile: Callable[[Stage], None]
) -> None:
    """[WP-12]"""
    stage.place(work)
    stage.store.plan(CANCEL, first(lambda: meanwhile(stage)))

    assert stage.pool().cancel(None, work.id) == "unknown"
    assert (stage.works(), stage.dones()) == ([], [])


def test_a_cancel_that_cannot_kick_has_canceled_all_the_same(stage: Stage) -> None:
    """[WP-24] The watchdog finds the record."""
    stage.place(OWING)
    stage.resting_as(LoopState.WAITING, wake_at=NOW + 3_600_000)
    stage.store.plan(updates(StatusRef, state=LoopState.RUNNING), lost_before)

    assert stage.pool().cancel(None, OWING.id) == "canceled"
    assert stage.work(OWING.id).outcome is Outcome.CANCELED
    assert len(stage.telemetry.of(KickFailed)) == 1


def test_asking_a_running_work_kicks_nobody(stage: Stage) -> None:
    """[WP-23] Its loop has nothing to do about it."""
    stage.place(a_running_work())
    stage.resting_as(LoopState.WAITING, wake_at=NOW + 3_600_000, saturated=True)

    assert stage.pool().cancel(None, PLAIN.id) == "requested"
    assert stage.invoker.loops == []
    assert "get StatusRef" not in stage.notes


def test_a_cancel_all_is_not_answered_when_the_status_it_made_is_gone_again(stage: Stage) -> None:
    """[WP-13] Without an epoch nothing is called off."""
    stage.store.plan(puts(LoopStatus), then(lambda: stage.memory.delete(StatusRef(POOL))))

    with pytest.raises(StoreUnavailable, match="is gone"):
        stage.pool().cancel_all(None)


def test_a_cancel_all_is_not_answered_when_the_status_is_damaged(stage: Stage) -> None:
    """[WP-13] [WP-12]"""
    damage(stage, StatusRef(POOL))

    with pytest.raises(StoreUnavailable, match="damaged"):
        stage.pool().cancel_all(None)
