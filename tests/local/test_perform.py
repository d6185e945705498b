"""`perform`, which runs a decorated function as one attempt."""

import os
import traceback
from datetime import date, timedelta
from typing import NamedTuple

import boto3
import pytest
from pydantic import BaseModel, Field

from workpool_aws import RetryLater, UsageError, Work, Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.testing import assert_enqueued, perform

pool = Workpool("workpool-local", "email")


class Receipt(BaseModel):
    to: str
    cents: int


class Seen(NamedTuple):
    attempt: int
    remaining: timedelta
    canceled: bool
    pool: str


@pool.action
def send_email(to: str, cents: int = Field(default=0, ge=0)) -> Receipt:
    if to == "nobody":
        raise LookupError("no such address")
    return Receipt(to=to, cents=cents)


@pool.action
def look(work: Work) -> Seen:
    work.sleep(10)
    return Seen(work.attempt, work.remaining, work.cancel_requested(), work.pool.name)


@pool.action
def fan_out(work: Work, count: int) -> None:
    work.pool.enqueue_action_batch(None, "send_email", [{"to": str(n)} for n in range(count)])


def test_perform_returns_value_unchanged() -> None:
    assert perform(send_email, to="ann", cents=5) == Receipt(to="ann", cents=5)


def test_perform_gives_handle_of_attempt() -> None:
    assert perform(look, attempt=3) == Seen(
        attempt=3, remaining=timedelta(seconds=20), canceled=False, pool="default"
    )


def test_perform_gives_first_attempt_by_default() -> None:
    assert perform(look).attempt == 1


def test_perform_raises_functions_own_error() -> None:
    with pytest.raises(LookupError, match="no such address") as raised:
        perform(send_email, to="nobody")

    assert traceback.extract_tb(raised.value.__traceback__)[-1].name == "send_email"


def test_perform_leaves_requests_for_another_attempt_to_test() -> None:
    @pool.action
    def throttled() -> None:
        raise RetryLater(timedelta(seconds=30))

    with pytest.raises(RetryLater):
        perform(throttled)


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ({}, "to: Field required"),
        ({"to": 3}, "to: Input should be a valid string"),
        ({"to": "ann", "too": 1}, "too: Unexpected keyword argument"),
        ({"to": "ann", "cents": -1}, "cents: Input should be greater than or equal to 0"),
    ],
)
def test_perform_refuses_arguments_that_worker_would(args: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        perform(send_email, **args)


def test_perform_takes_no_handle_as_argument() -> None:
    with pytest.raises(UsageError, match="work: Unexpected keyword argument"):
        perform(look, work=None)


def test_perform_sends_arguments_through_json() -> None:
    @pool.action
    def kinds(items: object, day: date) -> list[str]:
        return [type(items).__name__, type(day).__name__]

    assert perform(kinds, items=(1, 2), day="2026-11-29") == ["list", "date"]


def test_perform_refuses_arguments_that_are_no_json() -> None:
    with pytest.raises(UsageError, match=r"^args\.to must be a JSON value"):
        perform(send_email, to={1})


def test_perform_refuses_return_value_that_pool_would() -> None:
    @pool.action
    def bad() -> set[int]:
        return {1}

    with pytest.raises(UsageError, match=r"^result must be"):
        perform(bad)


def test_perform_sees_surrounding_cloud() -> None:
    with LocalCloud() as cloud:
        cloud.function(send_email)
        before = cloud.now
        perform(fan_out, count=2)
        perform(look)

        assert assert_enqueued(send_email, to="1").pool == "default"
        assert cloud.now == before + timedelta(seconds=10)


def test_perform_alone_keeps_from_aws() -> None:
    @pool.action
    def list_tables() -> list[str]:
        return boto3.client("dynamodb").list_tables()["TableNames"]

    environment = dict(os.environ)

    assert perform(list_tables) == []
    assert dict(os.environ) == environment


def test_perform_runs_bound_method() -> None:
    class Mailer:
        def __init__(self, sender: str) -> None:
            self.sender = sender

        def send(self, to: str) -> str:
            return f"{self.sender} to {to}"

    assert perform(pool.action(Mailer("shop").send), to="ann") == "shop to ann"


@pytest.mark.parametrize("worker", [lambda to: to, "send_email", None, send_email.function])
def test_perform_refuses_what_is_no_worker(worker) -> None:
    with pytest.raises(UsageError, match=r"^worker must be a function decorated by a pool"):
        perform(worker, to="ann")


@pytest.mark.parametrize("attempt", [0, -1, True, "2", 1_001])
def test_perform_refuses_what_is_no_attempt(attempt) -> None:
    with pytest.raises(UsageError, match=r"^attempt must be an int from 1"):
        perform(send_email, to="ann", attempt=attempt)
