"""Sends callbacks to Lambda functions, SQS queues and SNS topics, distinguished by their ARNs."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import ClientError

from workpool_aws.adapters.aws.invoke import answer_of, send_event, was_never_sent
from workpool_aws.adapters.aws.sdk_errors import CALL_ERRORS, described
from workpool_aws.adapters.wire.callback import attributes_for, event_for
from workpool_aws.core.callback.targets import FUNCTION, QUEUE, TOPIC, target_of
from workpool_aws.errors import TimedOut
from workpool_aws.incarnation import ForkSafeLock
from workpool_aws.ports import InvokeRefused, InvokeThrottled, InvokeUnanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.client import BaseClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

    from workpool_aws.model.messages import CallbackMessage

__all__ = ["AwsMessenger"]

_FIFO: Final = ".fifo"
_TOO_LONG: Final = re.compile(r"message must be shorter than|message too long", re.IGNORECASE)


class AwsMessenger:
    """Lambda, SQS and SNS behind `ports.Messenger`.

    Clients are given as functions. `client_in` returns that of a service in a region, which the ARN
    of a target names.

    The clients may retry: a callback is delivered at least once in any case. To a FIFO queue or
    topic all callbacks of one work item are one group, and repetitions within five minutes are one
    message.
    """

    def __init__(
        self,
        lambda_client: Callable[[], LambdaClient],
        client_in: Callable[[str, str], BaseClient],
    ) -> None:
        self._lambda_client = lambda_client
        self._client_in = client_in
        self._senders: Mapping[str, Callable[[str, str, str, Mapping[str, str]], None]] = {
            FUNCTION.service: self._to_function,
            QUEUE.service: self._to_queue,
            TOPIC.service: self._to_topic,
        }
        self._urls: dict[str, str] = {}
        self._lock = ForkSafeLock()

    def send(self, target: str, message: CallbackMessage) -> None:
        """See Messenger."""
        event = event_for(target, message)
        traced = attributes_for(target, event, message)
        self._senders[target_of(target).service](target, event, message.work_id, traced)

    def _to_function(
        self, target: str, event: str, _group: str, _traced: Mapping[str, str]
    ) -> None:
        send_event(self._lambda_client, target, event.encode())

    def _to_queue(self, arn: str, body: str, group: str, traced: Mapping[str, str]) -> None:
        with _answers():
            client, url = self._sqs_of(arn), self._url_of(arn)
            client.send_message(QueueUrl=url, MessageBody=body, **_extras(arn, group, traced))

    def _to_topic(self, arn: str, body: str, group: str, traced: Mapping[str, str]) -> None:
        with _answers():
            client = cast("SNSClient", self._client_in(TOPIC.service, _region_of(arn)))
            client.publish(TopicArn=arn, Message=body, **_extras(arn, group, traced))

    def _sqs_of(self, arn: str) -> SQSClient:
        return cast("SQSClient", self._client_in(QUEUE.service, _region_of(arn)))

    def _url_of(self, arn: str) -> str:
        with self._lock:
            known = self._urls.get(arn)
        if known is not None:
            return known
        account, name = arn.split(":")[4:6]
        url = self._sqs_of(arn).get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)[
            "QueueUrl"
        ]
        with self._lock:
            self._urls[arn] = url
        return url


def _region_of(arn: str) -> str:
    return arn.split(":")[3]


def _extras(arn: str, group: str, traced: Mapping[str, str]) -> dict[str, Any]:
    """Returns what SQS and SNS spell alike: the group for a FIFO target, and the attributes."""
    extras: dict[str, Any] = {}
    if arn.endswith(_FIFO):
        extras |= {"MessageGroupId": group, "MessageDeduplicationId": group}
    if traced:
        extras["MessageAttributes"] = {
            name: {"DataType": "String", "StringValue": text} for name, text in traced.items()
        }
    return extras


@contextmanager
def _answers() -> Iterator[None]:
    """Raise errors of SQS and SNS as answers of `ports.Messenger`."""
    try:
        yield
    except ClientError as error:
        # A queue may take less than SQS allows, and its code says no more than that some parameter
        # is wrong.
        if _TOO_LONG.search(str(error)):
            raise InvokeRefused(str(error), lasting=True) from error
        raise answer_of(error) from error
    except TimedOut:
        raise
    except CALL_ERRORS as error:
        fate = InvokeThrottled if was_never_sent(error) else InvokeUnanswered
        raise fate(described(error)) from error
