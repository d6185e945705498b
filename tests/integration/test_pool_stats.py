"""Statistics through the public face: rates, lags, backlog."""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.records import NO_STATS, NOW, TARGET
from tests.kit.stage import FAILED, NOT_DELIVERED, Stage
from tests.kit.world import World
from workpool_aws import RetryPolicy, UsageError, Workpool
from workpool_aws.adapters.telemetry import LoggerTelemetry
from workpool_aws.core import limits
from workpool_aws.core.views.stats import Queued, stats_of
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import StatsTaken
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.spec import Outcome

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

MINUTE = timedelta(minutes=1)


def test_start_that_was_never_delivered_and_then_canceled_is_no_execution() -> None:
    """Nothing ran; a start that ran and would have been retried counts as one."""
    counts = []
    for report in (NOT_DELIVERED, FAILED):
        stage = Stage(takes_ms=None)
        work_id = stage.pool().enqueue_action(None, TARGET, {}, retry=True)
        stage.run(1_000)
        stage.pool().cancel(None, work_id)
        stage.complete(stage.invoker.started[0], report)
        stage.complete(stage.invoker.started[0], report)
        stage.run(5_000)
        assert stage.work(work_id).outcome is Outcome.CANCELED
        counts.append((stage.pool().stats(None).executions, stage.ledger().entries))

    assert counts == [(0, {}), (1, {})]


class Planned:
    """Each work fails so often, and then succeeds."""

    def __init__(self) -> None:
        self.left: dict[int, int] = {}

    def __call__(self, event: dict[str, Any], _: object) -> None:
        self.left.setdefault(event["n"], event["failures"])
        self.left[event["n"]] -= 1
        if self.left[event["n"]] >= 0:
            raise ValueError("by plan")


def test_unused_pool_has_no_statistics(cloud: LocalCloud) -> None:
    assert cloud.workpool().stats(None) == NO_STATS


@both_engines
def test_rates_are_those_of_attempts_that_completed(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(Planned(), name="planned")
    policy = RetryPolicy(max_attempts=2, jitter=False)
    failures = [0, 0, 0, 0, 1, 1]  # six successes, two of them after a retry
    pool.enqueue_action_batch(
        None, fn, [{"n": n, "failures": count} for n, count in enumerate(failures)], retry=policy
    )
    pool.enqueue_action_batch(None, fn, [{"n": n, "failures": 1} for n in (10, 11)], retry=False)
    cloud.run_until_idle()
    pool.enqueue_action(None, fn, {"n": 20, "failures": 0}, run_after=timedelta(days=1))

    stats = pool.stats(None)

    assert (stats.executions, stats.error_rate, stats.permanent_failure_rate) == (10, 0.4, 0.25)
    assert (stats.pending, stats.scheduled, stats.running, stats.at_least) == (0, 1, 0, False)


def test_backlog_excludes_what_is_due_later(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=2)
    slow = cloud.function(lambda event, _: None, name="slow", takes=5 * MINUTE, timeout=10 * MINUTE)
    pool.enqueue_action_batch(None, slow, [{}] * 5)
    pool.enqueue_action_batch(None, slow, [{}] * 4, run_after=timedelta(hours=5))
    cloud.advance(MINUTE)

    stats = pool.stats(None)

    assert (stats.pending, stats.scheduled, stats.running, stats.at_least) == (3, 4, 2, False)
    assert stats.oldest_pending_s == pytest.approx(60, abs=1)


def test_work_that_backs_off_is_scheduled(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    policy = RetryPolicy(max_attempts=2, initial_backoff=timedelta(minutes=30), jitter=False)
    pool.enqueue_action(
        None, cloud.function(Planned(), name="planned"), {"n": 1, "failures": 9}, retry=policy
    )
    cloud.advance(MINUTE)

    stats = pool.stats(None)

    assert (stats.pending, stats.scheduled, stats.executions, stats.error_rate) == (0, 1, 1, 1.0)
    assert stats.permanent_failure_rate is None


def test_long_backlog_is_counted_to_bound() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool(max_parallelism=0)
        fn = cloud.function(Planned(), name="planned")
        pool.enqueue_action_batch(None, fn, [{"n": 1, "failures": 0}] * (2 * limits.STATS_ROWS_MAX))
        cloud.advance(MINUTE)

        before = cloud.capacity.read_units
        stats = pool.stats(None)
        read_units = cloud.capacity.read_units - before

        assert (stats.pending, stats.scheduled, stats.at_least) == (limits.STATS_ROWS_MAX, 0, True)
        assert (stats.pending_at_least, stats.scheduled_at_least) == (True, False)
        # A row more than is counted says that there are more. The others are not read.
        assert read_units < 70
        (job,) = pool.stats(None, by_job=True).jobs.values()
        assert (job.pending, job.at_least) == (limits.STATS_ROWS_MAX, True)


def test_lags_grow_with_wait_for_slot(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=1)
    fn = cloud.function(lambda event, _: None, name="slow", takes=timedelta(seconds=4))
    pool.enqueue_action_batch(None, fn, [{}] * 10)
    cloud.run_until_idle()

    stats = pool.stats(None)

    assert stats.start_lag_p50_ms == 20_000
    assert stats.start_lag_p95_ms == 60_000


def test_statistics_count_window_alone(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(Planned(), name="planned")
    for n in range(4):
        pool.enqueue_action(None, fn, {"n": n, "failures": 0})
        cloud.advance(10 * MINUTE)

    counts = [
        pool.stats(None, window=window).executions
        for window in (MINUTE, 11 * MINUTE, 25 * MINUTE, timedelta(days=7))
    ]

    assert counts == [0, 1, 2, 4]


def test_statistics_count_nothing_twice_when_loops_crash() -> None:
    with LocalCloud(engine="memory", seed=3, crash_rate=0.2, duplicate_deliveries=0.2) as cloud:
        pool = cloud.workpool(max_parallelism=5)
        fn = cloud.function(Planned(), name="planned", takes=timedelta(seconds=5))
        ids = pool.enqueue_action_batch(
            None, fn, [{"n": n, "failures": 0} for n in range(40)], retry=True
        )
        cloud.run_until_idle(timeout=timedelta(days=2))

        stats = pool.stats(None, window=timedelta(days=7))

        attempts = sum(status.previous_attempts + 1 for status in pool.status_batch(None, ids))
        assert 0 < stats.executions <= attempts


def test_statistics_by_job_read_so_many_of_those_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 10,000 running, each page of the dashboard would pay for all of them."""
    monkeypatch.setattr(limits, "JOBS_RUNNING_READ_MAX", 3)
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool(max_parallelism=5)
        fn = cloud.function(Planned(), name="planned", takes=timedelta(minutes=1))
        pool.enqueue_action_batch(None, fn, [{"n": n, "failures": 0} for n in range(5)])
        cloud.advance(timedelta(seconds=2))
        stats = pool.stats(None, by_job=True)

    assert (stats.running, stats.jobs["planned"].running) == (5, 3)
    assert stats.jobs["planned"].at_least


def test_idle_pool_writes_no_report() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        pool.enqueue_action(
            None, cloud.function(Planned(), name="planned"), {"n": 1, "failures": 0}
        )
        cloud.run_until_idle()
        cloud.advance(timedelta(hours=1))

        assert "minutereport.put" not in cloud.capacity.by_label


def test_busy_pool_writes_at_most_one_report_minute() -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool(max_parallelism=1)
        fn = cloud.function(Planned(), name="planned", takes=timedelta(seconds=3))
        pool.enqueue_action_batch(None, fn, [{"n": n, "failures": 0} for n in range(60)])
        cloud.run_until_idle()

        written = cloud.capacity.by_label["minutereport.put"]
        assert 2 <= written.requests <= 4
        assert written.write_units == written.requests
        assert pool.stats(None, window=timedelta(hours=1)).executions == 60


@pytest.mark.parametrize(
    ("waits_ms", "told_s"), [(0, 0.0), (1, 0.001), (90_000, 90.0), (-2_000, 0.0)]
)
def test_oldest_waits_for_seconds_and_never_less_than_none(waits_ms: int, told_s: float) -> None:
    """A clock that goes after that of the enqueuer sees it due in the future."""
    queued = Queued(
        pending=1,
        scheduled=0,
        pending_capped=False,
        scheduled_capped=False,
        oldest_at=EpochMs(NOW - waits_ms),
    )

    assert stats_of(queued, [], running=0, window_ms=60_000, now=NOW).oldest_pending_s == told_s


@pytest.mark.parametrize("window", [MINUTE, timedelta(days=7)])
def test_window_at_its_bound_is_taken(cloud: LocalCloud, window: timedelta) -> None:
    assert cloud.workpool().stats(None, window=window) == NO_STATS


@pytest.mark.parametrize("window", [None, 5, timedelta(seconds=59), timedelta(days=8)])
def test_window_that_cannot_be_meant(cloud: LocalCloud, window: Any) -> None:
    with pytest.raises(
        UsageError, match=r"^window must be a timedelta from a minute to 7 days; got "
    ):
        cloud.workpool().stats(None, window=window)


def test_logging_statistics_tells_one_event(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email")
    pool.enqueue_action(None, cloud.function(Planned(), name="planned"), {"n": 1, "failures": 1})
    cloud.run_until_idle()

    pool.log_stats(None, window=MINUTE)

    (told,) = [fact for fact in cloud.facts if isinstance(fact, StatsTaken)]
    assert (told.pool, told.window_ms, told.executions, told.error_rate) == (
        "email",
        60_000,
        1,
        1.0,
    )


def test_event_is_logged_whatever_level(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    quiet = replace(world.ports, telemetry=LoggerTelemetry(logging.ERROR))

    Workpool(quiet.table, "email", ports=quiet).log_stats(None)

    (told,) = [record for record in caplog.records if record.message == "stats"]
    assert (told.levelname, told.__dict__["pool"], told.__dict__["executions"]) == (
        "INFO",
        "email",
        0,
    )
