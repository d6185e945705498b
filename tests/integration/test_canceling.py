"""After `cancel` answered "canceled" no start is made; after "requested" no further one [WP-7]."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.kit.records import (
    NOW,
    POOL,
    TARGET,
    a_policy,
    a_running_work,
    a_work,
    an_assignment,
    an_id,
)
from tests.kit.stage import FAILED, NOT_DELIVERED, SUCCESS, Stage, late
from tests.kit.stores import Fault, first, lost_after, lost_before, repeated, updates
from tests.kit.world import TABLE
from workpool_aws import NonRetryableError, RetryPolicy, StoreUnavailable, Work
from workpool_aws.core.loop.classify import Look, Taken, classify
from workpool_aws.core.loop.recover import Begin, Drop, judge_entry
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.core.report.complete import decide_canceled
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import CancelAsked, Completed, KickFailed
from workpool_aws.model.ids import time_of
from workpool_aws.model.loop import EntryKey, LoopState
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.refs import StatusRef, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem
from workpool_aws.ports import ConditionFailed

POLICY = RetryPolicy(max_attempts=3, initial_backoff=timedelta(milliseconds=100))
LEAVES_RUNNING = updates(WorkRef, state=State.PENDING)


QUEUE = "arn:aws:sqs:us-east-1:123456789012:ends"


PLAIN = a_work()


OWING = a_work(on_complete=QUEUE, callback_outcomes=(Outcome.CANCELED,))


CANCEL = updates(WorkRef, outcome=Outcome.CANCELED)


def gone(stage: Stage) -> None:
    stage.remove(WorkRef(POOL, PLAIN.id))


def damaged(stage: Stage) -> None:
    stage.damage(WorkRef(POOL, PLAIN.id))


def test_pending_work_that_was_canceled_never_runs() -> None:
    """[WP-7]"""
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        ran: list[int] = []
        fn = cloud.function(lambda event, _: ran.append(event["n"]), name="note")
        soon, later = (
            pool.enqueue_action(None, fn, {"n": n}, run_after=timedelta(minutes=n)) for n in (1, 90)
        )
        answers = [pool.cancel(None, work_id) for work_id in (soon, later)]
        cloud.run_until_idle(timeout=timedelta(hours=3))
        results = [pool.result(None, work_id) for work_id in (soon, later)]

        assert answers == ["canceled", "canceled"]
        assert ran == []
        assert [result.kind for result in results if result is not None] == ["canceled", "canceled"]


def test_running_work_is_asked_and_not_retried() -> None:
    """[WP-7]"""
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        fn = cloud.function(failing, name="failing", takes=timedelta(seconds=5))
        work_id = pool.enqueue_action(None, fn, {}, retry=RetryPolicy(max_attempts=5))
        cloud.advance(timedelta(seconds=2))
        answer = pool.cancel(None, work_id)
        during = pool.status(None, work_id)
        cloud.run_until_idle()
        after = pool.status(None, work_id)

        assert (answer, during.state, during.cancel_requested) == ("requested", "running", True)
        assert (after.state, after.outcome) == ("finished", "canceled")
        assert len(cloud.invocations(fn)) == 1


def failing(_event: Any, _context: Any) -> None:
    raise ValueError("boom")


@pytest.mark.peer("SM15")
def test_success_after_request_wins() -> None:
    """[WP-7] What happened, happened."""
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()
        fn = cloud.function(lambda _event, _: 7, name="seven", takes=timedelta(seconds=5))
        work_id = pool.enqueue_action(None, fn, {}, retry=True)
        cloud.advance(timedelta(seconds=2))
        pool.cancel(None, work_id)
        cloud.run_until_idle()

        result = pool.result(None, work_id)
        assert result is not None
        assert (result.kind, result.return_value) == ("success", 7)


def test_failure_that_no_retry_would_follow_stays_failure() -> None:
    """[WP-7]"""
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool()

        @pool.action
        def stop(work: Work) -> None:
            work.sleep(5)
            if work.cancel_requested():
                raise NonRetryableError("asked to stop")

        work_id = pool.enqueue_action(None, cloud.function(stop), {}, retry=True)
        cloud.advance(timedelta(seconds=2))
        pool.cancel(None, work_id)
        cloud.run_until_idle()

        result = pool.result(None, work_id)
        assert result is not None
        assert (result.kind, result.error) == ("failed", "asked to stop")


def test_cancel_of_finished_or_unknown_work_changes_nothing() -> None:
    """[WP-7] [WP-6]"""
    stage = Stage()
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    stage.run()
    before = stage.work(work_id)

    assert pool.cancel(None, work_id) == "finished"
    assert pool.cancel(None, an_id(n=99)) == "unknown"
    assert stage.work(work_id) == before
    assert stage.telemetry.of(CancelAsked) == []


@pytest.mark.peer("SM22")
def test_waiting_retry_is_canceled_at_once() -> None:
    """[WP-7]"""
    stage = Stage(report=FAILED)
    pool = stage.pool()
    work_id = pool.enqueue_action(
        None, TARGET, {}, retry=RetryPolicy(initial_backoff=timedelta(hours=1))
    )
    answers: list[str] = []
    stage.after(1_800_000, lambda: answers.append(pool.cancel(None, work_id)))
    stage.run(3 * 3_600_000)

    assert answers == ["canceled"]
    assert len(stage.invoker.started) == 1
    assert stage.work(work_id).outcome is Outcome.CANCELED
    assert (stage.status().state, stage.pointers()) == (LoopState.IDLE, [])


@pytest.mark.parametrize(("report", "attempts"), [(FAILED, 1), (NOT_DELIVERED, 0)])
def test_retry_or_put_back_that_meets_request_ends_as_canceled(
    report: Report, attempts: int
) -> None:
    """[WP-7] Its transaction is refused, and the slot is freed all the same."""
    stage = Stage(report=report)
    pool = stage.pool(max_parallelism=1)
    asked, next_one = pool.enqueue_action_batch(None, TARGET, [{}] * 2, retry=POLICY)
    stage.store.plan(LEAVES_RUNNING, first(lambda: pool.cancel(None, asked)))
    stage.run(60_000)
    work = stage.work(asked)

    assert (work.state, work.outcome, work.attempts_made) == (
        State.FINISHED,
        Outcome.CANCELED,
        attempts,
    )
    assert (work.error, work.error_type, work.claim, work.deadline) == (None, None, None, None)
    assert work.expires_at is not None
    assert [a.start for a in stage.invoker.started if a.work_id == asked] == [1]
    assert len([a for a in stage.invoker.started if a.work_id == next_one]) > 1
    assert [
        fact.attempts_made for fact in stage.telemetry.of(Completed) if fact.work_id == asked
    ] == [attempts]


def test_work_that_is_put_back_by_recovery_after_request_ends_as_canceled() -> None:
    """[WP-7] [WP-21] No worker claimed it, so it would start again."""
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    stage.of_first_version(work_id)
    answers: list[str] = []
    stage.after(10_000, lambda: answers.append(pool.cancel(None, work_id)))
    stage.run(watchdog=True)

    assert answers == ["requested"]
    assert stage.work(work_id).outcome is Outcome.CANCELED
    assert len(stage.invoker.started) == 1
    assert stage.status().state is LoopState.IDLE


@pytest.mark.peer("SM37", "SM43")
def test_request_that_meets_retry_cancels_it() -> None:
    """[WP-7] The work item changed between the canceler's read and its write, so it is judged again."""
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {}, retry=POLICY)
    stage.run(1_000)
    (a,) = stage.invoker.started
    stage.store.plan(updates(WorkRef, "cancel_requested"), first(lambda: stage.complete(a, FAILED)))
    answer = pool.cancel(None, work_id)
    stage.run()

    assert answer == "canceled"
    assert len(stage.invoker.started) == 1


def test_cancel_that_meets_start_becomes_request() -> None:
    """[WP-7]"""
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    stage.store.plan(
        updates(WorkRef, state=State.FINISHED),
        first(lambda: stage.serve(stage.invoker.loops.pop())),
    )

    assert pool.cancel(None, work_id) == "requested"
    assert stage.work(work_id).cancel_requested
    assert len(stage.invoker.started) == 1


def test_cancel_that_meets_end_says_finished() -> None:
    """[WP-7] [WP-6]"""
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    stage.run(1_000)
    (a,) = stage.invoker.started
    stage.store.plan(
        updates(WorkRef, "cancel_requested"), first(lambda: stage.complete(a, SUCCESS))
    )

    assert pool.cancel(None, work_id) == "finished"
    assert stage.work(work_id).outcome is Outcome.SUCCESS
    assert not stage.work(work_id).cancel_requested


@pytest.mark.parametrize("running", [False, True])
def test_cancel_whose_answer_was_lost_is_its_own(*, running: bool) -> None:
    """[WP-7] Repeated by the SDK, it meets itself."""
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    if running:
        stage.run(1_000)
    stage.store.plan(updates(WorkRef), repeated)

    assert pool.cancel(None, work_id) == ("requested" if running else "canceled")
    assert [fact.answer for fact in stage.telemetry.of(CancelAsked)] == [
        "requested" if running else "canceled"
    ]


def test_cancel_by_another_caller_is_answered_as_such() -> None:
    """[WP-7] The second canceller met the end."""
    stage = Stage()
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    stage.store.plan(
        updates(WorkRef, state=State.FINISHED), first(lambda: pool.cancel(None, work_id))
    )

    assert pool.cancel(None, work_id) == "finished"


@pytest.mark.parametrize("fault", [lost_before, lost_after])
def test_cancel_without_answer_may_be_asked_again(fault: Fault) -> None:
    """[WP-7]"""
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    stage.store.plan(updates(WorkRef), fault)
    with pytest.raises(StoreUnavailable):
        pool.cancel(None, work_id)

    assert pool.cancel(None, work_id) in {"canceled", "finished"}
    assert stage.work(work_id).outcome is Outcome.CANCELED


@pytest.mark.peer("SM24", "LB07")
def test_asking_twice_changes_nothing() -> None:
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    stage.run(1_000)

    assert [pool.cancel(None, work_id) for _ in range(2)] == ["requested", "requested"]
    assert len(stage.telemetry.of(CancelAsked)) == 1


def test_work_that_keeps_changing_is_given_up_on() -> None:
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    pending, running = stage.work(work_id), a_running_work(id=work_id)
    for nth in range(8):
        other = running if nth % 2 == 0 else pending
        stage.store.plan(updates(WorkRef), first(partial(stage.place, other)))

    with pytest.raises(StoreUnavailable, match="kept changing"):
        pool.cancel(None, work_id)


def test_cancel_request_becomes_end_by_claimer_alone() -> None:
    """[WP-7] [WP-5] A duplicate's failure must not cancel what the claimer still runs."""
    stage = Stage()
    work = a_running_work(claim="mine", cancel_requested=True, retry=POLICY)
    stage.place(work)
    stage.complete(assignment_of(work, TABLE), FAILED)
    stranger = stage.work(work.id).state
    stage.complete(assignment_of(work, TABLE), Report(kind=ReportKind.FAILED, claim="mine"))

    assert stranger is State.RUNNING
    assert stage.work(work.id).outcome is Outcome.CANCELED


def test_end_as_canceled_is_reported_and_kicked() -> None:
    """[WP-24]"""
    stage = Stage()
    work = a_running_work(cancel_requested=True, retry=POLICY, claimed=False)
    stage.place(work)
    stage.resting_as(LoopState.WAITING, saturated=True)
    stage.complete(assignment_of(work, TABLE), FAILED)

    assert [(done.work_id, done.start) for done in stage.dones()] == [(work.id, 1)]
    assert len(stage.invoker.loops) == 1


def test_canceled_end_is_recorded_once() -> None:
    """[WP-4] Its answer lost and repeated, it goes on to report."""
    stage = Stage()
    work = a_running_work(cancel_requested=True, retry=POLICY, claimed=False)
    stage.place(work)
    stage.store.plan(updates(WorkRef, state=State.FINISHED), repeated)
    stage.complete(assignment_of(work, TABLE), FAILED)

    assert stage.work(work.id).outcome is Outcome.CANCELED
    assert len(stage.dones()) == 1


def test_callback_of_work_that_is_canceled_in_full_pool_is_not_left_to_watchdog() -> None:
    """[WP-24] Nothing else would wake a loop that waits for a slot."""
    stage = Stage()
    pool = stage.pool(max_parallelism=0)
    work_id = pool.enqueue_action(
        None, TARGET, {}, on_complete="arn:aws:sqs:eu-west-1:123456789012:told"
    )
    stage.run(10_000)
    waiting = stage.status()
    answer = pool.cancel(None, work_id)
    stage.run(10_000)

    assert (waiting.state, waiting.saturated, answer) == (LoopState.WAITING, True, "canceled")
    assert stage.work(work_id).callback is CallbackState.DELIVERED


@pytest.mark.parametrize(("canceled", "kicks"), [("soon", 1), ("late", 0)])
def test_cancel_kicks_only_loop_that_waits_for_that_work(canceled: str, kicks: int) -> None:
    stage = Stage()
    pool = stage.pool()
    ids = {
        name: pool.enqueue_action(None, TARGET, {}, run_after=timedelta(hours=hours))
        for name, hours in (("soon", 1), ("late", 5))
    }
    stage.run(10_000)
    before = stage.generation()
    pool.cancel(None, ids[canceled])
    stage.run(10_000)

    assert stage.generation() == before + kicks
    assert stage.status().wake_at == time_of(ids["late" if canceled == "soon" else "soon"])


def test_pending_work_with_requested_cancel_is_not_begun() -> None:
    """[WP-7] None ever is: a retry and a put back are refused where a cancel was asked for."""
    work = a_work(cancel_requested=True)

    assert classify(work.id, work, taken=Taken((), frozenset()), now=NOW) is Look.SKIP
    assert isinstance(
        judge_entry(EntryKey(work.id, 1), work, deadline=NOW, token="t", sent=False, now=NOW), Drop
    )
    assert isinstance(
        judge_entry(EntryKey(work.id, 1), a_work(), deadline=NOW, token="t", sent=False, now=NOW),
        Begin,
    )


@pytest.mark.parametrize("asked", [True, False])
def test_canceled_end_requires_request(*, asked: bool) -> None:
    """[WP-7] The decision to end it so needs that sight, and no process takes a request back."""
    stage = Stage()
    work = a_running_work(claimed=False, retry=a_policy(), cancel_requested=asked)
    stage.place(work)
    write = decide_canceled(an_assignment(claimed=False, retry=a_policy()), FAILED, now=NOW).write

    with nullcontext() if asked else pytest.raises(ConditionFailed):
        stage.store.write(write)
    assert (stage.work(work.id).state is State.FINISHED) is asked


def test_cancel_that_owes_callback_starts_resting_loop(stage: Stage) -> None:
    """[WP-24] [WP-8]"""
    later = NOW + 3_600_000
    work = a_work(
        id=an_id(later), due_at=later, on_complete=QUEUE, callback_outcomes=(Outcome.CANCELED,)
    )
    stage.place(work)
    stage.resting_as(LoopState.WAITING, wake_at=later)

    assert stage.pool().cancel(None, work.id) == "canceled"

    assert [order.generation for order in stage.invoker.loops] == [2]


def test_record_of_cancel_that_was_late_is_put_again(stage: Stage) -> None:
    """[WP-8]"""
    work = a_work(on_complete=QUEUE, callback_outcomes=(Outcome.CANCELED,))
    stage.place(work)
    stage.store.plan(updates(WorkRef, outcome=Outcome.CANCELED), late(stage, repeated=False))

    assert stage.pool().cancel(None, work.id) == "canceled"

    assert [done.work_id for done in stage.dones()] == [work.id] * 2


def test_cancel_with_callback_that_sdk_repeated_is_its_own(stage: Stage) -> None:
    """[WP-8] How late its record became visible is not known, so there is one more."""
    stage.place(OWING)
    stage.store.plan(CANCEL, repeated)

    assert stage.pool().cancel(None, OWING.id) == "canceled"
    assert [(done.work_id, done.callback) for done in stage.dones()] == [
        (OWING.id, CallbackState.PENDING)
    ] * 2


@pytest.mark.parametrize("work", [PLAIN, OWING], ids=["alone", "with a record"])
def test_cancel_that_another_one_forestalled_says_so(stage: Stage, work: WorkItem) -> None:
    stage.place(work)
    ended = replace(work, state=State.FINISHED, outcome=Outcome.CANCELED, started_by="another")
    stage.store.plan(CANCEL, first(lambda: stage.place(ended)))

    assert stage.pool().cancel(None, work.id) == "finished"
    assert (stage.work(work.id), stage.dones()) == (ended, [])


@pytest.mark.parametrize("work", [PLAIN, OWING], ids=["alone", "with a record"])
def test_cancel_of_what_begins_to_run_asks(stage: Stage, work: WorkItem) -> None:
    stage.place(work)
    running = a_running_work(
        on_complete=work.spec.callback_target, callback_outcomes=work.spec.callback_outcomes
    )
    stage.store.plan(CANCEL, first(lambda: stage.place(running)))

    assert stage.pool().cancel(None, work.id) == "requested"
    assert stage.work(work.id) == replace(running, cancel_requested=True)


@pytest.mark.parametrize("work", [PLAIN, OWING], ids=["alone", "with a record"])
@pytest.mark.parametrize("meanwhile", [gone, damaged])
def test_cancel_of_what_cannot_be_read_any_more_changes_nothing(
    stage: Stage, work: WorkItem, meanwhile: Callable[[Stage], None]
) -> None:
    """[WP-12]"""
    stage.place(work)
    stage.store.plan(CANCEL, first(lambda: meanwhile(stage)))

    assert stage.pool().cancel(None, work.id) == "unknown"
    assert (stage.works(), stage.dones()) == ([], [])


def test_cancel_that_cannot_kick_has_canceled_all_same(stage: Stage) -> None:
    """[WP-24] The watchdog finds the record."""
    stage.place(OWING)
    stage.resting_as(LoopState.WAITING, wake_at=NOW + 3_600_000)
    stage.store.plan(updates(StatusRef, state=LoopState.RUNNING), lost_before)

    assert stage.pool().cancel(None, OWING.id) == "canceled"
    assert stage.work(OWING.id).outcome is Outcome.CANCELED
    assert len(stage.telemetry.of(KickFailed)) == 1


def test_cancel_request_of_running_work_kicks_no_loop(stage: Stage) -> None:
    """[WP-23] Its loop has nothing to do about it."""
    stage.place(a_running_work())
    stage.resting_as(LoopState.WAITING, wake_at=NOW + 3_600_000, saturated=True)

    assert stage.pool().cancel(None, PLAIN.id) == "requested"
    assert stage.invoker.loops == []
    assert "get StatusRef" not in stage.notes
