"""Whatever was acknowledged is found, however late its writer was [WP-3]. No watchdog runs here: it would hide what the loop loses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import NOW, a_running_work, a_work, an_id
from integration.stage import FAILED, NOT_DELIVERED, POOL, TARGET, Stage, dies_before, first, lost_after, order, puts, repeated, updates
from workpool_aws import RetryPolicy, StoreUnavailable
from workpool_aws.core import limits
from workpool_aws.core.settle import deep_low, done_cursor_after
from workpool_aws.core.start import cursor_after
from workpool_aws.flow.complete import complete
from workpool_aws.flow.enqueue import enqueue
from workpool_aws.flow.late import prove_in_time, put_pointer
from workpool_aws.model.ids import EpochMs, id_floor, time_of
from workpool_aws.model.loop import Done, DoneKind, Entry, EntryKey, Ledger, LoopState, ShardMark
from workpool_aws.model.refs import DoneRef, LedgerRef, WorkRef
from workpool_aws.model.work import Pointer, State, Work
from workpool_aws.model.writes import Put, Written

PROVEN_MS = limits.LATE_MS + limits.DATE_RESOLUTION_MS


def busy_stage(ms: int = 60_000, *, limit: int = 2) -> Stage:
    """A loop that is kept up all the time by other works: its cursors move, and it has no reason to rest and look again."""
    stage = Stage(takes_ms=300)
    count = ms // 1_000 * 2
    stage.pool(max_parallelism=limit).enqueue_action_batch(None, TARGET, [{}])
    for n in range(count):
        stage.after(500 + n * 500, lambda: stage.pool().enqueue_action(None, TARGET, {}))
    return stage


@pytest.mark.parametrize("late_ms", [0, 1_000, 4_900, 5_900, 6_100, 9_000, 14_000, 16_000, 30_000])
def test_a_work_that_becomes_visible_late_is_started(late_ms: int) -> None:
    """[WP-3] A producer read its clock and was frozen before its write."""
    stage = busy_stage()
    late: list[str] = []
    at = NOW + 20_000

    def write() -> None:
        late.append(stage.pool(at=at).enqueue_action(None, TARGET, {}))

    stage.clock.enter(at + late_ms, write)
    ended: list[State] = []
    stage.clock.enter(at + late_ms + 6_000, lambda: ended.append(stage.work(late[0]).state))
    stage.run()

    assert ended == [State.FINISHED]


def test_a_work_proven_late_is_pointed_at_from_the_servers_time() -> None:
    """[WP-3] Its own key lies behind what any read goes back over."""
    stage = Stage()
    stage.clock.at = NOW + 60_000
    stage.pool(at=NOW).enqueue_action(None, TARGET, {})

    (pointer,) = stage.pointers()
    assert time_of(pointer.at) == NOW + 60_000


def test_a_work_in_time_gets_no_pointer() -> None:
    stage = Stage()
    stage.clock.at = NOW + limits.LATE_MS
    stage.pool(at=NOW).enqueue_action(None, TARGET, {})

    assert stage.pointers() == []


def test_a_pointer_that_is_late_itself_is_written_again() -> None:
    """[WP-3] Until one was visible in time: the proof is about the last write."""
    stage = Stage()
    stage.clock.at = NOW + 60_000
    stage.table.plan(puts(Pointer), first(lambda: stage.clock.pass_to(NOW + 90_000)))
    stage.pool(at=NOW).enqueue_action(None, TARGET, {})

    assert [time_of(pointer.at) for pointer in stage.pointers()] == [NOW + 60_000, NOW + 90_000]


def test_without_a_date_the_writers_own_clock_is_the_witness() -> None:
    """[WP-3] It was frozen between reading its clock and the answer."""
    stage = Stage()
    stage.table.dateless = True
    stage.table.plan(puts(Work), first(lambda: stage.clock.pass_to(NOW + 60_000)))
    stage.pool().enqueue_action(None, TARGET, {})

    assert [time_of(pointer.at) for pointer in stage.pointers()] == [NOW + 60_000]


def test_the_rule_looks_again_after_every_write() -> None:
    asked: list[int] = []
    answers = [Written(EpochMs(NOW + 30_000), None), Written(EpochMs(NOW + 30_000), None)]

    def again(at: EpochMs) -> Written:
        asked.append(at)
        return answers.pop()

    prove_in_time(Stage().ports, Written(EpochMs(NOW + 10_000), None), NOW, again)

    assert asked == [NOW + 10_000, NOW + 30_000]


def test_an_enqueue_whose_pointer_was_not_written_is_not_acknowledged() -> None:
    """[WP-3]"""
    stage = Stage()
    stage.clock.at = NOW + 60_000
    stage.table.plan(puts(Pointer), lost_after)

    with pytest.raises(StoreUnavailable) as raised:
        stage.pool(at=NOW).enqueue_action(None, TARGET, {})

    assert len(raised.value.maybe_enqueued) == 1


def test_an_enqueue_that_the_sdk_repeated_is_pointed_at_anew() -> None:
    """[WP-3] Nobody knows when the first one landed: the answer's Date says nothing about it."""
    stage = busy_stage()
    ids: list[str] = []

    def repeated_late(apply: object) -> Written:
        assert callable(apply)
        apply()
        return repeated(apply)  # type: ignore[arg-type]

    def write() -> None:
        stage.table.plan(puts(Work), repeated_late)
        ids.append(stage.pool().enqueue_action(None, TARGET, {}))

    stage.after(20_100, write)
    seen: list[str] = []
    stage.after(20_101, lambda: seen.extend(pointer.work_id for pointer in stage.pointers()))
    stage.run()

    assert seen == ids
    assert stage.work(ids[0]).state is State.FINISHED


def test_a_stranger_under_the_same_id_is_not_acknowledged() -> None:
    """[WP-3] And is not overwritten."""
    stage = Stage()
    stranger = a_work(target="another", enqueued_at=EpochMs(NOW - 1))
    stage.place(stranger)

    with pytest.raises(StoreUnavailable):
        enqueue(stage.ports, [a_work()])

    assert stage.work(stranger.id) == stranger


def test_a_retry_whose_transaction_was_late_is_found() -> None:
    """[WP-3] Its pointer, too, must be visible in time."""
    stage = Stage(takes_ms=None)
    work = a_running_work(claimed=False, retry=RetryPolicy(initial_backoff=timedelta(0)))
    stage.place(work)
    a = replace_assignment(stage, work)
    stage.clock.at = NOW + 60_000
    complete(stage.ports_at(NOW), a, FAILED, by="worker")

    assert sorted(time_of(pointer.at) for pointer in stage.pointers()) == [NOW, NOW + 60_000]
    assert sorted(time_of(done.at) for done in stage.dones()) == [NOW, NOW + 60_000]
    assert {done.pointer for done in stage.dones()} <= {pointer.at for pointer in stage.pointers()}


def replace_assignment(stage: Stage, work: Work) -> object:
    from workpool_aws.core.complete import assignment_of

    return assignment_of(work, stage.ports.table)


def test_a_done_record_that_becomes_visible_late_is_settled() -> None:
    """[WP-21] [WP-3] A worker read its clock and was frozen before its report."""
    stage = busy_stage(limit=3)
    held: list[object] = []

    def hold_back(a: object) -> None:
        if not held:
            held.append(a)
        else:
            stage.after(300, lambda: stage.complete(a))  # type: ignore[arg-type]

    stage.aws.on_start = hold_back
    entries: list[int] = []
    stage.clock.enter(NOW + 40_000, lambda: complete(stage.ports_at(NOW + 10_000), held[0], by="worker", report=stage.report))  # type: ignore[arg-type]
    stage.clock.enter(NOW + 46_000, lambda: entries.append(sum(key == (held[0].work_id, 1) for key in stage.ledger().entries)))  # type: ignore[attr-defined]
    stage.run()

    assert entries == [0]


@pytest.mark.parametrize("late_ms", [1_000, 5_000])
def test_a_done_record_a_little_late_is_settled_by_a_deep_read(late_ms: int) -> None:
    """[WP-21] It lies behind the done cursor, inside the buffer."""
    stage = busy_stage(limit=3)
    held: list[object] = []

    def hold_back(a: object) -> None:
        if not held:
            held.append(a)
        else:
            stage.after(300, lambda: stage.complete(a))  # type: ignore[arg-type]

    stage.aws.on_start = hold_back
    entries: list[int] = []
    at = NOW + 20_000
    stage.clock.enter(at, lambda: complete(stage.ports_at(at - late_ms), held[0], by="worker", report=stage.report))  # type: ignore[arg-type]
    stage.clock.enter(at + 5_000, lambda: entries.append(sum(key == (held[0].work_id, 1) for key in stage.ledger().entries)))  # type: ignore[attr-defined]
    stage.run()

    assert entries == [0]


assert (DoneKind, Done, DoneRef, Entry, EntryKey, Ledger, LoopState, ShardMark, Put, LedgerRef, WorkRef)
assert (deep_low, done_cursor_after, cursor_after, put_pointer, id_floor, an_id, order, dies_before, updates, NOT_DELIVERED, POOL, replace)
