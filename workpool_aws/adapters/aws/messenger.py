"""Sends callbacks to Lambda functions, SQS queues and SNS topics, distinguished by their ARNs."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from workpool_aws.adapters.aws.invoke import answer_of, send_event, was_never_sent
from workpool_aws.adapters.aws.sdk_errors import CALL_ERRORS, described
from workpool_aws.adapters.wire.callback import attributes_for, event_for
from workpool_aws.core.callback.targets import FUNCTION, QUEUE, TOPIC, target_of
from workpool_aws.incarnation import ForkSafeLock
from workpool_aws.ports import InvokeRefused, InvokeThrottled, InvokeUnanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import PublishInputTypeDef
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageRequestTypeDef

    from workpool_aws.model.messages import CallbackMessage

__all__ = ["AwsMessenger"]

_FIFO: Final = ".fifo"
_TOO_LONG: Final = re.compile(r"message must be shorter than|message too long", re.IGNORECASE)


class AwsMessenger:
    """Lambda, SQS and SNS behind `ports.Messenger`.

    Clients are given as functions: those of SQS and SNS of a region, since ARNs name one.

    The clients may retry: a callback is delivered at least once in any case. To a FIFO queue or
    topic all callbacks of one work item are one group, and repetitions within five minutes are one
    message.
    """

    def __init__(
        self,
        lambda_client: Callable[[], LambdaClient],
        sqs_client: Callable[[str], SQSClient],
        sns_client: Callable[[str], SNSClient],
    ) -> None:
        self._lambda_client = lambda_client
        self._sqs_client = sqs_client
        self._sns_client = sns_client
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
            client, url = self._sqs_client(_region_of(arn)), self._url_of(arn)
            request: SendMessageRequestTypeDef = {"QueueUrl": url, "MessageBody": body}
            if arn.endswith(_FIFO):
                request |= {"MessageGroupId": group, "MessageDeduplicationId": group}
            if traced:
                request["MessageAttributes"] = {
                    name: {"DataType": "String", "StringValue": text}
                    for name, text in traced.items()
                }
            client.send_message(**request)

    def _to_topic(self, arn: str, body: str, group: str, traced: Mapping[str, str]) -> None:
        with _answers():
            client = self._sns_client(_region_of(arn))
            request: PublishInputTypeDef = {"TopicArn": arn, "Message": body}
            if arn.endswith(_FIFO):
                request |= {"MessageGroupId": group, "MessageDeduplicationId": group}
            if traced:
                request["MessageAttributes"] = {
                    name: {"DataType": "String", "StringValue": text}
                    for name, text in traced.items()
                }
            client.publish(**request)

    def _url_of(self, arn: str) -> str:
        with self._lock:
            known = self._urls.get(arn)
        if known is not None:
            return known
        account, name = arn.split(":")[4:6]
        url = self._sqs_client(_region_of(arn)).get_queue_url(
            QueueName=name, QueueOwnerAWSAccountId=account
        )["QueueUrl"]
        with self._lock:
            self._urls[arn] = url
        return url


def _region_of(arn: str) -> str:
    return arn.split(":")[3]


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
    except CALL_ERRORS as error:
        raise (
            InvokeThrottled(described(error))
            if was_never_sent(error)
            else InvokeUnanswered(described(error))
        ) from error
