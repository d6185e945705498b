"""Callbacks in one pass of the loop: taken over, checked in time, sent, and dropped [WP-8]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_work, an_id
from tests.kit.stores import lost_before
from tests.kit.world import World
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core import limits
from workpool_aws.core.loop.callbacks import CallbackPlan
from workpool_aws.core.loop.choose import Choice
from workpool_aws.core.loop.effects import Forget
from workpool_aws.core.loop.memory import Inputs, Memory
from workpool_aws.core.loop.plan import Findings, plan_pass, remembered
from workpool_aws.core.loop.recover import Checked
from workpool_aws.core.loop.settle import Notices, settle
from workpool_aws.flow.loop.callbacks import owed_callbacks
from workpool_aws.flow.loop.run_pass import apply_after, apply_before, clean_up
from workpool_aws.flow.loop.session import LoopSession, ReportsOnce
from workpool_aws.model.events import CallbackDead
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import EntryKey, Ledger, Notice, NoticeKind, PendingCallback
from workpool_aws.model.payload import Chunk, Chunked, Part
from workpool_aws.model.refs import ChunkRef, NoticeRef, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem
from workpool_aws.model.writes import Put
from workpool_aws.ports import FunctionLimits, InvokeRefused

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:done"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:done"
TIMEOUT_MS, EVENT_AGE_MS = 12_000, 60_000
LATER = EpochMs(NOW + 300_000)


def a_hold(world: World, *owed: PendingCallback) -> LoopSession:
    def limits_of(target: str) -> FunctionLimits:
        assert target == FUNCTION, "a queue has no configuration"
        return FunctionLimits(timeout_ms=TIMEOUT_MS, event_age_ms=EVENT_AGE_MS, claims=True)

    world.invoker.limits = limits_of
    world.invoker.acknowledges = lambda target: target == FUNCTION
    ledger = Ledger(pool="email", holder="h", generation=1, version=1, callbacks=owed)
    return LoopSession(
        ports=world.ports,
        pool="email",
        generation=1,
        token="h",
        secret="secret",
        memory=Memory.of(ledger),
        damage=ReportsOnce(world.telemetry),
        lease_until=EpochMs(NOW + 30_000),
        ends_at=EpochMs(NOW + 600_000),
    )


def a_told_work(
    world: World,
    n: int = 1,
    target: str = QUEUE,
    callback: CallbackState = CallbackState.PENDING,
    **changes: object,
) -> WorkItem:
    ended = {
        "state": State.FINISHED,
        "outcome": Outcome.SUCCESS,
        "result": "7",
        "finished_at": NOW,
        "callback_outcomes": tuple(Outcome),
    }
    return world.put(
        a_work(
            **{**ended, "id": an_id(n=n), "on_complete": target, "callback": callback, **changes}
        )
    )


def a_record(n: int, callback: CallbackState | None, number: int | None = None) -> Notice:
    at = make_id(EpochMs(NOW + (number or n)), random_bits=n)
    return Notice(
        pool="email",
        at=at,
        work_id=an_id(n=n),
        start=1,
        kind=NoticeKind.FINISHED,
        callback=callback,
    )


def look(
    hold: LoopSession,
    *records: Notice,
    settled: tuple[EntryKey, ...] = (),
    dropped: tuple[WorkItem, ...] = (),
) -> CallbackPlan:
    """As a pass does it before its commit."""
    notices = Notices(records, tuple(each.at for each in records))
    callbacks = owed_callbacks(hold, (notices,), settled, dropped, NOW)
    apply_before(hold.ports, callbacks.before)
    return callbacks


def pass_over(
    hold: LoopSession, *records: Notice, dropped: tuple[WorkItem, ...] = ()
) -> CallbackPlan:
    """As a pass does it: plan, commit, make the effects, remember."""
    callbacks = look(hold, *records, dropped=dropped)
    inputs = Inputs(
        now=NOW,
        config=None,
        config_read_at=NOW,
        bulk_cancel=None,
        deep=False,
        notices=(Notices(records, tuple(each.at for each in records)),),
    )
    found = Findings(
        hold.memory,
        inputs,
        settle({}, ()),
        Checked({}),
        Choice((), (), (None,)),
        callbacks,
        {},
    )
    plan = plan_pass(found, ends_at=LATER)
    hold.memory = Memory.of(plan.ledger)
    hold.memory = remembered(hold.memory, plan, apply_after(hold, plan))
    clean_up(hold, plan)
    return callbacks


def test_entry_that_was_dropped_hands_its_works_callback_over(world: World) -> None:
    pending, sent = a_told_work(world, 1), a_told_work(world, 2, FUNCTION, CallbackState.SENT)
    over, unwanted = (
        a_told_work(world, 3, callback=CallbackState.DELIVERED),
        replace(a_told_work(world, 4), callback=None),
    )

    callbacks = look(a_hold(world), dropped=(pending, sent, over, unwanted))

    assert [owed.work_id for owed in callbacks.owed] == [pending.id, sent.id]
    assert [send.work.id for send in callbacks.sends] == [pending.id]
    assert callbacks.owed[1].at == NOW + limits.CALLBACK_LOOK_MS


def test_callback_in_ledger_keeps_its_tries_and_its_time(world: World) -> None:
    work = a_told_work(world)
    held = PendingCallback(work.id, LATER, tries=3)

    assert look(a_hold(world, held), a_record(1, CallbackState.PENDING), dropped=(work,)).owed == (
        held,
    )


def test_callback_not_due_yet_is_left_alone(world: World) -> None:
    work = a_told_work(world)

    callbacks = pass_over(a_hold(world, PendingCallback(work.id, EpochMs(NOW + 1))))

    assert (callbacks.sends, world.messenger.sent) == ((), [])
    assert callbacks.owed == (PendingCallback(work.id, EpochMs(NOW + 1)),)


def test_pass_sends_earliest_first_and_no_more_than_it_may(world: World) -> None:
    works = [a_told_work(world, n) for n in range(1, limits.CALLBACKS_A_PASS + 3)]
    owed = [PendingCallback(work.id, EpochMs(NOW - n)) for n, work in enumerate(works)]

    callbacks = look(a_hold(world, *owed))

    assert len(callbacks.sends) == limits.CALLBACKS_A_PASS
    assert callbacks.sends[0].work.id == works[-1].id
    assert len(callbacks.owed) == len(works)


def test_callback_without_room_stays_in_its_record(world: World) -> None:
    full = [
        PendingCallback(WorkId(an_id(n=100 + n)), LATER)
        for n in range(limits.CALLBACKS_OWED_MAX - 1)
    ]
    fits, waits = a_record(1, CallbackState.PENDING), a_record(2, CallbackState.PENDING)

    callbacks = look(a_hold(world, *full), fits, waits)

    assert callbacks.blocked == (waits.at,)
    assert callbacks.forgets == (Forget(NoticeRef("email", fits.at)),)


def test_delivered_callback_leaves_ledger_and_lets_its_chunks_expire(world: World) -> None:
    """The handler has acknowledged. The reader of that lets the chunks expire."""
    work = a_told_work(
        world,
        callback=CallbackState.DELIVERED,
        context=Chunked(1),
        expires_at=NOW // 1000 + 60,
    )
    world.memory.write(
        Put(Chunk(pool="email", work_id=work.id, part=Part.CONTEXT, number=0, text='"c"'))
    )

    callbacks = look(a_hold(world, PendingCallback(work.id, NOW)))

    chunk = world.memory.peek(ChunkRef("email", work.id, Part.CONTEXT, 0))
    assert isinstance(chunk, Chunk)
    assert (callbacks.owed, callbacks.sends, chunk.expires_at) == ((), (), NOW // 1000 + 60)


def test_callback_of_lost_or_damaged_work_leaves_ledger(world: World) -> None:
    """[WP-12]"""
    damaged = key_of(WorkRef("email", an_id(n=2)))
    world.memory.inject(damaged.pk, damaged.sk, {"kind": "no such thing"})

    callbacks = look(
        a_hold(world, PendingCallback(an_id(n=1), NOW), PendingCallback(an_id(n=2), NOW))
    )

    assert (callbacks.owed, callbacks.sends) == ((), ())


def test_ledger_has_time_of_next_try_before_send(world: World) -> None:
    """So who dies in between leaves a callback that is tried again a little later, and counted."""
    work = a_told_work(world)

    assert look(a_hold(world, PendingCallback(work.id, NOW))).owed == (
        PendingCallback(work.id, EpochMs(NOW + limits.CALLBACK_RETRY_MS), tries=1),
    )


def test_accepted_callback_is_let_go_or_looked_at_soon(world: World) -> None:
    queue, function = a_told_work(world, 1), a_told_work(world, 2, FUNCTION)
    hold = a_hold(world, PendingCallback(queue.id, NOW), PendingCallback(function.id, NOW))

    pass_over(hold)

    assert hold.memory.callbacks == (
        PendingCallback(function.id, EpochMs(NOW + limits.CALLBACK_LOOK_MS), tries=1),
    )
    assert world.work(queue.id).callback is CallbackState.DELIVERED


def test_refused_callback_stays_with_its_next_try(world: World) -> None:
    work = a_told_work(world)
    world.messenger.refuses = InvokeRefused("no such queue", lasting=False)
    hold = a_hold(world, PendingCallback(work.id, NOW, tries=2))

    pass_over(hold)

    assert hold.memory.callbacks == (PendingCallback(work.id, EpochMs(NOW + 4_000), tries=3),)


@pytest.mark.parametrize("answered", [True, False])
def test_callback_tried_often_enough_is_given_up_once_stored(world: World, answered: bool) -> None:
    work = a_told_work(world)
    hold = a_hold(world, PendingCallback(work.id, NOW, tries=limits.CALLBACK_TRIES_MAX))
    world.store.plan(lambda _: not answered, lost_before, times=None)

    pass_over(hold)

    assert (world.work(work.id).callback is CallbackState.DEAD) is answered
    assert [owed.work_id for owed in hold.memory.callbacks] == ([] if answered else [work.id])
    assert len(world.telemetry.of(CallbackDead)) == int(answered)
    assert world.messenger.sent == []


def test_record_is_deleted_when_ledger_stands_for_it(world: World) -> None:
    a_told_work(world, 1)
    record = a_record(1, CallbackState.PENDING)
    world.memory.write(Put(record))
    hold = a_hold(world)

    look(hold, record)
    assert world.memory.peek(NoticeRef("email", record.at)) == record

    pass_over(hold, record)
    assert world.memory.peek(NoticeRef("email", record.at)) is None


@pytest.mark.parametrize(("looks", "sends"), [(4, False), (5, True)])
def test_sent_callback_is_sent_again_when_its_handlers_whole_time_is_over(
    world: World, looks: int, sends: bool
) -> None:
    """Event age, timeout and margin together, 78 s, are just not over at the fourth look, after 77.5 s."""
    work = a_told_work(world, target=FUNCTION, callback=CallbackState.SENT)

    callbacks = look(a_hold(world, PendingCallback(work.id, NOW, looks=looks)))

    assert bool(callbacks.sends) is sends
    if not sends:
        (waits,) = callbacks.owed
        assert waits.at == NOW + 501  # just when it is
