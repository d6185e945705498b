"""A caller starts its own work items where no loop runs, and every way in which that may end [WP-44]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.kit.records import NOW, POOL, TARGET
from tests.kit.stage import Stage, watched_stage
from tests.kit.stores import (
    Died,
    Fault,
    dies_after,
    first,
    lost_after,
    lost_before,
    puts,
    repeated,
    then,
    updates,
)
from workpool_aws import Workpool
from workpool_aws.core import limits
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.events import HandedOver, LoopFenced, QuickStartRefused, Started
from workpool_aws.model.loop import GuestStarts, LoopState
from workpool_aws.model.messages import Assignment
from workpool_aws.model.record import Ref
from workpool_aws.model.refs import ConfigRef, LedgerRef, StatusRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.ports import (
    InvokeRefused,
    InvokeThrottled,
    InvokeUnanswered,
    StoreDenied,
)

COMMIT = updates(LedgerRef, "entries")
HAND_OVER = updates(StatusRef, "generation", generation=3)
GENERATION = 2
"""That of the guest. The pool rested in the first."""


def quick(stage: Stage) -> Workpool:
    return Workpool(stage.ports.table, POOL, ports=stage.ports, quick_start=True)


@pytest.fixture
def resting() -> Stage:
    """A pool at rest that has run before."""
    return watched_stage(limit=2)


def started(stage: Stage) -> list[str]:
    return [each.work_id for each in stage.invoker.started]


def test_work_item_is_started_before_any_loop_runs(resting: Stage) -> None:
    work_id = quick(resting).enqueue_action(None, TARGET, {})

    assert resting.work(work_id).state is State.RUNNING
    assert started(resting) == [work_id]
    assert [each.generation for each in resting.invoker.loops] == [GENERATION + 1]
    assert resting.status().guest == GuestStarts(GENERATION + 1, resting.clock.now())
    assert resting.telemetry.of(HandedOver)[0].generation == GENERATION + 1


def test_loop_that_follows_starts_nothing_again_and_rests(resting: Stage) -> None:
    work_id = quick(resting).enqueue_action(None, TARGET, {})
    resting.run()

    assert started(resting) == [work_id]
    assert resting.work(work_id).state is State.FINISHED
    assert resting.status().state is LoopState.IDLE
    assert not resting.ledger().entries
    assert resting.telemetry.of(LoopFenced) == []


def test_loop_waits_for_worker_that_is_slow_to_begin(resting: Stage) -> None:
    """Its event was sent: a second one would start a further process for nothing."""
    resting.invoker.on_start = lambda _: None
    work_id = quick(resting).enqueue_action(None, TARGET, {})
    resting.run(20_000)

    assert started(resting) == [work_id]
    assert resting.work(work_id).state is State.PENDING
    resting.make(resting.invoker.started[0])
    resting.complete(resting.invoker.started[0])
    resting.run()
    assert resting.work(work_id).state is State.FINISHED


def test_ordinary_pool_waits_for_its_loop(resting: Stage) -> None:
    work_id = resting.pool().enqueue_action(None, TARGET, {})
    assert resting.work(work_id).state is State.PENDING
    assert resting.invoker.started == []


def test_batch_starts_as_many_as_limit_allows_in_order(resting: Stage) -> None:
    """[WP-1]"""
    ids = quick(resting).enqueue_action_batch(None, TARGET, [{"n": n} for n in range(4)])
    assert started(resting) == ids[:2]
    resting.run()
    assert sorted(started(resting)) == sorted(ids)


@pytest.mark.parametrize("is_over", [True, False], ids=["over before the loop", "in flight"])
def test_quick_start_costs_one_write_more_or_two(resting: Stage, *, is_over: bool) -> None:
    """The hand-over, and the take of a loop that comes before the end of the work item."""
    other = watched_stage(limit=2)
    resting.takes_ms, other.takes_ms = None if is_over else 100, 100
    quick(resting).enqueue_action(None, TARGET, {})
    other.pool().enqueue_action(None, TARGET, {})
    if is_over:
        resting.complete(resting.invoker.started[0])
    for stage in (resting, other):
        stage.run()

    def writes(stage: Stage) -> int:
        reads = ("get", "query", "invoke", "timer", "no timer")
        return sum(not note.startswith(reads) for note in stage.notes)

    assert writes(resting) == writes(other) + (1 if is_over else 2)


def test_loop_that_follows_reads_notices_before_work_items(resting: Stage) -> None:
    """[WP-20] One that frees a slot may name the pointer of a retry, which lies among work items."""
    quick(resting).enqueue_action(None, TARGET, {})
    resting.notes.clear()
    resting.run(1)

    reads = ("query done", "get many", "query work")
    assert [note for note in resting.notes if note in reads][:3] == list(reads)


@pytest.mark.parametrize(
    "error",
    [InvokeThrottled("busy"), InvokeUnanswered("no answer"), InvokeRefused("no", lasting=False)],
    ids=["throttled", "unanswered", "refused"],
)
def test_start_that_lambda_did_not_take_is_made_by_loop_at_once(
    resting: Stage, error: Exception
) -> None:
    """[WP-20]"""
    resting.invoker.refuses = [error]
    work_id = quick(resting).enqueue_action(None, TARGET, {})
    assert resting.status().guest is None
    resting.run(1_000)

    assert started(resting) == [work_id]


def test_function_that_caller_may_not_invoke_is_left_to_loop(resting: Stage) -> None:
    pool = quick(resting)
    refused = InvokeRefused("AccessDenied", lasting=False)
    resting.invoker.refuses = [refused]
    for _ in range(3):
        pool.enqueue_action(None, TARGET, {})
        resting.run(60_000)

    (event,) = resting.telemetry.of(QuickStartRefused)
    assert (event.target, event.error) == (TARGET, "AccessDenied")
    assert len(resting.telemetry.of(HandedOver)) == 1
    assert len(resting.telemetry.of(Started)) == 3

    resting.clock.at += limits.FUNCTION_LIMITS_KEPT_MS
    resting.invoker.refuses = [refused]
    pool.enqueue_action(None, TARGET, {})
    assert len(resting.telemetry.of(HandedOver)) == 2
    assert len(resting.telemetry.of(QuickStartRefused)) == 1


def denied(_: object) -> None:
    raise StoreDenied("not allowed")


@pytest.mark.parametrize(
    ("fault", "generation"),
    [(lost_before, 3), (lost_after, 3), (repeated, 3), (denied, 2)],
    ids=["lost", "answer lost", "repeated", "denied"],
)
def test_commit_in_doubt_is_left_to_next_loop(
    resting: Stage, fault: Fault, generation: int
) -> None:
    """[WP-2] A loop of the same generation would take itself for a second delivery, and stop."""
    resting.store.plan(COMMIT, fault)
    work_id = quick(resting).enqueue_action(None, TARGET, {})
    assert [each.generation for each in resting.invoker.loops] == [generation]
    assert (started(resting) == [work_id]) == (fault is repeated)
    resting.run(1_000)

    assert started(resting) == [work_id]
    assert resting.telemetry.of(LoopFenced) == []


def paused(stage: Stage) -> Callable[[], object]:
    return lambda: stage.pool().configure(None, paused=True)


def test_pause_before_commit_keeps_all_from_start(resting: Stage) -> None:
    """[WP-13]"""
    resting.store.plan(COMMIT, first(paused(resting)))
    quick(resting).enqueue_action(None, TARGET, {})
    resting.run()
    assert resting.invoker.started == []


@pytest.mark.parametrize("read", [LedgerRef, ConfigRef])
def test_pause_between_reads_of_guest_is_minded(resting: Stage, read: type[Ref]) -> None:
    """[WP-13] The ledger is read before the config, whose change bumps it."""
    resting.store.before_get(read, paused(resting))
    quick(resting).enqueue_action(None, TARGET, {})
    assert resting.invoker.started == []


def test_caller_whose_kick_is_not_needed_reads_no_pool(resting: Stage) -> None:
    """All slots are taken for long, so the loop rests, and each enqueue meets a pool at rest."""
    resting.resting_as(LoopState.WAITING, saturated=True)
    pool = quick(resting)
    pool.enqueue_action(None, TARGET, {})
    resting.notes.clear()
    pool.enqueue_action(None, TARGET, {})

    assert resting.notes == ["put WorkItem", "get StatusRef"]


@pytest.mark.parametrize("read", [LedgerRef, ConfigRef])
def test_guest_whose_read_is_not_answered_leaves_all_to_loop(
    resting: Stage, read: type[Ref]
) -> None:
    """[WP-1] A config that was not read may have any limit."""

    def lost() -> None:
        raise StoreUnavailable("no answer")

    resting.store.before_get(read, lost)
    quick(resting).enqueue_action(None, TARGET, {})
    assert resting.invoker.started == []
    assert [each.generation for each in resting.invoker.loops] == [GENERATION]


def test_cancel_all_before_commit_keeps_all_from_start(resting: Stage) -> None:
    """[WP-13] The caller moves its work item into the new epoch, and a loop starts it."""
    resting.store.plan(COMMIT, first(lambda: resting.pool().cancel_all(None)))
    quick(resting).enqueue_action(None, TARGET, {})
    assert resting.invoker.started == []


def test_bulk_cancel_that_is_under_way_comes_first(resting: Stage) -> None:
    """[WP-13]"""
    resting.place(replace(resting.config(), epoch=1, epoch_at=NOW))
    quick(resting).enqueue_action(None, TARGET, {})
    assert resting.invoker.started == []


@pytest.mark.parametrize(
    "match", [COMMIT, HAND_OVER, updates(StatusRef, "state")], ids=["commit", "hand over", "kick"]
)
def test_caller_that_dies_leaves_dead_loop(resting: Stage, match: Callable[..., bool]) -> None:
    """[WP-20] [WP-4] The lease of its kick runs out, and the watchdog starts the next loop."""
    resting.store.plan(match, dies_after)
    with pytest.raises(Died):
        quick(resting).enqueue_action(None, TARGET, {})
    (work,) = resting.works()
    resting.run(120_000, watchdog=True)

    assert resting.work(work.id).state is State.FINISHED
    assert len(started(resting)) == 1
    assert not resting.ledger().entries


@pytest.mark.parametrize("delivered", [True, False], ids=["after", "before"])
def test_caller_that_dies_at_event_leaves_dead_loop(resting: Stage, *, delivered: bool) -> None:
    """[WP-4] [WP-20] The start is made once, by the worker of whichever event comes first."""
    make = resting.invoker.on_start

    def die(assignment: Assignment) -> None:
        resting.invoker.on_start = make
        if delivered:
            make(assignment)
        raise Died

    resting.invoker.on_start = die
    with pytest.raises(Died):
        quick(resting).enqueue_action(None, TARGET, {})
    (work,) = resting.works()
    resting.run(120_000, watchdog=True)

    assert resting.work(work.id).state is State.FINISHED
    assert resting.work(work.id).starts == 1
    assert not resting.ledger().entries


def until_watchdog(stage: Stage) -> Callable[[], object]:
    """So long that the lease of a kick is over, and another loop has done all there is."""
    return lambda: stage.run(120_000, watchdog=True)


def test_caller_that_froze_before_its_commit_commits_nothing(resting: Stage) -> None:
    """[WP-2] Another loop has taken the ledger, and made the start."""
    resting.store.plan(COMMIT, first(until_watchdog(resting)))
    quick(resting).enqueue_action(None, TARGET, {})

    assert len(started(resting)) == 1
    assert not resting.ledger().entries


def test_caller_that_froze_after_its_commit_starts_nothing_twice(resting: Stage) -> None:
    """[WP-4] Its late event finds another permit, and the watchdog's loop has another generation."""
    resting.store.plan(COMMIT, then(until_watchdog(resting)))
    quick(resting).enqueue_action(None, TARGET, {})
    (work,) = resting.works()

    assert resting.work(work.id).starts == 1
    assert resting.work(work.id).state is State.FINISHED
    assert not resting.ledger().entries
    resting.run()
    assert resting.work(work.id).starts == 1


def test_sent_starts_are_those_of_next_generation_alone(resting: Stage) -> None:
    """[WP-20] A loop of another one has starts of its own, which may not have been sent."""
    work_id = quick(resting).enqueue_action(None, TARGET, {})
    resting.run()
    resting.invoker.refuses = [InvokeUnanswered("no answer")]
    second = quick(resting).enqueue_action(None, TARGET, {})
    resting.run(1_000)

    assert started(resting) == [work_id, second]
    assert resting.work(second).starts == 1  # not requeued at its deadline


def test_start_of_work_item_that_is_over_frees_its_slot(resting: Stage) -> None:
    """[WP-21] It was canceled between its put and the kick, and the event of its start is lost."""

    def cancel() -> None:
        (work,) = resting.works()
        resting.pool().cancel(None, work.id)
        resting.invoker.on_start = lambda _: None

    resting.store.plan(puts(WorkItem), then(cancel))
    quick(resting).enqueue_action(None, TARGET, {})
    assert resting.ledger().entries
    began_at = resting.clock.at
    resting.run(1)

    assert not resting.ledger().entries
    assert resting.clock.at - began_at < 10_000  # long before its deadline


def test_lag_of_quick_start_is_counted_once(resting: Stage) -> None:
    pool = quick(resting)
    pool.enqueue_action(None, TARGET, {})
    resting.run(60_000)
    stats = pool.stats(None)
    assert stats.executions == 1
    assert sum(minute.started for minute in stats.minutes) == 1


def test_lag_is_not_counted_again_after_answer_of_commit_was_lost(resting: Stage) -> None:
    """The commit has landed, and an end arrives before the next one."""
    resting.takes_ms = None
    quick(resting).enqueue_action_batch(None, TARGET, [{}, {}])

    def land_and_end(apply: Callable[[], object]) -> None:
        apply()
        resting.complete(resting.invoker.started[0])
        raise StoreUnavailable("its answer was lost")

    resting.store.plan(COMMIT, land_and_end)
    resting.run(3_000)
    resting.complete(resting.invoker.started[1])
    resting.run(120_000)

    minutes = resting.pool().stats(None).minutes
    assert sum(each.started for each in minutes) <= 2
    assert sum(each.succeeded for each in minutes) == 2
