"""Snoozes: what they write, when they end, and whose they may be."""

from __future__ import annotations

import pytest

from tests.kit.records import NOW, a_policy, a_running_work, an_assignment
from tests.unit.core.test_complete_decision import stored_after
from workpool_aws.core import limits
from workpool_aws.core.report.complete import (
    Retry,
    decide_canceled,
    decide_report,
    decide_snooze,
    snoozed_too_often,
)
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem

LATER = Report(kind=ReportKind.SNOOZED, error="not yet", error_type="Snooze", delay_ms=5_000)


def snoozed(work: WorkItem, report: Report = LATER) -> WorkItem | None:
    decision = decide_snooze(an_assignment(claimed=work.spec.claimed), work, report, now=NOW)
    assert decision is not None
    return stored_after(work, decision.write)


def test_snooze_is_pending_again_and_spends_nothing() -> None:
    """[WP-5]"""
    after = snoozed(a_running_work(attempts_made=0, snoozes=3, undelivered=2, refused_since=NOW))

    assert after is not None
    assert (after.state, after.due_at, after.attempts_made, after.snoozes) == (
        State.PENDING,
        NOW + 5_000,
        0,
        4,
    )
    assert (
        after.undelivered,
        after.refused_since,
        after.claim,
        after.deadline,
        after.started_by,
    ) == (0, None, None, None, None)


@pytest.mark.parametrize(
    ("delay_ms", "waits_ms"),
    [
        (None, 8_000),
        (-1, 0),
        (0, 0),
        (10**18, limits.DELAY_MS_MAX),
        (limits.DELAY_MS_MAX, limits.DELAY_MS_MAX),
    ],
)
def test_its_delay_is_bounded_and_grows_where_it_names_none(
    delay_ms: int | None, waits_ms: int
) -> None:
    after = snoozed(a_running_work(snoozes=3), Report(kind=ReportKind.SNOOZED, delay_ms=delay_ms))

    assert after is not None
    assert after.due_at == NOW + waits_ms


@pytest.mark.parametrize(
    ("snoozes", "again"),
    [(limits.SNOOZES_MAX - 1, True), (limits.SNOOZES_MAX, False), (10**6, False)],
)
def test_hundred_in_row_are_most(snoozes: int, *, again: bool) -> None:
    """[WP-5]"""
    assert (
        decide_snooze(an_assignment(), a_running_work(snoozes=snoozes), LATER, now=NOW) is not None
    ) is again


def test_snooze_beyond_last_is_final_failure_that_says_so() -> None:
    """[WP-5] Whatever attempts are left: code that asked for later a hundred times is not waited for with a policy."""
    end = snoozed_too_often(LATER)
    after = stored_after(
        a_running_work(claimed=False),
        decide_report(an_assignment(retry=a_policy(), claimed=False), end, now=NOW, jitter=0).write,
    )

    assert after is not None
    assert (after.outcome, after.error_type, after.attempts_made) == (
        Outcome.FAILED,
        "snoozed_too_often",
        1,
    )
    assert after.error == "snoozed more than 100 times in a row, the most that is allowed: not yet"


def test_attempt_that_failed_begins_row_anew() -> None:
    decision = decide_report(
        an_assignment(retry=a_policy(), claimed=False),
        Report(kind=ReportKind.FAILED, error="no"),
        now=NOW,
        jitter=0.5,
    )

    assert isinstance(decision, Retry)
    after = stored_after(a_running_work(claimed=False, snoozes=70), decision.write)
    assert after is not None
    assert after.snoozes == 0


@pytest.mark.parametrize(("claim", "counts"), [("mine", True), ("other", False), (None, False)])
def test_claimed_start_is_snoozed_by_its_claimer_alone(claim: str | None, *, counts: bool) -> None:
    """[WP-5] A duplicate that snoozes must not end the start of the one that runs."""
    after = snoozed(
        a_running_work(claim="mine"), Report(kind=ReportKind.SNOOZED, delay_ms=1, claim=claim)
    )

    assert (after is not None) is counts


def test_snooze_after_cancel_request_ends_without_attempt() -> None:
    """[WP-7]"""
    asked = a_running_work(cancel_requested=True)

    assert snoozed(asked) is None
    after = stored_after(asked, decide_canceled(an_assignment(), LATER, now=NOW).write)
    assert after is not None
    assert (after.outcome, after.attempts_made) == (Outcome.CANCELED, 0)
