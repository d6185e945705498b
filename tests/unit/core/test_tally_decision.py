"""The counts of the loop, and their meaning."""

from dataclasses import replace

import pytest

from tests.kit.records import NOW, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.tally import (
    LAG_CLASSES_MS,
    added,
    added_by_job,
    error_rate,
    executions,
    is_full,
    lag_ms_at,
    permanent_failure_rate,
    together,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import JobTallies, JobTally, MinuteTally, Notice, NoticeKind
from workpool_aws.model.spec import Outcome


def a_done(kind: NoticeKind = NoticeKind.FINISHED, outcome: Outcome | None = None) -> Notice:
    return Notice(pool="email", at=an_id(), work_id=an_id(), start=1, kind=kind, outcome=outcome)


def test_each_record_counts_as_what_it_tells() -> None:
    records = [
        a_done(outcome=Outcome.SUCCESS),
        a_done(outcome=Outcome.SUCCESS),
        a_done(outcome=Outcome.FAILED),
        a_done(outcome=Outcome.CANCELED),
        a_done(outcome=None),
        a_done(NoticeKind.RETRY),
        a_done(NoticeKind.PUT_BACK),
    ]

    assert added(None, records, [0, 10, 11], NOW) == MinuteTally(
        since=NOW, succeeded=2, failed=1, retried=1, canceled=1, lags=((0, 2), (1, 1))
    )


def test_each_record_counts_for_its_job() -> None:
    before = JobTallies(since=NOW, jobs=(JobTally(job="crawl", failed=2),))
    records = [
        replace(a_done(outcome=Outcome.SUCCESS), job="mail.send"),
        replace(a_done(NoticeKind.RETRY), job="crawl"),
        replace(a_done(NoticeKind.PUT_BACK), job="never"),
        replace(a_done(outcome=Outcome.CANCELED), job="crawl"),
        a_done(outcome=Outcome.SUCCESS),
    ]

    assert added_by_job(before, records, NOW) == JobTallies(
        since=NOW,
        jobs=(
            JobTally(job="crawl", failed=2, retried=1, canceled=1),
            JobTally(job="mail.send", succeeded=1),
        ),
    )
    assert added_by_job(None, records[2:3], NOW) is None


def test_first_jobs_of_minute_are_counted_and_no_more_than_ledger_has_room_for() -> None:
    most = limits.TALLY_JOBS_MAX
    names = [f"job-{number:02}" for number in range(most, 0, -1)]
    full = added_by_job(
        None, [replace(a_done(outcome=Outcome.SUCCESS), job=name) for name in names], NOW
    )
    assert full is not None
    more = [replace(a_done(outcome=Outcome.SUCCESS), job=job) for job in ("a-new-one", names[0])]

    after = added_by_job(full, more, NOW)

    assert after is not None
    assert [each.job for each in after.jobs] == sorted(names)
    assert sum(each.succeeded for each in after.jobs) == most + 1


def test_tally_stays_as_it_is_if_nothing_counts() -> None:
    before = MinuteTally(since=NOW, failed=1)

    assert added(None, [], [], NOW) is None
    assert added(None, [a_done(NoticeKind.PUT_BACK)], [], NOW) is None
    assert added(before, [], [], EpochMs(NOW + 5)) == before


def test_counts_add_up_since_first() -> None:
    before = MinuteTally(since=NOW, succeeded=1, lags=((0, 1), (3, 2)))

    after = added(before, [a_done(outcome=Outcome.SUCCESS)], [40, 10**12], EpochMs(NOW + 5))

    assert after == MinuteTally(
        since=NOW, succeeded=2, lags=((0, 1), (3, 3), (len(LAG_CLASSES_MS) - 1, 1))
    )


def test_tally_is_full_after_its_minute() -> None:
    tally = MinuteTally(since=NOW)

    full = [
        is_full(None, NOW),
        *(is_full(tally, EpochMs(NOW + limits.TALLY_MS + more)) for more in (-1, 0)),
    ]

    assert full == [False, False, True]


@pytest.mark.peer("SA02")
def test_rates_as_they_are_defined() -> None:
    tally = MinuteTally(since=NOW, succeeded=6, failed=2, retried=2)

    assert (executions(tally), error_rate(tally), permanent_failure_rate(tally)) == (10, 0.4, 0.25)


def test_rates_are_none_if_nothing_completed() -> None:
    assert (
        error_rate(MinuteTally(since=NOW)),
        permanent_failure_rate(MinuteTally(since=NOW)),
        lag_ms_at(MinuteTally(since=NOW), 0.5),
    ) == (None, None, None)
    assert permanent_failure_rate(MinuteTally(since=NOW, retried=3)) is None


@pytest.mark.parametrize(
    ("share", "lag_ms"),
    [(0.01, 10), (0.5, 10), (0.51, 30), (0.95, 30), (0.96, 86_400_000), (1.0, 86_400_000)],
)
def test_share_of_starts_was_no_later_than_its_class(share: float, lag_ms: int) -> None:
    tally = MinuteTally(since=NOW, lags=((0, 50), (2, 45), (len(LAG_CLASSES_MS) - 1, 5)))

    assert lag_ms_at(tally, share) == lag_ms


def test_tallies_sum_up() -> None:
    one, two = (
        MinuteTally(since=NOW, succeeded=1, canceled=1, lags=((0, 1),)),
        MinuteTally(since=NOW, failed=2, retried=3, lags=((0, 1), (1, 1))),
    )

    assert together([one, two], NOW) == MinuteTally(
        since=NOW, succeeded=1, failed=2, retried=3, canceled=1, lags=((0, 2), (1, 1))
    )
    assert together([], NOW) == MinuteTally(since=NOW)
