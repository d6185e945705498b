"""Expiry: when a work item may not start any more, and how it ends then."""

from __future__ import annotations

from tests.kit.records import NOW, a_policy, a_running_work, a_work, an_assignment
from tests.unit.core.test_complete_decision import stored_after
from workpool_aws.core.loop.choose import Found, WorkRead
from workpool_aws.core.loop.classify import Look, Taken, classify
from workpool_aws.core.loop.start import assignment_for
from workpool_aws.core.report.complete import Finish, Retry, decide_report
from workpool_aws.core.work.expire import decide_expiry
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State

FREE = Taken((), frozenset())
HURRIED = a_work(expires_after_ms=1_000)
OVER = EpochMs(NOW + 1_000)
FAILED = Report(kind=ReportKind.FAILED, error="boom", error_type="ValueError")


def test_due_work_is_chosen_until_its_time_is_over() -> None:
    """[WP-25]"""
    looks = [classify(HURRIED.id, HURRIED, taken=FREE, now=EpochMs(at)) for at in (OVER - 1, OVER)]

    assert looks == [Look.DUE, Look.EXPIRED]


def test_expired_work_keeps_cursor_until_it_is_ended() -> None:
    """[WP-3]"""
    read = WorkRead((), None, (), expired=(Found(HURRIED.id, HURRIED),))

    assert read.is_something
    assert read.blocked_at(()) == HURRIED.id


def test_worker_may_not_begin_after_expiry() -> None:
    """[WP-25]"""
    running = a_running_work(expires_after_ms=1_000)
    assignment = assignment_for(running, "t", nonce="n", timeout_ms=1_000, loop_until=None)
    unhurried = assignment_for(a_running_work(), "t", nonce="n", timeout_ms=1_000, loop_until=None)

    assert assignment.start_by == OVER
    assert unhurried.start_by == NOW + 59_000


def test_retry_that_would_be_late_ends_with_its_own_error() -> None:
    policy = a_policy(initial_backoff=a_policy().initial_backoff * 4)
    work = a_running_work(expires_after_ms=2_000, retry=policy, claimed=False)
    assignment = an_assignment(retry=policy, claimed=False, stored=work)
    early, late = (
        decide_report(assignment, FAILED, now=EpochMs(NOW + at), jitter=0.5) for at in (999, 1_000)
    )

    assert isinstance(early, Retry)
    assert isinstance(late, Finish)
    assert late.write.set["error_type"] == "ValueError"


def test_expired_work_fails_and_owes_its_callback() -> None:
    """[WP-8] [WP-10]"""
    work = a_work(expires_after_ms=1_000, on_complete="q", callback_outcomes=(Outcome.FAILED,))
    end = decide_expiry(work, token="t", now=OVER, nonce="n")
    after = stored_after(work, end.write)

    assert (end.owes_callback, end.outcome) == (True, None)
    assert (after.state, after.outcome, after.error_type) == (
        State.FINISHED,
        Outcome.FAILED,
        "expired",
    )
    assert (after.callback, after.callback_nonce, after.expires_at) == (
        CallbackState.PENDING,
        "n",
        None,
    )
    assert after.dead is not None
    assert after.starts == 0
