"""One delivery of a callback: what it says of the work in each case, and what it leaves for the loop [WP-8]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_work, an_id
from tests.kit.stores import every, lost_before, updates
from tests.kit.world import World
from workpool_aws.core.chunks import lay_out
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.callback.acknowledge import acknowledge
from workpool_aws.flow.callback.deliver import deliver
from workpool_aws.model.events import CallbackAcknowledged, CallbackDead, CallbackFailed
from workpool_aws.model.messages import CallbackTicket
from workpool_aws.model.payload import Part
from workpool_aws.model.refs import ChunkRef, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, Spawned, State, WorkItem, dead_key
from workpool_aws.ports import FunctionLimits, InvokeRefused, InvokeThrottled, InvokeUnanswered

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:done"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:done"
EXPIRY = NOW // 1000 + 86_400


def a_told_work(
    world: World,
    target: str = QUEUE,
    *,
    callback: CallbackState = CallbackState.PENDING,
    context: str | None = None,
) -> WorkItem:
    layout = lay_out(context, WorkRef("email", an_id()), Part.CONTEXT)
    for put in layout.puts:
        world.memory.write(put)
    ended = {
        "state": State.FINISHED,
        "outcome": Outcome.SUCCESS,
        "result": "7",
        "finished_at": NOW,
        "callback_outcomes": tuple(Outcome),
    }
    return world.put(
        a_work(
            **ended,
            on_complete=target,
            callback=callback,
            context=layout.payload,
        )
    )


def acknowledges(world: World, says: bool, *, serves: frozenset[str] | None = None) -> None:
    world.invoker.acknowledges = lambda _: says
    world.invoker.limits = lambda _: FunctionLimits(
        timeout_ms=3_000, event_age_ms=60_000, serves=serves
    )


def chunk_expiry(world: World) -> int | None:
    chunk = world.memory.peek(ChunkRef("email", an_id(), Part.CONTEXT, 0))
    return getattr(chunk, "expires_at", None)


def test_queue_has_callback_when_it_accepted_and_is_not_asked_for_configuration(
    world: World,
) -> None:
    work = a_told_work(world)

    assert deliver(world.ports, work) is CallbackState.DELIVERED
    assert [target for target, _ in world.messenger.sent] == [QUEUE]
    assert world.work(work.id) == replace(work, callback=CallbackState.DELIVERED, expires_at=EXPIRY)


@pytest.mark.parametrize(
    ("says", "state"), [(True, CallbackState.SENT), (False, CallbackState.DELIVERED)]
)
def test_function_that_acknowledges_was_only_sent_it(
    world: World, says: bool, state: CallbackState
) -> None:
    acknowledges(world, says)
    work = a_told_work(world, FUNCTION)

    assert deliver(world.ports, work) is state
    assert world.work(work.id).expires_at == (None if says else EXPIRY)
    assert (world.messenger.sent[0][1].ticket is not None) is says


def test_named_handler_is_sent_its_ticket_where_its_settings_are_unknown(world: World) -> None:
    """A function of several handlers finds the one by the ticket, and nothing else."""
    acknowledges(world, says=False)
    told = a_told_work(world, FUNCTION)
    named = replace(told.spec, callback=replace(told.spec.callback, job="email_sent"))
    work = world.put(replace(told, spec=named))

    assert deliver(world.ports, work) is CallbackState.SENT
    assert world.messenger.sent[0][1].ticket.job == "email_sent"


@pytest.mark.parametrize("says", [True, False])
def test_function_that_serves_other_pools_is_sent_nothing_and_callback_is_given_up(
    world: World, says: bool
) -> None:
    acknowledges(world, says, serves=frozenset({"billing"}))

    assert deliver(world.ports, a_told_work(world, FUNCTION)) is CallbackState.DEAD
    assert world.messenger.sent == []
    assert [
        "does not serve pool 'email'" in event.reason for event in world.telemetry.of(CallbackDead)
    ] == [True]


@pytest.mark.parametrize("callback", [CallbackState.DELIVERED, CallbackState.DEAD])
def test_callback_that_is_over_is_not_sent_again(world: World, callback: CallbackState) -> None:
    assert deliver(world.ports, a_told_work(world, callback=callback)) is callback
    assert world.messenger.sent == []


@pytest.mark.parametrize(
    "error",
    [
        InvokeThrottled("busy"),
        InvokeUnanswered("silent"),
        InvokeRefused("no such queue", lasting=False),
    ],
)
def test_callback_that_may_succeed_later_stays_owed(world: World, error: Exception) -> None:
    world.messenger.refuses = error
    work = a_told_work(world)

    assert deliver(world.ports, work) is CallbackState.PENDING
    assert world.work(work.id) == work
    assert len(world.telemetry.of(CallbackFailed)) == 1


def test_callback_that_will_always_be_refused_is_dead_and_kept(world: World) -> None:
    world.messenger.refuses = InvokeRefused("too large", lasting=True)
    work = a_told_work(world)

    assert deliver(world.ports, work) is CallbackState.DEAD
    assert world.work(work.id) == replace(
        work, callback=CallbackState.DEAD, dead=dead_key(NOW, work.id)
    )
    assert [event.reason for event in world.telemetry.of(CallbackDead)] == ["too large"]


def test_giving_up_what_was_acknowledged_meanwhile_gives_up_nothing(world: World) -> None:
    world.messenger.refuses = InvokeRefused("too large", lasting=True)
    work = a_told_work(world)
    world.put(replace(work, callback=CallbackState.DELIVERED, expires_at=EXPIRY))

    assert deliver(world.ports, work) is CallbackState.DELIVERED
    assert world.telemetry.of(CallbackDead) == []


def test_delivery_that_stored_work_items_is_looked_at_again(world: World) -> None:
    """[WP-20] Its handler was faster than the mark, and may die before the late rule."""
    work = a_told_work(world, FUNCTION)
    acknowledges(world, True)
    spawned = (Spawned("email", (an_id(n=7),)),)
    world.put(replace(work, callback=CallbackState.DELIVERED, spawned=spawned, expires_at=EXPIRY))

    assert deliver(world.ports, work) is CallbackState.SENT


def test_callback_whose_context_cannot_be_read_now_is_delivered_later(world: World) -> None:
    work = a_told_work(world, context="c" * 5_000)

    def unanswered(_: object) -> object:
        raise StoreUnavailable("no answer")

    world.store.get_many = unanswered

    assert deliver(world.ports, work) is CallbackState.PENDING
    assert world.messenger.sent == []


def test_callback_whose_context_was_removed_is_never_delivered(world: World) -> None:
    """[WP-12]"""
    work = a_told_work(world, context="c" * 5_000)
    world.memory.delete(ChunkRef("email", an_id(), Part.CONTEXT, 0))

    assert deliver(world.ports, work) is CallbackState.DEAD
    assert world.messenger.sent == []


def test_context_in_chunks_is_delivered_whole_and_expires_with_its_work(world: World) -> None:
    work = a_told_work(world, context="c" * 5_000)

    assert deliver(world.ports, work) is CallbackState.DELIVERED
    assert world.messenger.sent[0][1].context == "c" * 5_000
    assert chunk_expiry(world) == EXPIRY


def test_mark_without_answer_leaves_it_owed(world: World) -> None:
    """It is sent again: better twice than never."""
    work = a_told_work(world)
    world.store.plan(every, lost_before, times=None)

    assert deliver(world.ports, work) is CallbackState.PENDING


def test_chunks_that_could_not_be_told_to_expire_are_looked_at_once_more(world: World) -> None:
    work = a_told_work(world, context="c" * 5_000)
    world.store.plan(updates(ChunkRef), lost_before, times=None)

    assert deliver(world.ports, work) is CallbackState.SENT
    assert world.work(work.id).callback is CallbackState.DELIVERED
    assert chunk_expiry(world) is None


def test_handler_that_was_faster_than_mark_is_believed_and_chunks_expire(
    world: World,
) -> None:
    """So is one's own mark, which the SDK repeated after a lost answer."""
    acknowledges(world, says=True)
    work = a_told_work(world, FUNCTION, context="c" * 5_000)
    world.put(replace(work, callback=CallbackState.DELIVERED, expires_at=EXPIRY))

    assert deliver(world.ports, work) is CallbackState.DELIVERED
    assert world.work(work.id).callback is CallbackState.DELIVERED
    assert chunk_expiry(world) == EXPIRY


def test_work_that_is_gone_by_then_owes_nothing(world: World) -> None:
    work = a_told_work(world)
    world.memory.delete(WorkRef(work.pool, work.id))

    assert deliver(world.ports, work) is None


def test_second_acknowledgement_changes_nothing_and_tells_nothing(world: World) -> None:
    work = a_told_work(world, FUNCTION, callback=CallbackState.SENT)
    ticket = CallbackTicket(table="jobs", pool=work.pool, work_id=work.id, retention_s=86_400)
    acknowledge(world.ports, ticket)
    marked = world.work(work.id)
    world.clock.at += 60_000

    acknowledge(world.ports, ticket)

    assert world.work(work.id) == marked
    assert len(world.telemetry.of(CallbackAcknowledged)) == 1
