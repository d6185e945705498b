"""The store on DynamoDB under answers, refusals, conflicts and silence.

No engine: the answers are scripted.
"""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.stub import ANY, Stubber
from moto import mock_aws

from tests.kit.clocks import CountedEntropy, ManualClock
from workpool_aws.adapters.dynamodb.answers import server_time
from workpool_aws.adapters.dynamodb.store import DynamoStore
from workpool_aws.adapters.dynamodb.table import create_table, enable_ttl
from workpool_aws.adapters.items.codec import encode
from workpool_aws.adapters.items.expressions import Expressions, item_from_wire, item_to_wire
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import LoopState, LoopStatus
from workpool_aws.model.refs import Collection, KeyRange, StatusRef, WorkRef
from workpool_aws.model.work import WorkItem
from workpool_aws.model.writes import All, Either, Is, IsAbsent, Put, Update
from workpool_aws.ports import ConditionFailed, TransactionFailed

T0 = EpochMs(1_800_000_000_000)
STATUS = LoopStatus(pool="p", state=LoopState.IDLE, generation=1, lease_until=T0)
STATUS_ITEM = item_to_wire(encode(STATUS))
KICK = Update(ref=StatusRef("p"), set={"generation": 2}, condition=Is("generation", 1))
REFS = [WorkRef("p", WorkId(make_id(EpochMs(T0 + n), random_bits=0))) for n in range(3)]


@pytest.fixture
def client():
    return boto3.client(
        "dynamodb", region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none"
    )


@pytest.fixture
def aws(client):
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def clock():
    return ManualClock(T0)


@pytest.fixture
def store(aws, clock):
    return DynamoStore(lambda: aws.client, "jobs", clock=clock, entropy=CountedEntropy())


def cancelled(*codes, item=None):
    reasons = [
        {"Code": code} | ({"Item": item} if item and code == "ConditionalCheckFailed" else {})
        for code in codes
    ]
    return {
        "service_error_code": "TransactionCanceledException",
        "modeled_fields": {"CancellationReasons": reasons},
    }


def meta(date):
    return {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (meta("Fri, 15 Jan 2027 08:00:07 GMT"), 1_800_000_007_000),
        (meta("Fri, 15 Jan 2027 09:00:07 +0100"), 1_800_000_007_000),
        (meta("Fri, 15 Jan 2027 08:00:07 -0000"), None),
        (meta("Fri, 15 Jan 2027 08:00:07"), None),
        (meta("yesterday"), None),
        (meta("Fri, 15 Jan 99999 08:00:07 GMT"), None),
        (meta(f"Fri, 15 Jan 9{0:025} 08:00:07 GMT"), None),
        (meta(""), None),
        ({"ResponseMetadata": {"HTTPHeaders": {}}}, None),
        ({"ResponseMetadata": {}}, None),
        ({}, None),
    ],
)
def test_servers_clock_is_date_of_its_answer(answer, expected):
    assert server_time(answer) == expected


def test_refused_condition_returns_item_as_it_stood(aws, store, clock):
    aws.add_client_error(
        "update_item", "ConditionalCheckFailedException", modeled_fields={"Item": STATUS_ITEM}
    )

    with pytest.raises(ConditionFailed) as refused:
        store.write(KICK)

    assert refused.value.current == STATUS
    assert clock.slept_ms == []


def test_single_write_in_conflict_is_tried_again(aws, store, clock):
    aws.add_client_error("update_item", "TransactionConflictException")
    aws.add_client_error("update_item", "TransactionConflictException")
    aws.add_response("update_item", {"Attributes": STATUS_ITEM})

    assert store.write(KICK).record == STATUS
    assert clock.slept_ms == [50, 100]


def test_delete_in_conflict_is_tried_again(aws, store):
    aws.add_client_error("delete_item", "TransactionConflictException")
    aws.add_response("delete_item", {})

    store.delete(StatusRef("p"))


@pytest.mark.parametrize(
    "codes",
    [
        ("TransactionConflict", "None"),
        ("None", "ThrottlingError"),
        ("ProvisionedThroughputExceeded", "None"),
    ],
)
def test_transaction_in_conflict_is_tried_again_under_same_token(aws, store, clock, codes):
    expected = {"TransactItems": ANY, "ClientRequestToken": "token-1"}
    aws.add_client_error("transact_write_items", expected_params=expected, **cancelled(*codes))
    aws.add_client_error(
        "transact_write_items", "TransactionInProgressException", expected_params=expected
    )
    aws.add_response("transact_write_items", {}, expected)

    store.transact([Put(STATUS), Update(ref=REFS[0], set={"starts": 1})])

    assert clock.slept_ms == [50, 100]


def test_each_transaction_has_token_of_its_own(aws, store):
    for n in (1, 2):
        aws.add_response(
            "transact_write_items", {}, {"TransactItems": ANY, "ClientRequestToken": f"token-{n}"}
        )

    store.transact([Put(STATUS)])
    store.transact([Put(STATUS)])


def test_lasting_conflict_is_raised_after_few_tries(aws, store, clock):
    for _ in range(5):
        aws.add_client_error("transact_write_items", **cancelled("TransactionConflict"))

    with pytest.raises(StoreUnavailable, match="jobs"):
        store.transact([Put(STATUS)])

    assert clock.slept_ms == [50, 100, 200, 400]


def test_refused_condition_counts_more_than_conflict_beside_it(aws, store, clock):
    aws.add_client_error(
        "transact_write_items",
        **cancelled("TransactionConflict", "ConditionalCheckFailed", "None", item=STATUS_ITEM),
    )

    with pytest.raises(TransactionFailed) as failed:
        store.transact(
            [
                Put(STATUS),
                Update(ref=REFS[0], set={"starts": 1}),
                Update(ref=REFS[1], set={"starts": 1}),
            ]
        )

    assert failed.value.failed == (False, True, False)
    assert failed.value.current == (None, STATUS, None)
    assert clock.slept_ms == []


def test_malformed_transaction_is_mistake(aws, store):
    aws.add_client_error("transact_write_items", **cancelled("None", "ValidationError"))

    with pytest.raises(
        ValueError,
        match=r"^request must be one that DynamoDB takes; got one that was refused for table 'jobs'",
    ):
        store.transact([Put(STATUS)])


def test_malformed_request_is_mistake(aws, store):
    aws.add_client_error(
        "put_item", "ValidationException", "Item size has exceeded the maximum allowed size"
    )

    with pytest.raises(ValueError, match="Item size"):
        store.write(Put(STATUS))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("ResourceNotFoundException", "table 'jobs' does not exist"),
        ("TableNotFoundException", "table 'jobs' does not exist"),
        ("AccessDeniedException", "not allowed"),
        ("AccessDenied", "not allowed"),
        ("ExpiredToken", "renew them"),
        ("ExpiredTokenException", "renew them"),
        ("IncompleteSignature", "renew them"),
        ("IncompleteSignatureException", "renew them"),
        ("InvalidClientTokenId", "renew them"),
        ("InvalidSignatureException", "renew them"),
        ("MissingAuthenticationToken", "renew them"),
        ("MissingAuthenticationTokenException", "renew them"),
        ("RequestExpired", "renew them"),
        ("SignatureDoesNotMatch", "renew them"),
        ("UnrecognizedClientException", "renew them"),
        ("ThrottlingException", "PutItem failed"),
        ("ProvisionedThroughputExceededException", "PutItem failed"),
        ("InternalServerError", "PutItem failed"),
        ("RequestLimitExceeded", "PutItem failed"),
        ("SomethingNew", "PutItem failed"),
    ],
)
def test_store_without_answer_names_table_and_trouble(aws, store, clock, code, told):
    aws.add_client_error("put_item", code, "because")

    with pytest.raises(StoreUnavailable, match="jobs") as silent:
        store.write(Put(STATUS))

    assert told in str(silent.value)
    assert clock.slept_ms == []


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="there"),
        ReadTimeoutError(endpoint_url="there"),
        ConnectTimeoutError(endpoint_url="there"),
        NoCredentialsError(),
    ],
)
def test_silence_is_no_answer(client, clock, error):
    def fail(**_):
        raise error

    client.meta.events.register("before-send", fail)
    client.meta.events.register("before-call", fail)
    store = DynamoStore(lambda: client, "jobs", clock=clock, entropy=CountedEntropy())

    with pytest.raises(StoreUnavailable, match="jobs"):
        store.get(StatusRef("p"))


def test_items_that_batch_left_unread_are_asked_for_again(aws, store, clock):
    keys = [{"pk": {"S": "p#work#0"}, "sk": {"S": ref.id}} for ref in REFS]
    damaged = [{**key, "t": {"S": "?"}} for key in keys]
    aws.add_response(
        "batch_get_item",
        {
            "Responses": {"jobs": damaged[:1]},
            "UnprocessedKeys": {"jobs": {"Keys": keys[1:], "ConsistentRead": True}},
        },
        {"RequestItems": {"jobs": {"Keys": keys, "ConsistentRead": True}}},
    )
    aws.add_response(
        "batch_get_item", {"Responses": {}, "UnprocessedKeys": {"jobs": {"Keys": keys[1:]}}}
    )
    aws.add_response(
        "batch_get_item",
        {"Responses": {"jobs": damaged[1:]}, "UnprocessedKeys": {}},
        {"RequestItems": {"jobs": {"Keys": keys[1:], "ConsistentRead": True}}},
    )

    assert set(store.get_many(REFS)) == set(REFS)
    assert clock.slept_ms == [50, 50]


def test_batch_that_is_never_read_is_no_answer(aws, store, clock):
    key = {"pk": {"S": "p#work#0"}, "sk": {"S": REFS[0].id}}
    for _ in range(5):
        aws.add_response(
            "batch_get_item", {"Responses": {}, "UnprocessedKeys": {"jobs": {"Keys": [key]}}}
        )

    with pytest.raises(StoreUnavailable, match="unread"):
        store.get_many(REFS[:1])

    assert clock.slept_ms == [50, 100, 200, 400]


def test_reads_are_strongly_consistent(aws, store):
    aws.add_response("get_item", {}, {"TableName": "jobs", "Key": ANY, "ConsistentRead": True})
    aws.add_response(
        "query",
        {"Items": []},
        {
            "TableName": "jobs",
            "ConsistentRead": True,
            "Limit": 7,
            "KeyConditionExpression": "#pk = :0 AND #sk >= :1",
            "ExpressionAttributeNames": {"#pk": "pk", "#sk": "sk"},
            "ExpressionAttributeValues": {":0": {"S": "p#work#0"}, ":1": {"S": "a"}},
        },
    )

    assert store.get(StatusRef("p")) is None
    assert store.query(KeyRange(collection=Collection.WORK, pool="p", low="a", limit=7)).rows == ()


def test_range_that_can_hold_nothing_makes_no_request(store):
    assert store.query(KeyRange(collection=Collection.WORK, pool="p", low="b", high="a")).rows == ()


def test_updates_request_is_spelled_out(aws, store):
    aws.add_response(
        "update_item",
        {"Attributes": STATUS_ITEM},
        {
            "TableName": "jobs",
            "Key": {"pk": {"S": "p#control"}, "sk": {"S": "status"}},
            "UpdateExpression": "SET #s = :0 REMOVE #wk ADD #g :1",
            "ConditionExpression": "attribute_exists(#pk) AND (attribute_not_exists(#by) OR #by = :2)",
            "ExpressionAttributeNames": {
                "#s": "s",
                "#wk": "wk",
                "#g": "g",
                "#pk": "pk",
                "#by": "by",
            },
            "ExpressionAttributeValues": {":0": {"S": "idle"}, ":1": {"N": "1"}, ":2": {"S": "me"}},
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
    )

    store.write(
        Update(
            ref=StatusRef("p"),
            set={"state": LoopState.IDLE, "wake_at": None},
            add={"generation": 1},
            condition=Either((Is("written_by", None), Is("written_by", "me"))),
        )
    )


@pytest.mark.parametrize(
    ("low", "high", "spelled", "values"),
    [
        ("", None, "#pk = :0", ["p"]),
        ("a", None, "#pk = :0 AND #sk >= :1", ["p", "a"]),
        ("", "z", "#pk = :0 AND #sk <= :1", ["p", "z"]),
        ("a", "z", "#pk = :0 AND #sk BETWEEN :1 AND :2", ["p", "a", "z"]),
    ],
)
def test_range_of_keys_has_at_most_one_condition_on_sort_key(low, high, spelled, values):
    expressions = Expressions()

    assert expressions.key_range("p", low, high) == spelled
    assert list(expressions.values.values()) == [{"S": value} for value in values]
    assert Expressions().key_range("p", low, high, sort="d") == spelled.replace("#sk", "#d")


@pytest.mark.parametrize("parts", [All(()), Either(())])
def test_condition_of_no_parts_is_mistake(parts):
    with pytest.raises(ValueError, match="at least one"):
        Expressions().condition(parts, WorkItem)


def test_parentheses_are_never_doubled():
    either = Either((Is("starts", 1), Is("starts", 2)))
    nested = All((All((Either((either,)),)), Either((Is("claim", None),)), All((IsAbsent(),))))

    spelled = Expressions().existing(nested, WorkItem)

    assert (
        spelled
        == "attribute_exists(#pk) AND (#st = :0 OR #st = :1) AND attribute_not_exists(#cm) AND attribute_not_exists(#pk)"
    )


def test_plain_values_become_typed_ones_and_come_back():
    item = {"pk": "a", "n": -5, "b": True, "l": ["x", ""], "e": "", "y": b"x"}

    wire = item_to_wire(item)

    assert wire == {
        "pk": {"S": "a"},
        "n": {"N": "-5"},
        "b": {"BOOL": True},
        "l": {"L": [{"S": "x"}, {"S": ""}]},
        "e": {"S": ""},
        "y": {"B": b"x"},
    }
    assert item_from_wire(wire) == item


@pytest.mark.parametrize(
    "typed",
    [
        {"N": "1.5"},
        {"N": "1E2"},
        {"N": ""},
        {"N": "-"},
        {"N": "²"},
        {"N": "-٣"},
        {"NULL": True},
        {"M": {}},
        {"SS": ["a"]},
        {"B": "eA=="},
        {"BS": [b"x"]},
        {"S": "a", "N": "1"},
        {"X": "7"},
        {"X": b"x"},
        {"X": ["a"]},
        {"N": 7},
        {"L": "ab"},
        {},
        None,
    ],
)
def test_attribute_that_is_never_written_stays_as_it_came(typed):
    assert item_from_wire({"a": typed}) == {"a": typed}


def test_table_is_made_once_and_its_ttl_can_be_enabled_again(client):
    with mock_aws():
        create_table(client, "jobs")
        enable_ttl(client, "jobs")
        enable_ttl(client, "jobs")

        described = client.describe_time_to_live(TableName="jobs")["TimeToLiveDescription"]
        table = client.describe_table(TableName="jobs")["Table"]

        assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
        assert table["KeySchema"] == [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ]
        assert {
            each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]
        } == dict.fromkeys(("pk", "sk", "dead"), "S")
        (index,) = table["GlobalSecondaryIndexes"]
        assert (index["IndexName"], index["Projection"]) == (
            "dead_letters",
            {"ProjectionType": "ALL"},
        )
        assert index["KeySchema"] == [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "dead", "KeyType": "RANGE"},
        ]
        assert (table["BillingModeSummary"]["BillingMode"], table["TableStatus"]) == (
            "PAY_PER_REQUEST",
            "ACTIVE",
        )
        with pytest.raises(client.exceptions.ResourceInUseException):
            create_table(client, "jobs")


@pytest.mark.parametrize(
    ("status", "asks"),
    [("ENABLED", 0), ("ENABLING", 0), ("DISABLED", 1), ("DISABLING", 1), (None, 1)],
)
def test_ttl_is_enabled_where_it_is_not(status, asks):
    class Client:
        def __init__(self):
            self.asked = []

        def describe_time_to_live(self, **_):
            return {"TimeToLiveDescription": {} if status is None else {"TimeToLiveStatus": status}}

        def update_time_to_live(self, **asked):
            self.asked.append(asked)

    client = Client()
    enable_ttl(client, "jobs")

    specification = {"Enabled": True, "AttributeName": "expires_at"}
    assert client.asked == [{"TableName": "jobs", "TimeToLiveSpecification": specification}] * asks


def test_table_without_index_says_so(store, aws):
    aws.add_client_error(
        "query", "ValidationException", "The table does not have the specified index: dead_letters"
    )

    with pytest.raises(StoreUnavailable, match="table 'jobs' has no index 'dead_letters'"):
        store.query(KeyRange(collection=Collection.DEAD, pool="p"))
