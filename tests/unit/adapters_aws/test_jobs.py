"""The jobs of a deployment, as callers keep them."""

import pytest

from tests.kit.clocks import ManualClock
from workpool_aws.adapters.aws.jobs import DeployedJobs
from workpool_aws.core import limits
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.loop import DeployedJob, Deployment

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:mailer"


class Item:
    """A deployment item that counts how often it is read."""

    def __init__(self) -> None:
        self.found: Deployment | None = None
        self.fails = False
        self.reads = 0

    def __call__(self) -> Deployment | None:
        self.reads += 1
        if self.fails:
            raise StoreUnavailable("no answer")
        return self.found

    def add(self, *jobs: str) -> None:
        self.found = Deployment(loop_arn="loop", jobs=tuple(DeployedJob(job, ARN) for job in jobs))


def test_known_job_is_read_again_after_five_minutes() -> None:
    item, clock = Item(), ManualClock()
    item.add("send")
    jobs = DeployedJobs(item, clock)

    first = jobs("send")
    assert (jobs("send"), item.reads) == (first, 1)
    item.add("send", "crawl")
    clock.sleep(limits.JOBS_KEPT_MS - 1)
    kept = jobs("send")
    clock.sleep(1)

    assert (first, kept, jobs("send")) == (
        {"send": ARN},
        {"send": ARN},
        {"send": ARN, "crawl": ARN},
    )
    assert item.reads == 2


def test_unknown_job_is_read_again_after_ten_seconds() -> None:
    item, clock = Item(), ManualClock()
    jobs = DeployedJobs(item, clock)

    before = jobs("send")
    item.add("send")
    clock.sleep(limits.JOBS_MISSED_KEPT_MS - 1)
    kept = jobs("send")
    clock.sleep(1)

    assert (before, kept, jobs("send")) == ({}, {}, {"send": ARN})
    assert item.reads == 2


def test_clock_that_is_set_back_reads_again() -> None:
    item, clock = Item(), ManualClock()
    item.add("send")
    jobs = DeployedJobs(item, clock)
    jobs("send")

    clock.at -= 1
    jobs("send")

    assert item.reads == 2


def test_read_that_fails_is_raised_and_repeated() -> None:
    item = Item()
    item.fails = True
    jobs = DeployedJobs(item, ManualClock())

    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            jobs("send")

    assert item.reads == 2
