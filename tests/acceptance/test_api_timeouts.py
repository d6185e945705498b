"""Timeouts, heartbeats and progress of attempts, as a user meets them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

import pytest

from workpool_aws import RetryPolicy, StoreUnavailable, UsageError, Work
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.api import worker
from workpool_aws.flow.report.claim import take
from workpool_aws.local import LocalCloud
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.writes import Update, Write

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
ONCE_MORE = RetryPolicy(2, initial_backoff=timedelta(milliseconds=10), jitter=False)


def test_attempt_that_takes_too_long_is_interrupted_and_retried() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()
        ended: list[str] = []

        @pool.action
        def hangs(work: Work) -> str:
            if work.attempt == 2:
                return "in time"
            try:
                work.sleep(10 * MINUTE)
            except TimeoutError as error:
                ended.append(f"{cloud.now - began} {error}")
                raise
            return "never"

        hangs_arn = cloud.function(hangs, timeout=15 * MINUTE)
        began = cloud.now
        work_id = pool.enqueue_action(None, hangs_arn, {}, timeout=20 * SECOND, retry=ONCE_MORE)
        cloud.run_until_idle()
        status = pool.status(None, work_id)
        assert (status.outcome, status.previous_attempts) == ("success", 1)
        first = status.attempts[0]
        assert first.error_type == "timeout"
        assert timedelta(seconds=20) <= first.ended_at - first.started_at < timedelta(seconds=21)
        assert len(ended) == 1
        assert ended[0].endswith("it ran for longer than its timeout of 20 s")


def test_function_that_ignores_interruption_ends_second_later() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()
        lived: list[timedelta] = []

        @pool.action
        def stubborn(work: Work) -> None:
            while True:
                try:
                    work.sleep(SECOND / 4)
                except TimeoutError:
                    lived.append(cloud.now - began)
                lived.append(cloud.now - began)

        stubborn_arn = cloud.function(stubborn, timeout=5 * MINUTE)
        began = cloud.now
        work_id = pool.enqueue_action(None, stubborn_arn, {}, timeout=10 * SECOND)
        cloud.run_until_idle()
        result = pool.result(None, work_id)
        assert result is not None
        assert (result.error_type, result.error) == (
            "timeout",
            "it ran for longer than its timeout of 10 s",
        )
        assert max(lived) < timedelta(seconds=12)
        assert cloud.max_concurrency(stubborn_arn) == 1


def test_duration_of_test_beyond_timeout_is_timeout() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.action(timeout=5 * SECOND)
        def slow() -> int:
            return 1

        cloud.function(slow, takes=30 * SECOND, timeout=MINUTE)
        work_id = slow.enqueue(None)
        cloud.run_until_idle()
        result = pool.result(None, work_id)
        assert result is not None
        assert result.error_type == "timeout"


def test_timeout_is_option_of_job_and_of_call() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.action(timeout=5 * SECOND, heartbeat_timeout=30 * SECOND)
        def job(work: Work) -> None: ...

        cloud.function(job)
        own = pool.show(None, job.enqueue(None))
        assert (own.timeout, own.heartbeat_timeout) == (5 * SECOND, 30 * SECOND)
        again = pool.enqueue_action(None, job, {}, timeout=7 * SECOND)
        assert pool.show(None, again).timeout == 7 * SECOND


def test_timeout_above_that_of_function_fails_at_once() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.action
        def job() -> None: ...

        cloud.function(job, timeout=30 * SECOND)
        work_id = job.with_options(timeout=31 * SECOND, retry=True).enqueue(None)
        cloud.run_until_idle()
        result = pool.result(None, work_id)
        assert result is not None
        assert result.error_type == "not_invocable"
        assert result.error == "timeout must be at most the function's own, 30 s; got 31 s"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", timedelta(0)),
        ("timeout", -SECOND),
        ("timeout", 16 * MINUTE),
        ("timeout", 30),
        ("heartbeat_timeout", timedelta(seconds=29)),
        ("heartbeat_timeout", timedelta(0)),
        ("heartbeat_timeout", 16 * MINUTE),
        ("heartbeat_timeout", True),
    ],
)
def test_timeout_that_is_not_allowed_is_refused(name: str, value: object) -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()
        with pytest.raises(UsageError, match=f"{name} must be a timedelta"):
            pool.enqueue_action(None, "job", {}, **{name: value})  # type: ignore[arg-type]
        assert pool.list(None).items == ()


def test_lost_worker_with_heartbeats_is_found_long_before_its_timeout() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.action
        def job(work: Work) -> str:
            work.sleep(10 * MINUTE)
            return "done"

        job_arn = cloud.function(job, timeout=15 * MINUTE)
        beating = pool.enqueue_action(
            None, job_arn, {}, heartbeat_timeout=30 * SECOND, retry=ONCE_MORE
        )
        cloud.advance(2 * MINUTE)
        status = pool.status(None, beating)
        assert status.state == "running"
        assert status.heartbeat_at is not None
        assert cloud.now - status.heartbeat_at <= 11 * SECOND
        lose(cloud, job_arn)
        cloud.advance(timedelta(seconds=150))
        status = pool.status(None, beating)
        assert status.attempts[0].error_type == "heartbeat_lost"
        cloud.run_until_idle()
        assert pool.status(None, beating).outcome == "success"


def lose(cloud: LocalCloud, function_arn: str) -> None:
    """Let the machine of a function vanish, without any record."""
    kernel = cloud._open.kernel
    name = function_arn.rpartition(":")[2]
    for task in list(kernel._slots):  # type: ignore[attr-defined]
        if task.name.startswith(f"{name}#"):
            kernel.kill(task)


def test_worker_lost_before_its_first_beat_is_found_soon() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.action
        def job(work: Work) -> None:
            work.sleep(10 * MINUTE)

        job_arn = cloud.function(job, timeout=15 * MINUTE, event_age=timedelta(hours=1))
        work_id = pool.enqueue_action(None, job_arn, {}, heartbeat_timeout=30 * SECOND)
        cloud.advance(5 * SECOND)
        lose(cloud, job_arn)
        cloud.advance(timedelta(seconds=125))
        result = pool.result(None, work_id)
        assert result is not None
        assert result.error_type == "heartbeat_lost"


def test_worker_that_is_cut_off_ends_before_its_recovery() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()
        lived: list[timedelta] = []

        @pool.action
        def job(work: Work) -> None:
            while True:
                work.sleep(1)
                lived.append(cloud.now - began)

        job_arn = cloud.function(job, timeout=15 * MINUTE)
        began = cloud.now
        work_id = pool.enqueue_action(None, job_arn, {}, heartbeat_timeout=30 * SECOND)
        cloud.advance(5 * SECOND)
        with cut_off(cloud, job_arn):
            cloud.advance(2 * MINUTE)
        assert timedelta(seconds=25) < max(lived) < timedelta(seconds=35)
        cloud.run_until_idle()
        assert pool.status(None, work_id).outcome == "failed"


def test_code_does_not_begin_when_process_stood_still_for_its_lease() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()
        began: list[timedelta] = []

        @pool.action
        def job(work: Work) -> str:
            began.append(cloud.now - enqueued)
            return "done"

        job_arn = cloud.function(job, timeout=15 * MINUTE)
        enqueued = cloud.now
        work_id = pool.enqueue_action(
            None, job_arn, {}, heartbeat_timeout=30 * SECOND, retry=ONCE_MORE
        )
        freezes = [70 * 1000]

        def take_and_freeze(*given: object, **more: object) -> object:
            taken = take(*given, **more)  # type: ignore[arg-type]
            if freezes:
                cloud._open.kernel.sleep(freezes.pop())
            return taken

        with patch.object(worker, "take", take_and_freeze):
            cloud.run_until_idle()
        status = pool.status(None, work_id)
        assert status.attempts[0].error_type == "heartbeat_lost"
        assert status.outcome == "success"
        assert len(began) == 1
        assert 36 * SECOND < began[0] < 70 * SECOND


def test_worker_whose_start_is_over_ends_at_its_next_beat() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()
        lived: list[timedelta] = []

        @pool.action
        def job(work: Work) -> None:
            while True:
                work.sleep(1)
                lived.append(cloud.now - began)

        job_arn = cloud.function(job, timeout=15 * MINUTE)
        began = cloud.now
        work_id = pool.enqueue_action(None, job_arn, {}, heartbeat_timeout=30 * SECOND)
        cloud.advance(5 * SECOND)
        store = cloud._engine_open.quiet(cloud.table)
        over = Update(ref=WorkRef(pool.name, work_id), set={"starts": 7})
        store.write(over)
        cloud.advance(MINUTE)
        assert max(lived) < timedelta(seconds=12)


@contextmanager
def cut_off(cloud: LocalCloud, function_arn: str) -> Iterator[None]:
    """Let no call of a function's processes reach DynamoDB."""
    name, write = function_arn.rpartition(":")[2], MemoryStore.write
    kernel = cloud._open.kernel

    def refused(store: MemoryStore, made: Write) -> object:
        task = kernel.current()
        if task is not None and task.name.startswith(f"{name}#"):
            raise StoreUnavailable("the network is gone")
        return write(store, made)

    with patch.object(MemoryStore, "write", refused):
        yield


def test_worker_that_lives_is_not_recovered_however_long_it_runs() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.action
        def job(work: Work) -> str:
            work.sleep(12 * MINUTE)
            return "done"

        job_arn = cloud.function(job, timeout=15 * MINUTE)
        work_id = pool.enqueue_action(None, job_arn, {}, heartbeat_timeout=30 * SECOND)
        cloud.run_until_idle()
        status = pool.status(None, work_id)
        assert (status.outcome, status.attempts[0].number) == ("success", 1)
        assert len(cloud.invocations(job_arn)) == 1


def test_progress_is_seen_while_attempt_runs() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.action
        def scan(work: Work) -> None:
            work.progress(0.25, "page 1\nof 4")
            work.sleep(10)
            work.progress(0.5)
            work.sleep(10)

        scan_arn = cloud.function(scan, timeout=MINUTE)
        work_id = pool.enqueue_action(None, scan_arn, {})
        cloud.advance(5 * SECOND)
        status = pool.status(None, work_id)
        assert (status.progress, status.note) == (0.25, "page 1 of 4")
        assert pool.list(None).items[0].progress == 0.25
        cloud.advance(10 * SECOND)
        status = pool.status(None, work_id)
        assert (status.progress, status.note) == (0.5, None)


def test_progress_is_written_once_second_and_last_one_wins() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.action
        def scan(work: Work) -> None:
            for n in range(100):
                work.progress(n / 100, f"part {n}")
                work.sleep(0.01)
            work.sleep(30)

        scan_arn = cloud.function(scan, timeout=MINUTE)
        work_id = pool.enqueue_action(None, scan_arn, {})
        before = cloud.capacity.write_units
        cloud.advance(20 * SECOND)
        status = pool.status(None, work_id)
        assert (status.progress, status.note) == (0.99, "part 99")
        assert cloud.capacity.write_units - before < 12


def test_progress_that_waits_at_end_is_dropped() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.action
        def scan(work: Work) -> None:
            work.progress(0.5)
            work.progress(1)

        work_id = pool.enqueue_action(None, cloud.function(scan), {})
        cloud.run_until_idle()
        assert pool.status(None, work_id).progress == 0.5


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), "half", None, True])
def test_progress_outside_its_range_is_refused(share: object) -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()
        refused: list[str] = []

        @pool.action
        def scan(work: Work) -> None:
            try:
                work.progress(share)  # type: ignore[arg-type]
            except UsageError as error:
                refused.append(error.field)

        work_id = pool.enqueue_action(None, cloud.function(scan), {})
        cloud.run_until_idle()
        assert refused == ["share"]
        assert pool.status(None, work_id).progress is None


def test_progress_of_next_attempt_begins_anew() -> None:
    with LocalCloud() as cloud:
        pool = cloud.workpool()

        @pool.action
        def scan(work: Work) -> None:
            if work.attempt == 1:
                work.progress(0.9, "nearly")
                raise ValueError("late")
            work.sleep(30)

        work_id = pool.enqueue_action(
            None, cloud.function(scan, timeout=MINUTE), {}, retry=ONCE_MORE
        )
        cloud.advance(10 * SECOND)
        assert pool.status(None, work_id).progress is None


def test_timeout_on_real_clock_interrupts_sleep() -> None:
    with LocalCloud(clock="real") as cloud:
        pool = cloud.workpool()

        @pool.action
        def hangs(work: Work) -> None:
            work.sleep(20)

        hangs_arn = cloud.function(hangs, timeout=30 * SECOND)
        began = time.monotonic()
        work_id = pool.enqueue_action(None, hangs_arn, {}, timeout=SECOND / 2)
        cloud.run_until_idle(timeout=MINUTE)
        result = pool.result(None, work_id)
        assert result is not None
        assert result.error_type == "timeout"
        assert time.monotonic() - began < 15
