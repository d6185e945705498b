"""Callbacks through boto3: their targets and forms, and the meaning of each refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from moto import mock_aws

from tests.kit.records import NOW, an_id
from workpool_aws.adapters.aws.messenger import AwsMessenger
from workpool_aws.core import limits
from workpool_aws.core.callback.targets import CALLBACK_TARGETS
from workpool_aws.model.messages import CallbackMessage, CallbackTicket
from workpool_aws.model.spec import Outcome
from workpool_aws.model.trace import TraceContext
from workpool_aws.ports import InvokeRefused, InvokeThrottled, InvokeUnanswered

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:done"
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:done"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:done"
TRACE = TraceContext(
    parent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", state="vendor=1"
)
MESSAGE = CallbackMessage(
    work_id=an_id(NOW),
    context='{"user": 7}',
    outcome=Outcome.SUCCESS,
    result="[1, 2.50]",
    error=None,
    error_type=None,
    ticket=None,
)
BODY = f'{{"work_id":"{an_id(NOW)}","context":{{"user": 7}},"result":{{"kind":"success","return_value":[1, 2.50]}}}}'


@dataclass
class NotingClient:
    """Takes every call, or fails all of them."""

    fails: Exception | None = None
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def _note(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((name, asked))
        if self.fails is not None:
            raise self.fails
        return {"QueueUrl": f"https://sqs/{asked.get('QueueName')}"}

    def invoke(self, **asked: Any) -> dict[str, Any]:
        return self._note("invoke", asked)

    def get_queue_url(self, **asked: Any) -> dict[str, Any]:
        return self._note("get_queue_url", asked)

    def send_message(self, **asked: Any) -> dict[str, Any]:
        return self._note("send_message", asked)

    def publish(self, **asked: Any) -> dict[str, Any]:
        return self._note("publish", asked)


@pytest.fixture
def client() -> NotingClient:
    return NotingClient()


@pytest.fixture
def messenger(client: NotingClient) -> AwsMessenger:
    return AwsMessenger(lambda: client, lambda _service, _region: client)


@pytest.fixture
def regions() -> Iterator[AwsMessenger]:
    """A messenger on moto, whose session is in another region than the targets."""
    with mock_aws():
        session = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
        )
        yield AwsMessenger(
            lambda: session.client("lambda"),
            lambda service, region: session.client(service, region_name=region),
        )


def test_aws_messenger_has_sender_for_every_kind_of_target(messenger: AwsMessenger) -> None:
    assert set(messenger._senders) == {kind.service for kind in CALLBACK_TARGETS}


def test_function_is_invoked_with_documented_event(
    messenger: AwsMessenger, client: NotingClient
) -> None:
    messenger.send(FUNCTION, MESSAGE)

    assert client.calls == [
        ("invoke", {"FunctionName": FUNCTION, "InvocationType": "Event", "Payload": BODY.encode()})
    ]


def test_queue_is_looked_up_once_and_gets_event_as_its_body(
    messenger: AwsMessenger, client: NotingClient
) -> None:
    messenger.send(QUEUE, MESSAGE)
    messenger.send(QUEUE, MESSAGE)

    sent = ("send_message", {"QueueUrl": "https://sqs/done", "MessageBody": BODY})
    assert client.calls == [
        ("get_queue_url", {"QueueName": "done", "QueueOwnerAWSAccountId": "123456789012"}),
        sent,
        sent,
    ]


def test_topic_gets_event_as_its_message(messenger: AwsMessenger, client: NotingClient) -> None:
    messenger.send(TOPIC, MESSAGE)

    assert client.calls == [("publish", {"TopicArn": TOPIC, "Message": BODY})]


@pytest.mark.parametrize("target", [QUEUE, TOPIC])
def test_fifo_target_knows_repetition_by_work(
    messenger: AwsMessenger, client: NotingClient, target: str
) -> None:
    messenger.send(f"{target}.fifo", MESSAGE)

    asked = client.calls[-1][1]
    assert (asked["MessageGroupId"], asked["MessageDeduplicationId"]) == (an_id(NOW), an_id(NOW))


@pytest.mark.parametrize("target", [QUEUE, TOPIC, f"{QUEUE}.fifo"])
def test_span_travels_in_attributes_and_leaves_body_alone(
    messenger: AwsMessenger, client: NotingClient, target: str
) -> None:
    messenger.send(target, replace(MESSAGE, trace=TRACE))

    asked = client.calls[-1][1]
    assert asked["MessageAttributes"] == {
        "traceparent": {"DataType": "String", "StringValue": TRACE.parent},
        "tracestate": {"DataType": "String", "StringValue": "vendor=1"},
    }
    assert BODY in asked.values()


def test_function_gets_no_span_beside_its_event(
    messenger: AwsMessenger, client: NotingClient
) -> None:
    messenger.send(FUNCTION, replace(MESSAGE, trace=TRACE))

    assert client.calls[-1][1]["Payload"] == BODY.encode()


def test_message_that_fills_topic_goes_without_span(
    messenger: AwsMessenger, client: NotingClient
) -> None:
    room = limits.TOPIC_MESSAGE_BYTES_MAX - len(BODY)
    full = replace(MESSAGE, context=json.dumps("x" * (room - 20)), trace=TRACE)

    messenger.send(TOPIC, full)

    asked = client.calls[-1][1]
    assert len(asked["Message"]) > limits.TOPIC_MESSAGE_BYTES_MAX - 100
    assert "MessageAttributes" not in asked


def test_target_is_reached_in_its_own_region(regions: AwsMessenger) -> None:
    sqs = boto3.client(
        "sqs", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    url = sqs.create_queue(QueueName="done")["QueueUrl"]

    regions.send(QUEUE, MESSAGE)

    assert [message["Body"] for message in sqs.receive_message(QueueUrl=url)["Messages"]] == [BODY]


@pytest.mark.parametrize("target", [QUEUE, TOPIC, FUNCTION])
def test_target_that_does_not_exist_may_come_into_being(regions: AwsMessenger, target: str) -> None:
    with pytest.raises(InvokeRefused) as refused:
        regions.send(target, MESSAGE)

    assert refused.value.lasting is False


@pytest.mark.parametrize("target", [QUEUE, TOPIC, FUNCTION])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "x"), InvokeThrottled),
        (
            ClientError(
                {"Error": {"Code": "Any"}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "x"
            ),
            InvokeUnanswered,
        ),
        (
            ClientError(
                {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}},
                "x",
            ),
            InvokeRefused,
        ),
        (EndpointConnectionError(endpoint_url="x"), InvokeThrottled),
        (ReadTimeoutError(endpoint_url="x"), InvokeUnanswered),
        (ResponseParserError("no XML"), InvokeUnanswered),
    ],
)
def test_error_means_same_for_every_target(
    messenger: AwsMessenger,
    client: NotingClient,
    target: str,
    error: Exception,
    expected: type[Exception],
) -> None:
    client.fails = error

    with pytest.raises(expected):
        messenger.send(target, MESSAGE)


@pytest.mark.parametrize(
    ("target", "limit"),
    [
        (FUNCTION, limits.EVENT_BYTES_MAX),
        (QUEUE, limits.QUEUE_MESSAGE_BYTES_MAX),
        (TOPIC, limits.TOPIC_MESSAGE_BYTES_MAX),
    ],
)
@pytest.mark.parametrize("over", [0, 1])
def test_message_too_large_for_its_target_is_refused_for_good(
    messenger: AwsMessenger, client: NotingClient, target: str, limit: int, over: int
) -> None:
    filled = limit - len(BODY.encode()) + len("[1, 2.50]") - len('""') + over
    message = replace(MESSAGE, result=f'"{"x" * filled}"')

    if not over:
        messenger.send(target, message)
        assert client.calls[-1][0] in {"invoke", "send_message", "publish"}
        return
    with pytest.raises(InvokeRefused) as refused:
        messenger.send(target, message)
    assert (refused.value.lasting, client.calls) == (True, [])


@pytest.mark.parametrize("target", [FUNCTION, QUEUE, TOPIC])
@pytest.mark.parametrize("damage", [{"context": "{"}, {"result": "1 2"}])
def test_message_of_damaged_values_is_refused_for_good(
    messenger: AwsMessenger, client: NotingClient, target: str, damage: dict[str, Any]
) -> None:
    with pytest.raises(InvokeRefused, match="cannot be sent") as refused:
        messenger.send(target, replace(MESSAGE, **damage))

    assert (refused.value.lasting, client.calls) == (True, [])


@pytest.mark.parametrize("target", [QUEUE, TOPIC])
@pytest.mark.parametrize(
    "said",
    [
        "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.",
        "Message too long",
    ],
)
def test_message_that_queue_finds_too_long_is_refused_for_good(
    messenger: AwsMessenger, client: NotingClient, target: str, said: str
) -> None:
    client.fails = ClientError({"Error": {"Code": "InvalidParameterValue", "Message": said}}, "x")

    with pytest.raises(InvokeRefused) as refused:
        messenger.send(target, MESSAGE)

    assert refused.value.lasting


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (Outcome.FAILED, {"kind": "failed", "error": "Größe", "error_type": "ValueError"}),
        (Outcome.CANCELED, {"kind": "canceled"}),
    ],
)
def test_event_tells_no_more_than_its_outcome_has(
    messenger: AwsMessenger, client: NotingClient, outcome: Outcome, result: dict[str, Any]
) -> None:
    ended = CallbackMessage(
        work_id=an_id(NOW),
        context=None,
        outcome=outcome,
        result=None,
        error="Größe",
        error_type="ValueError",
        ticket=None,
    )

    messenger.send(TOPIC, ended)

    assert json.loads(client.calls[0][1]["Message"]) == {
        "work_id": an_id(NOW),
        "context": None,
        "result": result,
    }


def test_target_that_acknowledges_gets_its_ticket_beside_event(
    messenger: AwsMessenger, client: NotingClient
) -> None:
    ticket = CallbackTicket(table="jobs", pool="email", work_id=an_id(NOW), retention_s=None)
    asked = CallbackMessage(
        work_id=an_id(NOW),
        context=None,
        outcome=Outcome.CANCELED,
        result=None,
        error=None,
        error_type=None,
        ticket=ticket,
    )

    messenger.send(FUNCTION, asked)

    told = json.loads(client.calls[0][1]["Payload"])
    assert told.pop("_workpool") == {
        "version": 1,
        "callback": True,
        "table": "jobs",
        "pool": "email",
        "work_id": an_id(NOW),
        "retention_s": None,
    }
    assert told == {"work_id": an_id(NOW), "context": None, "result": {"kind": "canceled"}}
