"""The last error and the last five attempts of a work item, as its status and lists show them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from workpool_aws import RetryPolicy, Work
from workpool_aws.local import LocalCloud

POLICY = RetryPolicy(max_attempts=7, initial_backoff=timedelta(minutes=10), base=1, jitter=False)


def test_retrying_work_item_shows_what_went_wrong_and_when(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def flaky(work: Work) -> str:
        work.sleep(2)
        if work.attempt < 3:
            raise ConnectionError(f"no answer, attempt {work.attempt}")
        return "done"

    fn = cloud.function(flaky)
    began = cloud.now
    work_id = pool.enqueue_action(None, fn, {}, retry=POLICY)
    cloud.advance(timedelta(minutes=5))

    status = pool.status(None, work_id)
    assert (status.state, status.last_error) == ("pending", "no answer, attempt 1")
    [attempt] = status.attempts
    assert (attempt.number, attempt.outcome, attempt.error_type, attempt.error) == (
        1,
        "failed",
        "ConnectionError",
        "no answer, attempt 1",
    )
    assert timedelta(0) <= attempt.started_at - began < timedelta(seconds=1)
    assert timedelta(seconds=2) <= attempt.ended_at - attempt.started_at < timedelta(seconds=3)
    [listed] = pool.list(None, state="pending").items
    assert (listed.last_error, listed.attempts, listed.error) == (
        status.last_error,
        status.attempts,
        None,
    )

    cloud.run_until_idle()
    status = pool.status(None, work_id)
    assert (status.outcome, status.last_error) == ("success", "no answer, attempt 2")
    assert [(each.number, each.outcome, each.error) for each in status.attempts] == [
        (1, "failed", "no answer, attempt 1"),
        (2, "failed", "no answer, attempt 2"),
        (3, "success", None),
    ]


def test_attempts_are_kept_up_to_last_five(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def bad(work: Work) -> None:
        raise ValueError(f"{work.attempt}" * 3_000)

    work_id = pool.enqueue_action(None, cloud.function(bad), {}, retry=POLICY)
    cloud.run_until_idle(timeout=timedelta(days=1))

    status = pool.status(None, work_id)
    assert [each.number for each in status.attempts] == [3, 4, 5, 6, 7]
    assert status.last_error == status.attempts[-1].error == "7" * 3_000
    assert all(each.error is not None and each.error.endswith("…") for each in status.attempts[:-1])


@pytest.mark.parametrize("decorated", [True, False])
def test_timeouts_are_failures_of_their_own_type(cloud: LocalCloud, *, decorated: bool) -> None:
    pool = cloud.workpool()

    def body() -> None:
        raise AssertionError("it takes too long to come here")

    handler = pool.action(body) if decorated else lambda _event, _context: body()
    fn = cloud.function(
        handler, name="slow", timeout=timedelta(seconds=3), takes=timedelta(seconds=9)
    )
    work_id = pool.enqueue_action(None, fn, {}, retry=POLICY)
    cloud.advance(timedelta(minutes=1))

    [attempt] = pool.status(None, work_id).attempts
    assert (attempt.outcome, attempt.error_type) == ("failed", "timeout")


def test_target_that_does_not_exist_is_seen_while_work_item_waits(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(
        None, "arn:aws:lambda:us-east-1:123456789012:function:missing", {}
    )
    cloud.advance(timedelta(seconds=20))

    status = pool.status(None, work_id)
    assert status.state == "pending"
    assert [(each.number, each.outcome) for each in status.attempts] == [(1, "never_delivered")]
    assert "missing" in str(status.last_error)


def test_redriven_work_item_begins_without_past(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def bad() -> None:
        raise ValueError("no")

    fn = cloud.function(bad)
    old = pool.enqueue_action(
        None, fn, {}, retry=RetryPolicy(max_attempts=2, initial_backoff=timedelta(0))
    )
    cloud.run_until_idle()
    pool.configure(None, paused=True)
    new = pool.redrive(None, old)

    assert [each.number for each in pool.status(None, old).attempts] == [1, 2]
    assert (pool.status(None, new).attempts, pool.status(None, new).last_error) == ((), None)


def test_error_text_is_not_logged(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def bad() -> None:
        raise ValueError("a secret of the user's")

    pool.enqueue_action(
        None,
        cloud.function(bad),
        {},
        retry=RetryPolicy(max_attempts=2, initial_backoff=timedelta(0)),
    )
    cloud.run_until_idle()

    told = [event for event in cloud.facts if event.name in {"attempt_raised", "retrying"}]
    assert {(event.name, getattr(event, "error_type", None)) for event in told} == {
        ("attempt_raised", "ValueError"),
        ("retrying", "ValueError"),
    }
    assert "secret of the user's" not in repr(cloud.facts)


def test_success_without_failures_has_no_last_error(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(lambda _event, _context: 1, name="f")
    work_id = pool.enqueue_action(None, fn, {})
    assert pool.status(None, work_id).attempts == ()
    cloud.run_until_idle()

    status = pool.status(None, work_id)
    assert status.last_error is None
    assert [
        (each.number, each.outcome, each.error_type, each.error) for each in status.attempts
    ] == [(1, "success", None, None)]
    assert pool.status(None, "01ARZ3NDEKTSV4RRFFQ69G5FAV").attempts == ()
