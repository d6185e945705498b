"""Rates, timeouts and heartbeats of deployed functions, in real processes."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta

from tests.e2e.deployment import processes_of
from tests.e2e.waiting import once
from workpool_aws import RateLimit, RetryPolicy

QUICK = RetryPolicy(max_attempts=3, initial_backoff=timedelta(milliseconds=200), jitter=False)


def test_rate_limit_of_deployment_paces_starts(make_pool, finished):
    pool = make_pool("paced")
    once(lambda: pool.config(None).rate_limit == RateLimit.parse("3/6s"))
    asked_at = time.time()
    ids = pool.enqueue_action_batch(None, "nap", [{"n": n, "ms": 1} for n in range(9)])

    once(lambda: pool.why(None, ids[-1]).reasons[0].code == "rate_limited")
    finished(pool, ids)

    began = sorted(pool.result(None, each).return_value["began"] for each in ids)
    # Nothing begins before its start is committed, one in two seconds. Cold starts may bring the
    # begins of several nearer together.
    assert all(at - asked_at >= 2 * n - 0.1 for n, at in enumerate(began)), (asked_at, began)


def test_attempt_that_hangs_ends_at_its_timeout(make_pool, finished):
    pool = make_pool("timed")
    work_id = pool.enqueue_action(
        None, "linger", {"ms": 200_000}, timeout=timedelta(seconds=3), retry=QUICK
    )
    status = once(lambda: pool.status(None, work_id), lambda seen: seen.progress is not None)
    assert (status.progress, status.note) == (0.5, "half way")

    (status,) = finished(pool, [work_id])

    assert (status.outcome, pool.result(None, work_id).return_value) == ("success", 2)
    assert status.attempts[0].error_type == "timeout"


def test_lost_worker_with_heartbeats_is_found_before_its_timeout(cloud, make_pool):
    pool = make_pool("timed")
    asked = time.monotonic()
    work_id = pool.enqueue_action(
        None, "linger", {"ms": 280_000}, heartbeat_timeout=timedelta(seconds=30)
    )
    once(lambda: pool.status(None, work_id).heartbeat_at is not None)
    # With those that an earlier test may have left.
    victims = once(lambda: list(processes_of(cloud, "linger")))

    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    while pool.status(None, work_id).state != "finished" and time.monotonic() - asked < 200:
        time.sleep(1)

    result = pool.result(None, work_id)
    assert result is not None, "not found within 200 s"
    assert result.error_type in {"crashed", "heartbeat_lost"}
