"""An enqueue that meets another record under its id, a late put, or a table without an answer [WP-3]."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_work, an_id, changed
from tests.kit.stage import LATE_MS, Stage, late
from tests.kit.stores import Apply, lost_before, puts, then
from workpool_aws import StoreUnavailable
from workpool_aws.adapters.system import SerialFanOut
from workpool_aws.flow.work.enqueue import enqueue
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import Enqueued
from workpool_aws.model.ids import EpochMs, time_of
from workpool_aws.model.loop import LoopState, LoopStatus
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import Pointer, State, WorkItem
from workpool_aws.model.writes import Written

A = TypeVar("A")
B = TypeVar("B")
WORK = a_work()


def late_and_repeated(stage: Stage, apply: Apply) -> Written:
    stage.clock.at += LATE_MS
    apply()
    return apply()


@pytest.mark.parametrize(
    "other",
    [
        changed(WORK, enqueued_at=EpochMs(NOW - 1)),
        changed(WORK, target="another"),
        changed(WORK, args='{"n":1}'),
    ],
    ids=["enqueued at another time", "for another function", "with other arguments"],
)
def test_other_work_under_same_id_is_not_taken_for_own(stage: Stage, other: WorkItem) -> None:
    """[WP-3] Acknowledged, it would be lost."""
    stage.place(other)

    with pytest.raises(StoreUnavailable, match="another item has the id"):
        enqueue(stage.ports, [WORK])
    assert (stage.works(), stage.invoker.loops) == ([other], [])


def test_pointer_under_same_key_is_not_taken_for_ones_own(stage: Stage) -> None:
    stage.place(Pointer(pool=POOL, at=WORK.id, work_id=an_id(NOW, 9)))

    with pytest.raises(StoreUnavailable, match="another item has the id"):
        enqueue(stage.ports, [WORK])


@pytest.mark.parametrize("delay_ms", [0, 3_600_000])
def test_work_whose_put_was_late_is_pointed_at_now_or_when_it_is_due(
    stage: Stage, delay_ms: int
) -> None:
    """[WP-3] Not before it is due: a loop would meet it, and leave it."""
    stage.store.plan(puts(WorkItem), lambda apply: late_and_repeated(stage, apply))

    work_id = stage.pool().enqueue_action(
        None, TARGET, {}, run_after=timedelta(milliseconds=delay_ms)
    )

    assert [time_of(pointer.at) for pointer in stage.pointers()] == [NOW + max(LATE_MS, delay_ms)]
    assert [event.work_id for event in stage.telemetry.of(Enqueued)] == [work_id]


def test_work_that_cannot_be_pointed_at_is_not_acknowledged(stage: Stage) -> None:
    """[WP-3] It may lie out of the loop's sight."""
    stage.store.plan(puts(WorkItem), lambda apply: late_and_repeated(stage, apply))
    stage.store.plan(puts(Pointer), lost_before)

    with pytest.raises(StoreUnavailable) as met:
        stage.pool().enqueue_action(None, TARGET, {})
    assert met.value.maybe_enqueued == tuple(work.id for work in stage.works())
    assert stage.telemetry.of(Enqueued) == []


@pytest.mark.parametrize("ended", [Outcome.SUCCESS, None], ids=["it ran", "it is gone"])
def test_work_that_cancel_all_did_not_reach_is_not_stored_again(
    stage: Stage, ended: Outcome | None
) -> None:
    """[WP-5] It has run, and what ran is not run once more for the epoch that its caller had not heard of."""
    pool = stage.pool()
    pool.enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
    stage.run(10_000)
    stored: list[WorkItem] = []

    def meanwhile() -> None:
        (work,) = (work for work in stage.works() if work.due_at == stage.clock.at)
        stored.append(work)
        if ended is None:
            stage.remove(WorkRef(POOL, work.id))
        else:
            stage.place(replace(work, state=State.FINISHED, outcome=ended))
        stage.place(replace(stage.status(), epoch=stage.status().epoch + 1))

    stage.store.plan(puts(WorkItem), then(meanwhile))
    work_id = pool.enqueue_action(None, TARGET, {})

    assert work_id == stored[0].id
    assert [work.id for work in stage.works() if work.due_at == stage.clock.at] == (
        [work_id] if ended else []
    )


def test_enqueue_of_empty_batch_sends_no_request(stage: Stage) -> None:
    assert enqueue(stage.ports, []).ids == ()
    assert stage.notes == []


def test_enqueue_that_stored_nothing_kicks_no_loop(stage: Stage) -> None:
    """[WP-23]"""
    stage.resting_as(LoopState.IDLE)
    stage.store.plan(puts(WorkItem), lost_before, times=2)

    with pytest.raises(StoreUnavailable, match="no work item could be stored"):
        enqueue(stage.ports, [WORK, a_work(id=an_id(NOW, 2))])
    assert stage.invoker.loops == []


def test_enqueue_that_stored_part_kicks_loop(stage: Stage) -> None:
    """[WP-24] Its caller gets an answer, so it must be stored and run."""
    stage.resting_as(LoopState.IDLE)
    stage.store.plan(puts(WorkItem), lost_before)

    with pytest.raises(StoreUnavailable, match="1 of 2 work items"):
        enqueue(stage.ports, [WORK, a_work(id=an_id(NOW, 2))])
    assert [order.generation for order in stage.invoker.loops] == [2]


def test_work_whose_put_was_late_and_repeated_is_pointed_at(stage: Stage) -> None:
    """[WP-3] The repetition says that the work is one's own, and not when it became visible."""
    stage.store.plan(puts(WorkItem), late(stage, repeated=True))

    work_id = stage.pool().enqueue_action(None, TARGET, {})

    assert [pointer.work_id for pointer in stage.pointers()] == [work_id]


@pytest.mark.parametrize(("count", "stored_before"), [(31, [31]), (200, range(16, 160))])
def test_large_batch_kicks_loop_after_its_first_part(
    count: int, stored_before: Collection[int]
) -> None:
    """The others are stored while the loop wakes."""
    with LocalCloud(call_latency=timedelta(milliseconds=5)) as cloud:
        pool = cloud.workpool(max_parallelism=100)
        fn = cloud.function(lambda _event, _context: None, name="work")

        def caller(_event: object, _context: object) -> None:
            pool.enqueue_action_batch(None, fn, [{}] * count)

        cloud.invoke(cloud.function(caller, timeout=timedelta(minutes=1)), {})
        cloud.run_until_idle()
        calls = [line.label for line in cloud.trace if line.task.startswith("caller")]
        # The last kick acknowledges, and one before it is the hint.
        looks = [n for n, label in enumerate(calls) if label.startswith("get StatusRef")]
        kicked = looks[-2:][0]
        stored = [n for n, label in enumerate(calls) if label.startswith("put WorkItem")]
        assert len(cloud.invocations(fn)) == count

    assert len(stored) == count
    assert sum(n < kicked for n in stored) in stored_before


def test_batch_whose_first_kick_fails_is_acknowledged_by_last(stage: Stage) -> None:
    """[WP-3] The first kick is a hint."""
    works = [a_work(id=an_id(NOW, n + 1)) for n in range(100)]
    stage.store.plan(puts(LoopStatus), lost_before)

    acknowledged = enqueue(stage.ports, works)

    assert acknowledged.ids == tuple(work.id for work in works)
    stage.run(60_000)
    assert {stage.work(work_id).state for work_id in acknowledged.ids} == {State.FINISHED}


@pytest.mark.parametrize(
    ("count", "args_bytes", "at_once"),
    [(2, 2, 8), (89, 2, 8), (90, 2, 9), (400, 2, 40), (900, 2, 64), (400, 20_000, None)],
)
def test_each_connection_of_batch_makes_some_puts(
    stage: Stage, count: int, args_bytes: int, at_once: int | None
) -> None:
    """A handshake takes longer than a put. `None` is the number for calls with large arguments."""
    asked: list[int | None] = []

    class Noting(SerialFanOut):
        def __call__(
            self, call: Callable[[A], B], items: Sequence[A], at_once: int | None = None
        ) -> list[B]:
            asked.append(at_once)
            return super().__call__(call, items, at_once)

    stage.pool()
    args = json.dumps("x" * (args_bytes - 2))
    works = [a_work(id=an_id(NOW, number), args=args) for number in range(count)]
    enqueue(replace(stage.ports, fan_out=Noting()), works)

    assert asked[0] == at_once
