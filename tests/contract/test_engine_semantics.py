"""Documented properties of DynamoDB on which the store, users' tests or prices rest.

Each engine shows them, without the store between. Where one fails, docs/engines.md says so, and how
the project lives with it.
"""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from workpool_aws.adapters.items.attributes import DEAD_INDEX, DEAD_KEY
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import LoopState, LoopStatus
from workpool_aws.model.refs import StatusRef
from workpool_aws.model.writes import Is, Put, Update
from workpool_aws.ports import ConditionFailed

KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}
THREADS = 8
ROUNDS = 25


def key(sort: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": "p"}, "sk": {"S": sort}}


def put(table, sort="s", **attributes) -> None:
    table.client.put_item(TableName=table.name, Item={**key(sort), **attributes})


def item_in(table, sort="s"):
    return table.client.get_item(TableName=table.name, Key=key(sort), ConsistentRead=True).get(
        "Item"
    )


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return raised.value.response["Error"]["Code"]


def adding(table, amount: str, sort="s"):
    return {
        "Update": {
            "TableName": table.name,
            "Key": key(sort),
            "UpdateExpression": "ADD n :n",
            "ExpressionAttributeValues": {":n": {"N": amount}},
        }
    }


def padded(size: int) -> dict[str, dict[str, str]]:
    """Attributes that make an item of `size` bytes, its key included."""
    return {"x": {"S": "x" * (size - len("pkpsksx"))}}


def test_update_that_fails_leaves_item_as_it_was(wired):
    put(wired, a={"N": "1"}, s={"S": "text"})

    with pytest.raises(ClientError) as refused:
        wired.client.update_item(
            TableName=wired.name,
            Key=KEY,
            UpdateExpression="SET a = :two ADD s :one",
            ExpressionAttributeValues={":two": {"N": "2"}, ":one": {"N": "1"}},
        )

    assert code_of(refused) == "ValidationException"
    assert item_in(wired)["a"] == {"N": "1"}


def test_value_that_no_expression_uses_is_refused(wired):
    with pytest.raises(ClientError) as refused:
        wired.client.put_item(
            TableName=wired.name,
            Item=KEY,
            ConditionExpression="attribute_not_exists(pk)",
            ExpressionAttributeValues={":unused": {"S": "x"}},
        )

    assert code_of(refused) == "ValidationException"


def test_doubled_parentheses_are_refused(wired):
    with pytest.raises(ClientError) as refused:
        wired.client.put_item(
            TableName=wired.name, Item=KEY, ConditionExpression="((attribute_not_exists(pk)))"
        )

    assert code_of(refused) == "ValidationException"


def test_empty_map_of_values_is_refused(wired):
    with pytest.raises(ClientError) as refused:
        wired.client.put_item(
            TableName=wired.name,
            Item=KEY,
            ConditionExpression="attribute_not_exists(pk)",
            ExpressionAttributeValues={},
        )

    assert code_of(refused) == "ValidationException"


def test_range_that_holds_nothing_is_refused(wired):
    with pytest.raises(ClientError) as refused:
        wired.client.query(
            TableName=wired.name,
            KeyConditionExpression="pk = :p AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues={":p": {"S": "p"}, ":low": {"S": "b"}, ":high": {"S": "a"}},
        )

    assert code_of(refused) == "ValidationException"


def test_empty_text_is_no_key(wired):
    with pytest.raises(ClientError) as refused:
        put(wired, sort="")

    assert code_of(refused) == "ValidationException"


def test_transaction_with_token_is_applied_once(wired):
    token = uuid4().hex

    for _ in range(2):
        wired.client.transact_write_items(
            TransactItems=[adding(wired, "1")], ClientRequestToken=token
        )

    assert item_in(wired)["n"] == {"N": "1"}


def test_token_belongs_to_one_transaction(wired):
    token = uuid4().hex
    wired.client.transact_write_items(TransactItems=[adding(wired, "1")], ClientRequestToken=token)

    with pytest.raises(ClientError) as refused:
        wired.client.transact_write_items(
            TransactItems=[adding(wired, "2")], ClientRequestToken=token
        )

    assert code_of(refused) == "IdempotentParameterMismatchException"


def test_transaction_that_adds_to_text_is_cancelled(wired):
    put(wired, n={"S": "text"})

    with pytest.raises(ClientError) as refused:
        wired.client.transact_write_items(
            TransactItems=[adding(wired, "1", sort="other"), adding(wired, "1")]
        )

    assert code_of(refused) == "TransactionCanceledException"
    assert [reason["Code"] for reason in refused.value.response["CancellationReasons"]] == [
        "None",
        "ValidationError",
    ]
    assert item_in(wired, "other") is None


def test_batch_of_more_than_hundred_keys_is_refused(wired):
    with pytest.raises(ClientError) as refused:
        wired.client.batch_get_item(
            RequestItems={wired.name: {"Keys": [key(f"{n}") for n in range(101)]}}
        )

    assert code_of(refused) == "ValidationException"


def test_batch_with_one_key_twice_is_refused(wired):
    with pytest.raises(ClientError) as refused:
        wired.client.batch_get_item(RequestItems={wired.name: {"Keys": [KEY, KEY]}})

    assert code_of(refused) == "ValidationException"


def test_numbers_keep_thirty_eight_digits(wired):
    put(wired, n={"N": "9" * 37 + "8"})

    wired.client.update_item(
        TableName=wired.name,
        Key=KEY,
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )

    assert item_in(wired)["n"] == {"N": "9" * 38}


def test_number_of_thirty_nine_digits_is_refused(wired):
    with pytest.raises(ClientError) as refused:
        put(wired, n={"N": "1" * 39})

    assert code_of(refused) == "ValidationException"


def test_answer_says_what_it_cost_only_when_asked(wired):
    answer = wired.client.batch_get_item(
        RequestItems={wired.name: {"Keys": [KEY], "ConsistentRead": True}}
    )

    assert "ConsumedCapacity" not in answer


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [(None, 2_500, 3), (2_500, 100, 3), (None, 1_025, 2), (2_500, None, 3)],
    ids=["put", "overwrite", "a byte more than a kilobyte", "delete"],
)
def test_write_is_billed_by_larger_of_before_and_after(wired, before, after, units):
    if before is not None:
        put(wired, **padded(before))
    billed = wired.billing.units

    if after is None:
        wired.client.delete_item(TableName=wired.name, Key=KEY)
    else:
        put(wired, **padded(after))

    assert wired.billing.units - billed == units


def test_update_is_billed_by_whole_item(wired):
    put(wired, **padded(2_500))
    billed = wired.billing.units

    wired.client.update_item(
        TableName=wired.name,
        Key=KEY,
        UpdateExpression="SET y = :y",
        ExpressionAttributeValues={":y": {"S": "y"}},
    )

    assert wired.billing.units - billed == 3


def test_index_is_billed_beside_its_table(wired):
    put(wired, **{DEAD_KEY: {"S": "a"}})
    billed = wired.billing.units

    put(wired, **{DEAD_KEY: {"S": "b"}})

    assert wired.billing.units - billed == 1 + 2


def test_transaction_is_billed_twice(wired):
    billed = wired.billing.units

    wired.client.transact_write_items(
        TransactItems=[{"Put": {"TableName": wired.name, "Item": {**KEY, **padded(2_500)}}}]
    )

    assert wired.billing.units - billed == 6


def test_strong_read_is_billed_by_four_kilobytes(wired):
    put(wired, **padded(4_500))

    answer = wired.client.get_item(
        TableName=wired.name, Key=KEY, ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
    )

    assert answer["ConsumedCapacity"]["CapacityUnits"] == 2


def test_range_is_billed_by_all_of_its_items(wired):
    for n in range(8):
        put(wired, sort=f"{n}", **padded(1_024))

    answer = wired.client.query(
        TableName=wired.name,
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "p"}},
        ConsistentRead=True,
        ReturnConsumedCapacity="TOTAL",
    )

    assert answer["ConsumedCapacity"]["CapacityUnits"] == 2


def test_index_answers_no_strong_read(wired):
    with pytest.raises(ClientError) as refused:
        wired.client.query(
            TableName=wired.name,
            IndexName=DEAD_INDEX,
            KeyConditionExpression="pk = :p",
            ExpressionAttributeValues={":p": {"S": "p"}},
            ConsistentRead=True,
        )

    assert code_of(refused) == "ValidationException"


def test_threads_lose_no_acknowledged_write(engine):
    status = LoopStatus(pool="p", state=LoopState.IDLE, generation=0, lease_until=EpochMs(0))
    engine.store.write(Put(status))
    acknowledged = []

    def count_up() -> None:
        for _ in range(ROUNDS):
            seen = engine.store.get(StatusRef("p")).generation
            step = Update(
                ref=StatusRef("p"), set={"generation": seen + 1}, condition=Is("generation", seen)
            )
            try:
                engine.store.write(step)
            except ConditionFailed:
                continue
            acknowledged.append(seen)

    threads = [threading.Thread(target=count_up) for _ in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(acknowledged) >= ROUNDS
    assert sorted(acknowledged) == list(range(engine.store.get(StatusRef("p")).generation))
