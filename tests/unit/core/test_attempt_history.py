"""The history of attempts in a work item: five short entries, and a word for the end of each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.records import NOW, a_policy, a_running_work, a_work, an_assignment
from tests.unit.core.test_complete_decision import stored_after
from workpool_aws.adapters.items.codec import encode
from workpool_aws.adapters.items.work import HISTORY
from workpool_aws.core import limits
from workpool_aws.core.loop.recover import lost_report
from workpool_aws.core.report.complete import (
    as_stored,
    decide_canceled,
    decide_report,
    decide_requeue,
    decide_snooze,
)
from workpool_aws.core.report.history import attempts_of, last_error_of, with_attempt
from workpool_aws.core.views.status import status_of
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import AttemptEnd, PastAttempt, State, WorkItem

LATER = EpochMs(NOW + 1_234)
FAILED = Report(kind=ReportKind.FAILED, error="boom", error_type="ValueError")
NOT_DELIVERED = Report(kind=ReportKind.NEVER_DELIVERED, error="too old")
SNOOZED = Report(kind=ReportKind.SNOOZED, error="not yet", error_type="Snooze", delay_ms=1)
RETRIED = a_running_work(retry=a_policy(), claimed=False)


def known(work: WorkItem) -> Assignment:
    found = as_stored(an_assignment(), work)
    assert isinstance(found, Assignment)
    return found


def ends(work: WorkItem) -> list[tuple[int, AttemptEnd, str | None, str | None]]:
    return [(each.number, each.outcome, each.error_type, each.error) for each in attempts_of(work)]


def after(work: WorkItem, report: Report) -> WorkItem:
    decision = {
        ReportKind.NEVER_DELIVERED: lambda: decide_requeue(known(work), work, report, now=LATER),
        ReportKind.SNOOZED: lambda: decide_snooze(known(work), work, report, now=LATER),
    }.get(report.kind, lambda: decide_report(known(work), report, now=LATER, jitter=0.5))()
    assert decision is not None
    stored = stored_after(work, decision.write)
    assert stored is not None
    return stored


def again(work: WorkItem) -> WorkItem:
    """The next start of it."""
    return replace(
        work,
        state=State.RUNNING,
        starts=1,
        started_at=LATER,
        deadline=EpochMs(LATER + 60_000),
        proof=RETRIED.proof,
    )


def test_failed_attempt_that_is_retried_leaves_entry() -> None:
    retried = after(RETRIED, FAILED)

    assert retried.history == (
        PastAttempt(
            number=1,
            started_at=NOW,
            ended_at=LATER,
            outcome=AttemptEnd.FAILED,
            error_type="ValueError",
            error="boom",
        ),
    )
    assert last_error_of(retried) == "boom"
    shown = status_of(retried)
    assert (shown.last_error, [each.number for each in shown.attempts]) == ("boom", [1])


@pytest.mark.parametrize(
    ("reports", "seen"),
    [
        ([NOT_DELIVERED], [(1, AttemptEnd.NEVER_DELIVERED, None, "too old")]),
        ([SNOOZED], [(1, AttemptEnd.SNOOZED, "Snooze", "not yet")]),
        (
            [NOT_DELIVERED, SNOOZED, NOT_DELIVERED],
            [(1, AttemptEnd.NEVER_DELIVERED, None, "too old")],
        ),
        ([NOT_DELIVERED, FAILED], [(1, AttemptEnd.FAILED, "ValueError", "boom")]),
        (
            [FAILED, SNOOZED],
            [
                (1, AttemptEnd.FAILED, "ValueError", "boom"),
                (2, AttemptEnd.SNOOZED, "Snooze", "not yet"),
            ],
        ),
        (
            [FAILED, Report(kind=ReportKind.SUCCESS, result="1")],
            [(1, AttemptEnd.FAILED, "ValueError", "boom"), (2, AttemptEnd.SUCCESS, None, None)],
        ),
        (
            [SNOOZED, Report(kind=ReportKind.SUCCESS, result="1")],
            [(1, AttemptEnd.SUCCESS, None, None)],
        ),
        (
            [Report(kind=ReportKind.FAILED, error="Task timed out", error_type="timeout")],
            [(1, AttemptEnd.FAILED, "timeout", "Task timed out")],
        ),
    ],
)
def test_each_attempt_has_one_entry_with_latest_word(
    reports: list[Report], seen: list[object]
) -> None:
    work = RETRIED
    for report in reports:
        work = after(again(work), report)

    assert ends(work) == seen


def test_start_that_never_reported_is_failure() -> None:
    report = lost_report(RETRIED, target_claims=True)

    assert ends(after(RETRIED, report))[0][1:3] == (AttemptEnd.FAILED, "no_report")


def test_success_at_once_stores_nothing_more_and_shows_its_attempt() -> None:
    done = after(RETRIED, Report(kind=ReportKind.SUCCESS, result="1"))

    assert done.history == ()
    assert ends(done) == [(1, AttemptEnd.SUCCESS, None, None)]
    assert last_error_of(done) is None


def test_final_failure_shows_its_whole_error() -> None:
    long = Report(
        kind=ReportKind.FAILED, error="x" * 4_000, error_type="ValueError", retryable=False
    )
    dead = after(RETRIED, long)

    assert dead.history == ()
    assert last_error_of(dead) == "x" * 4_000


@pytest.mark.parametrize(
    ("report", "seen"),
    [
        (FAILED, (1, AttemptEnd.CANCELED, "ValueError", "boom")),
        (SNOOZED, (1, AttemptEnd.SNOOZED, "Snooze", "not yet")),
    ],
)
def test_canceled_work_keeps_how_its_last_attempt_ended(report: Report, seen: object) -> None:
    asked = replace(RETRIED, cancel_requested=True)
    stored = stored_after(asked, decide_canceled(known(asked), report, now=LATER).write)

    assert stored is not None
    assert (stored.outcome, ends(stored)) == (Outcome.CANCELED, [seen])


def test_work_canceled_while_it_waited_shows_made_attempts_alone() -> None:
    assert (
        attempts_of(a_work(state=State.FINISHED, outcome=Outcome.CANCELED, finished_at=NOW)) == ()
    )


TEXTS = (
    st.none()
    | st.text(max_size=400)
    | st.sampled_from(["é" * 400, "\U0001f600" * 300, "\ud800" * 200, "a:b:c", "\n\x1b[31m", ":"])
)


@given(
    st.lists(
        st.tuples(TEXTS, TEXTS, st.sampled_from([FAILED, NOT_DELIVERED, SNOOZED])),
        min_size=1,
        max_size=9,
    ),
    st.integers(0, 10**5),
)
def test_history_keeps_five_entries_and_stays_small_for_any_error(
    reports: list[tuple[str | None, str | None, Report]], made: int
) -> None:
    work = replace(RETRIED, attempts_made=made)
    for error, error_type, report in reports:
        change = with_attempt(
            work, replace(report, error=error, error_type=error_type), AttemptEnd.FAILED, now=LATER
        )
        work = replace(
            work, history=change["history"], attempts_made=work.attempts_made + (report is FAILED)
        )
        stored = HISTORY.encode(work.history)
        assert isinstance(stored, list)
        assert len(stored) <= limits.ATTEMPTS_KEPT
        assert sum(len(text.encode()) for text in stored) <= limits.ATTEMPTS_BYTES_MAX
        read = HISTORY.decode(stored)
        assert read == tuple(
            replace(each, error_type=(each.error_type or "").replace(":", ".") or None)
            for each in work.history
        )
        assert encode(work)


def test_error_that_was_cut_is_marked_and_older_ones_are_shorter() -> None:
    first = after(RETRIED, replace(FAILED, error="é" * 500))
    second = after(again(first), replace(FAILED, error="x" * 500))

    assert first.history[0].error == "é" * 58 + "…"
    assert second.history[0].error == "é" * 14 + "…"
    assert second.history[1].error == "x" * 117 + "…"


@pytest.mark.parametrize(
    "damaged",
    [
        "x",
        [1],
        ["1:a:b:f:E"],
        ["1:a:b:?:E:text"],
        ["x:a:b:f:E:text"],
        ["1:-a:b:f:E:text"],
        ["1:zzzzzzzzzzzz:b:f:E:text"],
        ["1:a:zzzzzzzzzzzz:f:E:text"],
        ["9999999:a:b:f:E:text"],
        ["1:a:b:f:E:" + "x" * 641],
        ["1:a:b:f:E:text"] * 6,
    ],
)
def test_damaged_history_is_refused(damaged: object) -> None:
    """[WP-12]"""
    with pytest.raises(ValueError):  # noqa: PT011 - one meaning
        HISTORY.decode(damaged)
