"""The code of a claimed work never runs twice for one start, and late or duplicate reports change nothing [WP-4, WP-5]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.doubles import START_MS
from tests.kit.records import NOW, TARGET, a_running_work
from tests.kit.stage import FAILED, NOT_DELIVERED, SUCCESS, Stage
from tests.kit.stores import Fault, first, lost_after, lost_before, puts, repeated, updates
from tests.kit.world import TABLE
from workpool_aws import RetryPolicy, StoreUnavailable
from workpool_aws.core import limits
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.flow.report.claim import ClaimUnanswered
from workpool_aws.model.events import Completed, DuplicateRefused, ReportIgnored
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import LoopState, Notice
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.model.payload import Inline
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem

CLAIM = updates(WorkRef, "claim", state=State.RUNNING)
FINISH = updates(WorkRef, state=State.FINISHED)


def running(stage: Stage, **changes: object) -> tuple[WorkItem, Assignment]:
    work = a_running_work(**changes)
    stage.place(work)
    return work, assignment_of(work, TABLE)


def test_claim_is_won_by_one_of_two_deliveries() -> None:
    """[WP-5]"""
    stage = Stage()
    work, a = running(stage)
    tokens = [stage.claim(a), stage.claim(a)]

    assert tokens[0] is not None
    assert tokens[1] is None
    assert stage.work(work.id).claim == tokens[0]
    assert [event.reason for event in stage.telemetry.of(DuplicateRefused)] == [
        "another delivery claimed this start"
    ]


@pytest.mark.parametrize(
    "changes", [{"starts": 2}, {"state": State.PENDING}, {"state": State.FINISHED}]
)
def test_start_that_is_over_is_not_claimed(changes: dict[str, object]) -> None:
    """[WP-5] A late delivery."""
    stage = Stage()
    work, a = running(stage)
    stage.place(a_running_work(**changes))

    assert stage.claim(a) is None
    assert stage.work(work.id).claim is None
    assert [event.reason for event in stage.telemetry.of(DuplicateRefused)] == ["start 1 is over"]


def test_claim_that_sdk_repeated_is_its_own() -> None:
    """[WP-5]"""
    stage = Stage()
    work, a = running(stage)
    stage.store.plan(CLAIM, repeated)
    token = stage.claim(a)

    assert token is not None
    assert stage.work(work.id).claim == token


@pytest.mark.parametrize("fault", [lost_before, lost_after])
def test_claim_without_answer_runs_nothing_and_is_put_back(fault: Fault) -> None:
    """[WP-5] It may or may not hold, so no code may run, and the start must not be lost."""
    stage = Stage()
    work, a = running(stage)
    stage.store.plan(CLAIM, fault)
    with pytest.raises(ClaimUnanswered) as raised:
        stage.claim(a)
    stage.complete(a, replace(NOT_DELIVERED, claim=raised.value.token), by="destination")

    assert stage.work(work.id).state is State.PENDING
    assert (stage.work(work.id).attempts_made, stage.work(work.id).claim) == (0, None)


def test_put_back_of_another_delivery_does_not_take_start_from_its_claimer() -> None:
    """[WP-5] A claim proves that it was delivered."""
    stage = Stage()
    work, a = running(stage)
    stage.claim(a)
    stage.complete(a, NOT_DELIVERED, by="destination")
    stage.complete(a, replace(NOT_DELIVERED, claim="another"), by="destination")

    assert stage.work(work.id).state is State.RUNNING
    assert len(stage.telemetry.of(ReportIgnored)) == 2


def test_claim_sets_deadline_to_end_of_its_own_invocation() -> None:
    """[WP-14] A late delivery of a long function must not be recovered while it runs."""
    stage = Stage()
    work, a = running(stage)
    stage.clock.at = NOW + 50_000
    stage.claim(a, remaining_ms=600_000)

    assert stage.work(work.id).deadline == NOW + 650_000


def test_claim_by_invocation_whose_time_is_over_ends_at_once() -> None:
    """[WP-14] Lambda may say less than nothing; no deadline lies before the claim."""
    stage = Stage()
    work, a = running(stage)
    stage.claim(a, remaining_ms=-700)

    assert stage.work(work.id).deadline == NOW


@pytest.mark.parametrize("report", [SUCCESS, FAILED])
def test_stranger_does_not_end_what_claimer_runs(report: Report) -> None:
    """[WP-5] Neither a duplicate's failure nor its success."""
    stage = Stage()
    work, a = running(stage)
    token = stage.claim(a)
    stage.complete(a, report, by="destination")
    before = stage.work(work.id).state
    stage.complete(a, Report(kind=ReportKind.SUCCESS, result="1", claim=token))

    assert before is State.RUNNING
    assert stage.work(work.id).result == Inline("1")


def test_strangers_report_counts_after_claims_deadline_and_margin() -> None:
    """[WP-5] [WP-14] Only the destination reports a timeout."""
    stage = Stage()
    work, a = running(stage)
    stage.claim(a, remaining_ms=30_000)
    stage.clock.at = NOW + 30_000 + limits.RECOVERY_MARGIN_MS
    stage.complete(a, FAILED, by="destination")
    before = stage.work(work.id).state
    stage.clock.at += 1
    stage.complete(a, FAILED, by="destination")

    assert before is State.RUNNING
    assert stage.work(work.id).outcome is Outcome.FAILED


def test_work_that_is_not_claimed_needs_no_token() -> None:
    stage = Stage()
    work, a = running(stage, claimed=False)
    stage.complete(a, SUCCESS, by="destination")

    assert stage.work(work.id).outcome is Outcome.SUCCESS


@pytest.mark.peer("SM18", "SM34", "CP12")
def test_second_report_changes_nothing_and_is_logged() -> None:
    """[WP-4] [WP-6]"""
    stage = Stage()
    work, a = running(stage, claimed=False)
    stage.complete(a, SUCCESS)
    before = stage.work(work.id)
    stage.complete(a, FAILED, by="destination")

    assert stage.work(work.id) == before
    assert len(stage.telemetry.of(Completed)) == 1


@pytest.mark.peer("SM16", "SM19")
def test_report_of_earlier_start_changes_nothing_and_is_logged() -> None:
    """[WP-4] It reports nothing to the loop either: the later start keeps its slot."""
    stage = Stage()
    work, a = running(stage, claimed=False, starts=2, retry=RetryPolicy())
    early = replace(a, start=1)
    for report in (SUCCESS, FAILED, NOT_DELIVERED):
        stage.complete(early, report, by="destination")

    assert stage.work(work.id) == work
    assert stage.dones() == []
    assert len(stage.telemetry.of(ReportIgnored)) == 3


def test_put_back_of_what_is_over_changes_nothing() -> None:
    """[WP-4] [WP-6]"""
    stage = Stage()
    work, a = running(stage, claimed=False)
    stage.complete(a, SUCCESS)
    before = stage.work(work.id)
    stage.complete(a, NOT_DELIVERED, by="destination")

    assert stage.work(work.id) == before


@pytest.mark.parametrize("fault", [lost_before, lost_after])
def test_finish_without_its_report_is_reported_by_next(fault: Fault) -> None:
    """[WP-21] The first reporter may have died between the two."""
    stage = Stage()
    work, a = running(stage, claimed=False)
    stage.store.plan(puts(Notice), fault)
    with pytest.raises(StoreUnavailable):
        stage.complete(a, SUCCESS)
    stage.resting_as(LoopState.WAITING, saturated=True)
    stage.complete(a, SUCCESS, by="destination")

    assert stage.work(work.id).outcome is Outcome.SUCCESS
    assert len(stage.dones()) == (1 if fault is lost_before else 2)
    assert len(stage.invoker.loops) == 1


def test_finish_that_sdk_repeated_is_reported() -> None:
    """[WP-21]"""
    stage = Stage()
    _, a = running(stage, claimed=False)
    stage.store.plan(FINISH, repeated)
    stage.complete(a, SUCCESS)

    assert len(stage.dones()) == 1


def test_finish_comes_before_its_report() -> None:
    """[WP-1] A freed slot whose work still runs would let another one in, and recovery would not look."""
    stage = Stage()
    work, a = running(stage, claimed=False)
    states: list[State] = []
    stage.store.plan(puts(Notice), first(lambda: states.append(stage.work(work.id).state)))
    stage.complete(a, SUCCESS)

    assert states == [State.FINISHED]


def test_retry_is_one_step_for_work_pointer_and_report() -> None:
    """[WP-3] [WP-21] Lost before, nothing of it happened."""
    stage = Stage()
    work, a = running(stage, claimed=False, retry=RetryPolicy())
    stage.store.plan(updates(WorkRef, state=State.PENDING), lost_before)
    with pytest.raises(StoreUnavailable):
        stage.complete(a, FAILED)
    lost = stage.work(work.id), stage.pointers(), stage.dones()
    stage.complete(a, FAILED)
    (pointer,), (done,) = stage.pointers(), stage.dones()

    assert lost == (work, [], [])
    assert (pointer.work_id, done.pointer, done.work_id, done.start) == (
        work.id,
        pointer.at,
        work.id,
        1,
    )


def test_retry_forgets_who_ran_it() -> None:
    """[WP-5] The next start can be claimed again."""
    stage = Stage()
    work, a = running(
        stage, claim="mine", retry=RetryPolicy(), undelivered=3, refused_since=EpochMs(NOW - 5)
    )
    stage.complete(a, replace(FAILED, claim="mine"))
    after = stage.work(work.id)

    assert (
        after.claim,
        after.deadline,
        after.started_by,
        after.undelivered,
        after.refused_since,
    ) == (None, None, None, 0, None)


def test_claimed_work_whose_claimer_is_lost_fails_and_never_runs_again() -> None:
    """[WP-5] [WP-21] What may have run, and may not be repeated."""
    stage = Stage(takes_ms=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.on_start = lambda a: stage.after(10, lambda: stage.claim(a))
    stage.run(10 * START_MS, watchdog=True)

    assert (stage.work(work_id).outcome, stage.work(work_id).error_type) == (
        Outcome.FAILED,
        "no_report",
    )
    assert len(stage.invoker.started) == 1
