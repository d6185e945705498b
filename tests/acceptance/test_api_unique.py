"""Unique work and requests through the public interface [WP-16] [WP-17]."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from workpool_aws import (
    AlreadyEnqueued,
    Transaction,
    TransactionCanceled,
    UsageError,
    Workpool,
)
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:api"


@pytest.fixture
def pool(cloud: LocalCloud) -> Workpool:
    return cloud.workpool("email")


@pytest.fixture
def ran() -> list[int]:
    return []


@pytest.fixture
def send(cloud: LocalCloud, ran: list[int]) -> str:
    def body(event: Any, context: object) -> None:
        ran.append(event["n"])
        if event.get("fails"):
            raise ValueError("no")

    return cloud.function(body, name="send")


@pytest.fixture
def job(cloud: LocalCloud, pool: Workpool, ran: list[int]) -> Any:
    @pool.action
    def note(n: int, pad: str = "") -> int:
        ran.append(n)
        return len(pad)

    cloud.function(note)
    return note


def context(request_id: str = "req-1") -> Any:
    return SimpleNamespace(aws_request_id=request_id, invoked_function_arn=FUNCTION)


@both_engines
def test_key_names_one_work_item_until_that_is_finished(
    cloud: LocalCloud, pool: Workpool, send: str, ran: list[int]
) -> None:
    first = pool.enqueue_action(None, send, {"n": 1}, unique_key="u-1", run_after=HOUR)
    again = pool.enqueue_action(None, send, {"n": 2}, unique_key="u-1")
    other = pool.enqueue_action(None, send, {"n": 3}, unique_key="u-2")
    cloud.run_until_idle()
    later = pool.enqueue_action(None, send, {"n": 4}, unique_key="u-1")
    cloud.run_until_idle()
    assert (again, ran) == (first, [3, 1, 4])
    assert len({first, other, later}) == 3


@both_engines
def test_held_key_is_refused_if_that_is_asked_for(pool: Workpool, send: str) -> None:
    first = pool.enqueue_action(None, send, {"n": 1}, unique_key="u-1", run_after=HOUR)
    with pytest.raises(AlreadyEnqueued) as refused:
        pool.enqueue_action(None, send, {"n": 2}, unique_key="u-1", on_conflict="raise")
    assert refused.value.work_id == first


def test_keys_of_two_pools_are_two(cloud: LocalCloud, pool: Workpool, send: str) -> None:
    first = pool.enqueue_action(None, send, {"n": 1}, unique_key="u-1", run_after=HOUR)
    other = cloud.workpool("sms").enqueue_action(None, send, {"n": 2}, unique_key="u-1")
    assert first != other


def test_key_until_started_is_free_while_its_work_item_runs(
    cloud: LocalCloud, pool: Workpool
) -> None:
    def take_long(event: Any, context: object) -> None: ...

    slow = cloud.function(take_long, takes=timedelta(minutes=5), timeout=timedelta(minutes=10))
    options: dict[str, Any] = {"unique_key": "u-1", "unique_until": "started"}
    first = pool.enqueue_action(None, slow, {}, **options)
    assert pool.enqueue_action(None, slow, {}, **options) == first
    cloud.advance(10 * SECOND)
    assert pool.status(None, first).state == "running"
    assert pool.enqueue_action(None, slow, {}, **options) != first


def test_key_for_a_time_is_held_although_its_work_item_is_over(
    cloud: LocalCloud, pool: Workpool, send: str
) -> None:
    options: dict[str, Any] = {"unique_key": "u-1", "unique_for": HOUR}
    first = pool.enqueue_action(None, send, {"n": 1}, **options)
    cloud.advance(HOUR - SECOND)
    assert pool.enqueue_action(None, send, {"n": 2}, **options) == first
    cloud.advance(2 * SECOND)
    assert pool.enqueue_action(None, send, {"n": 3}, **options) != first


@both_engines
def test_key_of_canceled_work_item_is_free(pool: Workpool, send: str) -> None:
    first = pool.enqueue_action(None, send, {"n": 1}, unique_key="u-1", run_after=HOUR)
    pool.cancel(None, first)
    assert pool.enqueue_action(None, send, {"n": 2}, unique_key="u-1") != first


@both_engines
def test_key_of_called_off_work_item_is_taken_and_that_one_never_starts(
    cloud: LocalCloud, pool: Workpool, send: str, ran: list[int]
) -> None:
    pool.configure(None, paused=True)
    told: list[str] = []

    @pool.on_complete
    def over(event: Any) -> None:
        told.append(event.result.kind)

    cloud.function(over)
    first = pool.enqueue_action(None, send, {"n": 1}, unique_key="u-1", on_complete=over)
    pool.cancel_all(None)
    second = pool.enqueue_action(None, send, {"n": 2}, unique_key="u-1")
    assert pool.status(None, first).outcome == "canceled"
    pool.configure(None, reset=True)
    cloud.run_until_idle()
    assert second != first
    assert (ran, told) == ([2], ["canceled"])


@both_engines
def test_redrive_takes_the_key_or_is_refused(cloud: LocalCloud, pool: Workpool, send: str) -> None:
    args = {"n": 1, "fails": True}
    first = pool.enqueue_action(None, send, args, unique_key="u-1")
    cloud.run_until_idle()
    second = pool.enqueue_action(None, send, {"n": 2}, unique_key="u-1", run_after=HOUR)
    with pytest.raises(AlreadyEnqueued) as refused:
        pool.redrive(None, first)
    assert refused.value.work_id == second
    assert pool.redrive_all(None) == 0
    pool.cancel(None, second)
    third = pool.redrive(None, first)
    assert pool.enqueue_action(None, send, {"n": 3}, unique_key="u-1") == third


def test_redrive_within_the_time_of_its_key_is_the_holder_s_own(
    cloud: LocalCloud, pool: Workpool, send: str
) -> None:
    options: dict[str, Any] = {"unique_key": "u-1", "unique_for": HOUR}
    first = pool.enqueue_action(None, send, {"n": 1, "fails": True}, **options)
    cloud.run_until_idle()
    third = pool.redrive(None, first)
    assert pool.enqueue_action(None, send, {"n": 3}, **options) == third


@both_engines
def test_batch_with_one_key_is_one_work_item(pool: Workpool, send: str) -> None:
    ids = pool.enqueue_action_batch(None, send, [{"n": 1}, {"n": 2}], unique_key="u-1")
    assert ids[0] == ids[1]


@both_engines
def test_job_with_a_key_is_enqueued_once_at_a_time(
    cloud: LocalCloud, pool: Workpool, ran: list[int]
) -> None:
    @pool.action(unique_key="refresh")
    def refresh(n: int) -> None:
        ran.append(n)

    cloud.function(refresh)
    first = refresh.enqueue(None, n=1)
    assert refresh.enqueue(None, n=2) == first
    assert refresh.with_options(unique_key="other").enqueue(None, n=3) != first
    cloud.run_until_idle()
    assert sorted(ran) == [1, 3]  # the two start at once


@both_engines
def test_request_is_answered_with_its_first_work_item_for_ever(
    cloud: LocalCloud, pool: Workpool, send: str, ran: list[int]
) -> None:
    first = pool.enqueue_action(None, send, {"n": 1, "m": 2}, request_id="r-1")
    cloud.run_until_idle()
    again = pool.enqueue_action(None, send, {"m": 2, "n": 1}, request_id="r-1", run_after=HOUR)
    cloud.run_until_idle()
    assert (again, ran) == (first, [1])


@pytest.mark.parametrize("args", [{"n": 2}, {"n": "1"}, {}])
def test_request_that_asks_for_something_else_is_refused(
    pool: Workpool, send: str, args: dict[str, object]
) -> None:
    pool.enqueue_action(None, send, {"n": 1}, request_id="r-1", run_after=HOUR)
    with pytest.raises(UsageError, match="request_id must be the id of one request"):
        pool.enqueue_action(None, send, args, request_id="r-1")


def test_request_is_forgotten_a_day_after_its_due_time(
    cloud: LocalCloud, pool: Workpool, send: str
) -> None:
    first = pool.enqueue_action(None, send, {"n": 1}, request_id="r-1", run_after=HOUR)
    cloud.advance(timedelta(hours=24))
    assert pool.enqueue_action(None, send, {"n": 1}, request_id="r-1") == first
    cloud.advance(timedelta(hours=2))
    assert pool.enqueue_action(None, send, {"n": 1}, request_id="r-1") != first


@both_engines
def test_request_for_a_batch_names_each_of_its_work_items(
    cloud: LocalCloud, pool: Workpool, send: str, ran: list[int]
) -> None:
    args = [{"n": n} for n in range(3)]
    ids = pool.enqueue_action_batch(None, send, args, request_id="r-1")
    assert pool.enqueue_action_batch(None, send, args, request_id="r-1") == ids
    assert pool.enqueue_action(None, send, {"n": 2}, request_id="r-1/2") == ids[2]
    cloud.run_until_idle()
    assert sorted(ran) == [0, 1, 2]


@both_engines
def test_request_that_met_a_held_key_stays_with_that_answer(
    cloud: LocalCloud, pool: Workpool, send: str, ran: list[int]
) -> None:
    first = pool.enqueue_action(None, send, {"n": 1}, unique_key="u-1", run_after=HOUR)
    met = pool.enqueue_action(None, send, {"n": 2}, unique_key="u-1", request_id="r-1")
    cloud.run_until_idle()
    again = pool.enqueue_action(None, send, {"n": 2}, unique_key="u-1", request_id="r-1")
    cloud.run_until_idle()
    assert (met, again, ran) == (first, first, [1])


@both_engines
def test_repeated_invocation_enqueues_nothing_twice(
    cloud: LocalCloud, pool: Workpool, send: str, ran: list[int]
) -> None:
    def handle(ctx: Any) -> list[str]:
        return [pool.enqueue_action(ctx, send, {"n": n}, dedupe="invocation") for n in (1, 1, 2)]

    ids = handle(context())
    assert handle(context()) == ids
    assert handle(context("req-2"))[0] not in ids
    cloud.run_until_idle()
    assert (len(set(ids)), sorted(ran)) == (3, [1, 1, 1, 1, 2, 2])


def test_enqueue_by_invocation_needs_its_context(pool: Workpool, send: str) -> None:
    with pytest.raises(UsageError, match="dedupe must be None outside Lambda"):
        pool.enqueue_action(None, send, {"n": 1}, dedupe="invocation")


def test_transaction_that_was_not_applied_counts_no_enqueue_of_its_invocation(
    pool: Workpool, send: str
) -> None:
    ctx = context()

    def stop() -> None:
        with pool.transaction(ctx) as tx:
            pool.enqueue_action(tx, send, {"n": 1}, dedupe="invocation")
            raise ValueError("stop")

    for _ in range(2):
        with pytest.raises(ValueError, match="stop"):
            stop()
    with pool.transaction(ctx) as tx:
        in_tx = pool.enqueue_action(tx, send, {"n": 1}, dedupe="invocation")
    beside = pool.enqueue_action(ctx, send, {"n": 1}, dedupe="invocation")
    again = context()
    repeated = [pool.enqueue_action(again, send, {"n": 1}, dedupe="invocation") for _ in range(2)]
    assert repeated == [in_tx, beside]


@both_engines
def test_replacement_runs_in_place_of_the_first_and_not_before_its_time(
    cloud: LocalCloud, pool: Workpool, job: Any, ran: list[int]
) -> None:
    begun = cloud.now
    first = pool.enqueue_action(None, job, {"n": 1}, unique_key="u-1", run_after=20 * SECOND)
    cloud.advance(10 * SECOND)
    options: dict[str, Any] = {"unique_key": "u-1", "on_conflict": "replace"}
    again = pool.enqueue_action(None, job, {"n": 2}, run_after=30 * SECOND, **options)
    cloud.advance(25 * SECOND)
    assert (again, ran) == (first, [])
    cloud.run_until_idle()
    started = pool.status(None, first).started_at
    assert ran == [2]
    assert started is not None
    assert timedelta(0) <= started - (begun + 40 * SECOND) < SECOND


@both_engines
def test_replacement_may_be_due_earlier(
    cloud: LocalCloud, pool: Workpool, job: Any, ran: list[int]
) -> None:
    pool.enqueue_action(None, job, {"n": 1}, unique_key="u-1", run_after=10 * HOUR)
    cloud.run_until_idle(timedelta(minutes=1))
    pool.enqueue_action(None, job, {"n": 2}, unique_key="u-1", on_conflict="replace")
    cloud.advance(2 * SECOND)
    assert ran == [2]
    cloud.run_until_idle()
    assert ran == [2]


@both_engines
@pytest.mark.parametrize("sizes", [(0, 900_000), (900_000, 0), (900_000, 400_000)])
def test_replacement_of_arguments_of_any_size(
    cloud: LocalCloud, pool: Workpool, job: Any, sizes: tuple[int, int]
) -> None:
    for size in sizes:
        work_id = pool.enqueue_action(
            None,
            job,
            {"n": 1, "pad": "x" * (size - 100 if size else 0)},
            unique_key="u-1",
            on_conflict="replace",
            run_after=HOUR,
        )
    cloud.run_until_idle()
    result = pool.result(None, work_id)
    assert result is not None
    assert result.return_value == (sizes[1] - 100 if sizes[1] else 0)


def test_work_item_that_runs_is_not_replaced(cloud: LocalCloud, pool: Workpool) -> None:
    slow = cloud.function(lambda event, context: None, takes=timedelta(minutes=1))
    slow_too = cloud.function(lambda event, context: None, name="other")
    first = pool.enqueue_action(None, slow, {}, unique_key="u-1", run_after=SECOND)
    options: dict[str, Any] = {"unique_key": "u-1", "on_conflict": "replace"}
    with pytest.raises(AlreadyEnqueued):
        pool.enqueue_action(None, slow_too, {}, **options)
    cloud.advance(5 * SECOND)
    with pytest.raises(AlreadyEnqueued) as refused:
        pool.enqueue_action(None, slow, {}, **options)
    assert refused.value.work_id == first


@both_engines
def test_debounce_runs_the_last_call_once_it_is_quiet(
    cloud: LocalCloud, pool: Workpool, job: Any, ran: list[int]
) -> None:
    for n in range(4):
        job.with_options(unique_key="u-1", debounce=10 * SECOND).enqueue(None, n=n)
        cloud.advance(6 * SECOND)
    assert ran == []
    cloud.run_until_idle()
    assert ran == [3]


def test_debounce_waits_no_longer_than_its_most(
    cloud: LocalCloud, pool: Workpool, job: Any, ran: list[int]
) -> None:
    options: dict[str, Any] = {"debounce": 10 * SECOND, "debounce_max": 25 * SECOND}
    for n in range(6):
        job.with_options(unique_key="u-1", **options).enqueue(None, n=n)
        cloud.advance(6 * SECOND)
    cloud.run_until_idle()
    assert ran == [4, 5]


@pytest.fixture
def orders(cloud: LocalCloud) -> Any:
    del cloud
    return boto3.resource("dynamodb").create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )


@both_engines
def test_transaction_stores_the_id_of_whoever_holds_the_key(
    pool: Workpool, send: str, orders: Any
) -> None:
    first = pool.enqueue_action(None, send, {"n": 1}, unique_key="u-1", run_after=HOUR)
    with pool.transaction(None) as tx:
        held = pool.enqueue_action(tx, send, {"n": 2}, unique_key="u-1")
        new = pool.enqueue_action(tx, send, {"n": 3}, unique_key="u-2", request_id="r-1")
        assert pool.enqueue_action(tx, send, {"n": 4}, unique_key="u-2") == new
        with pytest.raises(AlreadyEnqueued):
            pool.enqueue_action(tx, send, {"n": 4}, unique_key="u-2", on_conflict="raise")
        tx.put("orders", {"id": "o-1", "mails": [held, new]})
    assert held == first
    assert orders.get_item(Key={"id": "o-1"})["Item"]["mails"] == [first, new]
    assert pool.enqueue_action(None, send, {"n": 5}, unique_key="u-2") == new
    assert pool.enqueue_action(None, send, {"n": 3}, request_id="r-1") == new


@both_engines
def test_transaction_is_stale_when_the_key_changes_hands_before_its_commit(
    pool: Workpool, send: str, orders: Any
) -> None:
    first = pool.enqueue_action(None, send, {"n": 1}, unique_key="u-1", run_after=HOUR)

    def order() -> None:
        with pool.transaction(None) as tx:
            tx.put("orders", {"id": pool.enqueue_action(tx, send, {"n": 2}, unique_key="u-1")})
            pool.cancel(None, first)

    with pytest.raises(TransactionCanceled) as refused:
        order()
    assert refused.value.stale
    assert refused.value.failed[0].action == "enqueue"
    assert orders.scan()["Items"] == []


@both_engines
def test_transaction_is_stale_when_another_takes_the_key(
    pool: Workpool, send: str, orders: Any
) -> None:
    pool.cancel(None, pool.enqueue_action(None, send, {"n": 1}, unique_key="u-1", run_after=HOUR))

    def order() -> None:
        with pool.transaction(None) as tx:
            tx.put("orders", {"id": pool.enqueue_action(tx, send, {"n": 2}, unique_key="u-1")})
            pool.enqueue_action(None, send, {"n": 3}, unique_key="u-1", run_after=HOUR)

    with pytest.raises(TransactionCanceled) as refused:
        order()
    assert refused.value.failed[0].key == {"unique_key": "u-1"}
    assert orders.scan()["Items"] == []


@both_engines
def test_transaction_is_stale_when_its_request_was_answered(
    pool: Workpool, send: str, orders: Any
) -> None:
    def order() -> None:
        with pool.transaction(None) as tx:
            tx.put("orders", {"id": pool.enqueue_action(tx, send, {"n": 2}, request_id="r-1")})
            pool.enqueue_action(None, send, {"n": 2}, request_id="r-1")

    with pytest.raises(TransactionCanceled) as refused:
        order()
    assert (refused.value.stale, refused.value.failed[0].key) == (True, {"request_id": "r-1"})
    assert orders.scan()["Items"] == []


@both_engines
def test_function_in_a_transaction_runs_again_when_the_key_changes_hands(
    pool: Workpool, send: str, orders: Any
) -> None:
    first = pool.enqueue_action(None, send, {"n": 1}, unique_key="u-1", run_after=HOUR)
    runs: list[str] = []

    def order(tx: Transaction) -> str:
        runs.append(pool.enqueue_action(tx, send, {"n": 2}, unique_key="u-1"))
        tx.put("orders", {"id": runs[-1]})
        if len(runs) == 1:
            pool.cancel(None, first)
        return runs[-1]

    work_id = pool.run_transaction(order)
    assert runs == [first, work_id]
    assert [each["id"] for each in orders.scan()["Items"]] == [work_id]


@both_engines
def test_replacement_in_a_transaction_is_applied_with_it(
    cloud: LocalCloud, pool: Workpool, job: Any, ran: list[int], orders: Any
) -> None:
    first = pool.enqueue_action(None, job, {"n": 1}, unique_key="u-1", run_after=HOUR)
    options: dict[str, Any] = {"unique_key": "u-1", "on_conflict": "replace"}

    def replace(n: int) -> None:
        with pool.transaction(None) as tx:
            again = pool.enqueue_action(tx, job, {"n": n}, **options)
            tx.put("orders", {"id": again})
            if n == 3:
                raise ValueError("no")

    replace(2)
    with pytest.raises(ValueError, match="no"):
        replace(3)
    cloud.run_until_idle()
    assert (ran, orders.scan()["Items"]) == ([2], [{"id": first}])


@both_engines
def test_transaction_of_your_own_takes_the_key(pool: Workpool, send: str, orders: Any) -> None:
    client: Any = boto3.client("dynamodb")
    mail = pool.transact_items(None, send, {"n": 1}, unique_key="u-1", run_after=HOUR)
    late = pool.transact_items(None, send, {"n": 2}, unique_key="u-1")
    order = {"Put": {"TableName": "orders", "Item": {"id": {"S": "o-1"}}}}
    client.transact_write_items(TransactItems=[order, *mail.items])
    pool.kick(None, mail)
    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=[*late.items])
    held = pool.transact_items(None, send, {"n": 3}, unique_key="u-1")
    plain: Any = boto3.resource("dynamodb").meta.client
    plain.transact_write_items(TransactItems=[*held.plain])
    assert held.ids == mail.ids


@both_engines
def test_schedule_with_a_key_skips_while_its_work_item_is_unfinished(
    cloud: LocalCloud, pool: Workpool
) -> None:
    slow = cloud.function(
        lambda event, context: None, takes=150 * SECOND, timeout=timedelta(minutes=10)
    )
    minute = timedelta(minutes=1)
    pool.schedule(None, "often", slow, {}, every=minute, unique_key="u-1")
    cloud.advance(4 * minute + 30 * SECOND)
    shown = pool.schedules(None)[0]
    assert (len(cloud.invocations(slow)), shown.skipped) == (2, 2)
    assert pool.run_now(None, "often") == pool.list(None, state="running").items[0].work_id


def test_schedule_with_a_key_catches_up_with_its_latest_occurrence_alone(
    cloud: LocalCloud, pool: Workpool
) -> None:
    quick = cloud.function(lambda event, context: None)
    minute = timedelta(minutes=1)
    pool.schedule(None, "often", quick, {}, every=minute, unique_key="u-1", catch_up="all")
    pool.configure(None, paused=True)
    cloud.advance(3 * minute + 10 * SECOND)

    pool.configure(None, paused=False)
    cloud.advance(20 * SECOND)

    shown = pool.schedules(None)[0]
    assert (len(cloud.invocations(quick)), shown.skipped) == (1, 2)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("unique_key", {"unique_key": ""}),
    ("unique_key", {"unique_key": "é" * 257}),
    ("unique_key", {"unique_key": "\ud800"}),
    ("unique_key", {"unique_key": 7}),
    ("unique_until", {"unique_key": "k", "unique_until": "ended"}),
    ("unique_until", {"unique_until": "started"}),
    ("unique_for", {"unique_key": "k", "unique_for": timedelta(0)}),
    ("unique_for", {"unique_key": "k", "unique_for": HOUR, "unique_until": "started"}),
    ("unique_for", {"unique_for": HOUR}),
    ("on_conflict", {"unique_key": "k", "on_conflict": "ignore"}),
    ("on_conflict", {"on_conflict": "raise"}),
    ("max_wait", {"unique_key": "k", "max_wait": HOUR}),
    ("max_wait", {"unique_key": "k", "on_conflict": "replace", "max_wait": 5}),
    ("debounce", {"debounce": HOUR}),
    ("debounce", {"unique_key": "k", "debounce": 5}),
    ("debounce_max", {"unique_key": "k", "debounce_max": HOUR}),
    ("debounce_max", {"unique_key": "k", "debounce": HOUR, "debounce_max": SECOND}),
    ("run_after", {"unique_key": "k", "debounce": HOUR, "run_after": HOUR}),
    ("on_conflict", {"unique_key": "k", "debounce": HOUR, "on_conflict": "return"}),
    ("request_id", {"request_id": ""}),
    ("request_id", {"request_id": "x" * 513}),
    ("dedupe", {"dedupe": "message"}),
    ("dedupe", {"dedupe": "invocation", "request_id": "r"}),
]


@pytest.mark.parametrize(("field", "options"), REFUSED)
def test_option_that_is_not_allowed_is_refused_and_nothing_is_stored(
    pool: Workpool, send: str, field: str, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError) as refused:
        pool.enqueue_action(context(), send, {"n": 1}, **options)
    assert refused.value.field == field
    assert pool.list(None).items == ()


@pytest.mark.parametrize(
    "options",
    [
        {"request_id": "r"},
        {"dedupe": "invocation"},
        {"unique_key": "k", "on_conflict": "raise"},
        {"unique_key": "k", "debounce": HOUR},
    ],
)
def test_schedule_refuses_what_is_meant_for_one_enqueue(
    pool: Workpool, send: str, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        pool.schedule(None, "often", send, {}, every=HOUR, **options)
    assert pool.schedules(None) == []


@pytest.mark.parametrize("options", [{"request_id": "r"}, {"unique_key": ""}])
def test_job_refuses_options_at_its_decorator(pool: Workpool, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        pool.action(**options)(lambda n: n)


@pytest.fixture
def twice(pool: Workpool, send: str) -> Callable[[str], list[str]]:
    return lambda key: [pool.enqueue_action(None, send, {"n": n}, unique_key=key) for n in range(2)]


@pytest.mark.parametrize("key", ["a#b#c", "#", "é" * 256, "x" * 512, "a b\n"])
def test_key_may_be_any_text(twice: Callable[[str], list[str]], key: str) -> None:
    first, second = twice(key)
    assert first == second


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, ("k", "finished", None)),
        ({"unique_until": "started"}, ("k", "started", None)),
        ({"unique_for": HOUR}, ("k", None, HOUR)),
    ],
)
def test_show_names_the_key_and_counts_replacements(
    pool: Workpool, send: str, options: dict[str, Any], shown: tuple[object, ...]
) -> None:
    for n in range(3):
        work_id = pool.enqueue_action(
            None,
            send,
            {"n": n},
            unique_key="k",
            on_conflict="replace",
            run_after=HOUR,
            **options,
        )
    plain = pool.show(None, pool.enqueue_action(None, send, {"n": 1}))
    details = pool.show(None, work_id, args=True)
    assert (details.unique_key, details.unique_until, details.unique_for) == shown
    assert (details.replacements, details.args.value) == (2, {"n": 2})
    assert (plain.unique_key, plain.unique_until, plain.unique_for, plain.replacements) == (
        None,
        None,
        None,
        0,
    )


@both_engines
def test_show_and_why_name_the_key_and_who_holds_it(
    cloud: LocalCloud, pool: Workpool, send: str
) -> None:
    def holders(work_id: str) -> set[tuple[str | None, str | None]]:
        shown, why = pool.show(None, work_id), pool.why(None, work_id)
        return {(shown.unique_key, shown.key_holder), (why.unique_key, why.key_holder)}

    first = pool.enqueue_action(None, send, {"n": 1}, unique_key="k")
    held = holders(first)
    cloud.run_until_idle()
    free = holders(first)
    second = pool.enqueue_action(None, send, {"n": 2}, unique_key="k", unique_for=HOUR)
    cloud.run_until_idle()

    assert (held, free) == ({("k", first)}, {("k", None)})
    assert holders(first) == holders(second) == {("k", second)}
    cloud.advance(HOUR)
    assert holders(second) == {("k", None)}
    assert holders(pool.enqueue_action(None, send, {"n": 3})) == {(None, None)}
    assert [each.unique_key for each in pool.why_batch(None, [first, second])] == ["k", "k"]
