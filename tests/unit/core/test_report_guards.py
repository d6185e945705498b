"""What no report or claim may be taken for: guards of pure decisions that a condition of the write, or a second report, hides elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.records import NOW, a_running_work, an_assignment, an_id
from workpool_aws import RetryLater
from workpool_aws.core import limits
from workpool_aws.core.loop.settle import settle
from workpool_aws.core.report.claim import assignment_of, why_refused
from workpool_aws.core.report.complete import (
    counted_outcome,
    decide_put_back,
    decide_suspicion,
    never_delivered,
)
from workpool_aws.core.report.execute import report_raised
from workpool_aws.model.loop import Entry, EntryKey, Notice, NoticeKind
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.work import Outcome, State, WorkItem
from workpool_aws.model.writes import Either, Is

CLAIMED = a_running_work(claim="worker-1")
A = assignment_of(CLAIMED, "t")
FAILED = Report(kind=ReportKind.FAILED, error="x" * 9, error_type="X")
NOT_DELIVERED = Report(kind=ReportKind.NEVER_DELIVERED)


@pytest.mark.parametrize(
    ("current", "report"),
    [
        (CLAIMED, Report(kind=ReportKind.SUCCESS)),
        (CLAIMED, NOT_DELIVERED),
        (CLAIMED, replace(FAILED, claim="worker-2")),
        (replace(CLAIMED, state=State.FINISHED), FAILED),
        (replace(CLAIMED, starts=2), FAILED),
        (replace(CLAIMED, claim=None), FAILED),
        (Unreadable("p", "s", "damaged"), FAILED),
        (None, FAILED),
    ],
    ids=[
        "a success",
        "not delivered",
        "a claimer's own",
        "finished",
        "a later start",
        "nobody claimed",
        "damaged",
        "gone",
    ],
)
def test_only_a_strangers_failure_of_a_claimed_start_that_runs_is_suspected(
    current: WorkItem | Unreadable | None, report: Report
) -> None:
    """[WP-5] [WP-14] What is suspected ends the work as failed, should its claimer never report."""
    assert decide_suspicion(A, current, report) is None


@pytest.mark.parametrize(
    ("report", "kept"),
    [(FAILED, ("X", "x" * 9)), (Report(kind=ReportKind.FAILED), ("no_report", None))],
)
def test_a_suspicion_keeps_what_was_said(report: Report, kept: tuple[str, str | None]) -> None:
    write = decide_suspicion(A, CLAIMED, report)

    assert write is not None
    assert (write.set["suspected_type"], write.set["suspected_error"]) == kept


@pytest.mark.parametrize(("refused", "since"), [(True, NOW - 5), (False, None)])
def test_a_refusal_counts_from_the_first_one_in_a_row(*, refused: bool, since: int | None) -> None:
    """[WP-25] A put back for another reason shows that the target is there."""
    back = decide_put_back(
        A, replace(CLAIMED, refused_since=NOW - 5), NOT_DELIVERED, now=NOW, refused=refused
    )

    assert back is not None
    assert back.write.set["refused_since"] == since


@pytest.mark.parametrize(
    ("claim", "condition"),
    [(None, Is("claim", None)), ("worker-1", Either((Is("claim", None), Is("claim", "worker-1"))))],
)
def test_a_put_back_is_refused_where_somebody_else_has_claimed(
    claim: str | None, condition: object
) -> None:
    """[WP-5] The start was delivered after all."""
    back = decide_put_back(A, CLAIMED, replace(NOT_DELIVERED, claim=claim), now=NOW)

    assert back is not None
    assert condition in getattr(back.write.condition, "parts", ())


@pytest.mark.parametrize(("said", "ends"), [(None, " tries"), ("throttled", " tries: throttled")])
def test_what_was_never_delivered_says_why(said: str | None, ends: str) -> None:
    error = never_delivered(replace(NOT_DELIVERED, error=said)).error

    assert error is not None
    assert error.endswith(ends)


@pytest.mark.parametrize(
    ("outcome", "made", "counted"),
    [
        (Outcome.CANCELED, 2, None),
        (Outcome.CANCELED, 3, Outcome.CANCELED),
        (Outcome.FAILED, 2, Outcome.FAILED),
        (Outcome.SUCCESS, 3, Outcome.SUCCESS),
    ],
)
def test_a_start_that_was_never_delivered_and_canceled_counts_as_none(
    outcome: Outcome, made: int, counted: Outcome | None
) -> None:
    assert counted_outcome(an_assignment(attempts_made=2), outcome, made) is counted


@pytest.mark.parametrize(
    ("current", "why"),
    [
        (None, "the work is gone"),
        (Unreadable("p", "s", "damaged"), "the work is gone"),
        (replace(CLAIMED, state=State.FINISHED), "start 1 is over"),
        (replace(CLAIMED, starts=2), "start 1 is over"),
        (CLAIMED, "another delivery claimed this start"),
        (replace(CLAIMED, claim="mine"), None),
    ],
    ids=["gone", "damaged", "finished", "a later start", "another's", "one's own"],
)
def test_a_claim_that_failed_is_ones_own_only_with_ones_own_token(
    current: WorkItem | Unreadable | None, why: str | None
) -> None:
    """[WP-5]"""
    assert why_refused(current, A, "mine") == why


def test_the_statistics_count_each_entry_that_went_once() -> None:
    """Not its duplicate, and not a record of a start that has no entry."""
    counts = Notice(
        pool="email",
        at=an_id(NOW, 7),
        work_id=CLAIMED.id,
        start=1,
        kind=NoticeKind.FINISHED,
        outcome=Outcome.SUCCESS,
    )
    again, stranger = replace(counts, at=an_id(NOW, 8)), replace(counts, at=an_id(NOW, 9), start=2)

    assert settle({EntryKey(CLAIMED.id, 1): Entry(NOW)}, [counts, again, stranger]).records == (
        counts,
    )


@pytest.mark.parametrize(
    ("delay", "delay_ms"),
    [
        (timedelta(seconds=-1), 0),
        (timedelta(microseconds=1), 1),
        (timedelta(milliseconds=limits.DELAY_MS_MAX), limits.DELAY_MS_MAX),
        (timedelta(days=9_999), limits.DELAY_MS_MAX),
    ],
)
def test_a_delay_that_an_error_names_lies_between_now_and_the_longest_there_is(
    delay: timedelta, delay_ms: int
) -> None:
    assert report_raised(RetryLater(delay), claim=None).delay_ms == delay_ms


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError(), "ValueError()"),
        (ValueError("x" * limits.ERROR_TEXT_MAX), "x" * limits.ERROR_TEXT_MAX),
        (ValueError("x" * (limits.ERROR_TEXT_MAX + 1)), "x" * (limits.ERROR_TEXT_MAX - 1) + "…"),
    ],
    ids=["no text", "as long as may be", "too long"],
)
def test_an_errors_text_is_whole_or_says_that_it_was_cut(error: Exception, text: str) -> None:
    """[WP-11]"""
    assert report_raised(error, claim=None).error == text
