"""Owns the queues of what nobody else takes: events that the library's functions failed on, and watchdog ticks that were not delivered."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from workpool_cdk.acknowledged import acknowledge_queue

__all__ = ["FailureQueues"]


class FailureQueues(Construct):
    """Two queues, kept for two weeks, empty while all is well. Nothing reads them but people."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.events = self._queue("Events")
        """What loop, completion and watchdog failed on or were never reached with: records of Lambda's destinations."""
        self.ticks = self._queue("Ticks")
        """Watchdog ticks that EventBridge Scheduler could not deliver."""

    def _queue(self, name: str) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            name,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge_queue(queue)
        return queue
