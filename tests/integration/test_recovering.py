"""Starts that never report are recovered: after deadline and margin, on the very state that was judged [WP-14, WP-21]."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.doubles import START_MS, TIMEOUT_MS
from tests.kit.records import NOW, POOL, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import FAILED, SUCCESS, Stage, order
from tests.kit.stores import first, lost_before, puts, then, updates
from tests.kit.world import TABLE
from workpool_aws import RetryPolicy
from workpool_aws.core import limits
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.events import LoopEnded, PassFailed, PutBack, Recovered, Retrying
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, Ledger, LoopState, Notice, ShardCursors
from workpool_aws.model.refs import LedgerRef, StatusRef, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State

FINISH = updates(WorkRef, state=State.FINISHED)
PENDING_AGAIN = updates(WorkRef, state=State.PENDING)
RECOVERED_AT = NOW + START_MS + limits.RECOVERY_MARGIN_MS


def test_unclaimed_start_is_put_back_after_deadline_and_margin_and_not_before() -> None:
    """[WP-14] Its function is known to claim, so it never ran: no attempt is spent."""
    stage = Stage(takes_ms=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.of_first_version(work_id)
    moved: list[int] = []
    stage.store.plan(PENDING_AGAIN, first(lambda: moved.append(stage.clock.at)))
    stage.invoker.on_start = lambda a: (
        stage.after(1_000, lambda: stage.complete(a)) if a.start > 1 else None
    )
    stage.run(watchdog=True)

    assert RECOVERED_AT < moved[0] <= RECOVERED_AT + limits.WATCHDOG_MS + 5_000
    assert (stage.work(work_id).outcome, stage.work(work_id).attempts_made) == (Outcome.SUCCESS, 1)
    assert len(stage.telemetry.of(Recovered)) == 1


def test_start_past_its_deadline_is_not_looked_at_before_margin_is_over() -> None:
    """[WP-23] A loop that is awake for others would read its work in every pass."""
    stage = Stage(takes_ms=None)
    silent = stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.on_start = lambda a: (
        stage.after(300, lambda: stage.complete(a)) if a.work_id != silent else None
    )
    looks: list[int] = []
    for ms in range(0, limits.RECOVERY_MARGIN_MS, 500):
        stage.after(START_MS + ms, lambda: stage.pool().enqueue_action(None, TARGET, {}))
    stage.after(START_MS, lambda: looks.append(stage.notes.count("get many")))
    stage.after(
        START_MS + limits.RECOVERY_MARGIN_MS, lambda: looks.append(stage.notes.count("get many"))
    )
    stage.run()

    assert len(looks) == 2
    assert looks[1] - looks[0] <= 1  # by the new holder


@pytest.mark.parametrize("claims", [True, False])
def test_lost_start_that_may_have_run_spends_its_attempt(*, claims: bool) -> None:
    """[WP-5] An undecorated function cannot claim; a claimer may have done half of its work."""
    stage = Stage(takes_ms=None)
    stage.invoker.claims = claims
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    if claims:
        stage.invoker.on_start = lambda a: stage.after(10, lambda: stage.claim(a))
    stage.run(watchdog=True)

    assert (stage.work(work_id).outcome, stage.work(work_id).error_type) == (
        Outcome.FAILED,
        "no_report",
    )
    assert stage.work(work_id).attempts_made == 1


def test_function_that_is_deployed_as_if_it_claimed_runs_some_times_and_no_more() -> None:
    """[WP-5] Undecorated, and without a success destination: it runs each time, without a report."""
    stage = Stage(takes_ms=None)
    stage.invoker.on_start = lambda _: None
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(24 * 3_600_000, watchdog=True)

    assert len(stage.invoker.started) == 1 + limits.UNCLAIMED_MAX
    assert (stage.work(work_id).outcome, stage.work(work_id).error_type) == (
        Outcome.FAILED,
        "no_report",
    )
    assert stage.work(work_id).attempts_made == 1


@pytest.mark.peer("SM30")
def test_lost_start_that_may_be_retried_is_retried() -> None:
    """[WP-21] [WP-5]"""
    stage = Stage(takes_ms=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {}, retry=RetryPolicy(max_attempts=2))
    stage.run(watchdog=True)

    assert [event.error_type for event in stage.telemetry.of(Retrying)] == ["no_report"]
    assert (stage.work(work_id).outcome, stage.work(work_id).attempts_made) == (Outcome.FAILED, 2)
    assert len(stage.invoker.started) == 2


def test_claim_moves_recovery_to_its_own_end() -> None:
    """[WP-14] The ledger's deadline passes while the claimer still runs: the item has the later one."""
    stage = Stage(takes_ms=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    claimed_at = START_MS - TIMEOUT_MS
    stage.invoker.on_start = lambda a: stage.after(
        claimed_at, lambda: stage.claim(a, remaining_ms=600_000)
    )
    seen: list[State] = []
    stage.clock.enter(
        NOW + claimed_at + 600_000 + limits.RECOVERY_MARGIN_MS,
        lambda: seen.append(stage.work(work_id).state),
    )
    stage.run(watchdog=True)

    assert seen == [State.RUNNING]
    assert stage.work(work_id).error_type == "no_report"


@pytest.mark.parametrize(
    ("claimed", "retry"), [(True, None), (False, None), (False, RetryPolicy())]
)
@pytest.mark.peer("RC02", "RC04")
def test_recovery_changes_nothing_that_changed_since_it_looked(
    retry: RetryPolicy | None, *, claimed: bool
) -> None:
    """[WP-14] A claim, or a new deadline, came between its read and its write."""
    stage = Stage(takes_ms=None)
    stage.invoker.claims = False
    work = a_running_work(claimed=claimed, retry=retry, deadline=EpochMs(NOW + 1_000))
    stage.place(work, ledger_with(work.deadline or NOW, EntryKey(work.id, 1)))
    stage.clock.at = NOW + 60_000
    changed = replace(work, deadline=EpochMs(NOW + 900_000), claim="late" if claimed else None)
    stage.store.plan(
        FINISH if retry is None else PENDING_AGAIN, first(lambda: stage.place(changed))
    )
    stage.resting_as(LoopState.RUNNING, generation=2)
    stage.kill_at(30_000)
    stage.serve(order(2))

    assert stage.work(work.id) == changed
    assert set(stage.ledger().entries) == {EntryKey(work.id, 1)}
    assert stage.telemetry.of(Recovered) == [], "told only when something was recovered"


def test_recovery_puts_nothing_back_that_was_claimed_since_it_looked() -> None:
    """[WP-14] [WP-5]"""
    stage = Stage(takes_ms=None)
    work = a_running_work(deadline=EpochMs(NOW + 1_000))
    stage.place(work, ledger_with(NOW + 1_000, EntryKey(work.id, 1)))
    stage.clock.at = NOW + 60_000
    changed = replace(work, deadline=EpochMs(NOW + 900_000), claim="late")
    stage.store.plan(PENDING_AGAIN, first(lambda: stage.place(changed)))
    stage.resting_as(LoopState.RUNNING, generation=2)
    stage.kill_at(30_000)
    stage.serve(order(2))

    assert stage.work(work.id) == changed
    assert stage.invoker.started == []
    assert stage.telemetry.of(Recovered) == []


@pytest.mark.parametrize("commit_fails", [False, True])
def test_strangers_report_is_used_at_claims_deadline(*, commit_fails: bool) -> None:
    """[WP-21] [WP-14] The ledger has a later deadline: a record asks the loop to look, and no lost commit makes it forget."""
    stage = Stage(takes_ms=None)
    suspected, other = stage.pool().enqueue_action_batch(None, TARGET, [{}] * 2)
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=80))
    stage.invoker.on_start = lambda a: (
        stage.after(10, lambda: stage.claim(a, remaining_ms=20_000))
        if a.work_id == suspected
        else None
    )

    def reports() -> None:
        told = {a.work_id: a for a in stage.invoker.started}
        stage.complete(told[other])
        stage.complete(told[suspected], FAILED, by="destination")
        if commit_fails:
            stage.store.plan(updates(LedgerRef, "entries"), lost_before)

    stage.after(2_000, reports)
    stage.run(watchdog=True)
    work = stage.work(suspected)

    assert (work.outcome, work.error_type) == (Outcome.FAILED, FAILED.error_type)
    assert NOW + 20_000 + limits.RECOVERY_MARGIN_MS < (work.finished_at or 0) < NOW + START_MS


@pytest.mark.parametrize("change", ["of limits", "of generation"])
def test_strangers_report_survives_change(change: str) -> None:
    """[WP-21] It changed no slot, so nothing was committed then, and what the loop reads next is the ledger as it was before: because its
    next commit is refused, or because it takes itself back from its rest."""
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    suspected, other = pool.enqueue_action_batch(None, TARGET, [{}] * 2)
    stage.invoker.on_start = lambda a: (
        stage.after(10, lambda: stage.claim(a, remaining_ms=20_000))
        if a.work_id == suspected
        else None
    )
    started = stage.invoker.started

    stage.after(
        2_000,
        lambda: stage.complete(
            next(a for a in started if a.work_id == suspected), FAILED, by="destination"
        ),
    )
    if change == "of limits":
        pool.enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=80))
        stage.after(4_000, lambda: pool.configure(None, max_parallelism=7))
    else:
        due = a_work(id=an_id(NOW + 5_000), due_at=NOW + 5_000)
        stage.after(
            1_999,
            lambda: stage.store.plan(
                updates(StatusRef, state=LoopState.WAITING), then(lambda: stage.place(due))
            ),
        )
    # Before, so that a commit confirms the entry with the deadline of its start; or after, for the
    # commit that is refused.
    stage.after(
        4_050 if change == "of limits" else 1_000,
        lambda: stage.complete(next(a for a in started if a.work_id == other)),
    )
    stage.run(watchdog=True)
    work = stage.work(suspected)

    assert (work.outcome, work.error_type) == (Outcome.FAILED, FAILED.error_type)
    assert (
        NOW + 20_000 + limits.RECOVERY_MARGIN_MS
        < (work.finished_at or 0)
        <= NOW + limits.WATCHDOG_MS
    )


def test_suspicion_does_not_outweigh_claimers_own_word() -> None:
    """[WP-5] A duplicate crashed before its claim; the original goes on."""
    stage = Stage(takes_ms=None)
    work = a_running_work(claim="mine")
    stage.place(work)
    a = assignment_of(work, TABLE)
    stage.complete(a, FAILED, by="destination")
    suspected = stage.work(work.id).suspected_type
    stage.complete(a, replace(SUCCESS, claim="mine"))

    assert suspected == FAILED.error_type
    assert (stage.work(work.id).outcome, stage.work(work.id).suspected_type) == (
        Outcome.SUCCESS,
        None,
    )


def test_suspicion_is_kept_with_claim_it_is_about() -> None:
    """[WP-14]"""
    stage = Stage(takes_ms=None)
    work = a_running_work(claim="mine")
    stage.place(work)
    later = replace(work, claim="another's")
    stage.store.plan(
        updates(WorkRef, suspected_type=FAILED.error_type), first(lambda: stage.place(later))
    )
    stage.complete(assignment_of(work, TABLE), FAILED, by="destination")

    assert stage.work(work.id) == later
    assert stage.dones() == []


def test_request_for_look_is_one_look() -> None:
    """[WP-23] The record stays in the buffer for a while."""
    stage = Stage(takes_ms=None)
    stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.on_start = lambda a: stage.after(10, lambda: stage.claim(a, remaining_ms=600_000))
    stage.after(2_000, lambda: stage.complete(stage.invoker.started[0], FAILED, by="destination"))
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=60))
    stage.run(50_000)

    assert stage.notes.count("get many") == 1


def ledger_with(deadline: int, *keys: EntryKey) -> Ledger:
    entries = {key: Entry(EpochMs(deadline), confirmed=True) for key in keys}
    return Ledger(
        pool=POOL,
        holder="the loop before",
        generation=1,
        version=3,
        entries=entries,
        shards=(ShardCursors(),),
    )


def test_recovery_without_answer_is_made_again() -> None:
    """[WP-21]"""
    stage = Stage(takes_ms=None)
    stage.invoker.claims = False
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(FINISH, lost_before)
    stage.run(watchdog=True)

    assert (stage.telemetry.of(PassFailed), stage.telemetry.of(LoopEnded)) == ([], [])
    assert stage.work(work_id).error_type == "no_report"
    assert stage.ledger().entries == {}
    assert stage.status().state is LoopState.IDLE


def test_recovery_whose_report_was_lost_is_made_again() -> None:
    """[WP-21] The work is over, and its slot is not free yet."""
    stage = Stage(takes_ms=None)
    stage.invoker.claims = False
    stage.pool().enqueue_action(None, TARGET, {})
    stage.store.plan(puts(Notice), lost_before)
    stage.run(watchdog=True)

    assert stage.ledger().entries == {}
    assert stage.status().state is LoopState.IDLE


def test_slot_whose_report_was_lost_is_freed_after_its_deadline() -> None:
    """[WP-21] The worker died between the end and the report of it."""
    stage = Stage(takes_ms=None)
    ids = stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 2)
    over = replace(stage.work(ids[0]), state=State.FINISHED, starts=1, outcome=Outcome.SUCCESS)
    stage.after(1_000, lambda: stage.place(over))
    stage.invoker.on_start = lambda a: (
        stage.after(1_000, lambda: stage.complete(a)) if a.work_id == ids[1] else None
    )
    stage.run(watchdog=True)

    assert stage.work(ids[0]) == over
    assert stage.work(ids[1]).state is State.FINISHED
    assert (stage.work(ids[1]).started_at or 0) > RECOVERED_AT


@pytest.mark.peer("SM25", "RC03")
def test_slot_whose_work_is_gone_is_freed() -> None:
    """[WP-21]"""
    stage = Stage(takes_ms=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.after(5_000, lambda: stage.remove(WorkRef(POOL, work_id)))
    stage.run(watchdog=True)

    assert stage.ledger().entries == {}
    assert stage.status().state is LoopState.IDLE


@pytest.mark.peer("SM26")
def test_late_report_after_recovery_frees_no_later_start() -> None:
    """[WP-1] [WP-4] The function ran far beyond its timeout, and its work item runs its next start now."""
    stage = Stage(takes_ms=None)
    work_id = stage.pool(max_parallelism=1).enqueue_action(
        None, TARGET, {}, retry=RetryPolicy(max_attempts=3)
    )
    stage.run(140_000, watchdog=True)
    first_start, second_start = stage.invoker.started
    stage.complete(first_start, SUCCESS)
    stage.run(10_000)

    assert (first_start.start, second_start.start) == (1, 2)
    assert stage.work(work_id).state is State.RUNNING
    assert set(stage.ledger().entries) == {EntryKey(work_id, 2)}


def test_pool_of_lost_starts_comes_to_rest() -> None:
    """[WP-21] [WP-22] Every delivery is lost, for a quarter of an hour."""
    stage = Stage(takes_ms=None)
    ids = stage.pool(max_parallelism=3).enqueue_action_batch(None, TARGET, [{}] * 7)
    stage.invoker.on_start = lambda a: (
        stage.after(500, lambda: stage.complete(a)) if stage.clock.at > NOW + 900_000 else None
    )
    stage.run(3 * 3_600_000, watchdog=True)

    assert {stage.work(work_id).outcome for work_id in ids} == {Outcome.SUCCESS}
    assert {stage.work(work_id).attempts_made for work_id in ids} == {1}
    assert stage.status().state is LoopState.IDLE
    assert len(stage.telemetry.of(PutBack)) >= 7


def test_recovery_that_gets_no_answer_is_not_made_again_by_each_pass() -> None:
    """[WP-23] [WP-21] It may have been written. Its record shows it, or the next look seconds later."""
    stage = Stage()
    running = a_running_work(
        started_by="the loop before", claim="worker-1", deadline=EpochMs(NOW - 60_000)
    )
    entry = Entry(EpochMs(NOW - 60_000), confirmed=True)
    stage.place(
        running,
        Ledger(
            pool=POOL,
            holder="the loop before",
            generation=1,
            version=3,
            entries={EntryKey(running.id, 1): entry},
        ),
    )
    stage.resting_as(LoopState.RUNNING, generation=2)
    tried: list[int] = []

    def no_answer(apply: object) -> object:
        tried.append(stage.clock.at)
        raise StoreUnavailable("no answer")

    stage.store.plan(updates(WorkRef, state=State.FINISHED), no_answer, times=2)
    stage.invoker.loops.append(order(2))
    stage.run(120_000)

    assert stage.work(running.id).outcome is Outcome.FAILED
    assert tried[1] - tried[0] >= limits.RECHECK_MS
