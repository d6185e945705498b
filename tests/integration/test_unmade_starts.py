"""Starts that their workers make: at most once each, and never without an entry of the ledger [WP-29]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.doubles import EVENT_AGE_MS, START_MS
from tests.kit.records import NOW, TARGET
from tests.kit.stage import FAILED, NOT_DELIVERED, Stage, order
from tests.kit.stores import dies_after, lost_after, updates
from workpool_aws import RetryPolicy
from workpool_aws.core import limits
from workpool_aws.flow.report.claim import ClaimUnanswered
from workpool_aws.model.events import DuplicateRefused, PutBack
from workpool_aws.model.ids import WorkId
from workpool_aws.model.loop import EntryKey
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.model.refs import LedgerRef, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State
from workpool_aws.ports import InvokeUnanswered

RETRY = RetryPolicy(max_attempts=3, jitter=False)
CRASHED = Report(kind=ReportKind.FAILED, error="no module named x", error_type="ImportError")
LAPSES_AT = START_MS + limits.RECOVERY_MARGIN_MS


def sent(stage: Stage, *, retry: RetryPolicy | None = None) -> tuple[WorkId, Assignment]:
    """Return a work item whose event is on its way, and that event."""
    stage.invoker.on_start = lambda _: None
    work_id = stage.pool(max_parallelism=1).enqueue_action(None, TARGET, {}, retry=retry or False)
    stage.run(1_000)
    return work_id, stage.invoker.started[0]


@pytest.mark.parametrize("retry", [None, RETRY])
def test_start_is_made_by_one_delivery_of_its_event(retry: RetryPolicy | None) -> None:
    """[WP-29] [WP-1] Whether it may be retried or not; it stands in the ledger all the time."""
    stage = Stage()
    work_id, event = sent(stage, retry=retry)
    assert (stage.work(work_id).state, stage.work(work_id).starts) == (State.PENDING, 0)
    tokens = [stage.claim(event), stage.claim(event)]

    assert tokens[0] is not None
    assert tokens[1] is None
    assert (stage.work(work_id).state, stage.work(work_id).starts) == (State.RUNNING, 1)
    assert set(stage.ledger().entries) == {EntryKey(work_id, 1)}
    assert len(stage.telemetry.of(DuplicateRefused)) == 1


def test_start_write_without_answer_runs_nothing() -> None:
    """[WP-29] It may have been written; the report names its token, so the start is put back."""
    stage = Stage()
    work_id, event = sent(stage)
    stage.store.plan(updates(WorkRef, "starts"), lost_after)
    with pytest.raises(ClaimUnanswered) as unanswered:
        stage.claim(event)
    stage.complete(event, replace(NOT_DELIVERED, claim=unanswered.value.token), by="destination")

    assert (stage.work(work_id).state, stage.work(work_id).undelivered) == (State.PENDING, 1)


@pytest.mark.parametrize("permit", ["another", "A" * 12])
def test_event_without_permit_of_work_item_makes_nothing(permit: str) -> None:
    """[WP-28] Nor does a record count that has no permit."""
    stage = Stage()
    work_id, event = sent(stage)
    before = stage.work(work_id)
    forged = replace(event, permit=permit)
    token = stage.claim(forged)
    for report in (FAILED, NOT_DELIVERED, replace(FAILED, kind=ReportKind.SUCCESS, result="1")):
        stage.complete(forged, report, by="destination")

    assert token is None
    assert stage.work(work_id) == before


def test_cancel_before_worker_begins_is_true_and_frees_slot() -> None:
    """[WP-7] [WP-21] The worker that comes too late notifies the loop."""
    stage = Stage()
    work_id, event = sent(stage)
    answer = stage.pool().cancel(None, work_id)
    token = stage.claim(event)
    stage.run(5_000)

    assert (answer, token) == ("canceled", None)
    assert stage.work(work_id).outcome is Outcome.CANCELED
    assert stage.ledger().entries == {}


def test_cancel_all_frees_slots_of_what_no_worker_began() -> None:
    """[WP-13] [WP-21] Without waiting for their events."""
    stage = Stage()
    work_id, event = sent(stage)
    stage.pool().cancel_all(None)
    stage.run(5_000)

    assert stage.work(work_id).outcome is Outcome.CANCELED
    assert stage.ledger().entries == {}
    assert stage.claim(event) is None


def test_start_whose_event_never_came_is_spent_before_its_entry_goes() -> None:
    """[WP-29] [WP-25] The event may be late: it finds its number spent, and makes no start."""
    stage = Stage()
    work_id, event = sent(stage)
    stage.run(LAPSES_AT + limits.WATCHDOG_MS + 2_000, watchdog=True)

    assert [(a.start, a.permit is None) for a in stage.invoker.started] == [(1, False), (2, True)]
    assert [event.undelivered for event in stage.telemetry.of(PutBack)] == [1]
    assert stage.claim(event) is None
    assert stage.work(work_id).starts == 2
    assert set(stage.ledger().entries) == {EntryKey(work_id, 2)}


def test_event_that_begins_too_late_is_put_back_by_its_worker() -> None:
    """[WP-29] [WP-25] Its time is over, and no code ran."""
    stage = Stage()
    work_id, event = sent(stage)
    assert event.start_by - NOW >= EVENT_AGE_MS
    stage.complete(event, NOT_DELIVERED)

    work = stage.work(work_id)
    assert (work.state, work.starts, work.undelivered) == (State.PENDING, 1, 1)


@pytest.mark.parametrize("report", [CRASHED, NOT_DELIVERED])
@pytest.mark.parametrize("retry", [None, RETRY])
def test_failure_before_start_spends_no_attempt_and_loop_makes_next(
    report: Report, retry: RetryPolicy | None
) -> None:
    """[WP-29] [WP-5] The function may be one of version 0.1; its worker claims what the loop made."""
    stage = Stage()
    work_id, event = sent(stage, retry=retry)
    stage.complete(event, report, by="destination")
    stage.run(5_000)
    second = stage.invoker.started[1]

    assert (second.start, second.attempts_made) == (2, 0)
    assert (second.permit, second.claimed) == (None, True)
    assert stage.work(work_id).state is State.RUNNING


def test_record_of_delivery_that_failed_beside_one_that_runs_changes_nothing() -> None:
    """[WP-29] [WP-14] The start was made: Lambda may have given up a second event of it."""
    stage = Stage()
    work_id, event = sent(stage, retry=RETRY)
    stage.claim(event)
    running = stage.work(work_id)
    stage.complete(event, NOT_DELIVERED, by="destination")

    assert stage.work(work_id) == running


def test_event_without_answer_is_sent_again() -> None:
    """[WP-20] A second event does no harm, and waiting for the deadline would."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.refuses = [InvokeUnanswered("no answer")]
    stage.run(10_000)

    assert [a.start for a in stage.invoker.started] == [1]
    assert stage.notes.count("invoke") == 2
    assert stage.work(work_id).outcome is Outcome.SUCCESS


def test_next_holder_sends_what_one_before_may_not_have_sent() -> None:
    """[WP-20] It died after its commit; whichever event comes first makes the start."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(updates(LedgerRef, "entries"), dies_after)
    stage.run(limits.LEASE_MS + 2 * limits.WATCHDOG_MS, watchdog=True)

    assert [a.start for a in stage.invoker.started] == [1]
    assert stage.work(work_id).outcome is Outcome.SUCCESS


def test_entry_keeps_its_work_from_being_chosen_again_by_next_holder() -> None:
    """[WP-1] Its event is on the way, and its slot is taken."""
    stage = Stage()
    work_id, _ = sent(stage)
    other = stage.pool(max_parallelism=1).enqueue_action(None, TARGET, {})
    stage.serve(order(stage.generation()))

    assert {a.work_id for a in stage.invoker.started} == {work_id}
    assert set(stage.ledger().entries) == {EntryKey(work_id, 1)}
    assert stage.work(other).state is State.PENDING


def test_list_has_what_no_worker_began() -> None:
    """[WP-3] The cursor is past it, and it does not run."""
    stage = Stage()
    work_id, _ = sent(stage)
    pool = stage.pool()

    assert [each.work_id for each in pool.list(None, state="pending").items] == [work_id]
    assert pool.list(None, state="running").items == ()
