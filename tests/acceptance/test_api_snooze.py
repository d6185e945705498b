"""Snooze: again later, without an attempt spent, a hundred times in a row at most."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from workpool_aws import NonRetryableError, Result, RetryPolicy, Snooze, UsageError, Work, Workpool
from workpool_aws.core import limits
from workpool_aws.local import LocalCloud

Answer = Callable[[Workpool, str], Result]
POLICY = RetryPolicy(max_attempts=2, initial_backoff=timedelta(seconds=1), jitter=False)


@pytest.mark.parametrize("retry", [False, POLICY], ids=["claimed", "retried"])
def test_snoozed_work_item_runs_again_after_delay_and_spends_no_attempt(
    cloud: LocalCloud, answer: Answer, retry: RetryPolicy | bool
) -> None:
    pool = cloud.workpool()
    seen: list[int] = []

    @pool.action
    def waits(work: Work) -> str:
        seen.append(work.attempt)
        if len(seen) < 4:
            raise Snooze(timedelta(minutes=10))
        return "done"

    fn = cloud.function(waits)
    work_id = pool.enqueue_action(None, fn, {}, retry=retry)
    cloud.run_until_idle()

    assert answer(pool, work_id).return_value == "done"
    assert seen == [1, 1, 1, 1]
    assert pool.status(None, work_id).previous_attempts == 0
    assert [each.outcome for each in cloud.invocations(fn)] == ["snoozed"] * 3 + ["success"]
    starts = [each.started_at for each in cloud.invocations(fn)]
    for before, after in pairwise(starts):
        assert timedelta(minutes=10) <= after - before <= timedelta(minutes=10, seconds=1)


def test_snoozed_work_is_pending_and_holds_no_slot(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=1)

    @pool.action
    def waits(n: int) -> int:
        if n == 0:
            raise Snooze(timedelta(hours=1))
        return n

    fn = cloud.function(waits)
    first = pool.enqueue_action(None, fn, {"n": 0})
    second = pool.enqueue_action(None, fn, {"n": 1})
    cloud.advance(timedelta(minutes=1))

    status = pool.status(None, first)
    assert (status.state, status.previous_attempts, status.outcome) == ("pending", 0, None)
    assert status.next_run_at is not None
    assert timedelta(minutes=58) < status.next_run_at - cloud.now < timedelta(hours=1)
    assert pool.status(None, second).outcome == "success"


@pytest.mark.parametrize("retry", [False, POLICY], ids=["claimed", "retried"])
def test_hundred_and_first_snooze_in_row_is_failure_that_says_so(
    cloud: LocalCloud, answer: Answer, retry: RetryPolicy | bool
) -> None:
    pool = cloud.workpool()

    @pool.action
    def waits() -> None:
        raise Snooze(timedelta(seconds=1), "not yet")

    fn = cloud.function(waits)
    work_id = pool.enqueue_action(None, fn, {}, retry=retry)
    cloud.run_until_idle()

    result = answer(pool, work_id)
    assert (result.kind, result.error_type) == ("failed", "snoozed_too_often")
    assert result.error == "snoozed more than 100 times in a row, the most that is allowed: not yet"
    assert len(cloud.invocations(fn)) == 101


def test_attempt_that_fails_begins_row_anew(
    cloud: LocalCloud, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SNOOZES_MAX", 20)
    pool = cloud.workpool()
    runs = 0

    @pool.action
    def waits(work: Work) -> int:
        nonlocal runs
        runs += 1
        if runs == 13:
            raise ConnectionError("busy")
        if runs <= 30:
            raise Snooze(timedelta(seconds=1))
        return work.attempt

    work_id = pool.enqueue_action(None, cloud.function(waits), {}, retry=POLICY)
    cloud.run_until_idle()

    assert answer(pool, work_id).return_value == 2
    assert runs == 31


@pytest.mark.parametrize(
    ("error", "kind", "delay_s"),
    [
        (ExceptionGroup("tasks", [Snooze(timedelta(seconds=30))]), "success", 30),
        (
            ExceptionGroup(
                "a",
                [
                    ExceptionGroup("b", [Snooze(timedelta(seconds=30))]),
                    Snooze(timedelta(seconds=90)),
                ],
            ),
            "success",
            90,
        ),
        (
            ExceptionGroup("tasks", [Snooze(timedelta(seconds=30)), ValueError("no")]),
            "failed",
            None,
        ),
        (
            ExceptionGroup("tasks", [Snooze(timedelta(seconds=30)), NonRetryableError("no")]),
            "failed",
            None,
        ),
    ],
    ids=["alone", "nested: the longest", "beside an error", "beside a final error"],
)
def test_group_snoozes_where_it_holds_nothing_else(
    cloud: LocalCloud, answer: Answer, error: Exception, kind: str, delay_s: int | None
) -> None:
    pool = cloud.workpool()
    runs = 0

    @pool.action
    def waits() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise error

    fn = cloud.function(waits)
    work_id = pool.enqueue_action(None, fn, {})
    cloud.run_until_idle()

    assert answer(pool, work_id).kind == kind
    assert len(cloud.invocations(fn)) == (1 if delay_s is None else 2)
    if delay_s is not None:
        first, second = cloud.invocations(fn)
        assert (
            timedelta(seconds=delay_s)
            <= second.started_at - first.started_at
            <= timedelta(seconds=delay_s + 1)
        )


def test_snooze_after_cancel_request_ends_as_canceled(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    @pool.action
    def waits(work: Work) -> None:
        pool.cancel(None, work.work_id)
        raise Snooze(timedelta(minutes=1))

    fn = cloud.function(waits)
    work_id = pool.enqueue_action(None, fn, {})
    cloud.run_until_idle()

    assert answer(pool, work_id).kind == "canceled"
    assert len(cloud.invocations(fn)) == 1


def test_snooze_of_undecorated_function_is_failure_like_any(
    cloud: LocalCloud, answer: Answer
) -> None:
    """Lambda reports the class's name and the text, and no delay, as docs/retries.md says."""

    def plain(event: dict[str, Any], _: object) -> None:
        raise Snooze(timedelta(minutes=1))

    fn = cloud.function(plain)
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, fn, {})
    cloud.run_until_idle()

    assert (answer(pool, work_id).kind, answer(pool, work_id).error_type) == ("failed", "Snooze")
    assert len(cloud.invocations(fn)) == 1


@pytest.mark.parametrize("delay", [timedelta(seconds=-5), timedelta(0), timedelta.min])
def test_snooze_of_nothing_runs_again_at_once(
    cloud: LocalCloud, answer: Answer, delay: timedelta
) -> None:
    pool = cloud.workpool()
    runs = 0

    @pool.action
    def waits() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise Snooze(delay)

    work_id = pool.enqueue_action(None, cloud.function(waits), {})
    cloud.run_until_idle()

    assert answer(pool, work_id).kind == "success"
    assert runs == 2


class Forgetful(Snooze):
    """Does not call the base's `__init__`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def test_snooze_that_does_not_say_how_long_waits_as_what_is_put_back(
    cloud: LocalCloud, answer: Answer
) -> None:
    pool = cloud.workpool()
    runs = 0

    @pool.action
    def waits() -> None:
        nonlocal runs
        runs += 1
        if runs <= 2:
            raise Forgetful("later")

    fn = cloud.function(waits)
    work_id = pool.enqueue_action(None, fn, {})
    cloud.run_until_idle()

    assert answer(pool, work_id).kind == "success"
    first, second, third = (each.started_at for each in cloud.invocations(fn))
    assert (
        timedelta(seconds=1)
        <= second - first
        < timedelta(seconds=2)
        <= third - second
        < timedelta(seconds=3)
    )


@pytest.mark.parametrize("delay", [30, 1.5, None, "30"])
def test_delay_that_is_no_timedelta_is_refused_where_it_is_made(delay: Any) -> None:
    with pytest.raises(UsageError, match="delay"):
        Snooze(delay)


@pytest.mark.parametrize("retry", [False, POLICY], ids=["claimed", "retried"])
def test_claimed_work_runs_once_for_each_start_though_events_come_twice(
    retry: RetryPolicy | bool,
) -> None:
    """[WP-5] A snooze ends its start: a second delivery of that start runs nothing, and the next start is claimed again."""
    with LocalCloud(clock="virtual", duplicate_deliveries=1.0, seed=5) as cloud:
        pool = cloud.workpool()
        runs = 0

        @pool.action
        def waits(work: Work) -> str:
            nonlocal runs
            runs += 1
            work.sleep(1)
            if runs <= 3 and retry is False:
                raise Snooze(timedelta(minutes=1))
            return "done"

        fn = cloud.function(waits)
        work_id = pool.enqueue_action(None, fn, {}, retry=retry)
        cloud.run_until_idle()

        assert pool.status(None, work_id).outcome == "success"
        if retry is False:
            assert runs == 4
            assert [each.outcome for each in cloud.invocations(fn)].count("duplicate") == 4
