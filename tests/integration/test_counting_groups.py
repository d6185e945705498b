"""Each end of a member is counted once, and the group's callback follows once, in spite of crashes [WP-19]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.records import NOW, POOL, TARGET, an_id
from tests.kit.stage import LATE_MS, Stage, watched_stage
from tests.kit.stores import (
    Died,
    dies_after,
    dies_before,
    first,
    lost_after,
    puts,
    repeated,
    then,
    updates,
)
from workpool_aws.core import limits
from workpool_aws.core.group.members import member_ids, place_of
from workpool_aws.core.work.cancel import CancelWrite, decide_cancel
from workpool_aws.model.events import SetAside, WatchdogActed
from workpool_aws.model.group import GroupId, GroupItem
from workpool_aws.model.ids import EpochMs, WorkId, id_floor, make_ids, place_after
from workpool_aws.model.loop import LoopState, Notice, NoticeKind, PendingCallback
from workpool_aws.model.refs import GroupRef, LedgerRef, NoticeRef, StatusRef, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, GroupEnd, State, WorkItem
from workpool_aws.model.writes import Put, Update, Write

QUEUE = "arn:aws:sqs:us-east-1:123456789012:joined"
HOUR_MS = limits.WATCHDOG_DEEP_MS
FAR = timedelta(hours=5)


def group(stage: Stage, name: str = "g") -> GroupItem:
    found = stage.memory.peek(GroupRef(POOL, GroupId(name)))
    assert isinstance(found, GroupItem)
    return found


def enqueue(stage: Stage, count: int = 1, **options: Any) -> list[WorkId]:
    given = {"on_complete": QUEUE, "group_id": "g", **options}
    stage.pool().enqueue_group(None, TARGET, [{"n": n} for n in range(count)], **given)
    return member_ids(group(stage))


def told(stage: Stage) -> int:
    return sum(work.callback is CallbackState.DELIVERED for work in stage.works())


def is_finished(stage: Stage) -> bool:
    return group(stage).finished_at is not None


def settles(write: Write) -> bool:
    """The commit that forgets the last entry."""
    return (
        updates(LedgerRef, "entries")(write)
        and isinstance(write, Update)
        and not write.set["entries"]
    )


@pytest.mark.parametrize("fault", [dies_after, lost_after, dies_before], ids=lambda it: it.__name__)
def test_end_is_counted_before_commit_that_forgets_it(stage: Stage, fault: Any) -> None:
    """[WP-19]"""
    enqueue(stage, 2)
    stage.store.plan(settles, fault)
    stage.run(600_000, watchdog=True)

    assert (is_finished(stage), told(stage)) == (True, 1)


@pytest.mark.parametrize(
    "fault", [dies_after, lost_after, dies_before, repeated], ids=lambda it: it.__name__
)
def test_last_ends_and_follow_up_are_one(stage: Stage, fault: Any) -> None:
    """[WP-19]"""
    enqueue(stage)
    stage.store.plan(updates(GroupRef, "finished_at"), fault)
    stage.run(600_000, watchdog=True)

    assert (is_finished(stage), told(stage)) == (True, 1)
    assert len([work for work in stage.works() if work.starts == 0]) == 1


def test_count_against_another_count_loses_nothing(stage: Stage) -> None:
    """[WP-19] A frozen loop counts, too."""
    ids = enqueue(stage, 2)

    def another() -> None:
        item = group(stage)
        place = place_of(item, ids[1])
        stage.place(replace(item, outcomes=bytes([1 << 2 * (place or 0)]), version=9))

    stage.store.plan(updates(GroupRef, "outcomes"), first(another))
    stage.run(60_000)

    assert (is_finished(stage), told(stage), group(stage).version) == (True, 1, 10)


def test_entry_that_is_dropped_without_notice_is_counted(stage: Stage) -> None:
    """[WP-19] [WP-21] The worker dies between the end and its notice."""
    enqueue(stage)
    stage.store.plan(puts(Notice), dies_before)
    stage.run(24 * HOUR_MS, watchdog=True)

    assert (is_finished(stage), told(stage)) == (True, 1)


def test_notice_of_first_version_is_looked_up(stage: Stage) -> None:
    """[WP-19] A worker of 0.1 ends the member, and its notice names neither job nor group."""
    enqueue(stage)

    def as_first_version() -> None:
        stage.place(*(replace(done, job=None, group=None) for done in stage.dones()))

    stage.store.plan(puts(Notice), then(as_first_version))
    stage.run(60_000)

    assert (is_finished(stage), told(stage)) == (True, 1)


def canceled(work: WorkItem) -> CancelWrite:
    decision = decide_cancel(work, token="t", now=work.enqueued_at)
    assert isinstance(decision, CancelWrite)
    return decision


def test_canceler_that_dies_before_its_kick_is_found_by_watchdog(stage: Stage) -> None:
    """[WP-27]"""
    (member,) = enqueue(stage, run_after=FAR)
    stage.run(60_000)
    stage.store.before_get(StatusRef, died)
    with pytest.raises(Died):
        stage.pool().cancel(None, member)
    stage.run(180_000, watchdog=True)

    assert (is_finished(stage), told(stage)) == (True, 1)
    reasons = [fact.reason for fact in stage.telemetry.of(WatchdogActed)]
    assert reasons == ["the end of a group's member is not counted"]
    assert [done for done in stage.dones() if done.expires_at is None] == []


def died() -> None:
    raise Died


def test_end_that_is_told_while_loop_goes_idle_is_counted(stage: Stage) -> None:
    """[WP-24] Its canceler found a loop running, so it does not kick."""
    (member,) = enqueue(stage, run_after=FAR)
    stage.run(10)
    stage.pool().enqueue_action(None, TARGET, {})
    end = GroupEnd("g", Outcome.CANCELED)

    def cancel() -> None:
        write = canceled(stage.work(member)).write
        stage.memory.transact([write, Put(told_at(stage.clock.at, member, end))])

    stage.store.plan(updates(StatusRef, state=LoopState.WAITING), then(cancel))
    stage.run(30_000)

    assert (is_finished(stage), told(stage)) == (True, 1)


@pytest.mark.parametrize(("at", "found"), [(NOW + HOUR_MS, True), (NOW + HOUR_MS + 60_000, False)])
def test_hourly_look_finds_end_behind_cursor(at: int, *, found: bool) -> None:
    """[WP-19] Its cancel landed late, and its caller had no answer."""
    stage = watched_stage(cursor=id_floor(EpochMs(at)), at=at)
    item = a_group(total=1)
    member = member_ids(item)[0]
    end = GroupEnd(item.id, Outcome.CANCELED)
    stage.place(item, told_at(at - 1_800_000, member, end))
    stage.watch()
    stage.run(5_000)

    assert is_finished(stage) is found


def a_group(**changes: Any) -> GroupItem:
    stage = Stage()
    enqueue(stage, 1)
    return replace(group(stage), **changes)


def told_at(at: int, work_id: WorkId, end: GroupEnd) -> Notice:
    return Notice(
        pool=POOL,
        at=an_id(at),
        work_id=work_id,
        start=0,
        kind=NoticeKind.FINISHED,
        job="x",
        group=end,
    )


def test_rebuilt_ledger_counts_what_its_notices_told(stage: Stage) -> None:
    """[WP-19] [WP-12] The damaged ledger had the entries of members that are over."""
    enqueue(stage, 3)
    stage.store.plan(settles, first(died))
    stage.run(20_000)
    stage.damage(LedgerRef(POOL))
    stage.remove(*(NoticeRef(POOL, done.at) for done in stage.dones()))
    stage.place(replace(group(stage), outcomes=b"\0", finished_at=None, follow_up=None, version=99))
    stage.remove(*(WorkRef(POOL, each.id) for each in stage.works() if each.starts == 0))
    stage.run(600_000, watchdog=True)

    assert (is_finished(stage), told(stage)) == (True, 1)


def test_callback_that_finds_no_room_waits_in_notice(stage: Stage) -> None:
    """[WP-8]"""
    enqueue(stage)
    far = EpochMs(NOW + 24 * HOUR_MS)

    def fill() -> None:
        owed = tuple(
            PendingCallback(WorkId(each), far)
            for each, _ in zip(
                make_ids(far, random_bits=1), range(limits.CALLBACKS_OWED_MAX), strict=False
            )
        )
        ledger = stage.ledger()
        stage.place(replace(ledger, callbacks=owed, version=ledger.version + 1))

    stage.after(500, fill)
    stage.run(20_000)
    waiting = [done for done in stage.dones() if done.callback is CallbackState.PENDING]
    room = len(stage.ledger().callbacks)
    stage.place(replace(stage.ledger(), callbacks=(), version=stage.ledger().version + 1))
    stage.run(180_000, watchdog=True)

    assert (len(waiting), room) == (1, limits.CALLBACKS_OWED_MAX)
    assert (is_finished(stage), told(stage)) == (True, 1)


def test_damaged_group_affects_nothing_else(stage: Stage) -> None:
    """[WP-12]"""
    enqueue(stage, 2)
    stage.damage(GroupRef(POOL, GroupId("g")))
    other = stage.pool().enqueue_group(None, TARGET, [{}], group_id="h")
    stage.run(60_000)

    assert {work.state for work in stage.works()} == {State.FINISHED}
    assert group(stage, other).finished_at is not None
    assert {fact.sort for fact in stage.telemetry.of(SetAside)} == {"g"}
    assert stage.pool().group(None, "g").state == "unknown"


@pytest.mark.parametrize("stored", [0, 1, 2])
def test_producer_that_died_is_continued_by_same_call(stage: Stage, stored: int) -> None:
    """[WP-19] [WP-3]"""
    for _ in range(stored):
        stage.store.plan(puts(WorkItem), lambda apply: apply())
    stage.store.plan(puts(WorkItem), dies_before)
    with pytest.raises(Died):
        enqueue(stage, 3)
    halfway = stage.pool().group(None, "g")
    stage.run(600_000, watchdog=True)
    alone = stage.pool().group(None, "g")
    enqueue(stage, 3)
    stage.run(60_000)
    after = stage.pool().group(None, "g")

    assert (halfway.total, halfway.enqueued, halfway.state) == (3, stored, "running")
    assert (alone.succeeded, alone.state) == (stored, "running")
    assert (after.succeeded, after.enqueued, after.state, told(stage)) == (3, 3, "finished", 1)
    assert [work.starts for work in stage.works() if work.starts] == [1, 1, 1]


def test_member_whose_put_was_late_is_pointed_at_by_same_call(stage: Stage) -> None:
    """[WP-3] Its first producer is dead, so its put was not proved to be in time."""
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(10_000)

    def lands_late(apply: Callable[[], Any]) -> Any:
        stage.run(LATE_MS)
        stage.pool().enqueue_action(None, TARGET, {})
        stage.run(LATE_MS)
        apply()
        raise Died

    stage.store.plan(puts(WorkItem), lands_late)
    with pytest.raises(Died):
        enqueue(stage)
    enqueue(stage)
    stage.run(20_000)

    assert (is_finished(stage), told(stage)) == (True, 1)


def test_place_that_was_given_up_stays_empty(stage: Stage) -> None:
    """[WP-19] A producer that goes on after a cancel stores none of the canceled members."""
    stage.store.plan(puts(WorkItem), first(lambda: stage.pool().cancel_group(None, "g")))
    enqueue(stage, 2)
    stage.run(60_000)
    after = stage.pool().group(None, "g")

    assert (after.canceled, after.state, told(stage)) == (2, "finished", 1)
    assert [work.starts for work in stage.works()] == [0]


def test_member_that_is_stored_during_cancel_is_canceled(stage: Stage) -> None:
    """[WP-7]"""
    stage.store.plan(puts(WorkItem), dies_before)
    with pytest.raises(Died):
        enqueue(stage, run_after=FAR)
    stage.store.plan(
        lambda write: type(getattr(write, "record", None)).__name__ == "Void",
        first(lambda: enqueue(stage, run_after=FAR)),
    )
    ended = stage.pool().cancel_group(None, "g")
    stage.run(60_000)

    assert (ended, is_finished(stage), told(stage)) == (1, True, 1)
    assert [work.outcome for work in stage.works() if work.callback is None] == [Outcome.CANCELED]


def test_members_keep_their_ids_when_cancel_all_overtakes_them(stage: Stage) -> None:
    """[WP-19] [WP-13]"""

    def overtaken() -> None:
        stage.pool().cancel_all(None)
        stage.run(3_000)

    stage.store.plan(puts(WorkItem), then(overtaken))
    ids = enqueue(stage)
    stage.run(60_000)
    after = stage.pool().group(None, "g")

    assert {work.id for work in stage.works() if work.callback is None} == set(ids)
    assert (after.state, after.canceled, told(stage)) == ("finished", 1, 1)


def test_group_after_cancel_all_is_not_covered_by_it(stage: Stage) -> None:
    """[WP-3]"""
    stage.pool().enqueue_action(None, TARGET, {})
    pool = stage.pool()
    stage.pool().cancel_all(None)
    pool.enqueue_group(None, TARGET, [{}], group_id="g", on_complete=QUEUE)
    stage.run(60_000)

    assert (group(stage).outcomes, told(stage)) == (b"\x01", 1)


def test_cancel_counts_member_whose_end_was_told_to_no_loop(stage: Stage) -> None:
    """[WP-19] A caller of 0.1 canceled it without a notice."""
    (member,) = enqueue(stage, run_after=FAR)
    stage.run(60_000)
    stage.store.write(canceled(stage.work(member)).write)
    stage.run(60_000)
    early = stage.pool().cancel_group(None, "g"), is_finished(stage)
    stage.run(limits.GROUP_COUNT_LATE_MS)
    stage.pool().cancel_group(None, "g")
    stage.run(60_000)

    assert early == (0, False)
    assert (is_finished(stage), told(stage)) == (True, 1)


def test_damaged_member_counts_as_canceled_by_cancel(stage: Stage) -> None:
    """[WP-12]"""
    ids = enqueue(stage, 2, run_after=FAR)
    stage.damage(WorkRef(POOL, ids[0]))
    stage.pool().cancel_group(None, "g")
    stage.run(60_000)

    assert (is_finished(stage), told(stage)) == (True, 1)


def test_place_follows_from_id() -> None:
    first_id, *others = [
        each for each, _ in zip(make_ids(NOW, random_bits=7), range(5), strict=False)
    ]

    assert [place_after(first_id, each) for each in (first_id, *others)] == [0, 1, 2, 3, 4]
    assert place_after(others[0], first_id) is None
    assert place_after(first_id, an_id(NOW + 1)) is None
    assert place_after(first_id, first_id[:-1] + "1") is None
