"""The watchdog finds whatever no kick and no wake reached, and leaves alone what needs nothing [WP-20]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import Stage, watched_stage
from tests.kit.stores import Died, dies_before, lost_before, puts, unanswered
from workpool_aws import StoreUnavailable
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core import limits
from workpool_aws.flow.watchdog.watch import would_act
from workpool_aws.model.events import KickFailed, WatchdogActed
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import (
    EntryKey,
    Heartbeat,
    Ledger,
    LoopState,
    LoopStatus,
    Notice,
    NoticeKind,
    PendingCallback,
    Registration,
    ShardCursors,
)
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import (
    Collection,
    ConfigRef,
    HeartbeatRef,
    KeyRange,
    LedgerRef,
    StatusRef,
)
from workpool_aws.model.work import CallbackState, State, WorkItem

HOUR_MS = limits.WATCHDOG_DEEP_MS
LIVE = EpochMs(NOW + 30_000)
RUNNING = a_running_work(id=an_id(NOW - 60_000, 9))
KEY = EntryKey(RUNNING.id, 1)


def acted(stage: Stage) -> str | None:
    """Why the watchdog kicked; it either says so and starts a loop, or does neither."""
    foretold = would_act(stage.ports.store, stage.telemetry, stage.clock.now())
    stage.watch()
    reasons = [event.reason for event in stage.telemetry.of(WatchdogActed)]
    assert len(reasons) == len(stage.invoker.loops)
    assert foretold == bool(reasons)
    return reasons[0] if reasons else None


def test_pool_at_rest_is_left_alone() -> None:
    assert acted(watched_stage()) is None


@pytest.mark.parametrize(("left_ms", "reason"), [(1, None), (0, "the loop's lease ran out")])
@pytest.mark.peer("BW20")
def test_loop_whose_lease_ran_out_is_replaced(left_ms: int, reason: str | None) -> None:
    """[WP-20] And never one under a live lease."""
    stage = watched_stage()
    stage.place(a_work(id=an_id(NOW)))
    stage.resting_as(LoopState.RUNNING, lease_until=EpochMs(stage.clock.at + left_ms))

    assert acted(stage) == reason


@pytest.mark.parametrize(("left_ms", "reason"), [(1, None), (0, "the loop did not wake in time")])
def test_wake_that_passed_is_made_up_for(left_ms: int, reason: str | None) -> None:
    """[WP-20] Also while every slot is taken: it was a deadline, then."""
    stage = watched_stage(entries=(KEY,), limit=1)
    stage.resting_as(LoopState.WAITING, wake_at=EpochMs(stage.clock.at + left_ms), saturated=True)

    assert acted(stage) == reason


@pytest.mark.parametrize(
    ("entries", "limit", "paused", "saturated", "reason"),
    [
        ((), 2, None, False, "due work, free slots, no loop"),
        ((KEY,), 2, None, False, "due work, free slots, no loop"),
        ((KEY,), 2, None, True, "due work, free slots, no loop"),
        ((KEY,), 1, None, False, None),
        ((), 2, True, False, None),
    ],
)
def test_due_work_is_found_where_slot_is_free(
    entries: tuple[EntryKey, ...],
    limit: int,
    paused: bool | None,
    *,
    saturated: bool,
    reason: str | None,
) -> None:
    """[WP-20] Worked out from config and ledger, never from `saturated`; paused and full pools are left alone."""
    stage = watched_stage(entries=entries, limit=limit, paused=paused)
    stage.place(a_work(id=an_id(NOW)))
    stage.resting_as(LoopState.WAITING, saturated=saturated)

    assert acted(stage) == reason


@pytest.mark.parametrize(
    "work",
    [
        a_work(id=an_id(NOW + 3_600_000), due_at=NOW + 3_600_000),
        a_work(id=an_id(NOW), starts=1, due_at=NOW + 3_600_000),
        a_work(id=an_id(NOW), state=State.FINISHED),
        RUNNING,
    ],
)
def test_work_that_pass_would_not_start_is_no_reason(work: object) -> None:
    """[WP-23] A kick a minute for nothing would be a loop a minute for nothing."""
    stage = watched_stage(entries=(KEY,))
    assert isinstance(work, type(RUNNING))
    stage.place(work)

    assert acted(stage) is None


def test_work_that_ledger_has_is_no_reason() -> None:
    stage = watched_stage(entries=(EntryKey(an_id(NOW), 1),))
    stage.place(a_work(id=an_id(NOW)))

    assert acted(stage) is None


def test_due_work_that_landed_little_late_is_found() -> None:
    """[WP-20] Inside the buffer behind the cursor."""
    stage = watched_stage(cursor=id_floor(EpochMs(NOW + 10_000)))
    stage.place(a_work(id=an_id(NOW)))

    assert acted(stage) == "due work, free slots, no loop"


@pytest.mark.parametrize(
    ("waited_ms", "found"),
    [(0, True), (limits.WATCHDOG_BACK_MS, True), (limits.WATCHDOG_BACK_MS + 60_000, False)],
)
def test_due_work_of_pool_that_rests_for_long_is_found_by_next_ticks(
    waited_ms: int, *, found: bool
) -> None:
    """[WP-20] Its producer died before the kick.

    If all ticks are lost for minutes, the hourly look finds it.
    """
    due_at = NOW + 2 * HOUR_MS + 600_000
    stage = watched_stage()
    stage.place(a_work(id=an_id(due_at), due_at=due_at, enqueued_at=NOW))
    stage.clock.at = due_at + waited_ms

    foretold = would_act(stage.ports.store, stage.telemetry, stage.clock.now())
    stage.watch()
    at_once = [event.reason for event in stage.telemetry.of(WatchdogActed)]
    stage.clock.at = NOW + 3 * HOUR_MS
    stage.watch()
    in_the_end = [event.reason for event in stage.telemetry.of(WatchdogActed)]

    assert foretold
    assert at_once == ["due work, free slots, no loop"] * found
    assert in_the_end[0] == "due work, free slots, no loop"


@pytest.mark.parametrize(("start", "reason"), [(1, "a report that no loop has settled"), (2, None)])
def test_unsettled_report_of_entry_is_found(start: int, reason: str | None) -> None:
    """[WP-21] Its kick was lost; also in a full pool, which it makes free."""
    stage = watched_stage(entries=(KEY,), limit=1)
    stage.place(
        Notice(pool=POOL, at=an_id(NOW), work_id=KEY.work_id, start=start, kind=NoticeKind.FINISHED)
    )

    assert acted(stage) == reason


def test_report_that_became_visible_little_late_is_found() -> None:
    """[WP-21] Inside the buffer behind the done cursor."""
    stage = watched_stage(entries=(KEY,), limit=1)
    stage.place(
        replace(stage.ledger(), shards=(ShardCursors(done_cursor=id_floor(EpochMs(NOW + 10_000))),))
    )
    stage.place(
        Notice(pool=POOL, at=an_id(NOW), work_id=KEY.work_id, start=1, kind=NoticeKind.FINISHED)
    )

    assert acted(stage) == "a report that no loop has settled"


@pytest.mark.parametrize(
    ("late_ms", "reason"),
    [(limits.CALLBACK_LATE_MS, None), (limits.CALLBACK_LATE_MS + 1, "a callback is owed")],
)
def test_owed_callback_is_watchdogs_affair_only_when_its_schedule_has_had_its_minute(
    late_ms: int, reason: str | None
) -> None:
    stage = watched_stage()
    owed = PendingCallback(an_id(NOW), EpochMs(stage.clock.at - late_ms))
    stage.place(replace(stage.ledger(), callbacks=(owed,)))

    assert acted(stage) == reason


@pytest.mark.parametrize(("room", "reason"), [(0, None), (1, "a callback is owed")])
def test_callback_for_which_ledger_has_no_room_is_no_reason(room: int, reason: str | None) -> None:
    """[WP-23] The loop could not take it over: it would be kicked once a minute for nothing."""
    stage = watched_stage()
    later = EpochMs(stage.clock.at + HOUR_MS)
    owed = tuple(
        PendingCallback(an_id(NOW, n), later)
        for n in range(1, limits.CALLBACKS_OWED_MAX + 1 - room)
    )
    stage.place(replace(stage.ledger(), callbacks=owed))
    stage.place(
        Notice(
            pool=POOL,
            at=an_id(NOW),
            work_id=an_id(NOW),
            start=1,
            kind=NoticeKind.FINISHED,
            callback=CallbackState.PENDING,
        )
    )

    assert acted(stage) == reason


def test_registered_pool_without_status_is_kicked() -> None:
    """[WP-20] Its first producer died between registering it and its first status."""
    stage = Stage()
    stage.clock.at = NOW + 60_000
    stage.place(Registration(pool=POOL, registered_at=NOW), a_work(id=an_id(NOW)))
    stage.run(60_000, watchdog=True)

    assert stage.work(an_id(NOW)).state is State.FINISHED


def test_trouble_with_one_pool_does_not_keep_it_from_others() -> None:
    """[WP-12]"""
    stage = watched_stage()
    stage.place(a_work(id=an_id(NOW)), Registration(pool="a", registered_at=NOW))
    stage.store.before_get(StatusRef, unanswered)
    stage.watch()

    assert [event.pool for event in stage.telemetry.of(KickFailed)] == ["a"]
    assert [event.pool for event in stage.telemetry.of(WatchdogActed)] == [POOL]


@pytest.mark.parametrize("ref", [StatusRef("a"), LedgerRef("a"), ConfigRef("a")])
@pytest.mark.parametrize("at", [NOW, NOW + HOUR_MS])
def test_resting_pool_with_damaged_item_does_not_keep_it_from_others(at: int, ref: Ref) -> None:
    """[WP-12]"""
    stage = watched_stage(at=at)
    at_rest = LoopStatus(
        pool="a",
        state=LoopState.IDLE,
        generation=1,
        lease_until=LIVE,
        wake_at=None,
        saturated=False,
    )
    stage.place(
        Registration(pool="a", registered_at=NOW),
        at_rest,
        Ledger(pool="a", holder="h", generation=1, version=1),
    )
    key = key_of(ref)
    stage.memory.inject(key.pk, key.sk, {"kind": "no such thing"})
    stage.place(a_work(id=an_id(NOW)))
    stage.watch()

    assert POOL in [event.pool for event in stage.telemetry.of(WatchdogActed)]


@pytest.mark.parametrize("killed_before", [WorkItem, LoopStatus])
def test_work_of_first_producer_that_died_is_found(
    killed_before: type[Record],
) -> None:
    """[WP-3] [WP-20] Its pool is registered before its first work is stored, though nothing was acknowledged."""
    stage = Stage()
    stage.store.plan(puts(killed_before), dies_before)
    with pytest.raises(Died):
        stage.pool().enqueue_action(None, TARGET, {})
    stage.run(180_000, watchdog=True)
    works = [
        row.record
        for row in stage.memory.query(KeyRange(collection=Collection.WORK, pool=POOL)).rows
    ]

    assert [work.state for work in works if isinstance(work, WorkItem)] == (
        [] if killed_before is WorkItem else [State.FINISHED]
    )


def test_pool_that_could_not_be_registered_stores_nothing() -> None:
    """[WP-3]"""
    stage = Stage()
    stage.store.plan(puts(Registration), lost_before)
    with pytest.raises(StoreUnavailable) as raised:
        stage.pool().enqueue_action(None, TARGET, {})

    assert raised.value.maybe_enqueued == ()
    assert stage.memory.query(KeyRange(collection=Collection.WORK, pool=POOL)).rows == ()


def test_pool_is_registered_once() -> None:
    stage = Stage()
    pool = stage.pool()
    for _ in range(3):
        pool.enqueue_action(None, TARGET, {})
    stage.pool().enqueue_action(None, TARGET, {})

    assert stage.notes.count("put Registration") == 1
    assert stage.notes.count("get RegistrationRef") == len(
        ["first object", "its first kick", "second object"]
    )


def test_tick_over_pool_at_rest_reads_nothing_of_its_last_burst(stage: Stage) -> None:
    """[WP-22] Each minute of the night it would be paid for again."""
    stage.takes_ms = 10
    stage.pool(max_parallelism=50).enqueue_action_batch(None, TARGET, [{}] * 300)
    stage.run(180_000)
    stage.clock.at = (stage.clock.at // 3_600_000) * 3_600_000 + 3_600_000 + 600_000
    before = stage.memory.meter.snapshot().read_units
    stage.watch()

    assert stage.status().state is LoopState.IDLE
    assert stage.memory.meter.snapshot().read_units - before <= 10


def test_tick_over_pool_at_rest_reads_nothing_of_what_came_to_be_over(stage: Stage) -> None:
    """[WP-22] Canceled before they were due, they lie beyond the cursor for good: each minute of the night would read all of them."""
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    stage.place(
        *(a_work(id=an_id(NOW + 120_000 + n, n + 1), state=State.FINISHED) for n in range(500))
    )
    stage.clock.at = (stage.clock.at // 3_600_000) * 3_600_000 + 3_600_000 + 600_000
    before = stage.memory.meter.snapshot().read_units
    stage.watch()

    assert stage.memory.meter.snapshot().read_units - before <= 10


@pytest.mark.parametrize(("minute", "beats"), [(0, True), (1, False), (4, False), (5, True)])
def test_every_fifth_tick_leaves_heartbeat(minute: int, *, beats: bool) -> None:
    stage = watched_stage()
    stage.clock.at = NOW + minute * 60_000 + 30_000

    stage.watch()

    expected = Heartbeat(at=EpochMs(stage.clock.at)) if beats else None
    assert stage.memory.get(HeartbeatRef()) == expected


def test_heartbeat_that_is_not_stored_is_left_to_next_tick() -> None:
    stage = watched_stage()
    stage.clock.at = NOW + 5 * 60_000
    stage.store.plan(puts(Heartbeat), lost_before)

    stage.watch()

    assert stage.memory.get(HeartbeatRef()) is None
    assert stage.telemetry.of(KickFailed) == []


def test_watchdog_of_virtual_clock_leaves_no_heartbeat() -> None:
    stage = watched_stage()
    stage.clock.at = NOW + 5 * 60_000
    stage.ports = replace(stage.ports, ticks_always=False)

    stage.watch()

    assert stage.memory.get(HeartbeatRef()) is None
