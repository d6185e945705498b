"""Check of suspect entries: which are read, what becomes of each, and what must come before a drop."""

from __future__ import annotations

from tests.kit.records import NOW, a_running_work, a_work, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.effects import Expire, Point, ShowSpawned
from workpool_aws.core.loop.memory import Memory
from workpool_aws.core.loop.recover import Checked, check, suspects_among
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, Ledger
from workpool_aws.model.work import Spawned, State, WorkItem

KEY, OTHER = EntryKey(an_id(n=1), 1), EntryKey(an_id(n=2), 1)
RUNS = Entry(EpochMs(NOW + 60_000), confirmed=True)
EMPTY = Ledger(pool="email", holder="h", generation=1, version=1)


def check_one(*works: WorkItem, memory: Memory | None = None) -> Checked:
    return check(
        {KEY: RUNS, OTHER: RUNS},
        (KEY,),
        {work.id: work for work in works},
        Memory(ledger=EMPTY) if memory is None else memory,
        token="loop-1",
        now=NOW,
    )


def test_suspects_are_unconfirmed_entries_and_those_past_deadline_and_margin() -> None:
    """[WP-21]"""
    over = Entry(EpochMs(NOW - limits.RECOVERY_MARGIN_MS - 1), confirmed=True)
    almost = Entry(EpochMs(NOW - limits.RECOVERY_MARGIN_MS), confirmed=True)
    memory = Memory(ledger=EMPTY, unconfirmed=frozenset({OTHER, EntryKey(an_id(n=9), 1)}))

    assert suspects_among({KEY: over, OTHER: RUNS}, memory, NOW) == (KEY, OTHER)
    assert suspects_among({KEY: almost}, memory, NOW) == ()


def test_pass_looks_for_what_few_ends_have_spawned_and_leaves_the_others_to_the_next() -> None:
    """[WP-22]"""
    count = limits.SPAWNED_A_PASS + 3
    stored = (Spawned("email", (an_id(n=9),)),)
    keys = [EntryKey(an_id(n=n), 1) for n in range(1, count + 1)]
    works = {
        key.work_id: a_work(id=key.work_id, starts=1, state=State.FINISHED, spawned=stored)
        for key in keys
    }

    checked = check(
        dict.fromkeys(keys, RUNS), keys, works, Memory(ledger=EMPTY), token="loop-1", now=NOW
    )

    shown = [each.work.id for each in checked.before if isinstance(each, ShowSpawned)]
    assert shown == [key.work_id for key in keys[:-3]]
    assert (sorted(checked.entries), checked.understood) == (keys[-3:], frozenset(keys[:-3]))


def test_entry_that_was_never_sent_is_begun_and_stays_doubtful() -> None:
    work = a_work(id=KEY.work_id)

    checked = check_one(work)

    assert (checked.begins, checked.understood) == (((KEY, work),), frozenset())
    assert checked.entries == {KEY: RUNS, OTHER: RUNS}


def test_entry_of_start_that_runs_takes_deadline_of_its_work_item() -> None:
    running = a_running_work(id=KEY.work_id, deadline=EpochMs(NOW + 5_000))

    checked = check_one(running, memory=Memory(ledger=EMPTY, sent=frozenset({KEY})))

    assert checked.entries[KEY] == Entry(EpochMs(NOW + 5_000), confirmed=True)
    assert checked.understood == {KEY}


def test_entry_of_pending_work_item_is_dropped_after_fresh_pointer() -> None:
    """[WP-3] Its notice and its pointer may both lie behind the cursors."""
    again = a_work(id=KEY.work_id, starts=1)

    checked = check_one(again)

    assert checked.entries == {OTHER: RUNS}
    assert checked.before == (Point("email", again.id, NOW), Expire(again))
    assert checked.dropped == (again,)


def test_entry_of_finished_work_item_is_dropped_after_its_chunks_may_expire() -> None:
    """[WP-10]"""
    over = a_work(id=KEY.work_id, starts=1, state=State.FINISHED)

    assert check_one(over).before == (Expire(over),)


def test_entry_is_dropped_after_what_its_end_stored_is_in_sight() -> None:
    """[WP-20] The worker that committed it may have died before the late rule."""
    stored = (Spawned("email", (an_id(n=7),)),)
    over = a_work(id=KEY.work_id, starts=1, state=State.FINISHED, spawned=stored)

    assert check_one(over).before == (ShowSpawned(over), Expire(over))


def test_entry_without_work_item_is_dropped_and_asks_for_nothing() -> None:
    checked = check_one()

    assert (checked.entries, checked.before, checked.dropped) == ({OTHER: RUNS}, (), ())
