"""The example functions: a caller, a decorated worker, an undecorated one, a callback handler."""

from __future__ import annotations

import os

from workpool_aws import LambdaContext, OnCompleteEvent, Work, Workpool

pool = Workpool(os.environ["WORKPOOL_TABLE"], name=os.environ["WORKPOOL_POOL"])


def enqueue(event: dict[str, str], context: LambdaContext) -> dict[str, str]:
    """Enqueue a greeting, with a callback once it is done."""
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
    """A function without a decorator."""
    return event["name"].upper()


@pool.on_complete
def greeted(event: OnCompleteEvent) -> None:
    """Receive the callback of a greeting."""
    print(f"{event.work_id}: {event.result.kind}")
