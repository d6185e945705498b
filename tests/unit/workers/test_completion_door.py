"""The door of completion: what Lambda's destinations bring in, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.lambdas import LambdaContext, event_of
from tests.kit.records import NOW, a_work
from tests.kit.stores import every, lost_before
from tests.kit.world import TABLE, World
from workpool_aws.compose import use_ports
from workpool_aws.errors import StoreUnavailable
from workpool_aws.handlers.completion import RecordRejected, handler
from workpool_aws.model.loop import LoopState, LoopStatus
from workpool_aws.model.messages import Assignment
from workpool_aws.model.payload import inline_text
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State
from workpool_aws.ports import Ports


@pytest.fixture
def asked(world: World) -> Iterator[list[str]]:
    """The tables that ports were asked for."""
    tables: list[str] = []

    def ports_of(table: str) -> Ports:
        tables.append(table)
        return world.ports

    with use_ports(ports_of):
        yield tables


def record_of(assignment: Assignment) -> dict[str, object]:
    """A success, as Lambda reports it."""
    return {
        "version": "1.0",
        "requestContext": {
            "requestId": "r",
            "functionArn": "f",
            "condition": "Success",
            "approximateInvokeCount": 1,
        },
        "requestPayload": event_of(assignment),
        "responseContext": {"statusCode": 200},
        "responsePayload": 7,
    }


def test_record_completes_its_start_in_table_that_it_names_and_wakes_loop(
    world: World, asked: list[str]
) -> None:
    world.put(LoopStatus(pool="email", state=LoopState.IDLE, generation=1, lease_until=NOW))
    assignment = world.start(a_work(claimed=False))

    handler(record_of(assignment), LambdaContext())

    work = world.work(assignment.work_id)
    assert (work.state, work.outcome, inline_text(work.result)) == (
        State.FINISHED,
        Outcome.SUCCESS,
        "7",
    )
    assert set(asked) == {TABLE}
    assert len(world.invoker.loops) == 1


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": [{"body": "{}"}]},
        {"requestPayload": {"to": "a@example.com"}, "responsePayload": 7},
    ],
)
def test_record_of_no_start_asks_for_no_table(asked: list[str], event: dict[str, object]) -> None:
    handler(event, LambdaContext())

    assert asked == []


def test_completion_without_answer_raises_so_that_lambda_delivers_again(
    world: World, asked: list[str]
) -> None:
    assignment = world.start(a_work(claimed=False))
    world.store.plan(every, lost_before, times=None)
    with pytest.raises(StoreUnavailable):
        handler(record_of(assignment), LambdaContext())
    world.store.heal()

    handler(record_of(assignment), LambdaContext())

    assert world.work(assignment.work_id).outcome is Outcome.SUCCESS
    assert asked == [TABLE] * 2


def test_message_about_unreadable_record_can_be_reported_and_logged(asked: list[str]) -> None:
    """Lambda's runtime ends the process over half a surrogate pair, and writes the rest to the log as it is."""
    own = {"version": 1, "table": TABLE, "pool": "email", "work_id": "\ud800\x1b[31m\nforged line"}
    record = {
        "requestContext": {"condition": "Success"},
        "requestPayload": {"_workpool": own},
        "responsePayload": 7,
    }

    with pytest.raises(RecordRejected) as raised:
        handler(record, LambdaContext())

    text = str(raised.value)
    assert text.encode()
    assert text.isprintable()
    assert asked == [TABLE]
