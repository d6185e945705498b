"""`expires_after`: a work item that does not start in time fails as `expired`, and never starts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.functions import echo
from workpool_aws import OnCompleteEvent, Result, RetryPolicy, UsageError, Workpool
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

Answer = Callable[[Workpool, str], Result]

MINUTE = timedelta(minutes=1)
WRONG: Any = "1 min"


def failing(_event: Any, _: object) -> None:
    raise ValueError("boom")


@both_engines
def test_work_that_waited_too_long_fails_without_start(cloud: LocalCloud, answer: Answer) -> None:
    """[WP-25]"""
    pool = cloud.workpool(max_parallelism=1)
    heard: list[OnCompleteEvent] = []

    @pool.on_complete
    def told(event: OnCompleteEvent) -> None:
        heard.append(event)

    slow = cloud.function(echo, name="slow", takes=10 * MINUTE, timeout=15 * MINUTE)
    fn = cloud.function(echo)
    told_arn = cloud.function(told)
    pool.enqueue_action(None, slow, {})
    cloud.advance(timedelta(seconds=1))
    ids = pool.enqueue_action_batch(
        None, fn, [{}, {}], expires_after=MINUTE, on_complete=told_arn, context=7
    )
    kept = pool.enqueue_action(None, fn, {"n": 1}, expires_after=11 * MINUTE)

    cloud.run_until_idle()

    result = answer(pool, ids[0])
    assert (result.kind, result.error_type) == ("failed", "expired")
    assert result.error == "it did not start within 0:01:00 of its due time"
    assert sorted(event.work_id for event in heard) == sorted(ids)
    assert heard[0].result == result
    assert [each.event["n"] for each in cloud.invocations(fn)] == [1]
    assert pool.status(None, kept).outcome == "success"
    assert pool.status(None, ids[1]).previous_attempts == 0


def test_expiry_is_counted_from_due_time(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    work_id = pool.enqueue_action(
        None, fn, {}, run_after=timedelta(hours=1), expires_after=timedelta(seconds=30)
    )

    cloud.advance(timedelta(hours=2))

    assert pool.status(None, work_id).outcome == "success"


def test_retry_beyond_expiry_is_not_waited_for(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()
    fn = cloud.function(failing)
    policy = RetryPolicy(max_attempts=9, initial_backoff=timedelta(seconds=40), jitter=False)
    work_id = pool.enqueue_action(None, fn, {}, retry=policy, expires_after=MINUTE)

    cloud.advance(MINUTE)

    result = answer(pool, work_id)
    assert (result.error, len(cloud.invocations(fn))) == ("boom", 2)


def test_paused_pool_expires_what_waited_when_it_resumes(cloud: LocalCloud) -> None:
    """[WP-25]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.configure(None, paused=True)
    ids = pool.enqueue_action_batch(None, fn, [{}] * 450, expires_after=MINUTE)
    cloud.advance(2 * MINUTE)
    waiting = pool.status(None, ids[0]).state
    pool.configure(None, paused=False)
    cloud.run_until_idle()

    assert waiting == "pending"
    assert {status.outcome for status in pool.status_batch(None, ids)} == {"failed"}
    assert cloud.invocations(fn) == []
    assert pool.stats(None).executions == 0


def test_redriven_work_has_its_time_again(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.configure(None, paused=True)
    work_id = pool.enqueue_action(None, fn, {}, expires_after=MINUTE)
    cloud.advance(2 * MINUTE)
    pool.configure(None, paused=False)
    cloud.run_until_idle()

    again = pool.redrive(None, work_id)
    cloud.run_until_idle()

    assert pool.status(None, again).outcome == "success"
    assert pool.show(None, again).expires_after == MINUTE


def test_canceled_before_it_expired_stays_canceled(cloud: LocalCloud) -> None:
    """[WP-13]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.configure(None, paused=True)
    work_id = pool.enqueue_action(None, fn, {}, expires_after=MINUTE)
    pool.cancel_all(None)
    cloud.advance(2 * MINUTE)

    assert pool.status(None, work_id).outcome == "canceled"


@pytest.mark.parametrize(
    "value", [timedelta(0), timedelta(days=367), -MINUTE, 60, WRONG, True], ids=repr
)
def test_expiry_that_is_no_positive_time_is_refused(cloud: LocalCloud, value: Any) -> None:
    pool = cloud.workpool()
    with pytest.raises(UsageError, match=r"expires_after must be a timedelta above 0, at most 366"):
        pool.enqueue_action(None, "fn", {}, expires_after=value)
