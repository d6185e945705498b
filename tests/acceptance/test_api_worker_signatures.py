"""Decorated functions and their arguments: what a signature means, what is refused, what a result may be."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field

from workpool_aws import Result, UsageError, Workpool
from workpool_aws.local import LocalCloud

Answer = Callable[[Workpool, str], Result]


class Address(BaseModel):
    city: str
    code: int = 0


@dataclass
class Parcel:
    weight: int


def run(
    cloud: LocalCloud, pool: Workpool, worker: Any, args: dict[str, object], **options: Any
) -> str:
    timeout = options.pop("timeout", timedelta(seconds=30))
    work_id = pool.enqueue_action(
        None,
        cloud.function(worker, timeout=timeout, takes=options.pop("takes", None)),
        args,
        **options,
    )
    cloud.run_until_idle()
    return work_id


def test_plain_function_stands_beside_handler(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def send_email(to: str, template: str = "welcome") -> dict[str, str]:
        """Send it."""
        return {"to": to, "template": template}

    assert send_email.function("a@example.com") == {"to": "a@example.com", "template": "welcome"}
    assert send_email.function(to="b", template="bye") == {"to": "b", "template": "bye"}
    assert send_email.__name__ == "send_email"
    assert send_email.__doc__ == "Send it."


def test_defaults_of_signature_fill_in(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    @pool.action
    def send_email(to: str, template: str = "welcome", *, urgent: bool = False) -> list[object]:
        return [to, template, urgent]

    first = run(cloud, pool, send_email, {"to": "a"})
    second = run(cloud, pool, send_email, {"to": "a", "template": "bye", "urgent": True})

    assert answer(pool, first).return_value == ["a", "welcome", False]
    assert answer(pool, second).return_value == ["a", "bye", True]


def test_arguments_are_validated_by_signature(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    @pool.action
    def book(
        address: Address, at: datetime, ids: list[int], rest: dict[str, float] | None = None
    ) -> list[object]:
        assert isinstance(address, Address)
        assert isinstance(at, datetime)
        return [address.city, at.year, sum(ids), rest]

    work_id = run(
        cloud,
        pool,
        book,
        {"address": {"city": "Ulm"}, "at": "2031-05-06T00:00:00Z", "ids": [1, 2], "rest": {"x": 1}},
    )

    assert answer(pool, work_id) == Result(
        kind="success", return_value=["Ulm", 2031, 3, {"x": 1.0}]
    )


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({}, "n: Field required"),
        ({"n": "many"}, "n: Input should be a valid integer"),
        ({"n": None}, "n: Input should be a valid integer"),
        ({"n": [1]}, "n: Input should be a valid integer"),
        ({"n": 1, "m": 2}, "m: Unexpected keyword argument"),
        ({"n": 1, "work": 2}, "work: Unexpected keyword argument"),
        ({"N": 1}, "N: Unexpected keyword argument"),
    ],
    ids=str,
)
def test_arguments_that_do_not_validate_fail_at_once(
    cloud: LocalCloud, answer: Answer, args: dict[str, object], says: str
) -> None:
    pool = cloud.workpool()
    runs: list[int] = []

    @pool.action
    def count(n: int) -> None:
        runs.append(n)

    fn = cloud.function(count)
    work_id = pool.enqueue_action(None, fn, args, retry=True)
    cloud.run_until_idle()

    result = answer(pool, work_id)
    assert (result.kind, result.error_type) == ("failed", "invalid_arguments")
    assert says in str(result.error)
    assert len(cloud.invocations(fn)) == 1
    assert runs == []


def test_parameters_may_have_any_name(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    @pool.action
    def odd(
        event: int, context: int, self: int, args: int, model_config: int, validate: str = "x"
    ) -> list[object]:
        return [event, context, self, args, model_config, validate]

    work_id = run(
        cloud, pool, odd, {"event": 1, "context": 2, "self": 3, "args": 4, "model_config": 5}
    )

    assert answer(pool, work_id).return_value == [1, 2, 3, 4, 5, "x"]


def test_function_of_any_keywords_gets_them_all(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    @pool.action
    def loose(**given: object) -> dict[str, object]:
        return given

    work_id = run(cloud, pool, loose, {"a": 1, "work": 2, "self": [3]})

    assert answer(pool, work_id).return_value == {"a": 1, "work": 2, "self": [3]}


async def awaited() -> None: ...


def yielding() -> Iterator[int]:
    yield 1


def by_place(n: int, /) -> int:
    return n


def starred(*args: int) -> int:
    return len(args)


@pytest.mark.parametrize(
    "function",
    [awaited, yielding, by_place, starred, "text", None],
    ids=lambda each: getattr(each, "__name__", str(each)),
)
def test_worker_that_could_never_run_is_refused_where_it_is_decorated(
    cloud: LocalCloud, function: Any
) -> None:
    with pytest.raises(UsageError):
        cloud.workpool().action(function)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Address(city="Ulm"), {"city": "Ulm", "code": 0}),
        (Parcel(3), {"weight": 3}),
        ((1, (2,)), [1, [2]]),
        ("", ""),
        (0, 0),
        (False, False),
    ],
    ids=str,
)
def test_result_is_kept_as_json(
    cloud: LocalCloud, answer: Answer, value: object, kept: object
) -> None:
    pool = cloud.workpool()

    @pool.action
    def give() -> object:
        return value

    assert answer(pool, run(cloud, pool, give, {})).return_value == kept


class Receipt(BaseModel):
    paid_at: datetime = Field(alias="paidAt")
    total: Decimal


def test_return_value_of_worker_is_taken_by_next(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    @pool.action
    def pay() -> Receipt:
        return Receipt(paidAt=datetime(2031, 1, 2, tzinfo=UTC), total=Decimal("1.10"))

    @pool.action
    def book(receipt: Receipt) -> list[object]:
        return [receipt.paid_at, receipt.total, receipt]

    paid = answer(pool, run(cloud, pool, pay, {})).return_value
    booked = answer(pool, run(cloud, pool, book, {"receipt": paid})).return_value
    from_model = answer(pool, run(cloud, pool, book, {"receipt": pay.function()})).return_value

    assert paid == {"paidAt": "2031-01-02T00:00:00Z", "total": "1.10"}
    assert booked == ["2031-01-02T00:00:00Z", "1.10", paid] == from_model


def test_worker_that_returns_model_runs_once_when_it_is_called_directly_or_told_of_end(
    cloud: LocalCloud,
) -> None:
    pool = cloud.workpool()
    told: list[str] = []

    @pool.action
    def note(work_id: str, context: object, result: dict[str, object]) -> Address:
        told.append(work_id)
        return Address(city="Ulm", code=len(result) if context is None else 0)

    @pool.action
    def give() -> Receipt:
        return Receipt(paidAt=datetime(2031, 1, 2, tzinfo=UTC), total=Decimal(1))

    target, fn = cloud.function(note, retries=2), cloud.function(give, retries=2)
    work_id = pool.enqueue_action(None, fn, {}, on_complete=target)
    cloud.invoke(fn, {})
    cloud.run_until_idle()

    assert told == [work_id]
    assert pool.status(None, work_id).callback == "delivered"
    assert [each.outcome for each in cloud.invocations(target)] == ["success"]
    assert [each.outcome for each in cloud.invocations(fn)] == ["success", "success"]
    assert note({"work_id": "x", "context": None, "result": {}}, None) == {"city": "Ulm", "code": 0}


def test_result_that_is_event_holds_no_assignment(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    whole = run(cloud, pool, lambda event, ctx: event, {"n": 1, "own": {"_workpool": 2}})
    inside = run(cloud, pool, lambda event, ctx: [{"was": event}], {"n": 1})

    assert answer(pool, whole).return_value == {"n": 1, "own": {"_workpool": 2}}
    assert answer(pool, inside).return_value == [{"was": {"n": 1}}]
