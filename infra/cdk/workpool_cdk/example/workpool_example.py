"""The example functions: one that enqueues, a decorated and an undecorated worker, and a handler of callbacks."""

from __future__ import annotations

import os

from workpool_aws import LambdaContext, OnCompleteEvent, Work, Workpool

pool = Workpool(os.environ["WORKPOOL_TABLE"], name=os.environ["WORKPOOL_POOL"])


def enqueue(event: dict[str, str], context: LambdaContext) -> dict[str, str]:
    """Have somebody greeted in the background, and be told when it is done."""
    work_id = pool.enqueue_action(
        context,
        os.environ["GREET_ARN"],
        {"name": event.get("name", "world")},
        retry=True,
        on_complete=os.environ["GREETED_ARN"],
        context={"asked_by": context.aws_request_id},
    )
    return {"work_id": work_id}


@pool.action
def greet(work: Work, name: str) -> str:
    """A worker of the pool."""
    return f"Hello {name}, from attempt {work.attempt}"


def shout(event: dict[str, str], _: LambdaContext) -> str:
    """A function that knows nothing of pools."""
    return event["name"].upper()


@pool.on_complete
def greeted(event: OnCompleteEvent) -> None:
    """What is told when a greeting is over."""
    print(f"{event.work_id}: {event.result.kind}")
