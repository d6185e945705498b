"""The watchdog's survey reports full pools and no idle ones. Passes report the ends of work items."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from workpool_aws.local import LocalCloud
from workpool_aws.model.events import PassReport, Surveyed


def tick(cloud: LocalCloud) -> list[Surveyed]:
    before = len(cloud.facts)
    cloud.invoke(cloud.watchdog_arn, {"workpool_watchdog": {"table": cloud.table}})
    cloud.advance(timedelta(seconds=1))
    return [each for each in cloud.facts[before:] if isinstance(each, Surveyed)]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    monkeypatch.setenv("WORKPOOL_METRICS", "table")
    return LocalCloud(engine="memory")


def test_backlog_is_reported_with_its_age(cloud: LocalCloud) -> None:
    with cloud:
        fn = cloud.function(
            lambda *_: None, name="slow", takes=timedelta(minutes=10), timeout=timedelta(minutes=15)
        )
        pool = cloud.workpool("email", max_parallelism=2)
        cloud.workpool("idle").enqueue_action(
            None, cloud.function(lambda *_: None, name="quick"), {}
        )
        pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(5)])
        cloud.advance(timedelta(seconds=90))

        (told,) = tick(cloud)

        assert (told.pool, told.pending, told.running, told.limit) == ("email", 3, 2, 2)
        assert told.oldest_pending_s == pytest.approx(90, abs=2)


def test_paused_pool_says_that_it_has_no_slots(cloud: LocalCloud) -> None:
    with cloud:
        pool = cloud.workpool("email")
        pool.configure(None, paused=True)
        pool.enqueue_action(None, cloud.function(lambda *_: None, name="quick"), {})
        cloud.advance(timedelta(seconds=5))

        assert [(told.limit, told.pending) for told in tick(cloud)] == [(0, 1)]


def test_survey_reads_nothing_without_metrics() -> None:
    with LocalCloud(engine="memory") as cloud:
        fn = cloud.function(
            lambda *_: None, name="slow", takes=timedelta(minutes=1), timeout=timedelta(minutes=2)
        )
        cloud.workpool("email", max_parallelism=1).enqueue_action_batch(
            None, fn, [{"n": n} for n in range(3)]
        )
        cloud.advance(timedelta(seconds=5))

        assert tick(cloud) == []


def test_passes_tell_how_each_attempt_ended() -> None:
    def work(event: dict[str, int], _: object) -> None:
        if event["n"] % 2:
            raise ValueError(event["n"])

    with LocalCloud(engine="memory") as cloud:
        fn = cloud.function(work)
        cloud.workpool("email").enqueue_action_batch(
            None, fn, [{"n": n} for n in range(6)], retry=True
        )
        cloud.workpool("email").enqueue_action_batch(None, fn, [{"n": n} for n in range(4)])
        cloud.run_until_idle()

        ended: Counter[str] = Counter()
        for each in cloud.facts:
            if isinstance(each, PassReport):
                ended.update(
                    succeeded=each.succeeded,
                    failed=each.failed,
                    retried=each.retried,
                    canceled=each.canceled,
                )
        assert ended == {"succeeded": 5, "failed": 5, "retried": 3 * 4, "canceled": 0}
