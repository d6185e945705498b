"""A work item is enqueued again with the same options, whichever these are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from workpool_aws import OnCompleteEvent, RetryableOptions, RetryPolicy
from workpool_aws.api.again import OF_ONE_ENQUEUE, options_of
from workpool_aws.local import LocalCloud

ALL: RetryableOptions = {
    "retry": RetryPolicy(max_attempts=3),
    "expires_after": timedelta(hours=1),
    "unique_key": "order-7",
    "unique_until": "started",
    "timeout": timedelta(seconds=20),
    "heartbeat_timeout": timedelta(seconds=40),
    "on_complete": "audit",
    "on_complete_exclude": ("canceled",),
    "context": {"user": 7},
}


@pytest.fixture
def cloud():
    with LocalCloud() as cloud:
        yield cloud


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"retry": False},
        {"unique_key": "order-7", "unique_for": timedelta(minutes=5)},
        {"on_complete": "audit"},
        ALL,
    ],
    ids=",".join,
)
def test_options_of_work_item_make_its_like(cloud: LocalCloud, given: RetryableOptions) -> None:
    pool, heard = cloud.workpool("email"), list[str]()

    @pool.action(name="send")
    def send(to: str) -> str:
        return to

    @pool.on_complete(name="audit")
    def audit(event: OnCompleteEvent) -> None:
        heard.append(event.work_id)

    @pool.on_complete(name="other")
    def other(event: OnCompleteEvent) -> None:
        raise AssertionError(event.work_id)

    cloud.function(pool.handler(send, audit, other))
    first = pool.enqueue_action(None, "send", {"to": "ann"}, **given)
    cloud.advance(timedelta(minutes=6))  # beyond `unique_for`

    options = options_of(pool.show(None, first, context=True))
    second = pool.enqueue_action(None, "send", {"to": "bob"}, **options)
    cloud.run_until_idle()

    assert options.keys() | OF_ONE_ENQUEUE == RetryableOptions.__annotations__.keys()
    assert {name: options[name] for name in given} == given
    assert options_of(pool.show(None, second, context=True)) == options
    assert heard == ([first, second] if "on_complete" in given else [])
    assert pool.result(None, second).return_value == "bob"
