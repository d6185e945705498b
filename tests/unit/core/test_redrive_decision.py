"""Redrives of failed work items, whose own outcomes never change [WP-6]."""

from dataclasses import fields

import pytest

from tests.kit.records import NOW, a_policy, a_running_work, a_work, an_id
from workpool_aws.core.work.redrive import (
    NoFailure,
    Redeliver,
    Redrive,
    RedrivenWork,
    decide_redrive,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem, dead_key
from workpool_aws.model.writes import All, Is

LATER = EpochMs(NOW + 60_000)
NEW = an_id(at=LATER, n=5)
CARRIED = {"pool", "spec"}
GIVEN = {"id", "state", "due_at", "enqueued_at", "redrive_of"}


def a_failure(**changes: object) -> WorkItem:
    over = {
        "state": State.FINISHED,
        "outcome": Outcome.FAILED,
        "attempts_made": 3,
        "starts": 4,
        "error": "no",
        "error_type": "E",
    }
    kept = {
        "finished_at": NOW,
        "expires_at": 9,
        "dead": "d",
        "args": '{"n":1}',
        "retry": a_policy(),
        "origin": "request=1",
    }
    told = {
        "on_complete": "told",
        "context": '{"user":7}',
        "callback_outcomes": (Outcome.FAILED,),
        "callback": CallbackState.DELIVERED,
    }
    return a_work(**{**over, **kept, **told, **changes})


def redriven(old: WorkItem, origin: str | None = None, epoch: int = 0) -> Redrive:
    decision = decide_redrive(old, new_id=NEW, now=LATER, origin=origin, epoch=epoch)
    assert isinstance(decision, Redrive)
    return decision


def test_new_work_asks_for_same_and_begins_anew() -> None:
    old = a_failure()

    new = redriven(old).work

    assert {name: getattr(new, name) for name in CARRIED} == {
        name: getattr(old, name) for name in CARRIED
    }
    assert (new.id, new.state, new.due_at, new.enqueued_at, new.redrive_of) == (
        NEW,
        State.PENDING,
        LATER,
        LATER,
        old.id,
    )
    blank = a_work()
    rest = {item.name for item in fields(WorkItem)} - CARRIED - GIVEN
    assert {name: getattr(new, name) for name in rest} == {
        name: getattr(blank, name) for name in rest
    }


def test_old_work_is_marked_and_nothing_else_of_it_changes() -> None:
    decision = redriven(a_failure())

    assert decision.mark.ref == WorkRef("email", an_id())
    assert decision.mark.set == {"redriven_as": NEW, "dead": None}
    assert decision.mark.condition == All(
        (Is("state", State.FINISHED), Is("outcome", Outcome.FAILED), Is("redriven_as", None))
    )


def test_link_is_that_of_redrive() -> None:
    assert redriven(a_failure(), origin="request=2").work.spec.origin == "request=2"


def test_failure_is_redriven_once() -> None:
    first = an_id(n=9)

    assert decide_redrive(
        a_failure(redriven_as=first), new_id=NEW, now=LATER, origin=None, epoch=0
    ) == RedrivenWork(first)


@pytest.mark.parametrize(
    ("work", "what"),
    [
        (a_work(), "pending"),
        (a_running_work(), "running"),
        (a_failure(outcome=Outcome.SUCCESS), "success"),
        (a_failure(outcome=Outcome.CANCELED), "canceled"),
    ],
)
def test_work_that_did_not_fail_is_left_alone(work: WorkItem, what: str) -> None:
    assert decide_redrive(work, new_id=NEW, now=LATER, origin=None, epoch=0) == NoFailure(what)


def test_new_work_belongs_to_epoch_of_now() -> None:
    """A `cancel_all` from between the enqueue and the redrive means the old work, not the new one."""
    assert redriven(a_failure(epoch=1), epoch=4).work.epoch == 4


@pytest.mark.parametrize(
    ("changes", "dead"),
    [
        ({}, dead_key(NOW, an_id())),
        ({"redriven_as": an_id(n=9)}, None),
        ({"outcome": Outcome.SUCCESS}, None),
        ({"outcome": Outcome.CANCELED}, None),
    ],
)
def test_dead_callback_is_owed_again_and_work_never_runs_again(
    changes: dict[str, object], dead: str | None
) -> None:
    """[WP-6] [WP-8] A failure that was not redriven stays among the dead letters."""
    decision = decide_redrive(
        a_failure(callback=CallbackState.DEAD, **changes),
        new_id=NEW,
        now=LATER,
        origin=None,
        epoch=0,
    )

    assert isinstance(decision, Redeliver)
    assert decision.write.ref == WorkRef("email", an_id())
    assert decision.write.set == {"callback": CallbackState.PENDING, "dead": dead}
    assert decision.write.condition == Is("callback", CallbackState.DEAD)
