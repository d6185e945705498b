"""Transactions inside a cloud that span a pool's table and tables of user code, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.kit.records import a_work
from workpool_aws.local import LocalCloud
from workpool_aws.model.actions import Guest, GuestItem, GuestPlace, GuestVerb
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.writes import IsAbsent, Put
from workpool_aws.ports import Store, TransactionFailed

ANN = {"id": {"S": "ann"}, "balance": {"N": "5"}}
OPEN = Guest(
    table="accounts",
    verb=GuestVerb.PUT,
    request={"Item": ANN, "ConditionExpression": "attribute_not_exists(id)"},
)


@pytest.fixture(params=["memory", "moto"])
def cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    with LocalCloud(engine=request.param) as cloud:
        boto3.client("dynamodb").create_table(
            TableName="accounts",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )
        yield cloud


def store_of(cloud: LocalCloud) -> Store:
    return cloud.workpool("email")._ports.store


def place(name: str) -> GuestPlace:
    return GuestPlace(table="accounts", key={"id": {"S": name}})


def test_transaction_writes_work_item_and_item_of_user_table(cloud: LocalCloud) -> None:
    store, work = store_of(cloud), a_work()

    for _ in range(2):  # the second has the token of the first, and changes nothing
        store.transact([Put(work, IsAbsent()), OPEN], "token")

    assert store.get(WorkRef(work.pool, work.id)) == work
    assert store.read_guests([place("ann"), place("bob")]) == (GuestItem(ANN), None)
    assert store.read_guests([place("ann")]) == (GuestItem(ANN),)


@pytest.mark.parametrize("work_is_there", [True, False])
def test_transaction_that_one_condition_refuses_writes_nothing(
    cloud: LocalCloud, *, work_is_there: bool
) -> None:
    store, work = store_of(cloud), a_work()
    store.transact([Put(work)] if work_is_there else [OPEN])

    with pytest.raises(TransactionFailed) as refused:
        store.transact([OPEN, Put(work, IsAbsent())], "token")

    assert refused.value.failed == (not work_is_there, work_is_there)
    assert refused.value.current == (None, work if work_is_there else None)
    assert refused.value.guests == ({} if work_is_there else {0: GuestItem(ANN)})
    assert (store.read_guests([place("ann")]) == (None,)) == work_is_there
    assert (store.get(WorkRef(work.pool, work.id)) is None) != work_is_there


def test_token_of_user_transaction_is_remembered_for_ten_minutes(cloud: LocalCloud) -> None:
    client = boto3.client("dynamodb")
    client.put_item(TableName="accounts", Item=ANN)

    def add(amount: str) -> None:
        update: Any = {
            "TableName": "accounts",
            "Key": place("ann").key,
            "UpdateExpression": "ADD balance :n",
            "ExpressionAttributeValues": {":n": {"N": amount}},
        }
        client.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken="t")

    def balance() -> str:
        return client.get_item(TableName="accounts", Key=place("ann").key)["Item"]["balance"]["N"]

    add("1")
    add("1")
    assert balance() == "6"
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        add("2")
    cloud.advance(timedelta(minutes=11))
    add("1")
    assert balance() == "7"
