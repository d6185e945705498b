"""Mutations and callbacks with effect: what they do happens once, with their success [WP-15]."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest

from workpool_aws import (
    OnCompleteEvent,
    RetryPolicy,
    StoreUnavailable,
    Transaction,
    UsageError,
    Work,
    Workpool,
)
from workpool_aws.local import LocalCloud
from workpool_aws.local.faults.faults import Fault, Faults
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import Spawned
from workpool_aws.testing import perform

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

ANN, BOB = {"id": "ann"}, {"id": "bob"}


@pytest.fixture
def accounts(cloud: LocalCloud) -> Any:
    return accounts_in(cloud)


def accounts_in(cloud: LocalCloud) -> Any:
    del cloud
    table = boto3.resource("dynamodb").create_table(
        TableName="accounts",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    for key in (ANN, BOB):
        table.put_item(Item={**key, "balance": 100})
    return table


def balances(accounts: Any) -> list[int]:
    return [int(accounts.get_item(Key=key)["Item"]["balance"]) for key in (ANN, BOB)]


def transfer(tx: Transaction, work: Work, amount: int) -> int:
    """Read both, write both: nothing may come in between."""
    source, target = tx.get("accounts", ANN), tx.get("accounts", BOB)
    assert source is not None
    assert target is not None
    if source["balance"] < amount:
        raise ValueError("too little")
    tx.update("accounts", ANN, set={"balance": source["balance"] - amount})
    tx.update("accounts", BOB, set={"balance": target["balance"] + amount})
    return work.attempt


@both_engines
def test_mutation_takes_effect_with_its_success(cloud: LocalCloud, accounts: Any) -> None:
    pool = cloud.workpool()
    worker = pool.mutation(transfer)
    cloud.function(worker)
    good, bad = worker.enqueue(None, amount=30), worker.with_options(retry=False).enqueue(None, 500)
    cloud.run_until_idle()

    assert pool.result(None, good).return_value == 1
    assert pool.result(None, bad).error_type == "ValueError"
    assert pool.show(None, good).retry == RetryPolicy()
    assert balances(accounts) == [70, 130]


@pytest.mark.parametrize("seed", range(4))
def test_mutations_keep_the_money_where_deliveries_double_and_workers_die(seed: int) -> None:
    with LocalCloud(
        seed=seed, duplicate_deliveries=0.5, lost_deliveries=0.1, crash_rate=0.3
    ) as cloud:
        accounts, pool = accounts_in(cloud), cloud.workpool(max_parallelism=3)
        worker = pool.mutation(retry=RetryPolicy(max_attempts=10))(transfer)
        cloud.function(worker)
        ids = worker.enqueue_batch(None, [{"amount": 7}] * 8)
        cloud.run_until_idle(timedelta(days=3))

        done = sum(pool.status(None, each).outcome == "success" for each in ids)
        assert balances(accounts) == [100 - 7 * done, 100 + 7 * done]
        assert done >= 4


@both_engines
def test_end_and_delivery_name_the_work_items_they_store(cloud: LocalCloud, accounts: Any) -> None:
    pool, other = cloud.workpool("email"), cloud.workpool("other")
    stored: list[list[str]] = []

    @pool.mutation
    def place(tx: Transaction) -> None:
        tx.update("accounts", ANN, add={"balance": 1})
        batch = pool.enqueue_action_batch(tx, "echo", [{"n": n} for n in range(2)])
        stored.append([*batch, other.enqueue_action(tx, "echo", {"n": 3})])

    @pool.on_complete
    def placed(event: OnCompleteEvent, tx: Transaction) -> None:
        stored.append([pool.enqueue_action(tx, "echo", {"n": 4})])

    cloud.function(place)
    cloud.function(lambda event, context: event["n"], name="echo")
    alone = place.enqueue(None)
    cloud.run_until_idle()
    followed = place.with_options(on_complete=cloud.function(placed)).enqueue(None)
    cloud.run_until_idle()

    found = [
        cloud._ports_of(cloud.table).store.get(WorkRef("email", each)) for each in (alone, followed)
    ]
    assert [each.spawned for each in found] == [
        (Spawned("email", tuple(stored[0][:2])), Spawned("other", tuple(stored[0][2:]))),
        (Spawned("email", tuple(stored[2])),),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_commit_that_lands_after_the_next_one_is_refused(seed: int) -> None:
    late = Faults(rates={Fault.WRITE_LATE: 1}, aim="transact", budget=3)
    with LocalCloud(seed=seed, faults=late) as cloud:
        accounts, pool = accounts_in(cloud), cloud.workpool()

        @pool.mutation(retry=RetryPolicy(max_attempts=10))
        def pay(tx: Transaction) -> None:
            tx.update("accounts", ANN, add={"balance": -7})
            tx.update("accounts", BOB, add={"balance": 7})

        cloud.function(pay)
        work_id = pay.enqueue(None)
        cloud.run_until_idle(timedelta(days=1))

        assert pool.status(None, work_id).outcome == "success"
        assert balances(accounts) == [93, 107]


def test_mutation_whose_reads_change_runs_again_in_place(cloud: LocalCloud, accounts: Any) -> None:
    pool, runs = cloud.workpool(), []

    @pool.mutation
    def double(tx: Transaction) -> int:
        found = tx.get("accounts", ANN)
        assert found is not None
        runs.append(int(found["balance"]))
        if len(runs) < 3:
            accounts.put_item(Item={**ANN, "balance": runs[-1] + 1})
        tx.update("accounts", ANN, set={"balance": found["balance"] * 2})
        return len(runs)

    cloud.function(double)
    work_id = double.enqueue(None)
    cloud.run_until_idle()

    assert runs == [100, 101, 102]
    assert pool.status(None, work_id).previous_attempts == 0
    assert balances(accounts)[0] == 204


def test_mutation_that_always_loses_is_a_failed_attempt(cloud: LocalCloud, accounts: Any) -> None:
    pool = cloud.workpool()

    @pool.mutation(retry=False)
    def lose(tx: Transaction) -> None:
        found = tx.get("accounts", ANN)
        assert found is not None
        accounts.put_item(Item={**ANN, "balance": found["balance"] + 1})
        tx.put("accounts", {"id": "never"})

    cloud.function(lose)
    work_id = lose.enqueue(None)
    cloud.run_until_idle()

    result = pool.result(None, work_id)
    assert (result.kind, result.error_type) == ("failed", "conflict")
    assert "Item" not in accounts.get_item(Key={"id": "never"})


def test_mutation_enqueues_in_its_transaction_alone(cloud: LocalCloud, accounts: Any) -> None:
    pool, told = cloud.workpool(), []
    mail = cloud.function(lambda event, context: told.append(event["to"]), name="mail")

    @pool.mutation(retry=False)
    def order(tx: Transaction, inside: bool) -> str:
        return pool.enqueue_action(tx if inside else None, mail, {"to": "ann"})

    cloud.function(order)
    good, bad = order.enqueue(None, inside=True), order.enqueue(None, inside=False)
    cloud.run_until_idle()

    child = pool.result(None, good).return_value
    assert pool.status(None, str(child)).outcome == "success"
    assert pool.result(None, bad).error_type == "UsageError"
    assert told == ["ann"]


@pytest.mark.parametrize("by", ["mutation", "on_complete"])
def test_work_item_of_another_pool_starts_once_the_transaction_is_committed(
    cloud: LocalCloud, by: str
) -> None:
    """Its loop rests and hears of it at once, not from the watchdog a minute later."""
    orders, mail = cloud.workpool("orders"), cloud.workpool("mail")
    committing, sent = [], []
    send = cloud.function(lambda event, context: sent.append(cloud.now), name="send")

    def enqueue(tx: Transaction) -> None:
        committing.append(cloud.now)
        mail.enqueue_action(tx, send, {})

    @orders.mutation
    def order(tx: Transaction) -> None:
        enqueue(tx)

    @orders.on_complete
    def ordered(event: OnCompleteEvent, tx: Transaction) -> None:
        enqueue(tx)

    cloud.function(order)
    cloud.function(ordered)
    if by == "mutation":
        order.enqueue(None)
    else:
        echo = cloud.function(lambda event, context: event, name="echo")
        orders.enqueue_action(None, echo, {}, on_complete=ordered)
    cloud.run_until_idle()

    assert sent[0] - committing[0] < timedelta(seconds=10)


def test_mutation_of_function_that_claims_runs_at_most_once(cloud: LocalCloud) -> None:
    pool, runs = cloud.workpool(), []

    @pool.action
    def wrong(n: int) -> None:
        runs.append(n)
        raise ValueError

    arn = cloud.function(wrong)
    work_id = pool.enqueue_mutation(None, arn, {"n": 1}, retry=RetryPolicy(max_attempts=5))
    cloud.run_until_idle()

    assert runs == [1]
    assert pool.status(None, work_id).outcome == "failed"


def test_callback_with_transaction_takes_effect_once_however_often_it_is_called() -> None:
    with LocalCloud(seed=1, duplicate_deliveries=1.0) as cloud:
        accounts, pool, calls = accounts_in(cloud), cloud.workpool(), []

        @pool.on_complete
        def pay(event: OnCompleteEvent, tx: Transaction) -> None:
            calls.append(event.work_id)
            tx.update("accounts", ANN, add={"balance": 1})
            pool.enqueue_action(tx, step, {"after": event.context})

        steps: list[str] = []
        step = cloud.function(lambda event, context: steps.append(event["after"]), name="step")
        cloud.function(pay)
        first = cloud.function(lambda event, context: None, name="first")
        work_id = pool.enqueue_action(None, first, {}, on_complete=pay, context="one")
        cloud.run_until_idle()

        assert len(calls) >= 2
        assert balances(accounts)[0] == 101
        assert pool.status(None, work_id).callback == "delivered"
        assert set(steps) == {"one"}
        assert len(pool.list(None).items) == 2


def test_callback_with_transaction_that_raises_has_no_effect_and_is_called_again(
    cloud: LocalCloud, accounts: Any
) -> None:
    pool, calls = cloud.workpool(), []

    @pool.on_complete
    def pay(event: OnCompleteEvent, tx: Transaction) -> None:
        tx.update("accounts", ANN, add={"balance": 1})
        calls.append(event.work_id)
        if len(calls) == 1:
            raise StoreUnavailable("the user's own")

    cloud.function(pay)
    first = cloud.function(lambda event, context: None, name="first")
    work_id = pool.enqueue_action(None, first, {}, on_complete=pay)
    cloud.run_until_idle()

    assert calls == [work_id, work_id]
    assert balances(accounts)[0] == 101
    acknowledged = [fact for fact in cloud.facts if fact.name == "callback_acknowledged"]
    assert [(fact.work_id, fact.handler) for fact in acknowledged] == [(work_id, "pay")]


def test_callback_with_transaction_refuses_event_without_ticket(pool: Workpool) -> None:
    def pay(event: OnCompleteEvent, tx: Transaction) -> None:
        raise AssertionError

    handler = pool.on_complete(pay)
    assert handler.function is pay
    with pytest.raises(UsageError, match="ticket"):
        handler({"work_id": "01KDV000000000000000000000", "result": {"kind": "canceled"}}, None)


@pytest.fixture
def pool(cloud: LocalCloud) -> Workpool:
    return cloud.workpool()


def test_mutation_is_performed_in_tests(cloud: LocalCloud, accounts: Any) -> None:
    worker = cloud.workpool().mutation(transfer)

    assert perform(worker, amount=5, attempt=2) == 2
    assert balances(accounts) == [95, 105]


DOORS: dict[str, Callable[[Workpool, str, Transaction], object]] = {
    "cancel": lambda pool, other, earlier: pool.cancel(None, other),
    "cancel_all": lambda pool, other, earlier: pool.cancel_all(None),
    "cancel_group": lambda pool, other, earlier: pool.cancel_group(None, "g"),
    "configure": lambda pool, other, earlier: pool.configure(None, paused=False),
    "enqueue_action": lambda pool, other, earlier: pool.enqueue_action(None, "step", {}),
    "enqueue_action_batch": lambda pool, other, earlier: pool.enqueue_action_batch(
        None, "step", [{}]
    ),
    "enqueue_group": lambda pool, other, earlier: pool.enqueue_group(
        None, "step", [{}], on_complete="step"
    ),
    "enqueue_mutation": lambda pool, other, earlier: pool.enqueue_mutation(None, "step", {}),
    "enqueue_mutation_batch": lambda pool, other, earlier: pool.enqueue_mutation_batch(
        None, "step", [{}]
    ),
    "enqueue_query": lambda pool, other, earlier: pool.enqueue_query(None, "step", {}),
    "enqueue_query_batch": lambda pool, other, earlier: pool.enqueue_query_batch(
        None, "step", [{}]
    ),
    "kick": lambda pool, other, earlier: pool.kick(None, earlier),
    "pause_schedule": lambda pool, other, earlier: pool.pause_schedule(None, "s"),
    "redrive": lambda pool, other, earlier: pool.redrive(None, other),
    "redrive_all": lambda pool, other, earlier: pool.redrive_all(None),
    "resolve": lambda pool, other, earlier: pool.resolve(None, earlier),
    "resume_schedule": lambda pool, other, earlier: pool.resume_schedule(None, "s"),
    "run_now": lambda pool, other, earlier: pool.run_now(None, "s"),
    "run_transaction": lambda pool, other, earlier: pool.run_transaction(lambda tx: None),
    "schedule": lambda pool, other, earlier: pool.schedule(None, "t", "step", {}, cron="@daily"),
    "sync_schedules": lambda pool, other, earlier: pool.sync_schedules(None, [], owner="o"),
    "transact_items": lambda pool, other, earlier: pool.transact_items(None, "step", {}),
    "transaction": lambda pool, other, earlier: pool.transaction(None),
    "unschedule": lambda pool, other, earlier: pool.unschedule(None, "s"),
}
"""Every public method of a pool that writes, as it would be called beside a transaction."""

HARMLESS = {
    *("action", "handler", "mutation", "name", "on_complete", "query", "table"),
    *(
        "config",
        "count_dead_letters",
        "group",
        "groups",
        "is_known",
        "jobs",
        "list",
        "log_stats",
        "pools",
        "result",
    ),
    *("schedules", "show", "stats", "status", "status_batch", "why", "why_batch"),
}
"""The others: they read, decorate, or log."""


def test_every_public_method_of_a_pool_is_known_as_writing_or_harmless() -> None:
    public = {name for name in dir(Workpool) if not name.startswith("_")}
    assert public == HARMLESS | DOORS.keys()


def refusals(pool: Workpool, other: str, earlier: Transaction) -> set[str]:
    """Knock at every door, and return the names of those that refuse."""
    refused = set()
    for name, door in DOORS.items():
        try:
            door(pool, other, earlier)
        except UsageError as error:
            if "anything else would repeat" in str(error):
                refused.add(name)
    return refused


def test_function_with_transaction_can_write_through_it_alone(
    cloud: LocalCloud, accounts: Any
) -> None:
    pool, ran, refused = cloud.workpool(), [], []
    cloud.function(lambda event, context: ran.append(event["first"]), name="step")
    pool.schedule(None, "s", "step", {}, cron="@yearly")
    other = pool.enqueue_action(None, "step", {"first": 1}, run_after=timedelta(hours=1))
    earlier = pool.transaction(None)

    @pool.mutation(retry=False)
    def knock(tx: Transaction) -> None:
        assert pool.status(None, other).state == "pending"
        with pytest.raises(UsageError, match="would repeat"), earlier:
            pass
        refused.append(refusals(pool, other, earlier))

    @pool.on_complete
    def tell(event: OnCompleteEvent, tx: Transaction) -> None:
        refused.append(refusals(pool, other, earlier))

    cloud.function(knock)
    cloud.function(tell)
    work_id = knock.with_options(on_complete=tell).enqueue(None)
    cloud.run_until_idle()

    assert pool.status(None, work_id).outcome == "success"
    assert refused == [{*DOORS}] * 2
    assert ran == [1]
    assert [each.name for each in pool.schedules(None)] == ["s"]


def test_function_that_a_mutation_invokes_may_write(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    inner = cloud.function(lambda event, context: pool.enqueue_action(context, "step", {}))
    cloud.function(lambda event, context: None, name="step")

    @pool.mutation(retry=False)
    def outer(tx: Transaction) -> str:
        del tx
        answer = boto3.client("lambda").invoke(FunctionName=inner, Payload=b"{}")
        return str(json.loads(answer["Payload"].read()))

    cloud.function(outer)
    work_id = outer.enqueue(None)
    cloud.run_until_idle()

    assert pool.status(None, str(pool.result(None, work_id).return_value)).outcome == "success"
