"""The queues of failed events of the library's functions, and of undelivered watchdog ticks."""

from __future__ import annotations

from typing import Final

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from workpool_cdk.acknowledged import acknowledge_queue
from workpool_cdk.permissions import sealed_statement

__all__ = ["RETENTION_MAX", "RETENTION_MIN", "FailureQueues"]


RETENTION_MIN: Final = Duration.minutes(1)
RETENTION_MAX: Final = Duration.days(14)
"""The bounds of SQS."""


class FailureQueues(Construct):
    """Two queues, empty while all is well. Nothing reads them but people.

    A record of completion holds the record of a worker: its arguments and its result. So both are
    under the table's key, where one was given, and under SQS's own key otherwise.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, key: kms.IKey | None, retention: Duration
    ) -> None:
        super().__init__(scope, construct_id)
        self._key = key
        self._retention = retention
        self.events = self._queue("Events")
        """Records of Lambda's destinations: events on which loop, completion or watchdog failed, or
        with which Lambda never reached them."""
        self.ticks = self._queue("Ticks")
        """Watchdog ticks that EventBridge Scheduler could not deliver."""

    def send_statements(self, queue: sqs.IQueue) -> list[iam.PolicyStatement]:
        """Returns the statements of a role in which Lambda or Scheduler sends to a queue."""
        sends = iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queue.queue_arn])
        return (
            [sends]
            if self._key is None
            else [sends, sealed_statement(self._key.key_arn, "sqs", Stack.of(self).region)]
        )

    def _queue(self, name: str) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            name,
            encryption=sqs.QueueEncryption.SQS_MANAGED
            if self._key is None
            else sqs.QueueEncryption.KMS,
            encryption_master_key=self._key,
            enforce_ssl=True,
            retention_period=self._retention,
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge_queue(queue)
        return queue
