"""The handlers that `@pool.on_complete` makes."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import Any

import pytest

from tests.kit.lambdas import LambdaContext
from tests.kit.records import NOW, a_work
from tests.kit.stores import every, lost_before
from tests.kit.world import TABLE, World
from workpool_aws import OnCompleteEvent, Result, StoreUnavailable, UsageError, invocation
from workpool_aws.api.on_complete import CallbackHandler
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem


def a_told_work(world: World, callback: CallbackState = CallbackState.SENT) -> WorkItem:
    ended = {"state": State.FINISHED, "outcome": Outcome.SUCCESS, "result": "7", "finished_at": NOW}
    return world.put(
        a_work(**ended, on_complete="done", callback_outcomes=tuple(Outcome), callback=callback)
    )


def event_for(work: WorkItem, **changes: object) -> dict[str, object]:
    ticket = {
        "version": 1,
        "callback": True,
        "table": TABLE,
        "pool": work.pool,
        "work_id": work.id,
        "retention_s": work.spec.retention_s,
    }
    event = {
        "work_id": work.id,
        "context": {"user": 7},
        "result": {"kind": "success", "return_value": 7},
        "_workpool": ticket,
    }
    return {**event, **changes}


@pytest.fixture
def received() -> list[OnCompleteEvent]:
    return []


@pytest.fixture
def handler(world: World, received: list[OnCompleteEvent]) -> CallbackHandler[None]:
    @world.pool().on_complete
    def ended(event: OnCompleteEvent) -> None:
        """Remember."""
        received.append(event)

    return ended


def test_function_is_notified_and_work_is_marked(
    world: World, handler: CallbackHandler[None], received: list[OnCompleteEvent]
) -> None:
    """[WP-8]"""
    work = a_told_work(world)

    handler(event_for(work), LambdaContext())

    assert received == [
        OnCompleteEvent(
            work_id=work.id, context={"user": 7}, result=Result(kind="success", return_value=7)
        )
    ]
    assert world.work(work.id) == replace(
        work, callback=CallbackState.DELIVERED, expires_at=NOW // 1000 + 86_400
    )


@pytest.mark.parametrize(
    ("told", "result"),
    [
        (
            {"kind": "failed", "error": "no", "error_type": "ValueError"},
            Result(kind="failed", error="no", error_type="ValueError"),
        ),
        ({"kind": "failed", "error": None, "error_type": None}, Result(kind="failed")),
        ({"kind": "canceled"}, Result(kind="canceled")),
    ],
)
def test_every_outcome_is_told_as_result(
    world: World,
    handler: CallbackHandler[None],
    received: list[OnCompleteEvent],
    told: dict[str, Any],
    result: Result,
) -> None:
    handler(event_for(a_told_work(world), result=told), LambdaContext())

    assert [event.result for event in received] == [result]


@pytest.mark.parametrize("decorator", ["on_complete", "action"])
def test_callback_of_pool_that_function_does_not_serve_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, decorator: str
) -> None:
    """Its sender asked Lambda, and may not have been allowed to."""
    monkeypatch.setenv("WORKPOOL_SERVES", "billing")
    ran: list[object] = []
    pool, work = world.pool(), a_told_work(world)

    def told(event: OnCompleteEvent) -> None:
        ran.append(event)

    def works(work_id: str, context: object, result: object) -> None:
        ran.append((work_id, context, result))

    ended = pool.on_complete(told) if decorator == "on_complete" else pool.action(works)

    with pytest.raises(UsageError, match=r"a pool in WORKPOOL_SERVES, .*; got 'email'"):
        ended(event_for(work), LambdaContext())

    assert ran == []
    assert world.work(work.id) == work


def test_event_without_ticket_marks_nothing(
    world: World, handler: CallbackHandler[None], received: list[OnCompleteEvent]
) -> None:
    work = a_told_work(world)
    event = event_for(work)
    del event["_workpool"]

    handler(event, LambdaContext())

    assert len(received) == 1
    assert world.work(work.id) == work


def test_second_delivery_is_told_again_and_changes_nothing(
    world: World, handler: CallbackHandler[None], received: list[OnCompleteEvent]
) -> None:
    work = a_told_work(world)
    handler(event_for(work), LambdaContext())
    marked = world.work(work.id)
    world.clock.at += 60_000

    handler(event_for(work), LambdaContext())

    assert len(received) == 2
    assert world.work(work.id) == marked


@pytest.mark.parametrize("callback", [CallbackState.DEAD, CallbackState.DELIVERED])
def test_callback_given_up_or_delivered_stays_so(
    world: World, handler: CallbackHandler[None], callback: CallbackState
) -> None:
    work = a_told_work(world, callback)

    handler(event_for(work), LambdaContext())

    assert world.work(work.id) == work


def test_error_of_handler_is_raised_and_marks_nothing(world: World) -> None:
    work = a_told_work(world)

    @world.pool().on_complete
    def ended(event: OnCompleteEvent) -> None:
        raise RuntimeError(event.work_id)

    with pytest.raises(RuntimeError, match=work.id):
        ended(event_for(work), LambdaContext())

    assert world.work(work.id) == work


def test_unwritten_mark_is_reported_to_lambda(world: World, handler: CallbackHandler[None]) -> None:
    work = a_told_work(world)
    world.store.plan(every, lost_before, times=None)

    with pytest.raises(StoreUnavailable):
        handler(event_for(work), LambdaContext())


@pytest.mark.parametrize(
    "damage",
    [
        {"work_id": 7},
        {"work_id": "x"},
        {"result": None},
        {"result": {"kind": "finished"}},
        {"_workpool": {"version": 2}},
        {"_workpool": None},
    ],
)
def test_event_that_is_no_callback_is_refused_before_handler_runs(
    world: World,
    handler: CallbackHandler[None],
    received: list[OnCompleteEvent],
    damage: dict[str, object],
) -> None:
    work = a_told_work(world)

    with pytest.raises(UsageError, match=r"^event"):
        handler(event_for(work, **damage), LambdaContext())

    assert received == []
    assert world.work(work.id) == work


@pytest.mark.parametrize("event", [None, [], "text", {}, {"Records": []}])
def test_event_of_another_trigger_is_refused(handler: CallbackHandler[None], event: object) -> None:
    with pytest.raises(UsageError, match=r"^event"):
        handler(event, LambdaContext())


def test_handler_keeps_name_and_words_of_its_function(handler: CallbackHandler[None]) -> None:
    assert (handler.__name__, handler.__doc__) == ("ended", "Remember.")


async def waits(_event: OnCompleteEvent) -> None: ...


@wraps(lambda event: event)
def none_at_all() -> None: ...


@wraps(lambda event, tx, other: (event, tx, other))
def any_number(*_arguments: object) -> None: ...


@pytest.mark.parametrize(
    "function",
    [print, int, waits, lambda: None, lambda a, b, c: (a, b, c), none_at_all, any_number],
)
def test_decorator_refuses_what_cannot_be_handler(world: World, function: Any) -> None:
    with pytest.raises(UsageError, match=r"^function"):
        world.pool().on_complete(function)


def test_handler_of_wrong_shape_is_refused_with_its_signature(world: World) -> None:
    with pytest.raises(UsageError) as caught:
        world.pool().on_complete(lambda one, two, three: (one, two, three))

    assert str(caught.value) == (
        "function must be one of the OnCompleteEvent, or of the OnCompleteEvent and a Transaction; "
        "got the signature (one, two, three)"
    )


def test_refused_event_is_described_by_its_keys_or_its_type(
    handler: CallbackHandler[None],
) -> None:
    shape = "what a pool sends to an on_complete target: work_id, context, result"
    messages = []
    for event in ([1], {"b": 1, "a": 2}, event_for(a_work(), _workpool=["x"])):
        with pytest.raises(UsageError) as caught:
            handler(event, LambdaContext())
        messages.append(str(caught.value))

    assert messages == [
        f"event must be {shape}; got list",
        f"event must be {shape}; got the keys ['a', 'b']",
        (
            "event._workpool must be the ticket that a pool sends with a callback; "
            "got a list that cannot be read"
        ),
    ]


def test_surroundings_go_on_after_function_and_before_mark(
    world: World, handler: CallbackHandler[None], received: list[OnCompleteEvent]
) -> None:
    work, seen = a_told_work(world), []
    token = invocation.after_body.set(
        lambda: seen.append((len(received), world.work(work.id).callback))
    )
    try:
        handler(event_for(work), LambdaContext())
    finally:
        invocation.after_body.reset(token)

    assert seen == [(1, CallbackState.SENT)]
    assert world.work(work.id).callback is CallbackState.DELIVERED


def test_handler_is_known_as_one_also_where_it_is_wrapped(
    handler: CallbackHandler[None],
) -> None:
    @wraps(handler)
    def wrapper(event: object, context: object) -> None:
        handler(event, context)

    assert vars(wrapper)["__workpool__"] is True
    assert "as a plain function: " in repr(handler)
    assert repr(handler).endswith("ended.handler>")
    assert handler.handler.__name__ == "ended"
