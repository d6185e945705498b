"""Stand-in for queues and topics where there is no boto3 in between, and the messenger that reaches it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from workpool_aws.adapters.wire.callback import event_for
from workpool_aws.core.callback.targets import FUNCTION, oversize, target_of
from workpool_aws.local.faults.faults import answered_as
from workpool_aws.ports import InvokeRefused, InvokeThrottled, InvokeUnanswered

if TYPE_CHECKING:
    from workpool_aws.local.apis.user_aws import UserAws
    from workpool_aws.local.kernel.kernel import Kernel
    from workpool_aws.local.services.deliveries import Deliveries
    from workpool_aws.model.messages import CallbackMessage

__all__ = ["DirectMessenger", "Mailbox"]


class Mailbox:
    """Keeps the messages that were sent to queues and topics. All of these exist."""

    def __init__(self) -> None:
        self._sent: dict[str, list[str]] = {}

    def put(self, arn: str, body: str) -> None:
        """Keep a message. Raises InvokeRefused: it is too large."""
        too_large = oversize(arn, len(body.encode()))
        if too_large is not None:
            raise InvokeRefused(too_large, lasting=True)
        self._sent.setdefault(arn, []).append(body)

    def of(self, arn: str) -> list[object]:
        """Return the messages of this queue or topic, decoded, in order."""
        return [json.loads(body) for body in self._sent.get(arn, [])]


class DirectMessenger:
    """See Messenger."""

    def __init__(
        self,
        kernel: Kernel,
        deliveries: Deliveries,
        mailbox: Mailbox,
        aws: UserAws,
    ) -> None:
        self._kernel = kernel
        self._deliveries = deliveries
        self._mailbox = mailbox
        self._aws = aws

    def send(self, target: str, message: CallbackMessage) -> None:
        """See Messenger."""
        event = event_for(target, message)
        with answered_as(throttled=InvokeThrottled, unanswered=InvokeUnanswered):
            self._kernel.call(
                f"call back {target} {message.work_id}",
                lambda: self._accept(target, message, event),
                writes=True,
            )

    def _accept(self, target: str, message: CallbackMessage, event: str) -> None:
        if target_of(target) is FUNCTION:
            self._deliveries.accept_named(target, event)
        else:
            self._mailbox.put(target, event)
            self._aws.pass_on(target, message)
