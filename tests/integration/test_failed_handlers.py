"""What becomes of a callback whose handler fails, and of destination records that nobody can read."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.records import an_assignment, an_id
from workpool_aws import OnCompleteEvent, Workpool
from workpool_aws.adapters.wire.assignment import assignment_to_wire
from workpool_aws.compose import use_ports
from workpool_aws.handlers import completion
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import CallbackFailed, RecordUnreadable

SECRET = "card 4111"


class Handler:
    """Fails so many times, then takes what it is told."""

    def __init__(self, fails: int) -> None:
        self.fails = fails
        self.told_at: list[float] = []

    def into(self, cloud: LocalCloud, **options: Any) -> str:
        def ended(_event: OnCompleteEvent) -> None:
            self.told_at.append(cloud.now.timestamp())
            if len(self.told_at) <= self.fails:
                raise ConnectionError(SECRET)

        return cloud.function(Workpool(cloud.table, "email").on_complete(ended), **options)


def double(event: dict[str, Any], _context: object) -> int:
    return event["n"] * 2


def test_a_handler_that_fails_is_called_again_soon_and_less_and_less_often() -> None:
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


def test_a_handler_that_always_fails_is_given_up_after_as_many_tries_as_one_that_refuses() -> None:
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
def test_a_record_of_ours_that_cannot_be_read_is_told_and_fails_the_function(
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
