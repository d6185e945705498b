"""Counting events on the way, and adding up at the end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from workpool_aws.cli.demo.report import (
    DemoReport,
    DemoTally,
    Progress,
    ServiceFailure,
    ServiceModel,
    Stored,
    Usage,
    report_of,
)
from workpool_aws.core.payload import JsonValue
from workpool_aws.core.views.status import Result, Status
from workpool_aws.model.events import Completed, Enqueued, Event, PutBack, Retrying, Started

AT = datetime(2026, 1, 1, tzinfo=UTC)
USAGE = Usage(max_concurrency=3, seconds=2.0, write_units=18, read_units=14)
FINISHED = Status(
    state="finished",
    previous_attempts=0,
    next_run_at=None,
    started_at=AT,
    finished_at=AT,
    outcome="success",
    cancel_requested=False,
)


def enqueued(work_id: str) -> Event:
    return Enqueued(pool="demo", work_id=work_id, target="t", kind="action", delay_ms=0)


def started(work_id: str, attempt: int = 1) -> Event:
    return Started(pool="demo", work_id=work_id, attempt=attempt, lag_ms=0)


def retrying(work_id: str, attempts_made: int = 1) -> Event:
    return Retrying(
        pool="demo",
        work_id=work_id,
        attempts_made=attempts_made,
        delay_ms=250,
        error_type="ServiceOutage",
    )


def completed(work_id: str, attempts_made: int = 1, outcome: str = "success") -> Event:
    return Completed(
        pool="demo", work_id=work_id, outcome=outcome, attempts_made=attempts_made, error_type=None
    )


def put_back(work_id: str) -> Event:
    return PutBack(pool="demo", work_id=work_id, undelivered=1, delay_ms=1000, reason="throttled")


def model(service: str, operations: int) -> Result:
    return Result(
        kind="success",
        return_value={
            "service": service,
            "operations": operations,
            "shapes": operations * 3,
            "longest_operation": "Op",
        },
    )


def counted(*events: Event) -> tuple[int, int, int, int, int]:
    """Pending, running, done, failed, retries."""
    progress = DemoTally(9).count(events, seconds=1)
    return progress.pending, progress.running, progress.done, progress.failed, progress.retries


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], (0, 0, 0, 0, 0)),
        ([enqueued("a"), enqueued("b")], (2, 0, 0, 0, 0)),
        ([enqueued("a"), enqueued("b"), started("a")], (1, 1, 0, 0, 0)),
        ([enqueued("a"), started("a"), completed("a")], (0, 0, 1, 0, 0)),
        ([enqueued("a"), started("a"), completed("a", outcome="failed")], (0, 0, 1, 1, 0)),
        ([enqueued("a"), started("a"), retrying("a")], (1, 0, 0, 0, 1)),
        ([enqueued("a"), started("a"), retrying("a"), started("a", 2)], (0, 1, 0, 0, 1)),
        ([enqueued("a"), started("a"), put_back("a")], (1, 0, 0, 0, 0)),
    ],
)
def test_facts_add_up(events: list[Event], expected: tuple[int, int, int, int, int]) -> None:
    assert counted(*events) == expected


@pytest.mark.parametrize(
    "events",
    [
        [enqueued("a"), completed("a"), started("a")],
        [enqueued("a"), started("a"), completed("a"), completed("a")],
        [enqueued("a"), started("a"), retrying("a"), completed("a", 2), started("a", 2)],
    ],
    ids=[
        "a worker quicker than the word of its start",
        "told twice",
        "a retry quicker than the word of its start",
    ],
)
def test_order_of_facts_does_not_mislead(events: list[Event]) -> None:
    pending, running, done, failed, _ = counted(*events)

    assert (pending, running, done, failed) == (0, 0, 1, 0)


def test_fact_counts_once_however_often_it_is_shown() -> None:
    events = [enqueued("a"), started("a"), retrying("a")]
    tally = DemoTally(1)

    tally.count(events[:2], seconds=1)
    tally.count(events, seconds=2)
    progress = tally.count(events, seconds=3)

    assert (progress.enqueued, progress.retries) == (1, 1)


def test_time_stands_still_once_all_is_done() -> None:
    events = [enqueued("a"), started("a"), completed("a")]
    tally = DemoTally(1)

    assert tally.count(events[:2], seconds=1).seconds == 1
    assert tally.count(events, seconds=2).seconds == 2
    assert tally.count(events, seconds=7).seconds == 2


def test_progress_with_nothing_done_took_no_time() -> None:
    assert a_report([Stored("sqs", WAITING, None)]).seconds == 0


def test_rate_is_works_second() -> None:
    progress = Progress(
        items=100, enqueued=100, running=0, done=30, failed=0, retries=0, seconds=4.0
    )

    assert progress.rate == 7.5
    assert replace(progress, seconds=0.0).rate == 0.0


SUCCEEDED = replace(FINISHED, finished_at=AT + timedelta(seconds=1))
FAILED = replace(
    FINISHED, previous_attempts=1, outcome="failed", finished_at=AT + timedelta(seconds=1.5)
)
WAITING = replace(FINISHED, state="pending", outcome=None, finished_at=None, previous_attempts=1)
BY_DESIGN = Result(kind="failed", error="by design", error_type="NonRetryableError")
FOUR = [
    Stored("s3", SUCCEEDED, model("s3", 100)),
    Stored("ec2", replace(SUCCEEDED, previous_attempts=2), model("ec2", 800)),
    Stored("iam", FAILED, BY_DESIGN),
    Stored("sqs", WAITING, None),
]
"""Two succeeded, one of them at the third attempt; one failed at its second; one still waits."""


def a_report(works: list[Stored], *, problem: str | None = None) -> DemoReport:
    return report_of(
        works, begun=AT, limit=3, usage=USAGE, engine="memory", seed=5, problem=problem
    )


def test_report_adds_up() -> None:
    report = a_report(FOUR)

    assert (report.items, report.finished, report.succeeded, report.failed) == (4, 3, 2, 1)
    assert (report.attempts, report.retries) == (7, 4)
    assert report.seconds == 1.5
    assert report.failures == (ServiceFailure("iam", "NonRetryableError", "by design"),)
    assert (report.write_units_per_action, report.read_units_per_action) == (4.5, 3.5)


def test_largest_come_first_and_at_most_ten() -> None:
    names = [f"s{n:02}" for n in range(15)]

    report = a_report(
        [Stored(name, SUCCEEDED, model(name, 10 + n // 2)) for n, name in enumerate(names)]
    )

    assert [one.service for one in report.largest] == [
        "s14",
        "s12",
        "s13",
        "s10",
        "s11",
        "s08",
        "s09",
        "s06",
        "s07",
        "s04",
    ]
    assert report.largest[0] == ServiceModel(
        service="s14", operations=17, shapes=51, longest_operation="Op"
    )


def test_service_that_was_opened_twice_is_shown_once() -> None:
    report = a_report([Stored("ec2", SUCCEEDED, model("ec2", 800))] * 2)

    assert [one.service for one in report.largest] == ["ec2"]


@pytest.mark.parametrize(
    "value",
    [None, 3, "x", [], {}, {"service": "s3"}, {"service": "s3", "operations": "many", "shapes": 1}],
)
def test_result_that_is_no_model_is_left_out(value: JsonValue) -> None:
    report = a_report([Stored("s3", SUCCEEDED, Result(kind="success", return_value=value))])

    assert report.largest == ()


GOOD = a_report([Stored("s3", SUCCEEDED, model("s3", 100))] * 4)


@pytest.mark.parametrize(
    ("report", "ok"),
    [
        (GOOD, True),
        (replace(GOOD, finished=3), False),
        (replace(GOOD, usage=replace(USAGE, max_concurrency=4)), False),
        (replace(GOOD, problem="work is left"), False),
        (replace(GOOD, failures=(ServiceFailure("iam", "NonRetryableError", "by design"),)), True),
    ],
    ids=["all well", "unfinished", "limit exceeded", "halted", "failed for good is an end"],
)
def test_ok_means_that_promises_were_kept(report: DemoReport, ok: bool) -> None:
    assert report.ok is ok
    assert report.to_json()["ok"] is ok


def test_json_object_has_these_keys_and_values() -> None:
    assert a_report(FOUR).to_json() == {
        "items": 4,
        "finished": 3,
        "succeeded": 2,
        "failed": 1,
        "retries": 4,
        "attempts": 7,
        "max_concurrency": 3,
        "limit": 3,
        "seconds": 1.5,
        "write_units_per_action": 4.5,
        "read_units_per_action": 3.5,
        "engine": "memory",
        "seed": 5,
        "largest": [
            {"service": "ec2", "operations": 800, "shapes": 2400, "longest_operation": "Op"},
            {"service": "s3", "operations": 100, "shapes": 300, "longest_operation": "Op"},
        ],
        "failures": [{"service": "iam", "error_type": "NonRetryableError", "error": "by design"}],
        "problem": None,
        "ok": False,
    }
