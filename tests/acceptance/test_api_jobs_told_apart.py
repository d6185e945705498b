"""Two jobs in one function: logs, statistics and lists speak of the job, not of the function."""

import functools
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from workpool_aws import JobStats, NonRetryableError, RetryPolicy, UsageError, Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.testing import assert_enqueued, refute_enqueued


class Two(NamedTuple):
    """A pool whose two jobs and whose handler of callbacks share one function."""

    pool: Workpool
    good: Any
    bad: Any
    arn: str


@pytest.fixture
def two(cloud: LocalCloud) -> Two:
    pool = cloud.workpool()

    @pool.on_complete
    def hear(event: Any) -> None: ...

    @pool.action(name="mail.send", on_complete=hear)
    def send(to: str) -> str:
        return to

    @pool.action(retry=RetryPolicy(max_attempts=2, initial_backoff=timedelta(seconds=1)))
    def crawl(url: str) -> None:
        raise ValueError(url)

    return Two(pool, send, crawl, cloud.function(pool.handler(send, crawl, hear), name="many"))


def test_every_event_of_work_item_names_its_job(cloud: LocalCloud, two: Two) -> None:
    owners = {
        two.good.enqueue(None, to="a@example.com"): "mail.send",
        two.bad.enqueue(None, url="https://example.com"): "crawl",
        two.pool.enqueue_action(None, cloud.function(_plain, name="old"), {}): "old",
        two.pool.enqueue_action(None, "missing:live", {}): "missing:live",
    }
    late = two.good.with_options(run_after=timedelta(days=1)).enqueue(None, to="b@example.com")
    two.pool.cancel(None, late)
    cloud.run_until_idle(raise_failures=False)

    named: dict[str, set[str]] = defaultdict(set)
    for event in cloud.events:
        if hasattr(event, "work_id"):
            named[event.work_id].add(event.job)
    assert named == {**{each: {job} for each, job in owners.items()}, late: {"mail.send"}}
    heard = [event for event in cloud.events if event.name.startswith("callback_")]
    assert {(event.job, event.handler) for event in heard} == {("mail.send", "hear")}


def test_cloud_shows_work_items_and_invocations_of_one_job(cloud: LocalCloud, two: Two) -> None:
    sent = two.good.enqueue(None, to="a@example.com")
    crawled = [two.bad.enqueue(None, url=f"https://example.com/{n}") for n in range(2)]
    cloud.fail_next("mail.send", TimeoutError("mail server"))
    cloud.run_until_idle(raise_failures=False)

    for by_job in (two.good, "mail.send"):
        assert [work.work_id for work in cloud.enqueued(by_job)] == [sent]
        (ran,) = cloud.invocations(by_job)
        assert ran.event["to"] == "a@example.com"
        assert cloud.max_concurrency(by_job) == 1
    assert {work.work_id for work in cloud.enqueued(two.arn)} == {sent, *crawled}
    assert sorted(failure.work.call for failure in cloud.failures) == [
        "crawl(url='https://example.com/0')",
        "crawl(url='https://example.com/1')",
        "mail.send(to='a@example.com')",
    ]
    assert_enqueued(two.good, to="a@example.com")
    refute_enqueued(two.bad, to="a@example.com")


def test_lists_and_dead_letters_of_one_job(cloud: LocalCloud, two: Two) -> None:
    sent = two.good.enqueue_batch(None, [{"to": "a@example.com"}] * 2)
    crawled = two.bad.enqueue_batch(None, [{"url": "https://example.com"}] * 3)
    cloud.fail_next(two.good, NonRetryableError("no such mailbox"))
    cloud.run_until_idle(raise_failures=False)
    pool = two.pool

    for job, ids, dead in ((two.good, sent, 1), (two.bad, crawled, 3)):
        handle = job.with_options(run_after=timedelta(days=1))
        for fn in (job, handle, functools.wraps(job)(lambda event, context: None), job.job.name):
            assert [work.work_id for work in pool.list(None, fn=fn).items] == ids
            assert pool.count_dead_letters(None, fn) == dead
    assert len(pool.list(None, fn=two.arn).items) == len(pool.list(None, fn="many").items) == 5
    assert pool.list(None, fn="hear").items == ()
    assert pool.redrive_all(None, fn="mail.send") == 1
    assert (pool.count_dead_letters(None, two.good), pool.count_dead_letters(None)) == (0, 3)


def test_job_of_its_own_function_has_what_was_enqueued_by_function(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def crawl(url: str) -> None: ...

    arn = cloud.function(crawl, name="own")
    cloud.function(_plain, name="crawl")
    by_arn = pool.enqueue_action(None, arn, {"url": "https://example.com"})
    by_job = crawl.enqueue(None, url="https://example.com")
    other = pool.enqueue_action(None, cloud.function(_plain, name="other"), {})

    for fn in (crawl, "crawl"):
        assert {work.work_id for work in pool.list(None, fn=fn).items} == {by_arn, by_job}
    assert [work.work_id for work in pool.list(None, fn="other").items] == [other]


def test_work_items_of_job_that_is_not_deployed_any_more_are_listed(cloud: LocalCloud) -> None:
    pool, old = cloud.workpool(), Workpool("jobs-of-another-deployment")

    @old.action(name="crawl.2024")
    def crawl(url: str) -> None: ...

    assert pool.list(None, fn=crawl).items == pool.list(None, fn="crawl.2024").items == ()


@pytest.mark.parametrize("bad", ["a b", "", "x" * 65 + ".", 5, len, ["crawl"], b"crawl"])
def test_what_names_no_job_is_refused(cloud: LocalCloud, bad: Any) -> None:
    pool = cloud.workpool()
    for call in (pool.list, pool.redrive_all, pool.count_dead_letters):
        with pytest.raises(UsageError, match=r"^fn must be None \(any\), a decorated function, "):
            call(None, fn=bad)


def test_handlers_and_functions_of_many_jobs_are_no_job(cloud: LocalCloud, two: Two) -> None:
    @two.pool.on_complete
    def heard(event: Any) -> None: ...

    for bad in (heard, two.pool.handler(two.good, two.bad)):
        with pytest.raises(UsageError, match=r"^fn must be "):
            two.pool.list(None, fn=bad)


@pytest.mark.parametrize("by_job", [None, 1, "yes", [True]])
def test_flag_of_statistics_is_refused(cloud: LocalCloud, by_job: Any) -> None:
    for call in (cloud.workpool().stats, cloud.workpool().log_stats):
        with pytest.raises(UsageError, match=r"^by_job must be True or False; got "):
            call(None, by_job=by_job)


def test_job_that_is_deployed_again_is_one_job(cloud: LocalCloud) -> None:
    """As after a reload of its module: another object of the same name, in another function."""
    pool = cloud.workpool()

    def deploy(answer: int) -> Any:
        job = pool.action(name="crawl")(lambda url: answer)
        cloud.function(job, name=f"version-{answer}")
        job.enqueue(None, url="https://example.com")
        cloud.run_until_idle()
        return job

    jobs = [deploy(1), deploy(2)]

    for fn in (*jobs, "crawl"):
        assert len(cloud.enqueued(fn)) == len(pool.list(None, fn=fn).items) == 2
    assert repr(jobs[0].with_options(retry=True)) == "<job crawl>"


def test_statistics_of_each_job(cloud: LocalCloud, two: Two) -> None:
    two.good.enqueue_batch(None, [{"to": "a@example.com"}] * 3)
    two.bad.enqueue(None, url="https://example.com")
    two.pool.enqueue_action(None, cloud.function(_plain, name="old"), {})
    cloud.run_until_idle(raise_failures=False)
    cloud.advance(timedelta(seconds=30))
    two.good.with_options(run_after=timedelta(hours=1)).enqueue(None, to="b@example.com")
    two.pool.configure(None, paused=True)
    two.bad.enqueue(None, url="https://example.org")
    cloud.advance(timedelta(seconds=5))

    plain, stats = two.pool.stats(None), two.pool.stats(None, by_job=True)

    assert plain == replace(stats, jobs={})
    counted = {
        job: [
            (each.began_at, each.succeeded, each.failed, each.retried, each.canceled)
            for each in figures.minutes
        ]
        for job, figures in stats.jobs.items()
    }
    began_at = stats.minutes[0].began_at
    assert counted == {
        "crawl": [(began_at, 0, 1, 1, 0)],
        "mail.send": [(began_at, 3, 0, 0, 0)],
        "old": [(began_at, 0, 1, 0, 0)],
    }
    assert {job: replace(each, minutes=()) for job, each in stats.jobs.items()} == {
        "crawl": JobStats(
            pending=1,
            scheduled=0,
            running=0,
            oldest_pending_s=5.0,
            executions=2,
            error_rate=1.0,
            permanent_failure_rate=1.0,
        ),
        "mail.send": JobStats(
            pending=0,
            scheduled=1,
            running=0,
            oldest_pending_s=None,
            executions=3,
            error_rate=0.0,
            permanent_failure_rate=0.0,
        ),
        "old": JobStats(
            pending=0,
            scheduled=0,
            running=0,
            oldest_pending_s=None,
            executions=1,
            error_rate=1.0,
            permanent_failure_rate=1.0,
        ),
    }
    assert sum(each.executions for each in stats.jobs.values()) == stats.executions

    two.pool.log_stats(None, by_job=True)
    logged = [event for event in cloud.events if event.name == "job_stats"]
    assert [(event.job, event.executions) for event in logged] == [
        ("crawl", 2),
        ("mail.send", 3),
        ("old", 1),
    ]


def test_statistics_name_job_of_each_slot_in_use(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=3)

    @pool.action
    def long(n: int) -> None: ...

    @pool.action
    def short(n: int) -> None: ...

    cloud.function(
        pool.handler(long, short), takes=timedelta(minutes=5), timeout=timedelta(minutes=9)
    )
    long.enqueue_batch(None, [{"n": 1}, {"n": 2}])
    short.enqueue_batch(None, [{"n": 3}, {"n": 4}])
    cloud.advance(timedelta(minutes=1))

    jobs = pool.stats(None, by_job=True).jobs

    assert {job: (each.running, each.pending) for job, each in jobs.items()} == {
        "long": (2, 0),
        "short": (1, 1),
    }


def _plain(event: Any, context: Any) -> None:
    raise NonRetryableError("no")
