"""Whatever was acknowledged is found, however late its writer was [WP-3].

No watchdog runs here: it would hide what the loop loses.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import FAILED, Stage, order
from tests.kit.stores import dies_before, first, lost_after, puts, repeated, updates
from tests.kit.world import TABLE
from workpool_aws import RetryPolicy, StoreUnavailable
from workpool_aws.core import limits
from workpool_aws.core.loop.choose import cursor_after
from workpool_aws.core.loop.settle import deep_low, done_cursor_after, settle
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.flow.report.complete import complete
from workpool_aws.flow.visibility import ensure_visible, make_pointer
from workpool_aws.flow.work.enqueue import enqueue
from workpool_aws.model.ids import EpochMs, id_floor, time_of
from workpool_aws.model.loop import (
    Entry,
    EntryKey,
    Ledger,
    LoopState,
    Notice,
    NoticeKind,
    ShardCursors,
)
from workpool_aws.model.messages import Assignment
from workpool_aws.model.refs import Collection, KeyRange, LedgerRef, RowPage
from workpool_aws.model.work import Pointer, State, WorkItem
from workpool_aws.model.writes import Written


def busy_stage(ms: int = 60_000, *, limit: int = 2) -> Stage:
    """A loop kept up all the time by other work items. Its cursors move, and it never rests."""
    stage = Stage(takes_ms=300)
    count = ms // 1_000 * 2
    stage.pool(max_parallelism=limit).enqueue_action_batch(None, TARGET, [{}])
    for n in range(count):
        stage.after(500 + n * 500, lambda: stage.pool().enqueue_action(None, TARGET, {}))
    return stage


@pytest.mark.parametrize("late_ms", [0, 4_900, 6_100, 14_000, 30_000])
def test_work_that_becomes_visible_late_is_started(late_ms: int) -> None:
    """[WP-3] A producer read its clock and was frozen before its write."""
    stage = busy_stage(late_ms + 16_000)
    late: list[str] = []
    at = NOW + 8_000

    def write() -> None:
        late.append(stage.pool(at=at).enqueue_action(None, TARGET, {}))

    stage.clock.enter(at + late_ms, write)
    ended: list[State] = []
    stage.clock.enter(at + late_ms + 6_000, lambda: ended.append(stage.work(late[0]).state))
    stage.run()

    assert ended == [State.FINISHED]


def test_work_proven_late_is_pointed_at_from_servers_time() -> None:
    """[WP-3] Its own key lies behind what any read goes back over."""
    stage = Stage()
    stage.clock.at = NOW + 60_000
    stage.pool(at=NOW).enqueue_action(None, TARGET, {})

    (pointer,) = stage.pointers()
    assert time_of(pointer.at) == NOW + 60_000


def test_work_in_time_gets_no_pointer() -> None:
    stage = Stage()
    stage.clock.at = NOW + limits.LATE_MS
    stage.pool(at=NOW).enqueue_action(None, TARGET, {})

    assert stage.pointers() == []


def test_pointer_that_is_late_itself_is_written_again() -> None:
    """[WP-3] Until one was visible in time: the proof is about the last write."""
    stage = Stage()
    stage.clock.at = NOW + 60_000
    stage.store.plan(puts(Pointer), first(lambda: stage.clock.pass_to(NOW + 90_000)))
    stage.pool(at=NOW).enqueue_action(None, TARGET, {})

    assert [time_of(pointer.at) for pointer in stage.pointers()] == [NOW + 60_000, NOW + 90_000]


def test_writers_clock_decides_without_servers_date() -> None:
    """[WP-3] It was frozen between reading its clock and the answer."""
    stage = Stage()
    stage.store.dateless = True
    stage.store.plan(puts(WorkItem), first(lambda: stage.clock.pass_to(NOW + 60_000)))
    stage.pool().enqueue_action(None, TARGET, {})

    assert [time_of(pointer.at) for pointer in stage.pointers()] == [NOW + 60_000]


def test_rule_looks_again_after_every_write() -> None:
    asked: list[int] = []
    answers = [Written(EpochMs(NOW + 30_000), None), Written(EpochMs(NOW + 30_000), None)]

    def again(at: EpochMs) -> Written:
        asked.append(at)
        return answers.pop()

    ensure_visible(Stage().ports, Written(EpochMs(NOW + 10_000), None), NOW, again)

    assert asked == [NOW + 10_000, NOW + 30_000]


def test_enqueue_whose_pointer_was_not_written_is_not_acknowledged() -> None:
    """[WP-3]"""
    stage = Stage()
    stage.clock.at = NOW + 60_000
    stage.store.plan(puts(Pointer), lost_after)

    with pytest.raises(StoreUnavailable) as raised:
        stage.pool(at=NOW).enqueue_action(None, TARGET, {})

    assert len(raised.value.maybe_enqueued) == 1


def test_enqueue_that_sdk_repeated_is_pointed_at_anew() -> None:
    """[WP-3] The time of the first landing is unknown: the answer's Date says nothing about it."""
    stage = busy_stage(16_000)
    ids: list[str] = []
    pointed: list[int] = []

    def write() -> None:
        stage.store.plan(puts(WorkItem), repeated)
        before = stage.notes.count("put Pointer")
        ids.append(stage.pool().enqueue_action(None, TARGET, {}))
        pointed.append(stage.notes.count("put Pointer") - before)

    stage.after(6_100, write)
    stage.run()

    assert pointed == [1]
    assert stage.work(ids[0]).state is State.FINISHED
    assert stage.pointers() == []


def test_new_pointer_is_proven_too() -> None:
    """[WP-3]"""
    stage = Stage()
    stage.store.plan(puts(WorkItem), repeated)
    stage.store.plan(puts(Pointer), first(lambda: stage.clock.pass_to(NOW + 30_000)))
    stage.pool().enqueue_action(None, TARGET, {})

    assert [time_of(pointer.at) for pointer in stage.pointers()] == [NOW, NOW + 30_000]


def test_stranger_under_same_id_is_not_acknowledged() -> None:
    """[WP-3] And is not overwritten."""
    stage = Stage()
    stranger = a_work(target="another", enqueued_at=EpochMs(NOW - 1))
    stage.place(stranger)

    with pytest.raises(StoreUnavailable):
        enqueue(stage.ports, [a_work()])

    assert stage.work(stranger.id) == stranger


def test_retry_whose_transaction_was_late_is_proven_too() -> None:
    """[WP-3] [WP-21] Pointer and done record are written again, nearer to now."""
    stage = Stage(takes_ms=None)
    work = a_running_work(claimed=False, retry=RetryPolicy(initial_backoff=timedelta(0)))
    stage.place(work)
    stage.clock.at = NOW + 60_000
    complete(stage.ports_at(NOW), assignment_of(work, TABLE), FAILED, by="worker")

    assert sorted(time_of(pointer.at) for pointer in stage.pointers()) == [NOW, NOW + 60_000]
    assert sorted(time_of(done.at) for done in stage.dones()) == [NOW, NOW + 60_000]
    assert {done.pointer for done in stage.dones()} <= {pointer.at for pointer in stage.pointers()}


@pytest.mark.parametrize("late_ms", [1_000, 4_900, 9_000, 30_000])
def test_done_record_that_becomes_visible_late_is_settled(late_ms: int) -> None:
    """[WP-21] It lies behind the done cursor: inside the buffer of a deep read, or else written again."""
    stage = busy_stage(late_ms + 18_000, limit=3)
    held: list[Assignment] = []

    def report(a: Assignment) -> None:
        if held:
            stage.after(300, lambda: stage.complete(a))
        else:
            held.append(a)
            stage.make(a)

    def settled() -> bool:
        return EntryKey(held[0].work_id, 1) not in stage.ledger().entries

    stage.invoker.on_start = report
    at = NOW + 8_000 + late_ms
    seen: list[bool] = []
    stage.clock.enter(at - 1, lambda: seen.append(settled()))
    stage.clock.enter(
        at,
        lambda: complete(
            stage.ports_at(at - late_ms),
            held[0],
            replace(stage.report, claim=stage.make(held[0])),
            by="worker",
        ),
    )
    stage.clock.enter(at + 6_000, lambda: seen.append(settled()))
    stage.run()

    assert seen == [False, True]


def test_work_that_landed_late_while_every_slot_was_taken_is_found() -> None:
    """[WP-3] Whenever a deep read was due every slot was taken, for longer than it goes back, and in between the cursor moved on: it begins
    where the last one really read."""
    every, slots = limits.DEEP_EVERY_MS + 500, limits.PROMISE_ENTRIES_MIN
    stage = Stage(takes_ms=every - 200)
    for n in range(10):
        stage.after(
            n * every,
            lambda: stage.pool(max_parallelism=slots).enqueue_action_batch(
                None, TARGET, [{}] * slots
            ),
        )
    late: list[str] = []
    stage.after(
        7_500,
        lambda: late.append(
            stage.pool(at=NOW + 3_500, max_parallelism=slots).enqueue_action(None, TARGET, {})
        ),
    )
    stage.run()

    assert stage.notes.count("put Pointer") == 0
    assert NOW + 7_500 + limits.BUFFER_MS < (stage.work(late[0]).started_at or 0) < NOW + 40_000


def test_deep_read_begins_before_earlier_of_cursor_and_last_deep_read() -> None:
    """[WP-3]"""
    cursor = id_floor(EpochMs(NOW))

    assert deep_low(cursor) == id_floor(EpochMs(NOW - limits.BUFFER_MS))
    assert deep_low(cursor, EpochMs(NOW - 40_000)) == id_floor(
        EpochMs(NOW - 40_000 - limits.BUFFER_MS)
    )
    assert deep_low(id_floor(EpochMs(NOW - 90_000)), EpochMs(NOW)) == id_floor(
        EpochMs(NOW - 90_000)
    )
    assert deep_low("", EpochMs(NOW)) == ""


def test_cursor_waits_for_what_was_not_chosen() -> None:
    """[WP-3] A backlog far larger than the limit is worked off from its beginning, without any deep read."""
    stage = Stage(takes_ms=200)
    ids = stage.pool(max_parallelism=3).enqueue_action_batch(None, TARGET, [{}] * 150)
    stage.run()

    assert [a.work_id for a in stage.invoker.started] == ids
    assert {stage.work(work_id).state for work_id in ids} == {State.FINISHED}


def test_cursor_goes_back_to_work_that_was_found_and_could_not_be_chosen() -> None:
    """[WP-3]"""
    waiting = an_id(NOW + 1)

    assert cursor_after(id_floor(EpochMs(NOW + 9_000)), waiting, EpochMs(NOW + 10_000)) == waiting


def test_cursor_stays_little_behind_clock() -> None:
    """[WP-20] A work item due now has the time of its enqueue, and is found before the next deep read."""
    stage = busy_stage(20_000)
    ids: list[str] = []
    lags: list[int] = []

    def write() -> None:
        stage.clock.at += 150
        ids.append(stage.pool(at=stage.clock.at - 150).enqueue_action(None, TARGET, {}))

    for n in range(12):
        stage.clock.enter(NOW + 3_030 + n * 1_111, write)
    stage.run()
    lags = [
        (stage.work(work_id).started_at or 0) - stage.work(work_id).enqueued_at for work_id in ids
    ]

    assert len(lags) == 12
    assert max(lags) <= limits.DUE_TO_START_MS
    assert cursor_after("", None, NOW) == id_floor(EpochMs(NOW - limits.CURSOR_OVERLAP_MS))


def test_cursor_that_is_ahead_of_this_clock_stays() -> None:
    ahead = id_floor(EpochMs(NOW + 2_000))

    assert cursor_after(ahead, None, NOW) == ahead


def test_cursor_goes_back_to_pointer_of_retry() -> None:
    """[WP-20] A short backoff, written slowly, lies behind the cursor when its record is read; the next deep read would be too late."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=60))
    lags: list[int] = []
    reported: list[int] = []

    def report_slowly(a: Assignment) -> None:
        if reported:
            lags.append(stage.clock.at - reported[-1])

        def report() -> None:
            reported.append(stage.clock.at)
            complete(stage.ports_at(stage.clock.at - 2_000), a, FAILED, by="worker")

        # At every phase of the deep reads, which find it anyhow.
        stage.after(1_000 + 370 * len(lags), report)

    stage.invoker.on_start = report_slowly
    stage.pool().enqueue_action(
        None, TARGET, {}, retry=RetryPolicy(max_attempts=12, initial_backoff=timedelta(0))
    )
    stage.run(50_000)

    assert len(lags) >= 11
    assert max(lags[:11]) <= limits.DUE_TO_START_MS


def test_pointer_of_later_retry_moves_no_cursor_forward() -> None:
    """[WP-20] What becomes due before it would wait for the next deep read."""
    stage = Stage(takes_ms=50)
    pool = stage.pool()
    pool.enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=60))
    failing = pool.enqueue_action(
        None,
        TARGET,
        {},
        retry=RetryPolicy(max_attempts=2, initial_backoff=timedelta(seconds=30), jitter=False),
    )
    stage.invoker.on_start = lambda a: stage.after(
        50, lambda: stage.complete(a, FAILED if a.work_id == failing else stage.report)
    )
    ids: list[str] = []
    for n in range(12):
        stage.after(1_000 + n * 1_130, lambda: ids.append(pool.enqueue_action(None, TARGET, {})))
    stage.run(90_000)
    lags = [
        (stage.work(work_id).started_at or 0) - stage.work(work_id).enqueued_at for work_id in ids
    ]

    assert len(lags) == 12
    assert max(lags) <= limits.DUE_TO_START_MS


def test_earliest_of_several_pointers_counts() -> None:
    """[WP-3]"""
    early, late = (
        make_pointer(POOL, an_id(n=n), EpochMs(NOW + at), random_bits=n).at
        for n, at in ((1, 100), (2, 50_000))
    )
    entries = {EntryKey(an_id(n=n), 1): Entry(NOW) for n in (1, 2)}
    records = [
        Notice(
            pool=POOL, at=an_id(n=n), work_id=an_id(n=n), start=1, kind=NoticeKind.RETRY, pointer=at
        )
        for n, at in ((1, early), (2, late))
    ]

    assert settle(entries, records).back_to == early


def test_dropped_entry_whose_work_waits_gets_fresh_pointer() -> None:
    """[WP-3] Its report was not seen, so neither was its pointer, and the cursor may be far past it."""
    stage = Stage()
    work = a_work(id=an_id(NOW), starts=1, attempts_made=1, claimed=False, retry=RetryPolicy())
    entries = {EntryKey(work.id, 1): Entry(EpochMs(NOW + 60_000))}
    stage.clock.at = NOW + 3_600_000
    mark = ShardCursors(
        work_cursor=id_floor(EpochMs(stage.clock.at)),
        done_cursor="",
        deep_at=EpochMs(stage.clock.at),
    )
    stage.place(
        work,
        Ledger(pool=POOL, holder="dead", generation=1, version=5, entries=entries, shards=(mark,)),
    )
    stage.resting_as(LoopState.RUNNING, generation=2)
    stage.serve(order(2))

    assert stage.work(work.id).state is State.FINISHED


def test_fresh_pointer_comes_before_entry_goes() -> None:
    """[WP-3] Killed between the two, the loop must leave a pointer too many."""
    stage = Stage()
    work = a_work(id=an_id(NOW), starts=1)
    entries = {EntryKey(work.id, 1): Entry(EpochMs(NOW + 60_000))}
    stage.place(work, Ledger(pool=POOL, holder="dead", generation=1, version=5, entries=entries))
    stage.resting_as(LoopState.RUNNING, generation=2)
    stage.store.plan(updates(LedgerRef, "entries"), dies_before)
    stage.serve(order(2))

    assert [pointer.work_id for pointer in stage.pointers()] == [work.id]


def test_done_cursor_never_passes_now() -> None:
    """[WP-21] A fast clock's record must not hide those that are still to come."""
    fast = make_pointer(POOL, an_id(), EpochMs(NOW + 2_000), random_bits=1).at

    assert done_cursor_after("", [fast], NOW) == id_floor(NOW)
    assert done_cursor_after(fast, [], NOW) == fast
    assert done_cursor_after(fast, [id_floor(NOW)], NOW) == fast
    assert done_cursor_after("", [an_id(NOW - 5)], NOW) == an_id(NOW - 5)


def test_buffer_is_read_again_every_so_often_and_not_by_every_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[WP-23] A busy pool's records of the last fifteen seconds are many."""
    stage = Stage(takes_ms=400)
    backs: dict[int, int] = {}
    query = stage.store.query

    def noting(key_range: KeyRange) -> RowPage:
        if (
            key_range.collection is Collection.DONE
            and key_range.low
            and stage.clock.at < NOW + 30_000
        ):
            backs.setdefault(stage.clock.at, stage.clock.at - time_of(key_range.low))
        return query(key_range)

    monkeypatch.setattr(stage.store, "query", noting)
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 100)
    stage.run(30_000)
    deep = sum(back_ms >= limits.BUFFER_MS for back_ms in backs.values())

    assert 20_000 // limits.DEEP_EVERY_MS <= deep <= 30_000 // limits.DEEP_EVERY_MS + 1
    assert len(backs) > 10 * deep
