"""Lean calls: what they send, what they read, and what they leave to the ordinary client."""

from __future__ import annotations

import base64
import json
from zlib import crc32

import boto3
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from tests.kit.clocks import ManualClock
from workpool_aws.adapters.aws.clients import (
    CLIENT_CONFIGS,
    aws_ports,
)
from workpool_aws.adapters.aws.lean import (
    LeanDynamoDB,
    LeanLambda,
    transport_of,
)
from workpool_aws.adapters.dynamodb.store import DynamoStore
from workpool_aws.adapters.items.codec import encode
from workpool_aws.adapters.items.expressions import item_to_wire
from workpool_aws.core import limits
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import Entry, EntryKey, Ledger, LoopState, LoopStatus
from workpool_aws.model.refs import Collection, KeyRange, LedgerRef, RegistrationRef, StatusRef
from workpool_aws.model.writes import Is, Put, Update
from workpool_aws.ports import ConditionFailed, TransactionFailed
from workpool_aws.settings import Settings

NOW = EpochMs(1_800_000_000_000)
CREDENTIALS = Credentials("key", "secret", "session-token")
ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/t-1"
STATUS = LoopStatus(pool="p", state=LoopState.IDLE, generation=1, lease_until=NOW)
STATUS_ITEM = item_to_wire(encode(STATUS))
LEDGER = Ledger(
    pool="p",
    holder="h",
    generation=1,
    version=1,
    entries={EntryKey(WorkId(make_id(NOW, random_bits=5)), 1): Entry(NOW, confirmed=True)},
)
RESUME = Update(ref=StatusRef("p"), set={"generation": 2}, condition=Is("generation", 1))
REFUSED = {
    "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
    "message": "The conditional request failed",
    "Item": STATUS_ITEM,
}


class Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_options):
        yield self._content


class Server:
    """Answers each request with the next of `answers`, the last for ever."""

    def __init__(self, client) -> None:
        self.requests = []
        self.answers = []
        client.meta.events.register_first("before-send.*", self._answer)

    def _answer(self, request, **_):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, content, headers = answer
        return AWSResponse(request.url, status, headers, Body(content))

    def is_lean(self) -> list[bool]:
        """True for each request that was sent by a lean call."""
        return [b"workpool-lean" in _bytes(each.headers["User-Agent"]) for each in self.requests]


def _bytes(text) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def answer(body: object, *, status: int = 200, checksum: int | None = None):
    content = json.dumps(body, default=_text).encode()
    checksum = crc32(content) if checksum is None else checksum
    return status, content, {"Date": "Fri, 15 Jan 2027 08:00:00 GMT", "x-amz-crc32": str(checksum)}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def error(code: str, status: int):
    return answer({"__type": f"com.amazonaws#{code}", "message": "no"}, status=status)


@pytest.fixture
def client(session, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    return session.client("dynamodb", config=CLIENT_CONFIGS["dynamodb-after-lean"])


@pytest.fixture
def server(client):
    return Server(client)


@pytest.fixture
def store(client, clock, entropy):
    lean = LeanDynamoDB(client, transport_of(client, CREDENTIALS, ManualClock()))
    return DynamoStore(lambda: lean, "t-1", clock=clock, entropy=entropy)


def test_request_is_signed_and_carries_session_token(store, server):
    server.answers = [answer({})]
    store.get(StatusRef("p"))
    (request,) = server.requests
    signature = _bytes(request.headers["Authorization"])
    assert signature.startswith(b"AWS4-HMAC-SHA256 Credential=key/")
    assert b"/eu-west-1/dynamodb/aws4_request" in signature
    assert _bytes(request.headers["X-Amz-Security-Token"]) == b"session-token"
    assert request.url == "https://dynamodb.eu-west-1.amazonaws.com/"


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (lambda store: store.get(StatusRef("p")), {"Item": STATUS_ITEM}),
        (lambda store: store.write(RESUME), {"Attributes": STATUS_ITEM}),
        (lambda store: store.write(Put(STATUS)), {}),
        (lambda store: store.transact([Put(STATUS)]), {}),
        (lambda store: store.delete(StatusRef("p")), {}),
        (
            lambda store: store.get_many([StatusRef("p"), RegistrationRef("p")]),
            {"Responses": {"t-1": [STATUS_ITEM]}, "UnprocessedKeys": {}},
        ),
        (
            lambda store: store.query(KeyRange(collection=Collection.WORK, pool="p")),
            {"Items": [], "Count": 0},
        ),
    ],
    ids=["get", "update", "put", "transact", "delete", "get_many", "query"],
)
def test_each_request_of_store_is_one_lean_call(store, server, call, body):
    server.answers = [answer(body)]
    call(store)
    assert server.is_lean() == [True]


def test_binary_data_is_sent_and_read_as_bytes(store, server):
    server.answers = [answer({"Item": item_to_wire(encode(LEDGER))})]
    assert store.get(LedgerRef("p")) == LEDGER
    server.answers = [answer({})]
    store.write(Put(LEDGER))
    sent = json.loads(server.requests[-1].body)["Item"]
    assert [_text(each["B"]) for each in item_to_wire(encode(LEDGER)).values() if "B" in each] == [
        each["B"] for each in sent.values() if "B" in each
    ]


def test_write_answers_with_servers_clock(store, server):
    server.answers = [answer({"Attributes": STATUS_ITEM})]
    assert store.write(RESUME).server_time == NOW


def test_condition_that_did_not_hold_is_read_without_repetition(store, server):
    server.answers = [answer(REFUSED, status=400)]
    with pytest.raises(ConditionFailed) as refused:
        store.write(RESUME)
    assert refused.value.current == STATUS
    assert server.is_lean() == [True]


def test_canceled_transaction_is_read_without_repetition(store, server):
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": STATUS_ITEM}]
    canceled = {"__type": "x#TransactionCanceledException", "CancellationReasons": reasons}
    server.answers = [answer(canceled, status=400)]
    with pytest.raises(TransactionFailed) as refused:
        store.transact([Put(LEDGER), RESUME])
    assert (refused.value.failed, refused.value.current) == ((False, True), (None, STATUS))
    assert server.is_lean() == [True]


@pytest.mark.parametrize(
    "trouble",
    [
        error("ProvisionedThroughputExceededException", 400),
        error("ThrottlingException", 400),
        error("InternalServerError", 500),
        error("ExpiredTokenException", 403),
        (502, b"<html>no JSON</html>", {}),
        (200, b"{cut off", {}),
        (400, b"[]", {}),
        (400, b"", {}),
        answer({"Item": STATUS_ITEM}, checksum=1),
        ReadTimeoutError(endpoint_url="x"),
        ConnectTimeoutError(endpoint_url="x"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each[:2])[:40],
)
def test_any_other_answer_is_left_to_ordinary_client(store, server, trouble):
    server.answers = [trouble, answer({"Item": STATUS_ITEM})]
    assert store.get(StatusRef("p")) == STATUS
    assert server.is_lean() == [True, False]


def test_lasting_trouble_is_tried_as_often_as_without_lean_calls(store, server):
    server.answers = [error("InternalServerError", 500)]
    with pytest.raises(StoreUnavailable):
        store.get(StatusRef("p"))
    retries = CLIENT_CONFIGS["dynamodb"].retries
    assert len(server.requests) == retries["total_max_attempts"]


def test_client_without_credentials_is_used_as_it_is(client):
    assert transport_of(client, None, ManualClock()) is None


def test_client_that_does_not_sign_by_version_4_is_used_as_it_is(session):
    client = session.client("dynamodb", config=Config(signature_version=UNSIGNED))
    assert transport_of(client, CREDENTIALS, ManualClock()) is None


@pytest.mark.parametrize(("lean", "made"), [(True, LeanDynamoDB), (False, None)])
def test_setting_switches_lean_calls(session, lean, made, monkeypatch):
    built = []

    def build(client, transport):
        built.append(type(client))
        return LeanDynamoDB(client, transport)

    monkeypatch.setattr("workpool_aws.adapters.aws.clients.LeanDynamoDB", build)
    aws_ports("t-1", session, settings=Settings(lean_calls=lean))
    assert len(built) == (1 if made else 0)


def test_this_botocore_has_connections_where_lean_calls_look_for_them():
    client = boto3.client(
        "dynamodb", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    assert transport_of(client, CREDENTIALS, ManualClock()) is not None


def test_answer_without_checksum_is_read(store, server):
    status, content, headers = answer({"Item": STATUS_ITEM})
    del headers["x-amz-crc32"]
    server.answers = [(status, content, headers)]
    assert store.get(StatusRef("p")) == STATUS
    assert server.is_lean() == [True]


@pytest.mark.parametrize(
    "body",
    [
        {"Item": 1},
        {"Item": ""},
        {"Items": [1]},
        {"Items": 1},
        {"Responses": {"t-1": 1}},
        {"Responses": {"t-1": [1]}},
        {"UnprocessedKeys": {"t-1": 1}},
        {"LastEvaluatedKey": 1},
    ],
)
def test_misshapen_answer_is_left_to_ordinary_client(store, server, body):
    server.answers = [answer(body), answer({"Item": STATUS_ITEM})]
    assert store.get(StatusRef("p")) == STATUS
    assert server.is_lean() == [True, False]


@pytest.mark.parametrize("reasons", [1, [1], [{"Code": "ConditionalCheckFailed", "Item": 1}]])
def test_misshapen_reasons_are_no_answer(store, server, reasons):
    canceled = {"__type": "x#TransactionCanceledException", "CancellationReasons": reasons}
    server.answers = [answer(canceled, status=400)]
    with pytest.raises(StoreUnavailable):
        store.transact([RESUME])


@pytest.mark.parametrize(
    ("region", "variables", "table"),
    [
        ("local", {}, "t-1"),
        ("eu-west-1", {}, "t-1"),
        ("eu-west-1", {}, ARN),
        ("eu-west-1", {"AWS_ACCOUNT_ID": "123456789012"}, "t-1"),
        ("eu-west-1", {"AWS_ENDPOINT_URL_DYNAMODB": "http://h:8000/a/b"}, "t-1"),
        ("eu-west-1", {"AWS_ENDPOINT_URL_DYNAMODB": "http://h:8000/a?b=c"}, "t-1"),
        ("eu-west-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, "t-1"),
        ("eu-west-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "t-1"),
    ],
)
def test_lean_call_goes_where_ordinary_one_goes(region, variables, table, monkeypatch):
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    for name, value in {**keys, **variables}.items():
        monkeypatch.setenv(name, value)
    session = boto3.Session(region_name=region)
    client = session.client("dynamodb")
    server = Server(client)
    server.answers = [answer({})]
    lean = LeanDynamoDB(client, transport_of(client, session.get_credentials(), ManualClock()))
    for each in (client, lean):
        each.get_item(TableName=table, Key={"pk": {"S": "a"}})
    places = [
        (each.url, _bytes(each.headers["Authorization"]).split(b", ")[0])
        for each in server.requests
    ]
    assert server.is_lean() == [False, True]
    assert places[0] == places[1]
    ordinary, lean = (
        [_bytes(each.headers[name]) for name in ("Content-Type", "X-Amz-Target")]
        for each in server.requests
    )
    assert lean == ordinary


@pytest.mark.parametrize(
    ("passed_ms", "closed"),
    [
        (limits.CONNECTION_IDLE_MS_MAX, 0),
        (limits.CONNECTION_IDLE_MS_MAX + 1, 1),
        (-limits.CONNECTION_IDLE_MS_MAX - 1, 1),
    ],
)
def test_connections_that_were_idle_are_not_used_again(session, monkeypatch, passed_ms, closed):
    """An Invoke that must not be repeated would end unanswered on a stale one."""
    clock = ManualClock()
    client = session.client("lambda", config=CLIENT_CONFIGS["lambda"])
    closings = []
    http = client._endpoint.http_session
    monkeypatch.setattr(http, "close", lambda: closings.append(1))
    monkeypatch.setattr(http, "send", lambda request: AWSResponse(request.url, 202, {}, Body(b"")))
    lean = LeanLambda(
        client, transport_of(client, CREDENTIALS, clock), trace=lambda: "Root=1", repeats=False
    )
    for pause_ms in (0, passed_ms, 0):
        clock.at += pause_ms
        lean.invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")
    assert len(closings) == closed


def test_addresses_of_ever_new_functions_are_forgotten(session):
    client = session.client("lambda", config=CLIENT_CONFIGS["lambda"])
    server = Server(client)
    server.answers = [(202, b"", {})]
    transport = transport_of(client, CREDENTIALS, ManualClock())
    lean = LeanLambda(client, transport, trace=lambda: "Root=1", repeats=False)
    for number in range(limits.ADDRESSES_KEPT_MAX + 2):
        lean.invoke(FunctionName=f"f{number}", InvocationType="Event", Payload=b"{}")
    assert len(transport._places) == 2
    assert [each.url.split("/")[-2] for each in server.requests[-2:]] == [
        f"f{limits.ADDRESSES_KEPT_MAX}",
        f"f{limits.ADDRESSES_KEPT_MAX + 1}",
    ]
