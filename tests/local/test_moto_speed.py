"""Calls that moto is spared change no answer."""

from typing import Any, Final

import boto3
import pytest
from moto import mock_aws

from workpool_aws.local.engines.moto_speed import spared

ITEM = {
    "id": {"S": "größe"},
    "empty": {"S": ""},
    "n": {"N": "1.50"},
    "yes": {"BOOL": True},
    "nothing": {"NULL": True},
    "bytes": {"B": b"\x00\xff"},
    "texts": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "blobs": {"BS": [b"a"]},
    "list": {"L": [{"S": "x"}, {"N": "2"}, {"L": []}]},
    "map": {"M": {"S": {"S": "named like a type"}, "inner": {"M": {"b": {"B": b"z"}}}}},
}


COMPARED: Final = ("id", "empty", "n", "yes", "texts", "numbers", "list", "map")
ABOVE: Any = (("id", {"S": "h"}), ("n", {"N": "10"}), ("empty", {"S": "a"}))


def answers() -> list[Any]:
    client = boto3.client("dynamodb", region_name="us-east-1")
    client.create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    client.put_item(TableName="t", Item=ITEM)
    asked = [
        client.get_item(TableName="t", Key={"id": ITEM["id"]}),
        client.scan(TableName="t"),
        client.batch_get_item(RequestItems={"t": {"Keys": [{"id": ITEM["id"]}]}}),
        client.update_item(
            TableName="t", Key={"id": ITEM["id"]}, UpdateExpression="ADD n :one", **adding()
        ),
        *(client.scan(**filtered(name, "=", ITEM[name])) for name in COMPARED),
        *(client.scan(**filtered(name, "<", value)) for name, value in ABOVE),
    ]
    return [
        {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        for answer in asked
    ]


def filtered(name: str, comparator: str, value: object) -> Any:
    return {
        "TableName": "t",
        "FilterExpression": f"#name {comparator} :value",
        "ExpressionAttributeNames": {"#name": name},
        "ExpressionAttributeValues": {":value": value},
    }


def adding() -> Any:
    return {"ExpressionAttributeValues": {":one": {"N": "1"}}, "ReturnValues": "ALL_NEW"}


@mock_aws
def plainly() -> list[Any]:
    return answers()


@mock_aws
def with_less_work() -> list[Any]:
    with spared():
        return answers()


def test_items_are_answered_as_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")

    answered = with_less_work()

    assert answered == plainly()
    assert answered[0]["Item"] == ITEM


def test_moto_that_is_made_otherwise_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workpool_aws.local.engines.moto_speed._attribute_of", lambda *_: None)

    with spared():
        assert plainly()[0]["Item"] == ITEM
