"""A minute is reported once, over itself if need be, and never at the cost of the loop."""

from typing import Any

from tests.kit.records import NOW, an_id
from tests.kit.stores import every, lost_before
from tests.kit.world import World
from workpool_aws.core import limits
from workpool_aws.flow.loop.tally import carry_on
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import (
    JobTallies,
    JobTally,
    Ledger,
    MinuteReport,
    MinuteTally,
    Notice,
    NoticeKind,
)
from workpool_aws.model.refs import Collection, KeyRange
from workpool_aws.model.spec import Outcome

LATER = EpochMs(NOW + limits.TALLY_MS)
DONE = Notice(
    pool="email",
    at=an_id(),
    work_id=an_id(),
    start=1,
    kind=NoticeKind.FINISHED,
    outcome=Outcome.SUCCESS,
    job="send",
)


def reports(world: World) -> list[Any]:
    return [
        row.record
        for row in world.memory.query(KeyRange(collection=Collection.REPORTS, pool="email")).rows
    ]


def ledger(tally: MinuteTally, jobs: JobTallies | None = None) -> Ledger:
    return Ledger(pool="email", holder="", generation=1, version=1, tally=tally, jobs=jobs)


def counts(since: EpochMs, **jobs: int) -> JobTallies:
    tallies = tuple(JobTally(job=job, succeeded=count) for job, count in jobs.items())
    return JobTallies(since=since, jobs=tallies)


def test_tally_is_not_written_within_its_minute(world: World) -> None:
    before = ledger(MinuteTally(since=NOW, succeeded=1), counts(NOW, crawl=1, send=1))

    after = carry_on(world.ports, before, [DONE], [5], EpochMs(LATER - 1))

    assert after.tally == MinuteTally(since=NOW, succeeded=2, lags=((0, 1),))
    assert after.jobs == counts(NOW, crawl=1, send=2)
    assert world.requests == 0


def test_minute_that_is_over_is_reported_and_new_one_begins(world: World) -> None:
    full = ledger(MinuteTally(since=NOW, succeeded=1), counts(NOW, crawl=1))

    after = carry_on(world.ports, full, [DONE], [], LATER)

    assert after.tally == MinuteTally(since=LATER, succeeded=1)
    assert after.jobs == counts(LATER, send=1)
    expires_at = NOW // 1000 + limits.REPORT_RETENTION_S
    assert reports(world) == [
        MinuteReport(
            pool="email", at=id_floor(NOW), tally=full.tally, jobs=full.jobs, expires_at=expires_at
        )
    ]


def test_counts_of_jobs_that_loop_of_first_version_left_behind_are_dropped(world: World) -> None:
    """It writes the tally of another minute, and leaves an attribute that it does not know."""
    left = ledger(MinuteTally(since=NOW, succeeded=1), counts(EpochMs(NOW - 90_000), crawl=7))

    assert carry_on(world.ports, left, [DONE], [], NOW).jobs == counts(NOW, send=1)
    carry_on(world.ports, left, [], [], LATER)
    assert [report.jobs for report in reports(world)] == [None]


def test_report_whose_commit_was_lost_is_written_over_itself(world: World) -> None:
    full = ledger(MinuteTally(since=NOW, succeeded=1))
    carry_on(world.ports, full, [DONE], [], LATER)

    carry_on(world.ports, full, [DONE], [], EpochMs(LATER + 500))

    assert len(reports(world)) == 1


def test_report_that_cannot_be_written_is_counted_on(world: World) -> None:
    world.store.plan(every, lost_before, times=None)

    after = carry_on(world.ports, ledger(MinuteTally(since=NOW, succeeded=1)), [DONE], [], LATER)

    assert after.tally == MinuteTally(since=NOW, succeeded=2)
    assert after.jobs == counts(NOW, send=1)
