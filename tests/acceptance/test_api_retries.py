"""Retries: the policies of the interface, their number, their timing, and what a worker may say about them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import (
    NonRetryableError,
    Result,
    RetryLater,
    RetryPolicy,
    UsageError,
    Work,
    Workpool,
)
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

Answer = Callable[[Workpool, str], Result]

STEADY = RetryPolicy(jitter=False)
SLACK = timedelta(seconds=1)


def boom(event: dict[str, Any], _: object) -> None:
    raise ValueError(f"boom {event}")


def pauses(cloud: LocalCloud, fn: str) -> list[timedelta]:
    """From the end of each attempt to the start of the next."""
    deliveries = cloud.invocations(fn)
    ends = [each.ended_at for each in deliveries]
    return [
        later.started_at - end
        for end, later in zip(ends, deliveries[1:], strict=False)
        if end is not None
    ]


@pytest.mark.parametrize(
    ("retry", "attempts"),
    [
        (None, 1),
        (False, 1),
        (True, 5),
        (RetryPolicy(), 5),
        (RetryPolicy(max_attempts=1), 1),
        (RetryPolicy(max_attempts=2), 2),
        (RetryPolicy(max_attempts=7), 7),
    ],
)
def test_policy_gives_that_many_attempts(
    cloud: LocalCloud, answer: Answer, retry: RetryPolicy | bool | None, attempts: int
) -> None:
    pool = cloud.workpool()
    fn = cloud.function(boom)

    work_id = pool.enqueue_action(None, fn, {}, retry=retry)
    cloud.run_until_idle()

    assert [each.attempt for each in cloud.invocations(fn)] == list(range(1, attempts + 1))
    assert [each.outcome for each in cloud.invocations(fn)] == ["failed"] * attempts
    assert answer(pool, work_id).error_type == "ValueError"
    assert pool.status(None, work_id).previous_attempts == attempts - 1


@pytest.mark.parametrize(
    ("retry", "attempts"), [(None, 3), (False, 1), (True, 3), (RetryPolicy(max_attempts=2), 2)]
)
def test_pools_default_policy_stands_for_true_and_for_none_where_asked(
    cloud: LocalCloud, retry: RetryPolicy | bool | None, attempts: int
) -> None:
    pool = cloud.workpool(default_retry=RetryPolicy(max_attempts=3), retry_actions_by_default=True)
    fn = cloud.function(boom)

    pool.enqueue_action(None, fn, {}, retry=retry)
    cloud.run_until_idle()

    assert len(cloud.invocations(fn)) == attempts


def test_queries_use_pools_default_policy_and_may_be_told_not_to(cloud: LocalCloud) -> None:
    pool = cloud.workpool(default_retry=RetryPolicy(max_attempts=4))
    fn, once = cloud.function(boom, name="retried"), cloud.function(boom, name="once")

    pool.enqueue_query(None, fn, {})
    pool.enqueue_query(None, once, {}, retry=False)
    cloud.run_until_idle()

    assert (len(cloud.invocations(fn)), len(cloud.invocations(once))) == (4, 1)


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (STEADY, [0.25, 0.5, 1, 2]),
        (
            RetryPolicy(
                max_attempts=4, initial_backoff=timedelta(seconds=10), base=3, jitter=False
            ),
            [10, 30, 90],
        ),
        (
            RetryPolicy(
                max_attempts=5,
                initial_backoff=timedelta(minutes=1),
                base=10,
                max_backoff=timedelta(minutes=5),
                jitter=False,
            ),
            [60, 300, 300, 300],
        ),
        (
            RetryPolicy(max_attempts=3, initial_backoff=timedelta(hours=9), base=1, jitter=False),
            [32_400, 32_400],
        ),
    ],
    ids=["default", "base 3", "capped", "base 1"],
)
@pytest.mark.parametrize("decorated", [True, False])
def test_attempts_wait_as_policy_says(
    cloud: LocalCloud, policy: RetryPolicy, seconds: list[float], decorated: bool
) -> None:
    pool = cloud.workpool()

    @pool.action
    def fail() -> None:
        raise ValueError("again")

    fn = cloud.function(fail if decorated else boom, name="fails")
    pool.enqueue_action(None, fn, {}, retry=policy)
    cloud.run_until_idle(timeout=timedelta(days=2))

    waited = pauses(cloud, fn)
    assert len(waited) == len(seconds)
    for wanted, real in zip(seconds, waited, strict=True):
        assert (
            timedelta(seconds=wanted, milliseconds=-2) <= real <= timedelta(seconds=wanted) + SLACK
        )


def test_jitter_spreads_each_wait_from_half_to_one_and_half(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=40)
    wait = timedelta(seconds=40)
    policy = RetryPolicy(
        max_attempts=2, initial_backoff=timedelta(hours=9), max_backoff=wait, jitter=True
    )
    fn = cloud.function(boom)

    pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(40)], retry=policy)
    cloud.run_until_idle()

    began = {each.event["n"]: each.ended_at for each in cloud.invocations(fn) if each.attempt == 1}
    waited = [
        each.started_at - end
        for each in cloud.invocations(fn)
        if each.attempt == 2 and (end := began[each.event["n"]])
    ]
    assert len(waited) == 40
    assert min(waited) >= wait * 0.5
    assert max(waited) <= wait * 1.5 + SLACK
    assert max(waited) - min(waited) > wait * 0.6


@both_engines
def test_retried_work_that_succeeds_is_success(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    @pool.action
    def third_time(work: Work) -> int:
        if work.attempt < 3:
            raise ConnectionError("busy")
        return work.attempt

    work_id = pool.enqueue_action(None, cloud.function(third_time), {}, retry=STEADY)
    cloud.run_until_idle()

    assert answer(pool, work_id) == Result(kind="success", return_value=3)
    assert pool.status(None, work_id).previous_attempts == 2


def test_work_that_backs_off_holds_no_slot(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=1)
    failing = cloud.function(boom, name="failing")
    other = cloud.function(lambda event, ctx: None, name="other")
    began = cloud.now

    pool.enqueue_action(
        None, failing, {}, retry=RetryPolicy(max_attempts=2, initial_backoff=timedelta(minutes=30))
    )
    cloud.advance(timedelta(seconds=5))
    pool.enqueue_action(None, other, {})
    cloud.run_until_idle()

    (delivery,) = cloud.invocations(other)
    assert delivery.started_at - began <= timedelta(seconds=6)
    assert len(cloud.invocations(failing)) == 2


def test_non_retryable_ends_work_whatever_is_left(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    class BadAddress(NonRetryableError):
        pass

    @pool.action
    def send(to: str) -> None:
        raise BadAddress(f"no such person: {to}")

    fn = cloud.function(send)
    work_id = pool.enqueue_action(None, fn, {"to": "nobody"}, retry=True)
    cloud.run_until_idle()

    result = answer(pool, work_id)
    assert (result.kind, result.error_type) == ("failed", "BadAddress")
    assert "no such person: nobody" in str(result.error)
    assert len(cloud.invocations(fn)) == 1


def test_retry_later_spends_attempt_and_names_its_own_delay(
    cloud: LocalCloud, answer: Answer
) -> None:
    pool = cloud.workpool()

    @pool.action
    def throttled(work: Work) -> str:
        if work.attempt < 3:
            raise RetryLater(timedelta(minutes=20 * work.attempt))
        return "done"

    fn = cloud.function(throttled)
    work_id = pool.enqueue_action(None, fn, {}, retry=RetryPolicy(max_attempts=3))
    cloud.run_until_idle(timeout=timedelta(hours=3))

    for wanted, real in zip([20, 40], pauses(cloud, fn), strict=True):
        assert (
            timedelta(minutes=wanted) - timedelta(milliseconds=2)
            <= real
            <= timedelta(minutes=wanted) + SLACK
        )
    assert answer(pool, work_id).return_value == "done"
    assert pool.status(None, work_id).previous_attempts == 2


@pytest.mark.parametrize(("retry", "attempts"), [(False, 1), (RetryPolicy(max_attempts=2), 2)])
def test_retry_later_gives_no_attempt_beyond_policy(
    cloud: LocalCloud, answer: Answer, retry: RetryPolicy | bool, attempts: int
) -> None:
    pool = cloud.workpool()

    @pool.action
    def throttled() -> None:
        raise RetryLater(timedelta(seconds=30), "rate limit")

    fn = cloud.function(throttled)
    work_id = pool.enqueue_action(None, fn, {}, retry=retry)
    cloud.run_until_idle()

    result = answer(pool, work_id)
    assert (result.kind, result.error_type) == ("failed", "RetryLater")
    assert len(cloud.invocations(fn)) == attempts


def test_retry_waits_for_free_slot_and_limit_holds(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=2)

    @pool.action
    def flaky(work: Work, n: int) -> int:
        if work.attempt == 1:
            raise ConnectionError("busy")
        return n

    fn = cloud.function(flaky, takes=timedelta(seconds=3))
    ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(15)], retry=STEADY)
    cloud.run_until_idle()

    assert cloud.max_concurrency(fn) == 2
    assert {each.outcome for each in pool.status_batch(None, ids)} == {"success"}


@pytest.mark.parametrize(
    "options",
    [
        {"max_attempts": 0},
        {"max_attempts": -1},
        {"max_attempts": True},
        {"max_attempts": 2.5},
        {"max_attempts": "3"},
        {"initial_backoff": timedelta(seconds=-1)},
        {"initial_backoff": 250},
        {"base": 0},
        {"base": -2.0},
        {"base": float("nan")},
        {"base": float("inf")},
        {"base": True},
        {"base": "2"},
        {"max_backoff": timedelta(seconds=-1)},
        {"max_backoff": 5},
        {"jitter": "yes"},
        {"jitter": 1},
    ],
    ids=str,
)
def test_bad_policy_names_field(options: dict[str, Any]) -> None:
    (field,) = options
    with pytest.raises(UsageError, match=field):
        RetryPolicy(**options)
