"""Numbers of runs where Lambda delivers or tries again.

They are those claims of docs/guarantees.md and docs/retries.md that no other test shows.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import NonRetryableError, Result, RetryLater, RetryPolicy, Workpool
from workpool_aws.local import LocalCloud

Answer = Callable[[Workpool, str], Result]

WORKS = 6
TIMEOUT = timedelta(seconds=10)
LAMBDAS_OWN_AGE = timedelta(hours=6)
TWICE = RetryPolicy(max_attempts=2, jitter=False)


@pytest.mark.parametrize(
    ("kind", "retry", "decorated", "runs_each"),
    [
        ("action", None, True, 1),
        ("action", RetryPolicy(max_attempts=1), True, 1),
        ("mutation", None, True, 1),
        ("action", True, True, 1),
        ("query", None, True, 1),
        ("query", False, True, 1),
        ("action", None, False, 2),
        ("action", True, False, 2),
        ("query", None, False, 2),
        ("mutation", None, False, 2),
    ],
)
def test_code_runs_once_or_more_by_kind_where_every_event_comes_twice(
    kind: str, retry: Any, decorated: bool, runs_each: int
) -> None:
    with LocalCloud(engine="memory", duplicate_deliveries=1.0) as cloud:
        pool = cloud.workpool()
        runs: list[int] = []

        @pool.action
        def note(n: int) -> int:
            runs.append(n)
            return n

        handler: Any = note if decorated else lambda event, _: note.function(event["n"])
        fn = cloud.function(handler, name="note")
        ids = getattr(pool, f"enqueue_{kind}_batch")(
            None, fn, [{"n": n} for n in range(WORKS)], retry=retry
        )
        cloud.run_until_idle()

        assert sorted(runs) == sorted(list(range(WORKS)) * runs_each)
        assert [status.outcome for status in pool.status_batch(None, ids)] == ["success"] * WORKS


@pytest.mark.parametrize("decorated", [True, False])
@pytest.mark.parametrize(
    ("how", "retry", "runs"),
    [
        ("raises", False, (1, 3)),
        ("raises", TWICE, (2, 6)),
        ("times out", False, (1, 3)),
        ("times out", TWICE, (2, 6)),
    ],
)
def test_lambdas_own_retries_run_code_again_within_attempt(
    cloud: LocalCloud, decorated: bool, how: str, retry: bool | RetryPolicy, runs: tuple[int, int]
) -> None:
    """[WP-5] The attempts are bounded all the same, and so is claimed code."""
    pool = cloud.workpool()
    ran: list[int] = []

    @pool.action
    def fails() -> None:
        ran.append(1)
        if how == "raises":
            raise ValueError("no")

    handler: Any = fails if decorated else lambda event, _: fails.function()
    takes = timedelta(minutes=1) if how == "times out" else None
    fn = cloud.function(
        handler, name="fails", takes=takes, timeout=TIMEOUT, retries=2, event_age=LAMBDAS_OWN_AGE
    )
    work_id = pool.enqueue_action(None, fn, {}, retry=retry)
    cloud.run_until_idle(timeout=timedelta(days=1))

    assert len(ran) == runs[0 if decorated else 1]
    assert pool.status(None, work_id).outcome == "failed"
    assert pool.status(None, work_id).previous_attempts == (1 if retry else 0)


def test_lambdas_own_retry_hides_timeout_of_claimed_work_for_whole_event_age(
    cloud: LocalCloud, answer: Answer
) -> None:
    """The claim refuses the second delivery, a success to Lambda, so the first one has no report."""
    pool = cloud.workpool(max_parallelism=1)

    @pool.action
    def slow() -> None:
        return None

    fn = cloud.function(
        slow, takes=timedelta(minutes=1), timeout=TIMEOUT, retries=2, event_age=LAMBDAS_OWN_AGE
    )
    began = cloud.now
    work_id = pool.enqueue_action(None, fn, {})
    cloud.run_until_idle(timeout=timedelta(days=1))

    finished_at = pool.status(None, work_id).finished_at
    assert finished_at is not None
    assert finished_at - began >= LAMBDAS_OWN_AGE
    assert answer(pool, work_id).error_type == "no_report"


def test_function_that_is_never_free_is_put_back_for_most_of_day_and_spends_no_attempt(
    cloud: LocalCloud, answer: Answer
) -> None:
    """[WP-25]"""
    pool = cloud.workpool()
    never_free = cloud.function(lambda event, _: None, name="never_free", reserved=0)
    began = cloud.now

    work_id = pool.enqueue_action(None, never_free, {}, retry=True)
    cloud.advance(timedelta(hours=12))
    waiting = pool.status(None, work_id)
    cloud.run_until_idle(timeout=timedelta(hours=12))

    finished_at = pool.status(None, work_id).finished_at
    assert (waiting.state, waiting.previous_attempts) == ("pending", 0)
    assert answer(pool, work_id).error_type == "never_delivered"
    assert finished_at is not None
    assert timedelta(hours=19) < finished_at - began < timedelta(hours=21)
    assert cloud.invocations(never_free) == []


def test_claimed_work_that_crashes_fails_when_its_time_would_be_over(
    cloud: LocalCloud, answer: Answer
) -> None:
    """[WP-14] Its sender may be a duplicate, so the record waits for the claim's deadline and margin; a resting loop for the watchdog."""
    pool = cloud.workpool()

    @pool.action
    def exits() -> None:
        raise SystemExit(3)

    fn = cloud.function(exits, timeout=timedelta(seconds=30))
    began = cloud.now
    work_id = pool.enqueue_action(None, fn, {})
    cloud.run_until_idle()

    finished_at = pool.status(None, work_id).finished_at
    assert answer(pool, work_id).error_type == "crashed"
    assert finished_at is not None
    assert timedelta(seconds=36) <= finished_at - began <= timedelta(seconds=96)


def test_failure_is_dead_letter_for_its_retention_and_no_longer(cloud: LocalCloud) -> None:
    pool = cloud.workpool(status_ttl=timedelta(hours=2))
    work_id = pool.enqueue_action(None, cloud.function(lambda event, _: 1 / 0, name="fails"), {})
    cloud.advance(timedelta(hours=1))
    during = [each.work_id for each in pool.list(None, state="dead").items]
    cloud.advance(timedelta(hours=2))

    assert during == [work_id]
    assert pool.list(None, state="dead").items == ()
    assert pool.redrive_all(None) == 0
    assert pool.status(None, work_id).state == "unknown"


def test_earliest_due_works_start_first_where_slots_are_few(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=1)
    fn = cloud.function(lambda event, _: None, name="note", takes=timedelta(seconds=2))
    pool.configure(None, paused=True)
    for after_s in (30, 10, 20, 40):
        pool.enqueue_action(None, fn, {"after_s": after_s}, run_after=timedelta(seconds=after_s))
    cloud.advance(timedelta(minutes=1))

    pool.configure(None, paused=False)
    cloud.run_until_idle()

    assert [each.event["after_s"] for each in cloud.invocations(fn)] == [10, 20, 30, 40]


class BadAddress(NonRetryableError):
    pass


@pytest.mark.parametrize(
    ("error", "starts_s"),
    [
        (NonRetryableError("no"), [0]),
        (BadAddress("no"), [0, 10, 30]),
        (RetryLater(timedelta(hours=1)), [0, 10, 30]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_undecorated_functions_error_is_known_by_name_alone(
    cloud: LocalCloud, error: Exception, starts_s: list[int]
) -> None:
    pool = cloud.workpool()

    def fails(_event: Any, _context: Any) -> None:
        raise error

    fn = cloud.function(fails)
    began = cloud.now
    pool.enqueue_action(
        None,
        fn,
        {},
        retry=RetryPolicy(max_attempts=3, initial_backoff=timedelta(seconds=10), jitter=False),
    )
    cloud.run_until_idle()

    assert [
        round((each.started_at - began).total_seconds()) for each in cloud.invocations(fn)
    ] == starts_s
