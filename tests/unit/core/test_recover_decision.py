"""The meaning of an entry of the ledger, by its work item."""

from __future__ import annotations

import pytest

from tests.kit.records import NOW, a_running_work, a_work, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.recover import (
    Begin,
    Drop,
    Keep,
    Recover,
    Verdict,
    judge_entry,
    lost_report,
)
from workpool_aws.core.report.complete import Judged
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import EntryKey
from workpool_aws.model.messages import ReportKind
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.work import State, WorkItem

KEY = EntryKey(an_id(), 1)
LATE = EpochMs(NOW + 60_000 + limits.RECOVERY_MARGIN_MS + 1)


def judge(
    work: WorkItem | Unreadable | None,
    *,
    token: str = "loop-1",
    sent: bool = False,
    now: EpochMs = NOW,
) -> Verdict:
    return judge_entry(KEY, work, deadline=EpochMs(NOW + 90_000), token=token, sent=sent, now=now)


def test_committed_but_never_started_is_started() -> None:
    assert judge(a_work()) == Begin(a_work())


def test_started_by_this_loop_but_never_sent_is_sent_once() -> None:
    assert judge(a_running_work()) == Begin(a_running_work())
    assert judge(a_running_work(), sent=True) == Keep(EpochMs(NOW + 60_000))


def test_started_by_another_loop_is_kept_with_deadline_of_item() -> None:
    assert judge(a_running_work(), token="loop-2") == Keep(EpochMs(NOW + 60_000))


def test_recovery_waits_for_deadline_and_margin_and_names_what_it_judged() -> None:
    """[WP-14]"""
    work = a_running_work(claim="c")

    assert judge(work, sent=True, now=EpochMs(LATE - 1)) == Keep(EpochMs(NOW + 60_000))
    assert judge(work, sent=True, now=LATE) == Recover(work, Judged(EpochMs(NOW + 60_000), "c"))


def test_running_work_item_that_lost_its_deadline_is_recovered_by_ledgers() -> None:
    """[WP-12] A deadline that moved with the clock would keep the loop up, polling, for ever."""
    work = a_running_work(deadline=None)
    late = EpochMs(NOW + 90_000 + limits.RECOVERY_MARGIN_MS + 1)

    assert judge(work, sent=True, now=EpochMs(late - 1)) == Keep(EpochMs(NOW + 90_000))
    assert judge(work, sent=True, now=late) == Recover(work, Judged(None, None))


@pytest.mark.parametrize(
    "work",
    [
        a_work(state=State.FINISHED, starts=1),
        a_running_work(starts=2),
        None,
        Unreadable("p", "s", "bad"),
    ],
)
def test_start_that_is_over_frees_its_slot(work: WorkItem | Unreadable | None) -> None:
    assert judge(work) == Drop(None)


def test_work_that_is_pending_again_gets_fresh_pointer() -> None:
    """Its report was not seen, so its pointer may be behind the cursor."""
    due = EpochMs(NOW + 500)

    assert judge(a_work(starts=1, due_at=due)) == Drop(due)
    assert judge(a_work(starts=1, due_at=EpochMs(NOW - 500))) == Drop(NOW)


@pytest.mark.parametrize(
    ("work", "target_claims", "kind"),
    [
        (a_running_work(claimed=True), True, ReportKind.NEVER_DELIVERED),
        (
            a_running_work(claimed=True, undelivered=limits.UNCLAIMED_MAX - 1),
            True,
            ReportKind.NEVER_DELIVERED,
        ),
        (a_running_work(claimed=True, undelivered=limits.UNCLAIMED_MAX), True, ReportKind.FAILED),
        (a_running_work(claimed=True), False, ReportKind.FAILED),
        (a_running_work(claimed=True, claim="c"), True, ReportKind.FAILED),
        (a_running_work(claimed=False), True, ReportKind.FAILED),
    ],
)
def test_put_back_is_for_starts_that_surely_never_ran(
    work: WorkItem, kind: ReportKind, *, target_claims: bool
) -> None:
    """[WP-5] What may have run, and may not be repeated, fails as `no_report`."""
    report = lost_report(work, target_claims=target_claims)

    assert report.kind is kind
    assert report.error_type == ("no_report" if kind is ReportKind.FAILED else None)


def test_recovery_tells_what_was_suspected_when_nothing_better_was_heard() -> None:
    suspected = a_running_work(
        claim="c", suspected_type="timeout", suspected_error="Task timed out after 3.00 seconds"
    )

    report = lost_report(suspected, target_claims=True)

    assert (report.kind, report.error_type, report.error) == (
        ReportKind.FAILED,
        "timeout",
        "Task timed out after 3.00 seconds",
    )
