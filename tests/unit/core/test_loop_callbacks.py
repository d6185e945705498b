"""A notice that owes a callback leaves callbacks of the ledger as they are [WP-8]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_work, an_id
from workpool_aws.core import limits
from workpool_aws.core.callback.ending import record_of_end
from workpool_aws.core.loop.callbacks import (
    NewlyOwed,
    TakenOver,
    newly_owed,
    plan_callbacks,
)
from workpool_aws.core.loop.choose import Choice, marks_after
from workpool_aws.core.loop.effects import Expire, ShowSpawned
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import (
    Notice,
    PendingCallback,
    ShardCursors,
)
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, Spawned, State

WORK_ID = an_id(NOW, 3)
RECORD = record_of_end(a_work(id=WORK_ID), Outcome.CANCELED, now=NOW, random_bits=5)
SENT = replace(RECORD, callback=CallbackState.SENT)
LATER = EpochMs(NOW + 9_000)
MOST = limits.CALLBACK_TRIES_MAX


QUEUE = "arn:aws:sqs:us-east-1:123456789012:ends"


CANCELED = a_work(
    id=an_id(n=2),
    state=State.FINISHED,
    outcome=Outcome.CANCELED,
    on_complete=QUEUE,
    callback_outcomes=(Outcome.CANCELED,),
    callback=CallbackState.PENDING,
)


@pytest.mark.parametrize(
    ("record", "tries", "found"),
    [
        (RECORD, MOST - 1, NewlyOwed((), (RECORD.at,), None)),
        (RECORD, MOST, NewlyOwed((PendingCallback(WORK_ID, NOW),), (RECORD.at,), None)),
        (SENT, MOST, NewlyOwed((), (), None)),
    ],
    ids=["tries are left", "redriven after all tries", "sent"],
)
def test_held_callback_begins_anew_only_when_given_up_and_redriven(
    record: Notice, tries: int, found: NewlyOwed
) -> None:
    """Otherwise its tries would never end, and no dead letter would be reported."""
    held = {WORK_ID: PendingCallback(WORK_ID, LATER, tries=tries)}

    assert newly_owed([record], held, (), cursor="", room=9, now=NOW) == found


@pytest.mark.parametrize(
    ("found", "something"),
    [
        (NewlyOwed((), (RECORD.at,), None), True),
        (NewlyOwed((PendingCallback(WORK_ID, NOW),), (), None), True),
        (NewlyOwed((), (), RECORD.at), False),
    ],
    ids=["a record to delete", "a callback", "no room"],
)
def test_loop_does_not_rest_before_it_has_taken_over_what_it_can(
    found: NewlyOwed, *, something: bool
) -> None:
    """[WP-23] For what it has no room, it can do nothing: that must not keep it up."""
    assert found.is_something is something


def test_held_callback_takes_no_room_again() -> None:
    """A record of it may come a second time when the ledger is full."""
    held = {WORK_ID: PendingCallback(WORK_ID, LATER, tries=MOST)}

    assert newly_owed([RECORD], held, (), cursor="", room=0, now=NOW).blocked_at is None


@pytest.mark.parametrize(
    ("cursor_at", "stays_at"), [(NOW - 5_000, NOW - 5_000), (NOW - 100, NOW - 1_001)]
)
def test_done_cursor_stays_below_record_that_found_no_room(cursor_at: int, stays_at: int) -> None:
    mark = ShardCursors(done_cursor=id_floor(EpochMs(cursor_at)))
    choice = Choice((), (), (None,))
    (after,) = marks_after(
        [mark],
        choice,
        back_to=None,
        done_keys=[()],
        no_room_at=[an_id(NOW - 1_000)],
        deep=False,
        now=NOW,
    )

    assert after.done_cursor == id_floor(EpochMs(stays_at))


def test_pending_callback_that_landed_behind_cursor_counts() -> None:
    """[WP-8] Each record that owes one is deleted once the ledger has it, so one that is seen is new wherever it lies."""
    record = record_of_end(CANCELED, Outcome.CANCELED, now=NOW, random_bits=5)

    found = newly_owed(
        [record], {}, (), cursor=id_floor(EpochMs(NOW + 10_000)), room=9, now=EpochMs(NOW + 11_000)
    )

    assert [owed.work_id for owed in found.callbacks] == [CANCELED.id]


def test_callback_is_forgotten_after_what_its_handler_stored_is_in_sight() -> None:
    """[WP-20] The handler may have died before the late rule."""
    work = a_work(
        state=State.FINISHED,
        callback=CallbackState.DELIVERED,
        spawned=(Spawned("email", (an_id(n=7),)),),
    )
    owed = PendingCallback(work.id, NOW)

    plan = plan_callbacks(
        "email", TakenOver({work.id: owed}, (), (None,)), (owed,), {work.id: work}, {}, NOW
    )

    assert plan.owed == ()
    assert plan.before == (ShowSpawned(work), Expire(work))
