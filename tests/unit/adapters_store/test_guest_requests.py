"""Requests about users' items: what DynamoDB is asked, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.kit.clocks import CountedEntropy, ManualClock
from tests.kit.records import a_work
from workpool_aws.adapters.aws.lean import LeanDynamoDB
from workpool_aws.adapters.dynamodb.store import DynamoStore
from workpool_aws.adapters.items.capacity import Meter
from workpool_aws.adapters.items.metered import MeteredStore
from workpool_aws.errors import StoreUnavailable, UsageError
from workpool_aws.model.actions import Guest, GuestItem, GuestPlace, GuestVerb
from workpool_aws.model.refs import StatusRef
from workpool_aws.model.writes import Put
from workpool_aws.ports import StoreDenied, TransactionBusy

ANN, BOB = {"id": {"S": "ann"}}, {"id": {"S": "bob"}}
PLACES = [GuestPlace(table="users", key=ANN), GuestPlace(table="seats", key=BOB)]
ANSWERED: Any = {"ResponseMetadata": {"HTTPHeaders": {}}}


def refusal(
    code: str, message: str = "", *, operation: str = "TransactWriteItems", **more: Any
) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": more}
    return ClientError(answer, operation)


class Client:
    """Answers each request with the next of what is given, and raises what is an error."""

    def __init__(self, *answers: Any) -> None:
        self.answers = [*answers]
        self.asked: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self.asked.append((name, request))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def store_of(client: Any) -> DynamoStore:
    return DynamoStore(lambda: client, "jobs", clock=ManualClock(), entropy=CountedEntropy())


def guest(verb: GuestVerb, table: str = "users", **request: Any) -> Guest:
    return Guest(table=table, verb=verb, request=request)


def test_single_item_is_read_alone_and_several_as_one_snapshot() -> None:
    one = Client({"Item": ANN})
    assert store_of(one).read_guests(PLACES[:1]) == (GuestItem(ANN),)
    assert one.asked == [("get_item", {"TableName": "users", "Key": ANN, "ConsistentRead": True})]
    assert store_of(Client({})).read_guests(PLACES[:1]) == (None,)

    two = Client({"Responses": [{"Item": ANN}, {}]})
    assert store_of(two).read_guests(PLACES) == (GuestItem(ANN), None)
    wanted = [{"TableName": "users", "Key": ANN}, {"TableName": "seats", "Key": BOB}]
    assert two.asked == [
        ("transact_get_items", {"TransactItems": [{"Get": each} for each in wanted]})
    ]


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        (GuestVerb.PUT, "Put"),
        (GuestVerb.UPDATE, "Update"),
        (GuestVerb.DELETE, "Delete"),
        (GuestVerb.CHECK, "ConditionCheck"),
    ],
)
def test_action_on_users_item_is_sent_by_its_verb(verb: GuestVerb, name: str) -> None:
    client = Client(ANSWERED)

    store_of(client).transact([guest(verb, Key=ANN), guest(verb, ConditionExpression="c")])

    ((operation, request),) = client.asked
    assert operation == "transact_write_items"
    assert request["TransactItems"] == [
        {name: {"TableName": "users", "Key": ANN}},
        {
            name: {
                "TableName": "users",
                "ConditionExpression": "c",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
    ]


def test_missing_table_may_be_any_that_the_request_names() -> None:
    missing = "ResourceNotFoundException"
    acts = [guest(GuestVerb.PUT), guest(GuestVerb.PUT, "seats")]

    with pytest.raises(StoreDenied) as written:
        store_of(Client(refusal(missing))).transact(acts)
    with pytest.raises(StoreDenied) as read:
        store_of(Client(refusal(missing, operation="TransactGetItems"))).read_guests(PLACES)

    ending = "does not exist in this account and region: look at both"
    assert str(written.value).startswith(f"one of the tables 'jobs', 'seats', 'users' {ending}")
    assert str(read.value).startswith(f"one of the tables 'seats', 'users' {ending}")
    assert str(read.value).endswith("(TransactGetItems: ResourceNotFoundException)")


def test_transaction_of_caller_is_sent_once_and_conflicts_are_told() -> None:
    acts = [guest(GuestVerb.PUT)]

    def conflict(**more: Any) -> ClientError:
        found = refusal("TransactionCanceledException", **more)
        found.response["CancellationReasons"] = [{"Code": "TransactionConflict"}]
        return found

    for repeated in (0, 1):
        client = Client(conflict(RetryAttempts=repeated))
        with pytest.raises(TransactionBusy) as busy:
            store_of(client).transact(acts, "token")
        assert (busy.value.repeated, len(client.asked)) == (bool(repeated), 1)
        assert client.asked[0][1]["ClientRequestToken"] == "token"
    with pytest.raises(StoreUnavailable, match="the same transaction is in progress"):
        store_of(Client(refusal("TransactionInProgressException"))).transact(acts, "token")
    again = Client(conflict(), conflict(), ANSWERED)
    store_of(again).transact(acts)
    assert len({request["ClientRequestToken"] for _, request in again.asked}) == 1
    assert len(again.asked) == 3


def test_error_of_making_the_client_is_left_as_it_is() -> None:
    def client() -> Any:
        raise UsageError("region", "x", "one that there is")

    store = DynamoStore(client, "jobs", clock=ManualClock(), entropy=CountedEntropy())
    with pytest.raises(UsageError, match="region must be one that there is"):
        store.get(StatusRef("email"))


def test_lean_transaction_counts_as_a_first_try_and_snapshot_is_no_lean_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lean_over(client: Any) -> LeanDynamoDB:
        transport: Any = None
        return LeanDynamoDB(client, transport)

    before: Any
    for before, after in ({}, 1), ({"RetryAttempts": 2}, 3):
        lean = lean_over(Client(refusal("X", **before)))
        monkeypatch.setattr(lean, "_call", lambda *_: None)
        with pytest.raises(ClientError) as raised:
            lean.transact_write_items(ClientRequestToken="t")
        assert raised.value.response["ResponseMetadata"]["RetryAttempts"] == after
    client = Client({"Responses": []})
    lean = lean_over(client)
    assert lean.transact_get_items(TransactItems=[]) == {"Responses": []}
    assert client.asked == [("transact_get_items", {"TransactItems": []})]


def test_metered_store_counts_no_transactions_and_passes_them_on() -> None:
    inner: Any = Client("answer")

    class Positional:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            return lambda *given: inner.asked.append((name, given)) or "answer"

    store = MeteredStore(Positional(), Meter())
    ref, writes = StatusRef("email"), [Put(a_work())]

    answers: list[object] = [store.transact(writes, "token"), store.read_guests(PLACES)]
    store.delete(ref)

    assert answers == ["answer", "answer"]
    assert inner.asked == [
        ("transact", (writes, "token")),
        ("read_guests", (PLACES,)),
        ("delete", (ref,)),
    ]
