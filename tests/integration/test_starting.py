"""One start is written once, sent at most once, and requeued if it was not delivered [WP-4]."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta

import pytest

from tests.kit.doubles import EVENT_AGE_MS, START_MS, TIMEOUT_MS
from tests.kit.records import (
    NOW,
    POOL,
    PROOF,
    TARGET,
    a_running_work,
    a_work,
    an_id,
)
from tests.kit.stage import FAILED, NOT_DELIVERED, Stage, undecorated_stage
from tests.kit.stores import (
    Apply,
    Fault,
    first,
    lost_after,
    lost_before,
    puts,
    repeated,
    then,
    updates,
)
from workpool_aws import RetryPolicy
from workpool_aws.core import limits
from workpool_aws.core.loop.classify import Look, Taken, classify
from workpool_aws.core.loop.effects import Begun, Start
from workpool_aws.core.loop.start import assignment_for, start_write
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.loop.start import begin, begin_run
from workpool_aws.flow.visibility import make_pointer
from workpool_aws.model.events import (
    Completed,
    LoopEnded,
    PassFailed,
    PutBack,
    Started,
    StartUnanswered,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey
from workpool_aws.model.messages import Assignment
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import ChunkRef, LedgerRef, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, Pointer, State
from workpool_aws.model.writes import Written
from workpool_aws.ports import ConditionFailed, InvokeRefused, InvokeThrottled, InvokeUnanswered

START = updates(WorkRef, "starts")


QUEUE = "arn:aws:sqs:us-east-1:123456789012:ends"


LARGE = {"text": "x" * 20_000}


def starts_of(stage: Stage) -> list[int]:
    return [a.start for a in stage.invoker.started]


@pytest.mark.parametrize("fault", [repeated, lost_after, lost_before])
def test_start_whose_answer_was_lost_is_made_once_and_without_delay(fault: Fault) -> None:
    """[WP-4] The item shows if it was written. A dropped entry would free the slot of a running start."""
    stage = undecorated_stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(START, fault)
    stage.run()

    assert starts_of(stage) == [1]
    assert stage.work(work_id).state is State.FINISHED
    assert (stage.work(work_id).finished_at or 0) - NOW < 2_000
    assert stage.notes.count("get many") == (0 if fault is repeated else 1)


def test_start_that_sdk_repeated_is_sent_in_same_pass() -> None:
    """[WP-20]"""
    stage = undecorated_stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(START, repeated)
    stage.run()

    assert stage.notes[stage.notes.index("start") + 1] == "invoke"


def test_start_that_was_seen_is_confirmed_by_next_commit() -> None:
    """[WP-14] With the deadline of its item: a new holder need not look at it."""
    stage = undecorated_stage(takes_ms=None)
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    stage.store.plan(START, then(lambda: stage.clock.pass_to(stage.clock.at + 3_000)))
    pool.enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=20))
    stage.run(60_000)

    assert "get many" not in stage.notes
    assert stage.ledger().entries[EntryKey(work_id, 1)] == Entry(
        stage.work(work_id).deadline or NOW, confirmed=True
    )


def test_start_without_answer_keeps_its_slot() -> None:
    """[WP-1] Until the item was looked at, nothing else may take it."""
    stage = undecorated_stage(takes_ms=None)
    works = stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 2)
    stage.store.plan(START, lost_after)
    stage.kill_at(2_000)
    stage.run(2_000)

    assert [(a.work_id, a.start) for a in stage.invoker.started] == [(works[0], 1)]
    assert set(stage.ledger().entries) == {EntryKey(works[0], 1)}


def test_start_that_never_got_through_is_not_chosen_again_beside_its_entry() -> None:
    """[WP-1] The work is still pending, and its slot is taken already: one entry, one start."""
    stage = undecorated_stage(takes_ms=None)
    work_id = stage.pool(max_parallelism=2).enqueue_action(None, TARGET, {})
    stage.store.plan(START, lost_before)
    stage.kill_at(5_000)
    stage.run(5_000)

    assert starts_of(stage) == [1]
    assert set(stage.ledger().entries) == {EntryKey(work_id, 1)}


def test_ledger_has_deadline_that_item_will_have() -> None:
    """[WP-14] A loop that takes over before the start was seen must not judge it early."""
    stage = undecorated_stage(takes_ms=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    entries: list[Entry] = []
    stage.store.plan(
        START, first(lambda: entries.append(stage.ledger().entries[EntryKey(work_id, 1)]))
    )
    stage.run(1_000)

    assert entries == [Entry(EpochMs(NOW + START_MS))]


def test_entry_that_is_not_understood_keeps_its_work_from_being_chosen() -> None:
    """[WP-1] Another start number of the same work would be a second slot for it."""
    stage = Stage(takes_ms=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    work = stage.work(work_id)

    assert classify(work_id, work, taken=Taken((), frozenset({work_id})), now=NOW) is Look.SKIP
    assert (
        classify(work_id, work, taken=Taken((EntryKey(work_id, 1),), frozenset()), now=NOW)
        is Look.SKIP
    )
    assert (
        classify(work_id, work, taken=Taken((EntryKey(work_id, 2),), frozenset()), now=NOW)
        is Look.DUE
    )


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({}, True),
        ({"starts": 1}, False),
        ({"state": State.RUNNING}, False),
        ({"cancel_requested": True}, False),
    ],
)
def test_start_write_finds_what_was_committed_or_nothing(
    changes: dict[str, object], *, accepted: bool
) -> None:
    """[WP-2] [WP-7]"""
    stage = Stage()
    work = stage.work(stage.pool().enqueue_action(None, TARGET, {}))
    stage.place(a_work(id=work.id, **changes))
    written = start_write(work, 1, token="t", proof=PROOF, timeout_ms=1, event_age_ms=1, now=NOW)

    with nullcontext() if accepted else pytest.raises(ConditionFailed):
        stage.store.write(written)


def test_invoke_without_answer_is_not_repeated() -> None:
    """[WP-4] It may have been taken: only recovery decides, after the deadline."""
    stage = undecorated_stage(takes_ms=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.refuses = [InvokeUnanswered("no answer")]
    stage.run(START_MS)

    assert stage.notes.count("invoke") == 1
    assert [event.start for event in stage.telemetry.of(StartUnanswered)] == [1]
    assert (stage.work(work_id).state, stage.work(work_id).starts) == (State.RUNNING, 1)


def test_throttled_invoke_is_tried_again_and_then_put_back() -> None:
    """[WP-25] No attempt is spent on it."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.refuses = [InvokeThrottled() for _ in range(limits.INVOKE_TRIES)]
    stage.run()

    assert (
        stage.clock.slept_ms[: limits.INVOKE_TRIES].count(limits.INVOKE_RETRY_MS)
        == limits.INVOKE_TRIES - 1
    )
    assert starts_of(stage) == [2]
    assert [event.undelivered for event in stage.telemetry.of(PutBack)] == [1]
    assert stage.work(work_id).attempts_made == 1


def test_short_throttle_costs_no_start() -> None:
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.refuses = [InvokeThrottled() for _ in range(limits.INVOKE_TRIES - 1)]
    stage.run()

    assert starts_of(stage) == [1]


def test_start_that_lambda_will_always_refuse_fails_at_once() -> None:
    """[WP-11] [WP-12] A bad function affects its own work only."""
    stage = Stage()
    pool = stage.pool()
    bad, good = pool.enqueue_action_batch(None, TARGET, [{}] * 2)
    stage.invoker.refuses = [InvokeRefused("too large", lasting=True)]
    stage.run()

    assert (stage.work(bad).error_type, stage.work(bad).error) == ("not_invocable", "too large")
    assert stage.work(good).outcome == "success"


def test_function_that_is_not_there_fails_after_two_minutes_of_it() -> None:
    """[WP-25] A fresh deployment's permissions lag; each try is put back, spending nothing."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.refuses = [InvokeRefused("no such function", lasting=False) for _ in range(20)]
    stage.run()

    work = stage.work(work_id)
    assert work.error_type == "not_invocable"
    assert (
        limits.REFUSED_FOR_MS
        <= (work.finished_at or 0) - NOW
        < 2 * limits.REFUSED_FOR_MS + limits.REQUEUE_DELAY_MS
    )
    assert work.attempts_made == 1


def test_function_that_appears_in_time_runs() -> None:
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.refuses = [InvokeRefused("no such function", lasting=False) for _ in range(4)]
    stage.run()

    assert stage.work(work_id).outcome == "success"


def test_loop_that_froze_after_its_commit_starts_nothing_that_expired() -> None:
    """[WP-25] Its entry is dropped once the work item is ended."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(
        None, TARGET, {}, expires_after=timedelta(seconds=1), on_complete=QUEUE
    )
    stage.store.plan(
        updates(LedgerRef, "entries"), then(lambda: stage.clock.pass_to(stage.clock.at + 1_500))
    )
    stage.run()

    assert (stage.work(work_id).error_type, stage.work(work_id).starts) == ("expired", 0)
    assert stage.work(work_id).callback is CallbackState.DELIVERED
    assert starts_of(stage) == []


def test_start_write_without_answer_is_taken_back_once_its_work_expired() -> None:
    """[WP-23] It landed, so the work item is no longer pending and cannot be ended as expired."""
    stage = undecorated_stage()
    work_id = stage.pool().enqueue_action(
        None, TARGET, {}, expires_after=timedelta(seconds=9), on_complete=QUEUE
    )

    def landed_unanswered(apply: Apply) -> Written:
        apply()
        stage.clock.pass_to(stage.clock.at + limits.START_TO_INVOKE_MS + 1_000)
        raise StoreUnavailable("no answer")

    stage.store.plan(START, landed_unanswered)
    stage.run()

    assert (stage.work(work_id).error_type, stage.work(work_id).starts) == ("expired", 1)
    assert starts_of(stage) == []


def test_loop_that_froze_after_start_write_does_not_send_it_late() -> None:
    """[WP-14] The worker's `start_by` would be near: a new start is safer."""
    stage = undecorated_stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(
        START, then(lambda: stage.clock.pass_to(stage.clock.at + limits.START_TO_INVOKE_MS + 1))
    )
    stage.run()

    assert starts_of(stage) == [2]


def test_pause_of_few_seconds_is_not_too_long_to_send() -> None:
    stage = undecorated_stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(
        START, then(lambda: stage.clock.pass_to(stage.clock.at + limits.START_TO_INVOKE_MS))
    )
    stage.run()

    assert starts_of(stage) == [1]


def test_start_by_leaves_function_its_whole_time_before_deadline() -> None:
    """[WP-14] Begun later, a worker could still run when recovery judges it."""
    stage = undecorated_stage(takes_ms=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(1_000)
    (a,) = stage.invoker.started
    deadline = stage.work(work_id).deadline or 0

    assert deadline == (stage.work(work_id).started_at or 0) + TIMEOUT_MS + EVENT_AGE_MS
    assert a.start_by == deadline - TIMEOUT_MS
    assert (
        assignment_for(
            stage.work(work_id), "t", nonce="n", timeout_ms=TIMEOUT_MS, loop_until=None
        ).start_by
        == a.start_by
    )


def test_put_back_that_is_not_answered_leaves_start_to_recovery() -> None:
    """[WP-4] A second invoke never decides it."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.of_first_version(work_id)
    stage.invoker.refuses = [InvokeThrottled() for _ in range(limits.INVOKE_TRIES)]
    stage.store.plan(puts(Pointer), lost_before)
    stage.run(60_000)

    assert stage.invoker.started == []
    assert (stage.telemetry.of(PassFailed), stage.telemetry.of(LoopEnded)) == ([], [])
    assert stage.work(work_id).state is State.RUNNING
    stage.run(watchdog=True)
    assert stage.work(work_id).state is State.FINISHED
    assert starts_of(stage) == [2]


def test_each_retry_is_another_start_of_same_work() -> None:
    """[WP-4] [WP-5]"""
    stage = Stage(report=FAILED)
    work_id = stage.pool().enqueue_action(
        None, TARGET, {}, retry=RetryPolicy(max_attempts=3, jitter=False)
    )
    stage.run()

    assert [(a.start, a.attempts_made) for a in stage.invoker.started] == [(1, 0), (2, 1), (3, 2)]
    assert (stage.work(work_id).outcome, stage.work(work_id).attempts_made) == ("failed", 3)


def test_start_that_was_not_delivered_spends_no_attempt() -> None:
    """[WP-5] [WP-25]"""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {}, retry=RetryPolicy(max_attempts=2))
    reports = [NOT_DELIVERED, NOT_DELIVERED]

    def report(a: Assignment) -> None:
        stage.after(10, lambda: stage.complete(a, reports.pop() if reports else stage.report))

    stage.invoker.on_start = report
    stage.run()

    assert [(a.start, a.attempts_made) for a in stage.invoker.started] == [(1, 0), (2, 0), (3, 0)]
    assert (stage.work(work_id).outcome, stage.work(work_id).attempts_made) == ("success", 1)


def test_undelivered_start_ends_as_failed_after_about_day() -> None:
    """[WP-25]"""
    stage = Stage(takes_ms=10, report=NOT_DELIVERED)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(2 * 86_400_000)

    work = stage.work(work_id)
    assert (work.outcome, work.error_type) == ("failed", "never_delivered")
    assert len(stage.invoker.started) == limits.UNDELIVERED_MAX + 1
    assert (
        timedelta(hours=12)
        < timedelta(milliseconds=(work.finished_at or 0) - NOW)
        < timedelta(hours=36)
    )


def test_spent_pointers_go_when_their_work_has_started() -> None:
    stage = Stage(report=FAILED)
    stage.pool().enqueue_action(None, TARGET, {}, retry=RetryPolicy(max_attempts=3))
    stage.run()

    assert stage.pointers() == []
    assert stage.notes.count("delete PointerRef") == 2


def test_pointer_stays_until_its_work_was_seen_to_start() -> None:
    """[WP-3] Without an answer to the start write it may still be needed."""
    stage = Stage(report=FAILED)
    stage.pool().enqueue_action(None, TARGET, {}, retry=RetryPolicy(max_attempts=2, jitter=False))
    seen: list[int] = []

    def lost(apply: Apply) -> Written:
        stage.after(1, lambda: seen.append(len(stage.pointers())))
        return lost_before(apply)

    stage.store.plan(updates(WorkRef, starts=2), lost)
    stage.run()

    assert seen == [1]


def test_reported_lag_is_from_due_to_start_write() -> None:
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=5))
    stage.run()

    (started,) = stage.telemetry.of(Started)
    assert 0 <= started.lag_ms <= 1_000


def test_end_reports_lag_until_its_worker_began() -> None:
    """The invoke is before that."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=5))
    stage.run()

    (started,), (completed,) = stage.telemetry.of(Started), stage.telemetry.of(Completed)
    work = stage.work(work_id)
    assert completed.lag_ms == (work.started_at or 0) - work.due_at
    assert completed.lag_ms >= started.lag_ms


def test_lag_of_last_start_of_several_is_reported() -> None:
    """Each is due by itself, so the backoff is no lag."""
    stage = Stage(report=FAILED)
    stage.pool().enqueue_action(None, TARGET, {}, retry=RetryPolicy(max_attempts=2, jitter=False))
    stage.run()

    (completed,) = stage.telemetry.of(Completed)
    assert completed.attempts_made == 2
    assert completed.lag_ms is not None
    assert completed.lag_ms <= 1_000


def test_start_of_other_loop_is_neither_sent_nor_dropped() -> None:
    """[WP-2] [WP-4] The start write meets the same start under another loop's token."""
    stage = undecorated_stage(takes_ms=None)
    work_id = stage.pool(max_parallelism=1).enqueue_action(None, TARGET, {})
    other = start_write(
        stage.work(work_id),
        1,
        token="another",
        proof=PROOF,
        timeout_ms=TIMEOUT_MS,
        event_age_ms=EVENT_AGE_MS,
        now=EpochMs(NOW),
    )
    stage.store.plan(START, first(lambda: stage.memory.write(other)))
    stage.run(60_000)

    assert stage.invoker.started == []
    assert set(stage.ledger().entries) == {EntryKey(work_id, 1)}


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.peer("SM32", "SM33")
def test_pointer_to_work_that_is_over_or_gone_goes(*, exists: bool) -> None:
    """[WP-22] It would be read again and again."""
    stage = Stage()
    stage.place(make_pointer(POOL, an_id(NOW), NOW, random_bits=5))
    if exists:
        stage.place(a_work(state=State.FINISHED))
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run()

    assert stage.pointers() == []


def test_start_begins_unclaimed_whatever_one_before_left() -> None:
    """[WP-5] Every way back to pending clears the claim, too."""
    stage = Stage()
    work = a_work(claim="of the start before")
    stage.place(work)
    stage.store.write(
        start_write(work, 1, token="t", proof=PROOF, timeout_ms=1, event_age_ms=1, now=NOW)
    )

    assert stage.work(work.id).claim is None


def test_start_that_another_holder_made_is_not_sent_again(stage: Stage) -> None:
    """[WP-4] It is this very start, but by another's token."""
    stage.place(a_running_work(started_by="loop-2"))

    begun = begin(stage.ports, "loop-1", "secret", Start(EntryKey(an_id(), 1), a_work(), None))

    assert not begun.sent
    assert stage.invoker.started == []


def test_start_of_run_whose_function_makes_none_any_more_is_put_back(stage: Stage) -> None:
    """[WP-23] It would keep the slot of its run until its event is too old: the loop makes none of a run."""
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    key = EntryKey(work_id, 1)
    stage.invoker.claims = False

    (begun,) = begin_run(stage.ports, "secret", [Start(key, stage.work(work_id), None, run=key)])

    assert begun.sent
    assert stage.invoker.started == []
    assert (stage.work(work_id).starts, stage.work(work_id).undelivered) == (1, 1)
    stage.run()
    assert stage.work(work_id).outcome is Outcome.SUCCESS


def test_pointer_that_cannot_be_removed_does_not_fail_its_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[WP-12]"""
    stage = Stage(report=FAILED)
    work_id = stage.pool().enqueue_action(
        None, TARGET, {}, retry=RetryPolicy(max_attempts=2, jitter=False)
    )

    def no_answer(ref: Ref) -> None:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(stage.store, "delete", no_answer)
    stage.run()

    assert stage.work(work_id).attempts_made == 2
    assert stage.telemetry.of(PassFailed) == []


def test_arguments_that_cannot_be_read_just_now_put_start_back() -> None:
    """[WP-25] Another start, a little later: not recovery, after the deadline of this one."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, LARGE)

    def unread() -> None:
        raise StoreUnavailable("no answer")

    stage.store.before_get(ChunkRef, unread)
    stage.run(60_000)

    assert [event.undelivered for event in stage.telemetry.of(PutBack)] == [1]
    assert stage.telemetry.of(LoopEnded) == []
    assert [a.start for a in stage.invoker.started] == [2]
    assert stage.work(work_id).state is State.FINISHED


def test_throttled_invoke_waits_before_it_is_tried_again() -> None:
    """[WP-23] Lambda has no room in the next microsecond either."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.refuses = [InvokeThrottled(), InvokeThrottled()]
    stage.run(60_000)

    assert [a.start for a in stage.invoker.started] == [1]
    assert stage.clock.slept_ms[:2] == [limits.INVOKE_RETRY_MS] * 2


@pytest.mark.parametrize(
    "there",
    [
        None,
        a_running_work(state=State.FINISHED),
        a_running_work(starts=2),
        a_running_work(started_by="loop-2"),
    ],
    ids=["nothing", "this start, finished", "a later start", "another loop's"],
)
def test_start_write_that_met_anything_but_its_own_start_sends_nothing(
    there: Record | None,
) -> None:
    """[WP-2] [WP-4] What is there now is looked at in the next pass."""
    stage = Stage()
    if there is not None:
        stage.place(there)

    begun = begin(stage.ports, "loop-1", "secret", Start(EntryKey(an_id(), 1), a_work(), None))

    assert begun == Begun(EntryKey(an_id(), 1), None, sent=False)
    assert stage.invoker.started == []


def test_start_write_that_met_its_own_start_sends_it() -> None:
    """[WP-20] The SDK had written it before, and lost the answer."""
    stage = Stage()
    running = a_running_work()
    stage.place(running)

    begun = begin(stage.ports, "loop-1", "secret", Start(EntryKey(an_id(), 1), a_work(), None))

    assert begun == Begun(EntryKey(an_id(), 1), running.deadline, sent=True)
    assert [a.start for a in stage.invoker.started] == [1]
