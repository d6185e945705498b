"""The effect of a report, and the reports that count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import (
    NOW,
    PROOF,
    a_policy,
    a_running_work,
    a_work,
    an_assignment,
    an_id,
)
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.core import limits
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.core.report.complete import (
    Finish,
    Judged,
    Retry,
    after_refusal,
    counted_outcome,
    decide_report,
    decide_requeue,
    must_cancel,
    never_delivered,
    what_stands,
)
from workpool_aws.core.report.suspect import decide_suspicion
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.model.payload import inline_text
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Either, Is, Put, Update
from workpool_aws.ports import ConditionFailed

SUCCESS = Report(kind=ReportKind.SUCCESS, result='"ok"')
FAILED = Report(kind=ReportKind.FAILED, error="boom", error_type="ValueError")
LOST = Report(kind=ReportKind.NEVER_DELIVERED, error="too old")


CLAIMED = a_running_work(claim="worker-1")


A = assignment_of(CLAIMED, "t")


NOT_DELIVERED = Report(kind=ReportKind.NEVER_DELIVERED)


def stored_after(work: WorkItem, write: Update) -> WorkItem | None:
    store = MemoryStore(lambda: NOW)
    store.write(Put(work))
    try:
        after = store.write(write).record
    except ConditionFailed:
        return None
    assert isinstance(after, WorkItem)
    return after


def finish(
    a: Assignment, report: Report, *, now: EpochMs = NOW, judged: Judged | None = None
) -> Update:
    return decide_report(a, report, now=now, jitter=0.5, judged=judged).write


def test_success_ends_work_with_its_result() -> None:
    after = stored_after(a_running_work(), finish(an_assignment(), SUCCESS))

    assert after is not None
    assert (after.state, after.outcome, inline_text(after.result), after.attempts_made) == (
        State.FINISHED,
        Outcome.SUCCESS,
        '"ok"',
        1,
    )
    assert (after.finished_at, after.expires_at) == (NOW, NOW // 1000 + 86_400)
    assert (after.deadline, after.started_by, after.claim) == (None, None, None)


def test_result_kept_for_ever_has_no_ttl() -> None:
    after = stored_after(a_running_work(), finish(an_assignment(retention_s=None), SUCCESS))

    assert after is not None
    assert after.expires_at is None


def test_failure_without_policy_ends_work() -> None:
    after = stored_after(a_running_work(), finish(an_assignment(), FAILED))

    assert after is not None
    assert (after.outcome, after.error, after.error_type, after.attempts_made) == (
        Outcome.FAILED,
        "boom",
        "ValueError",
        1,
    )


def test_long_error_text_is_cut() -> None:
    after = stored_after(
        a_running_work(), finish(an_assignment(), Report(kind=ReportKind.FAILED, error="x" * 9_999))
    )

    assert after is not None
    assert after.error is not None
    assert len(after.error) == limits.ERROR_TEXT_MAX


def test_failure_with_attempts_left_is_pending_again_after_its_delay() -> None:
    a = an_assignment(retry=a_policy(), claimed=False)
    decision = decide_report(a, FAILED, now=NOW, jitter=0.5)

    assert isinstance(decision, Retry)
    after = stored_after(a_running_work(claimed=False, undelivered=3), decision.write)
    assert after is not None
    assert (after.state, after.due_at, after.attempts_made, after.undelivered) == (
        State.PENDING,
        NOW + 250,
        1,
        0,
    )


def test_last_attempt_ends_work() -> None:
    """[WP-5] attempts_made never passes max_attempts."""
    a = an_assignment(retry=a_policy(max_attempts=3), attempts_made=2, claimed=False)

    assert isinstance(decide_report(a, FAILED, now=NOW, jitter=0.5), Finish)


@pytest.mark.parametrize(
    ("work", "report", "now", "counts"),
    [
        (a_running_work(), FAILED, NOW, True),
        (a_running_work(claim="mine"), FAILED, NOW, False),
        (a_running_work(claim="mine"), Report(kind=ReportKind.FAILED, claim="mine"), NOW, True),
        (a_running_work(claim="mine"), Report(kind=ReportKind.FAILED, claim="other"), NOW, False),
        (
            a_running_work(claim="mine"),
            FAILED,
            EpochMs(NOW + 60_000 + limits.RECOVERY_MARGIN_MS),
            False,
        ),
        (
            a_running_work(claim="mine"),
            FAILED,
            EpochMs(NOW + 60_001 + limits.RECOVERY_MARGIN_MS),
            True,
        ),
    ],
)
def test_stranger_cannot_end_claimed_work_before_its_deadline(
    work: WorkItem, report: Report, now: EpochMs, *, counts: bool
) -> None:
    """[WP-5] A duplicate that crashes before its claim must not end the original."""
    assert (stored_after(work, finish(an_assignment(), report, now=now)) is not None) is counts


@pytest.mark.parametrize(
    ("judged", "counts"),
    [
        (Judged(EpochMs(NOW + 60_000), None), True),
        (Judged(EpochMs(NOW + 59_999), None), False),
        (Judged(EpochMs(NOW + 60_000), "claimed since"), False),
    ],
)
def test_recovery_acts_on_very_state_it_judged(judged: Judged, *, counts: bool) -> None:
    """[WP-14]"""
    assert (
        stored_after(a_running_work(), finish(an_assignment(), FAILED, judged=judged)) is not None
    ) is counts


def test_undelivered_start_spends_no_attempt() -> None:
    decision = decide_requeue(an_assignment(), a_running_work(undelivered=2), LOST, now=NOW)

    assert decision is not None
    after = stored_after(a_running_work(undelivered=2), decision.write)
    assert after is not None
    assert (after.state, after.attempts_made, after.undelivered, after.due_at) == (
        State.PENDING,
        0,
        3,
        NOW + 4_000,
    )


def test_claim_proves_that_it_was_delivered() -> None:
    decision = decide_requeue(an_assignment(), a_running_work(), LOST, now=NOW)

    assert decision is not None
    assert stored_after(a_running_work(claim="c"), decision.write) is None


def test_start_that_is_never_delivered_ends_as_failed() -> None:
    """[WP-25]"""
    worn = a_running_work(undelivered=limits.UNDELIVERED_MAX)

    assert decide_requeue(an_assignment(), worn, LOST, now=NOW) is None
    end = never_delivered(LOST)
    assert (end.kind, end.error_type, end.retryable) == (
        ReportKind.FAILED,
        "never_delivered",
        False,
    )
    assert end.error == "never delivered in 49 tries: too old"


@pytest.mark.parametrize(
    ("lasting", "refused_since", "ends"),
    [
        (True, None, True),
        (False, None, False),
        (False, NOW - 119_999, False),
        (False, NOW - 120_000, True),
    ],
)
def test_refused_target_is_forgiven_for_two_minutes(
    refused_since: int | None, *, lasting: bool, ends: bool
) -> None:
    report = after_refusal(
        a_running_work(refused_since=refused_since), "no such function", lasting=lasting, now=NOW
    )

    assert (report.kind is ReportKind.FAILED) is ends
    assert report.error_type == ("not_invocable" if ends else None)


def test_second_report_of_same_end_repeats_what_follows_it() -> None:
    assert what_stands(
        a_work(state=State.FINISHED, starts=1, proof=PROOF), an_assignment()
    ).reported
    assert not what_stands(a_work(state=State.PENDING, starts=1), an_assignment()).reported
    assert not what_stands(a_work(state=State.FINISHED, starts=2), an_assignment()).reported
    assert not what_stands(None, an_assignment()).reported


@pytest.mark.parametrize(
    ("work", "report", "kept"),
    [
        (a_running_work(claim="c"), FAILED, True),
        (a_running_work(), FAILED, False),
        (a_running_work(claim="c"), Report(kind=ReportKind.FAILED, claim="other"), False),
        (a_running_work(claim="c"), SUCCESS, False),
        (a_running_work(claim="c", suspected_type="timeout"), FAILED, True),
        (a_running_work(claim="c", starts=2), FAILED, False),
        (a_work(state=State.FINISHED, starts=1, claim="c"), FAILED, False),
        (None, FAILED, False),
    ],
)
def test_failure_that_does_not_count_yet_is_kept_as_suspicion(
    work: WorkItem | None, report: Report, *, kept: bool
) -> None:
    write = decide_suspicion(an_assignment(), work, report)

    assert (write is not None) is kept
    if write is not None and work is not None:
        after = stored_after(work, write)
        assert after is not None
        assert (after.state, after.suspected_type, after.suspected_error) == (
            State.RUNNING,
            "ValueError",
            "boom",
        )
        assert stored_after(a_running_work(claim="another"), write) is None


def test_suspicion_goes_with_its_start() -> None:
    suspected = a_running_work(claim="c", suspected_type="timeout", suspected_error="late")
    ended = stored_after(
        suspected, finish(an_assignment(), Report(kind=ReportKind.SUCCESS, result="1", claim="c"))
    )

    assert ended is not None
    assert (ended.outcome, ended.suspected_type, ended.suspected_error) == (
        Outcome.SUCCESS,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("work", "must"),
    [
        (a_running_work(cancel_requested=True), True),
        (a_running_work(), False),
        (a_running_work(cancel_requested=True, starts=2), False),
        (a_running_work(cancel_requested=True, state=State.FINISHED), False),
        (Unreadable("p", "s", "bad"), False),
        (None, False),
    ],
)
def test_refused_retry_ends_as_canceled_only_while_this_start_runs_and_was_asked_to(
    work: WorkItem | Unreadable | None, *, must: bool
) -> None:
    """[WP-7] The write that follows is bound to all of it once more."""
    assert must_cancel(work, an_assignment(work_id=an_id())) is must


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
def test_suspicion_takes_strangers_failure_of_claimed_running_start(
    current: WorkItem | Unreadable | None, report: Report
) -> None:
    """[WP-5] [WP-14] What is suspected ends the work as failed, should its claimer never report."""
    assert decide_suspicion(A, current, report) is None


@pytest.mark.parametrize(
    ("report", "kept"),
    [(FAILED, ("ValueError", "boom")), (Report(kind=ReportKind.FAILED), ("no_report", None))],
)
def test_suspicion_keeps_what_was_said(report: Report, kept: tuple[str, str | None]) -> None:
    write = decide_suspicion(A, CLAIMED, report)

    assert write is not None
    assert (write.set["suspected_type"], write.set["suspected_error"]) == kept


@pytest.mark.parametrize(("refused", "since"), [(True, NOW - 5), (False, None)])
def test_refusal_counts_from_first_one_in_row(*, refused: bool, since: int | None) -> None:
    """[WP-25] A put back for another reason shows that the target is there."""
    back = decide_requeue(
        A, replace(CLAIMED, refused_since=NOW - 5), NOT_DELIVERED, now=NOW, refused=refused
    )

    assert back is not None
    assert back.write.set["refused_since"] == since


@pytest.mark.parametrize(
    ("claim", "condition"),
    [(None, Is("claim", None)), ("worker-1", Either((Is("claim", None), Is("claim", "worker-1"))))],
)
def test_put_back_is_refused_where_another_invocation_has_claimed(
    claim: str | None, condition: object
) -> None:
    """[WP-5] The start was delivered after all."""
    back = decide_requeue(A, CLAIMED, replace(NOT_DELIVERED, claim=claim), now=NOW)

    assert back is not None
    assert condition in getattr(back.write.condition, "parts", ())


@pytest.mark.parametrize(("said", "ends"), [(None, " tries"), ("throttled", " tries: throttled")])
def test_undelivered_start_says_why(said: str | None, ends: str) -> None:
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
def test_start_that_was_never_delivered_and_canceled_counts_as_none(
    outcome: Outcome, made: int, counted: Outcome | None
) -> None:
    assert counted_outcome(an_assignment(attempts_made=2), outcome, made) is counted
