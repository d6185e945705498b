"""The alarm of a job's timeout strikes in a call of AWS, and is no error of the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.clocks import CountedEntropy, ManualClock
from tests.unit.adapters_aws.test_messenger import MESSAGE
from workpool_aws.adapters.aws.invoke import LambdaInvoker
from workpool_aws.adapters.aws.lean import LeanDynamoDB, LeanLambda
from workpool_aws.adapters.aws.messenger import AwsMessenger
from workpool_aws.adapters.dynamodb.store import DynamoStore
from workpool_aws.errors import TimedOut
from workpool_aws.model.messages import LoopRequest
from workpool_aws.model.refs import StatusRef

if TYPE_CHECKING:
    from collections.abc import Callable

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:send"


class Struck:
    """An SDK, or a transport, in whose every call the alarm strikes."""

    def __getattr__(self, name: str) -> Any:
        def strike(*_: object, **__: object) -> Any:
            raise TimedOut(1_000)

        return strike


class Working:
    """An SDK that answers everything."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: {}


SDK: Any = Struck()
WORKING: Any = Working()
INVOKER = LambdaInvoker(lambda: SDK, lambda: SDK, ManualClock())
LEAN_LAMBDA = LeanLambda(WORKING, SDK, trace=lambda: "", repeats=True)
CALLS: dict[str, Callable[[], object]] = {
    "store": lambda: DynamoStore(
        lambda: SDK, "jobs", clock=ManualClock(), entropy=CountedEntropy()
    ).get(StatusRef("email")),
    "lean store": lambda: LeanDynamoDB(WORKING, SDK).get_item(TableName="jobs", Key={}),
    "invoke": lambda: INVOKER.start_loop(
        FUNCTION, LoopRequest(table="jobs", pool="email", generation=1)
    ),
    "limits": lambda: INVOKER.limits(FUNCTION),
    "lean invoke": lambda: LEAN_LAMBDA.invoke(
        FunctionName="send", InvocationType="Event", Payload=b"{}"
    ),
    "callback": lambda: AwsMessenger(lambda: SDK, lambda *_: SDK).send(
        "arn:aws:sqs:us-east-1:123456789012:q", MESSAGE
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_alarm_passes_through_call_of_aws(call: Callable[[], object]) -> None:
    """An OSError as it is, it would end as `StoreUnavailable`, and the job would go on."""
    with pytest.raises(TimedOut):
        call()
