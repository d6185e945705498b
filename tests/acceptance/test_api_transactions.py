"""Transactions through the public interface: applied together, once, with true answers [WP-9]."""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr

from workpool_aws import (
    StoreUnavailable,
    Transaction,
    TransactionCanceled,
    UsageError,
    Workpool,
)
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

ANN, BOB = {"id": "ann"}, {"id": "bob"}


@pytest.fixture
def accounts(cloud: LocalCloud) -> Any:
    del cloud
    return boto3.resource("dynamodb").create_table(
        TableName="accounts",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )


@pytest.fixture
def pool(cloud: LocalCloud) -> Workpool:
    return cloud.workpool("email")


@pytest.fixture
def send(cloud: LocalCloud) -> str:
    return cloud.function(lambda event, context: event["to"], name="send")


def commit(pool: Workpool, body: Callable[[Transaction], object]) -> Transaction:
    with pool.transaction(None) as tx:
        body(tx)
    return tx


def refusal_of(pool: Workpool, body: Callable[[Transaction], object]) -> TransactionCanceled:
    with pytest.raises(TransactionCanceled) as refused:
        commit(pool, body)
    return refused.value


def item_of(accounts: Any, key: dict[str, str]) -> dict[str, Any] | None:
    return accounts.get_item(Key=key, ConsistentRead=True).get("Item")


@both_engines
def test_transaction_applies_items_enqueues_and_cancels_together(
    cloud: LocalCloud, pool: Workpool, accounts: Any, send: str
) -> None:
    accounts.put_item(Item={**ANN, "balance": 5, "tags": {"old"}})
    accounts.put_item(Item=BOB)
    reminder = pool.enqueue_action(None, send, {"to": "x"}, run_after=timedelta(days=1))

    with pool.transaction(None) as tx:
        work_id = pool.enqueue_action(tx, send, {"to": "ann"})
        more = cloud.workpool("sms").enqueue_action_batch(tx, send, [{"to": "1"}, {"to": "2"}])
        tx.put("accounts", {"id": "cat", "mail": work_id}, condition=Attr("id").not_exists())
        tx.update(
            "accounts",
            ANN,
            set={"seen": True},
            add={"balance": Decimal("1.5")},
            delete={"tags": {"old"}},
            condition=Attr("balance").gte(5),
        )
        tx.delete("accounts", BOB)
        tx.check("accounts", {"id": "dan"}, "attribute_not_exists(#k)", names={"#k": "id"})
        pool.cancel(tx, reminder)
        assert (tx.ids, tx.answers) == ([work_id, *more], {})
    cloud.run_until_idle()

    assert tx.answers == {reminder: "canceled"}
    assert tx.resolve()
    assert item_of(accounts, {"id": "cat"}) == {"id": "cat", "mail": work_id}
    assert item_of(accounts, ANN) == {**ANN, "balance": Decimal("6.5"), "seen": True}
    assert item_of(accounts, BOB) is None
    assert [pool.status(None, each).outcome for each in (work_id, reminder)] == [
        "success",
        "canceled",
    ]
    assert {each.state for each in cloud.workpool("sms").status_batch(None, more)} == {"finished"}


@both_engines
def test_refused_transaction_applies_nothing_and_names_item_and_condition(
    pool: Workpool, accounts: Any, send: str
) -> None:
    accounts.put_item(Item={**ANN, "balance": 5})
    enough = Attr("balance").gte(10)
    opened: list[Transaction] = []

    def spend(tx: Transaction) -> None:
        opened.append(tx)
        pool.enqueue_action(tx, send, {"to": "ann"})
        tx.put("accounts", BOB)
        tx.update("accounts", ANN, add={"balance": -10}, condition=enough)

    refused = refusal_of(pool, spend)

    assert not refused.stale
    (failed,) = refused.failed
    assert (failed.index, failed.table, failed.key, failed.action) == (1, "accounts", ANN, "update")
    assert failed.condition is enough
    assert failed.item == {**ANN, "balance": 5}
    assert "ann" not in str(refused)  # keys may be secret
    assert item_of(accounts, BOB) is None
    assert pool.status(None, opened[0].ids[0]).state == "unknown"
    assert not opened[0].resolve()


def test_cancel_that_requires_pending_refuses_transaction(
    cloud: LocalCloud, pool: Workpool, accounts: Any, send: str
) -> None:
    work_id = pool.enqueue_action(None, send, {"to": "ann"})
    cloud.run_until_idle()

    def cancel_pending(tx: Transaction) -> None:
        tx.put("accounts", ANN)
        pool.cancel(tx, work_id, require_pending=True)

    refused = refusal_of(pool, cancel_pending)
    with pool.transaction(None) as other:
        other.put("accounts", BOB)
        pool.cancel(other, work_id)

    assert [each.action for each in refused.failed] == ["cancel"]
    assert other.answers == {work_id: "finished"}
    assert (item_of(accounts, ANN), item_of(accounts, BOB)) == (None, BOB)


@both_engines
def test_transaction_is_refused_when_what_it_looked_at_has_changed(
    pool: Workpool, accounts: Any
) -> None:
    accounts.put_item(Item={**ANN, "balance": 5, "note": "a"})

    def outcome(change: dict[str, Any], look: Callable[[Any], object], key: dict[str, str]) -> str:
        def body(tx: Transaction) -> None:
            look(tx.get("accounts", key))
            tx.put("accounts", {"id": "done"})
            accounts.put_item(Item=change)

        try:
            commit(pool, body)
        except TransactionCanceled as canceled:
            return f"{[each.action for each in canceled.failed]} {canceled.stale}"
        return "applied"

    balance = itemgetter("balance")
    refused = "['get'] True"
    assert outcome({**ANN, "balance": 5, "note": "b"}, balance, ANN) == "applied"
    assert outcome({**ANN, "balance": 6, "note": "b"}, balance, ANN) == refused
    assert outcome({**ANN, "balance": 6, "vip": True}, lambda it: it.get("vip"), ANN) == refused
    assert outcome({**ANN, "balance": 7}, dict, ANN) == refused
    assert outcome(BOB, bool, BOB) == refused  # it was absent when it was read


@both_engines
def test_transaction_is_refused_when_item_that_it_read_is_gone(
    pool: Workpool, accounts: Any
) -> None:
    accounts.put_item(Item=ANN)

    def body(tx: Transaction) -> None:
        tx.get("accounts", ANN)
        tx.put("accounts", BOB)
        accounts.delete_item(Key=ANN)

    refused = refusal_of(pool, body)

    assert (refused.stale, [each.action for each in refused.failed]) == (True, ["get"])
    assert item_of(accounts, BOB) is None


def test_read_joins_write_of_same_item(pool: Workpool, accounts: Any) -> None:
    accounts.put_item(Item={**ANN, "balance": 5})

    def add_one(tx: Transaction) -> None:
        found = tx.get("accounts", ANN)
        assert found is not None
        tx.put("accounts", {**ANN, "balance": found["balance"] + 1})
        accounts.put_item(Item={**ANN, "balance": 9})

    refused = refusal_of(pool, add_one)

    assert refused.stale
    assert (refused.failed[0].action, refused.failed[0].condition) == ("put", None)
    assert item_of(accounts, ANN) == {**ANN, "balance": 9}


def test_reads_are_one_snapshot_and_unchecked_ones_do_not_refuse(
    pool: Workpool, accounts: Any
) -> None:
    accounts.put_item(Item={**ANN, "balance": 5})

    with pool.transaction(None) as tx:
        ann, bob = tx.get_all([("accounts", ANN), ("accounts", BOB)], check=False)
        assert ann is not None
        assert (ann["balance"], bob) == (5, None)
        accounts.put_item(Item={**ANN, "balance": 6})
        tx.put("accounts", {"id": "done"})

    assert item_of(accounts, {"id": "done"}) == {"id": "done"}


@both_engines
def test_run_transaction_runs_again_while_reads_have_changed(pool: Workpool, accounts: Any) -> None:
    accounts.put_item(Item={**ANN, "balance": 5})
    runs: list[int] = []

    def spend(tx: Transaction, amount: int) -> int:
        found = tx.get("accounts", ANN)
        assert found is not None
        runs.append(int(found["balance"]))
        if len(runs) < 3:
            accounts.put_item(Item={**ANN, "balance": 5 + len(runs)})
        tx.update("accounts", ANN, set={"balance": found["balance"] - amount})
        return amount

    assert pool.run_transaction(spend, 2, ctx=None) == 2
    assert runs == [5, 6, 7]
    assert item_of(accounts, ANN) == {**ANN, "balance": 5}


def test_block_that_raises_or_does_nothing_sends_no_request(
    cloud: LocalCloud, pool: Workpool, accounts: Any, send: str
) -> None:
    pool.enqueue_action(None, send, {"to": "a"})
    before = cloud.capacity.write_units

    def fail(tx: Transaction) -> None:
        pool.enqueue_action(tx, send, {"to": "ann"})
        tx.put("accounts", ANN)
        raise KeyError

    commit(pool, bool)
    with pytest.raises(KeyError):
        commit(pool, fail)

    assert cloud.capacity.write_units == before
    assert item_of(accounts, ANN) is None


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"price": 1.5}, "item.a.price"),
        ([1, {2, "x"}], "item.a[1]"),
        (set(), "item.a"),
        (Decimal("NaN"), "item.a"),
        (Decimal("1" * 39), "item.a"),
        (Decimal("1E-200"), "item.a"),
        ({1: 2}, "item.a"),
        (object(), "item.a"),
        (["x", "\ud800"], "item.a[1]"),
        ({"\udfff": 1}, "item.a"),
    ],
)
def test_value_that_dynamodb_does_not_take_is_refused_with_its_path(
    pool: Workpool, value: object, field: str
) -> None:
    with pytest.raises(UsageError) as refused:
        commit(pool, lambda tx: tx.put("accounts", {"id": "a", "a": value}))

    assert refused.value.field == field


MISUSES: dict[str, Callable[..., object]] = {
    "key": lambda tx, pool: [tx.delete("accounts", ANN), tx.check("accounts", ANN, "a = b")],
    "condition": lambda tx, pool: tx.put("accounts", ANN, condition=True),
    "names": lambda tx, pool: tx.check("accounts", ANN, "#wp1 = :a", names={"#wp1": "x"}),
    "values": lambda tx, pool: tx.check("accounts", ANN, "a = :a", values={"a": 1}),
    "set": lambda tx, pool: tx.update("accounts", ANN),
    "expression": lambda tx, pool: tx.update("accounts", ANN, "SET a = :a", set={"a": 1}),
    "table": lambda tx, pool: tx.put("no table", ANN),
    "item": lambda tx, pool: tx.put(pool.table, {"pk": "email#control", "sk": "status"}),
    "transaction": lambda tx, pool: [tx.put("accounts", {"id": str(n)}) for n in range(101)],
    "work_id": lambda tx, pool: pool.cancel(tx, pool.enqueue_action(tx, "send", {})),
    "ctx": lambda tx, pool: Workpool("other").enqueue_action(tx, "send", {}),
    "check": lambda tx, pool: tx.get("accounts", ANN, check="no"),
    "version": lambda tx, pool: tx.get("accounts", ANN, version=5),
    "places[0]": lambda tx, pool: tx.get_all([1]),
    "places": lambda tx, pool: tx.get_all([("accounts", {"id": str(n)}) for n in range(101)]),
}


def test_misuse_is_refused_before_anything_is_sent(pool: Workpool, accounts: Any) -> None:
    for field, misuse in MISUSES.items():
        with pytest.raises(UsageError) as refused:
            commit(pool, partial(misuse, pool=pool))

        assert refused.value.field == field
    assert accounts.scan()["Items"] == []


def test_transaction_belongs_to_its_block_and_thread(pool: Workpool, accounts: Any) -> None:
    new = pool.transaction(None)
    with pytest.raises(UsageError, match="entered"):
        new.put("accounts", ANN)
    errors: list[Exception] = []

    def elsewhere(tx: Transaction) -> None:
        try:
            tx.put("accounts", BOB)
        except UsageError as error:
            errors.append(error)

    with new as tx:
        tx.put("accounts", ANN)
        thread = threading.Thread(target=elsewhere, args=[tx])
        thread.start()
        thread.join()

    with pytest.raises(UsageError, match="applied"):
        tx.put("accounts", BOB)
    with pytest.raises(UsageError, match="opened"), tx:
        pass
    assert len(errors) == 1
    assert [item_of(accounts, key) for key in (ANN, BOB)] == [ANN, None]
    pool.kick(None, tx)


@both_engines
def test_prepared_items_enqueue_by_transaction_of_user(
    cloud: LocalCloud, pool: Workpool, accounts: Any, send: str
) -> None:
    mail = pool.transact_items(None, send, {"to": "ann"}, retry=True)
    big = pool.transact_items(None, send, {"to": "x" * 9_000})
    put = {"Put": {"TableName": "accounts", "Item": {"id": {"S": "ann"}}}}
    boto3.client("dynamodb").transact_write_items(TransactItems=[put, *mail.items, *big.items])
    plain = pool.transact_items(None, send, {"to": "bob"})
    accounts.meta.client.transact_write_items(TransactItems=plain.plain)
    for each in (mail, big, plain):
        pool.kick(None, each)
    cloud.run_until_idle()

    assert item_of(accounts, ANN) == ANN
    assert [pool.result(None, each.ids[0]).return_value for each in (mail, plain)] == ["ann", "bob"]
    assert pool.status(None, big.ids[0]).outcome == "success"
    assert pool.resolve(None, mail)


@both_engines
def test_prepared_items_that_were_given_up_can_never_land(
    cloud: LocalCloud, pool: Workpool, accounts: Any, send: str
) -> None:
    mail = pool.transact_items(None, send, {"to": "ann"})
    put = {"Put": {"TableName": "accounts", "Item": {"id": {"S": "ann"}}}}

    assert not pool.resolve(None, mail)
    client = boto3.client("dynamodb")
    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=[put, *mail.items])

    assert item_of(accounts, ANN) is None
    assert pool.status(None, mail.ids[0]).state == "unknown"


def test_forked_child_cannot_use_transaction_of_its_parent(pool: Workpool, send: str) -> None:
    told, tell = os.pipe()
    with pool.transaction(None) as tx:
        child = os.fork()
        if child == 0:  # pragma: no cover - the child's own end
            try:
                tx.check_open()
                os.write(tell, b"accepted")
            except UsageError as refused:
                os.write(tell, str(refused).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        work_id = pool.enqueue_action(tx, send, {"to": "ann"})
    with os.fdopen(told, "rb") as answer:
        os.close(tell)
        assert b"one of another thread or process" in answer.read()
    assert pool.status(None, work_id).state == "pending"


@pytest.mark.parametrize(
    "look",
    [
        lambda tx: tx.get_all([("accounts", ANN)] * 2)[0]["balance"],
        lambda tx: tx.get_all([("accounts", ANN)] * 2)[1]["balance"],
        lambda tx: [tx.get("accounts", ANN), tx.get("accounts", ANN, version="balance")],
        lambda tx: [tx.get("accounts", ANN, check=False), tx.get("accounts", ANN)["balance"]],
    ],
)
def test_every_way_to_look_at_an_attribute_is_checked(
    pool: Workpool, accounts: Any, look: Callable[[Transaction], object]
) -> None:
    accounts.put_item(Item={**ANN, "balance": 100})

    def spend(tx: Transaction) -> None:
        look(tx)
        accounts.put_item(Item={**ANN, "balance": 50})
        tx.update("accounts", ANN, set={"balance": 90})

    assert refusal_of(pool, spend).stale
    assert item_of(accounts, ANN) == {**ANN, "balance": 50}


def test_second_version_of_one_item_is_refused(pool: Workpool, accounts: Any) -> None:
    accounts.put_item(Item={**ANN, "v": 1, "w": 1})
    with pool.transaction(None) as tx:
        tx.get("accounts", ANN, version="v")
        tx.get("accounts", ANN, version="v")
        with pytest.raises(UsageError, match="version must be 'v', as in the read before; got 'w'"):
            tx.get("accounts", ANN, version="w")


async def _awaited(tx: Transaction) -> None:
    raise AssertionError


def _yielding(tx: Transaction) -> Iterator[None]:
    yield


def _half_run(tx: Transaction) -> Awaitable[None]:
    tx.put("accounts", {"id": "half"})
    return _awaited(tx)


@pytest.mark.parametrize("fn", [_awaited, _yielding, partial(_awaited), _half_run])
def test_function_of_which_a_call_runs_nothing_is_no_transaction(
    pool: Workpool, accounts: Any, fn: Callable[..., object]
) -> None:
    with pytest.raises(UsageError, match="runs none of it") as refused:
        pool.run_transaction(fn)
    assert refused.value.field == "fn"
    assert "Item" not in accounts.get_item(Key={"id": "half"})


def test_wide_item_is_checked_by_its_version_and_refused_as_a_whole(
    pool: Workpool, accounts: Any
) -> None:
    accounts.put_item(Item={**ANN, "v": 1, **{f"a{n}": n for n in range(200)}})

    def copy(tx: Transaction) -> None:
        tx.put("accounts", {**(tx.get("accounts", ANN) or {}), "a0": -1})

    with pytest.raises(UsageError, match=r"300 operators .* version="):
        commit(pool, copy)
    commit(pool, lambda tx: [tx.get("accounts", ANN, version="v"), tx.put("accounts", BOB)])

    assert (item_of(accounts, ANN) or {})["a0"] == 0
    assert item_of(accounts, BOB) == BOB


@both_engines
def test_snapshot_has_up_to_a_hundred_items(pool: Workpool, accounts: Any) -> None:
    accounts.put_item(Item={"id": "99"})
    with pool.transaction(None) as tx:
        found = tx.get_all([("accounts", {"id": str(n)}) for n in range(100)], check=False)
    assert [each is None for each in found] == [True] * 99 + [False]


REFUSED_BY_DYNAMODB: dict[str, Callable[[Transaction], object]] = {
    "malformed condition": lambda tx: tx.put("accounts", ANN, condition="(((("),
    "empty is_in": lambda tx: tx.put("accounts", ANN, condition=Attr("a").is_in([])),
    "unknown placeholder": lambda tx: tx.update("accounts", ANN, "SET b = :b"),
    "another key": lambda tx: tx.get("accounts", {"name": "ann"}),
}


@both_engines
@pytest.mark.parametrize("name", REFUSED_BY_DYNAMODB)
def test_request_that_dynamodb_refuses_is_a_usage_error_of_its_table(
    pool: Workpool, accounts: Any, name: str
) -> None:
    with pytest.raises(UsageError) as refused:
        commit(pool, REFUSED_BY_DYNAMODB[name])

    assert pool.table not in str(refused.value)
    assert accounts.scan()["Items"] == []


@both_engines
def test_missing_table_of_a_user_is_named(pool: Workpool, accounts: Any) -> None:
    with pytest.raises(StoreUnavailable, match=r"^table 'nope' does not exist"):
        commit(pool, lambda tx: tx.get("nope", ANN))
    with pytest.raises(
        StoreUnavailable, match=r"^one of the tables 'nope', .* does not exist"
    ) as error:
        commit(pool, lambda tx: tx.put("nope", ANN))
    assert not error.value.maybe_applied


def test_pool_of_another_table_is_refused_and_nothing_is_applied(
    pool: Workpool, accounts: Any
) -> None:
    other = Workpool("another-table", "email")
    calls: list[Callable[[Transaction], object]] = [
        lambda tx: other.enqueue_action(tx, "send", {"to": "ann"}),
        lambda tx: other.cancel(tx, "01KDVDNF30BTVNKYWQJ8SXB5V0"),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="ctx must be one of the pool's table"):
            commit(pool, lambda tx, call=call: (tx.put("accounts", ANN), call(tx)))

    assert accounts.scan()["Items"] == []
    assert pool.list(None).items == ()


def test_failed_action_unpacks_into_its_parts(pool: Workpool, accounts: Any) -> None:
    del accounts
    enough = Attr("id").exists()
    (failed,) = refusal_of(pool, lambda tx: tx.check("accounts", ANN, enough)).failed

    index, table, key, action, condition, item = failed
    assert (index, table, key, action, condition, item) == (
        0,
        "accounts",
        ANN,
        "check",
        enough,
        None,
    )
    assert (failed.table, failed.action) == ("accounts", "check")
