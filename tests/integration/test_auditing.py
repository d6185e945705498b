"""Once an hour the watchdog looks for what landed so late that every cursor had passed it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.kit.doubles import NotingMessenger
from tests.kit.records import NOW, POOL, a_running_work, a_work, an_id
from tests.kit.stage import Stage, watched_stage
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core import limits
from workpool_aws.model.events import WatchdogActed
from workpool_aws.model.ids import EpochMs, WorkId, id_floor
from workpool_aws.model.loop import (
    EntryKey,
    LoopState,
    Notice,
    NoticeKind,
)
from workpool_aws.model.refs import (
    LedgerRef,
    WorkRef,
)
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, Pointer, State

HOUR_MS = limits.WATCHDOG_DEEP_MS


RUNNING = a_running_work(id=an_id(NOW - 60_000, 9))


KEY = EntryKey(RUNNING.id, 1)


QUEUE = "arn:aws:sqs:eu-west-1:123456789012:told"


CANCELED: dict[str, Any] = {
    "state": State.FINISHED,
    "outcome": Outcome.CANCELED,
    "callback": CallbackState.PENDING,
}


def owed_record(at: int, work_id: WorkId, **changes: Any) -> Notice:
    return Notice(
        pool=POOL,
        at=an_id(at),
        work_id=work_id,
        start=0,
        kind=NoticeKind.FINISHED,
        **{"callback": CallbackState.PENDING, **changes},
    )


@pytest.mark.parametrize(("at", "found"), [(NOW + HOUR_MS, True), (NOW + HOUR_MS + 60_000, False)])
def test_hourly_look_covers_last_hour(at: int, *, found: bool) -> None:
    """[WP-3] For the bug in the late rule: it leaves no such work."""
    stage = watched_stage(cursor=id_floor(EpochMs(at)), at=at)
    forgotten = a_work(id=an_id(at - 1_800_000), due_at=at - 1_800_000)
    stage.place(forgotten)
    stage.watch()
    stage.run(5_000)

    assert (stage.work(forgotten.id).state is State.FINISHED) is found
    assert len(stage.telemetry.of(WatchdogActed)) == int(found)


def test_hourly_look_finds_work_whose_time_to_start_is_over() -> None:
    """[WP-21] Its caller was told that it may be stored, and no cursor or pointer leads to it."""
    at = NOW + HOUR_MS
    stage = watched_stage(cursor=id_floor(EpochMs(at)), at=at)
    due_at = at - 1_800_000
    late = a_work(id=an_id(due_at), due_at=due_at, enqueued_at=due_at, expires_after_ms=500)
    stage.place(late)
    stage.watch()
    stage.run(5_000)

    assert stage.work(late.id).error_type == "expired"


@pytest.mark.parametrize(("at", "found"), [(NOW + HOUR_MS, True), (NOW + HOUR_MS + 60_000, False)])
@pytest.mark.parametrize("paused", [None, True])
def test_hourly_look_finds_callback_behind_cursor(
    at: int, *, found: bool, paused: bool | None
) -> None:
    """[WP-8] Its cancel landed late, and the canceler had no answer.

    A pool without a free slot owes it all the same.
    """
    stage = watched_stage(cursor=id_floor(EpochMs(at)), at=at, paused=paused)
    canceled = a_work(
        id=an_id(NOW),
        due_at=NOW,
        on_complete=QUEUE,
        callback_outcomes=frozenset(Outcome),
        **CANCELED,
    )
    stage.place(canceled, owed_record(at - 1_800_000, canceled.id))
    stage.watch()
    stage.run(5_000)

    assert [event.reason for event in stage.telemetry.of(WatchdogActed)] == [
        "a callback lay out of the loop's sight"
    ] * found
    assert stage.work(canceled.id).callback is (
        CallbackState.DELIVERED if found else CallbackState.PENDING
    )
    assert (stage.dones() == []) is found


@pytest.mark.parametrize("tick_lost", [False, True])
def test_hourly_look_finds_what_landed_late_across_hour_before(*, tick_lost: bool) -> None:
    """[WP-3] [WP-8] The look of its own hour came too early for it.

    A look that is lost loses nothing either.
    """
    at = NOW + HOUR_MS
    stage = watched_stage(cursor=id_floor(EpochMs(at + 60_000)), at=at)
    if not tick_lost:
        stage.watch()
    before, landed_at = at - 30_000, at + 45_000
    canceled = a_work(
        id=an_id(NOW),
        due_at=NOW,
        on_complete=QUEUE,
        callback_outcomes=frozenset(Outcome),
        **CANCELED,
    )
    forgotten = a_work(id=an_id(before), due_at=before)
    stage.clock.at = landed_at
    stage.place(canceled, owed_record(before, canceled.id), forgotten)
    stage.clock.at = at + HOUR_MS
    stage.watch()
    stage.run(5_000)

    assert stage.work(canceled.id).callback is CallbackState.DELIVERED
    assert stage.work(forgotten.id).state is State.FINISHED


def test_record_that_dead_loop_left_is_put_again_once_and_tells_nobody_twice() -> None:
    """[WP-8] [WP-22]"""
    at = NOW + HOUR_MS
    stage = watched_stage(cursor=id_floor(EpochMs(at)), at=at)
    told = a_work(
        id=an_id(NOW),
        due_at=NOW,
        on_complete=QUEUE,
        callback_outcomes=frozenset(Outcome),
        **CANCELED,
    )
    stage.place(
        replace(told, callback=CallbackState.DELIVERED), owed_record(at - 1_800_000, told.id)
    )
    stage.watch()
    stage.run(5_000)

    assert stage.dones() == []
    assert isinstance(stage.ports.messenger, NotingMessenger)
    assert stage.ports.messenger.sent == []


def test_hourly_look_leaves_records_alone_that_owe_nothing() -> None:
    at = NOW + HOUR_MS
    stage = watched_stage(cursor=id_floor(EpochMs(at)), at=at)
    stage.place(
        *(
            owed_record(at - 1_800_000 + n, an_id(NOW), callback=each, expires_at=at // 1000 + 99)
            for n, each in enumerate((None, CallbackState.SENT))
        )
    )
    stage.watch()

    assert (len(stage.dones()), stage.invoker.loops) == (2, [])


@pytest.mark.parametrize("starts", [0, 1])
@pytest.mark.parametrize(
    ("limit", "paused", "state"),
    [
        (1, None, LoopState.IDLE),
        (2, True, LoopState.IDLE),
        (2, None, LoopState.RUNNING),
        (2, None, LoopState.IDLE),
    ],
    ids=["full", "paused", "at work", "at rest"],
)
def test_hourly_look_points_at_unstarted_work_where_due_work_may_wait(
    limit: int, paused: bool | None, state: LoopState, starts: int
) -> None:
    """[WP-3] A pool may always be at work, or full, whenever the look is due.

    What was started before has its pointer.
    """
    at = NOW + HOUR_MS
    stage = watched_stage(
        entries=(KEY,), limit=limit, paused=paused, cursor=id_floor(EpochMs(at)), at=at
    )
    stage.resting_as(state, lease_until=EpochMs(at + 30_000))
    due = a_work(id=an_id(at - 1_800_000), due_at=at - 1_800_000, starts=starts)
    stage.place(due)
    stage.watch()

    at_rest = (limit, paused, state) == (2, None, LoopState.IDLE)
    assert [pointer.work_id for pointer in stage.pointers()] == [due.id] * (starts == 0 or at_rest)


def test_hourly_look_points_at_nothing_that_is_known() -> None:
    at = NOW + HOUR_MS
    works = [a_work(id=an_id(at - 1_800_000, n), due_at=at - 1_800_000) for n in (1, 2)]
    stage = watched_stage(entries=(EntryKey(works[0].id, 1),), cursor=id_floor(EpochMs(at)), at=at)
    stage.place(works[0], replace(works[1], state=State.FINISHED))
    stage.watch()

    assert (stage.pointers(), stage.invoker.loops) == ([], [])


@pytest.mark.peer("SM33")
def test_hourly_look_removes_pointers_that_dead_loop_left_behind_its_cursor() -> None:
    """One to a work item that may still need it stays, and so does one to a damaged item, since a person
    may repair that.
    """
    at = NOW + HOUR_MS
    stage = watched_stage(entries=(KEY,), cursor=id_floor(EpochMs(at)), at=at)
    over, waits, damaged = (
        a_work(id=an_id(at - 1_800_000, n), due_at=at - 1_800_000) for n in (1, 2, 3)
    )
    stage.place(
        replace(over, state=State.FINISHED), replace(waits, due_at=EpochMs(at + 600_000)), RUNNING
    )
    key = key_of(WorkRef(POOL, damaged.id))
    stage.memory.inject(key.pk, key.sk, {"kind": "no such thing"})
    names = {
        work_id: an_id(at - 1_700_000, n)
        for n, work_id in enumerate((over.id, waits.id, damaged.id, RUNNING.id, an_id(1)))
    }
    stage.place(
        *(Pointer(pool=POOL, at=at_key, work_id=work_id) for work_id, at_key in names.items())
    )
    stage.watch()

    assert {pointer.work_id for pointer in stage.pointers()} == {waits.id, damaged.id, RUNNING.id}


def test_hourly_look_starts_no_second_loop_beside_live_one() -> None:
    at = NOW + HOUR_MS
    stage = watched_stage(cursor=id_floor(EpochMs(at)), at=at)
    stage.place(a_work(id=an_id(at - 1_800_000), due_at=at - 1_800_000))
    stage.resting_as(LoopState.RUNNING, lease_until=EpochMs(at + 30_000))
    stage.watch()

    assert (len(stage.pointers()), stage.invoker.loops) == (1, [])


def test_hourly_look_reads_latest_rows_and_no_more_than_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "WATCHDOG_ROWS_MAX", 20)
    monkeypatch.setattr(limits, "WATCHDOG_PAGE", 10)
    at = NOW + HOUR_MS
    stage = watched_stage(cursor=id_floor(EpochMs(at)), at=at)
    old, late = (a_work(id=an_id(at - ms), due_at=at - ms) for ms in (1_800_000, 600_000))
    between = [a_work(id=an_id(at - 1_200_000, n), state=State.FINISHED) for n in range(1, 20)]
    in_the_second_page = replace(between[4], state=State.PENDING, due_at=EpochMs(at - 1_200_000))
    stage.place(old, *between, late)
    stage.place(in_the_second_page)
    stage.watch()

    assert {pointer.work_id for pointer in stage.pointers()} == {late.id, in_the_second_page.id}


def test_hourly_look_reads_on_after_pages_that_were_cut_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[WP-27]: a query ends after 1 MB, so a page may have far fewer rows than were asked for."""
    monkeypatch.setattr(limits, "WATCHDOG_PAGE", limits.WATCHDOG_ROWS_MAX)
    at = NOW + HOUR_MS
    stage = watched_stage(cursor=id_floor(EpochMs(at)), at=at)
    stage.memory._page_bytes = 1
    old = a_work(id=an_id(at - 1_800_000), due_at=at - 1_800_000)
    later = [a_work(id=an_id(at - 1_200_000, n), state=State.FINISHED) for n in range(3)]
    stage.place(old, *later)
    stage.watch()

    assert [event.reason for event in stage.telemetry.of(WatchdogActed)] == [
        "due work lay out of the loop's sight"
    ]


def test_hourly_look_at_pool_that_never_had_loop_finds_nothing(stage: Stage) -> None:
    """[WP-12]"""
    stage.pool().configure(None, paused=True)
    stage.resting_as(LoopState.IDLE)
    stage.memory.delete(LedgerRef(POOL))
    stage.clock.at = (stage.clock.at // 3_600_000 + 1) * 3_600_000
    stage.watch()

    assert stage.telemetry.of(WatchdogActed) == []
    assert stage.pointers() == []
