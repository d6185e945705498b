"""The earliest due work items start, and no cursor passes one that was not chosen."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.records import NOW, a_work, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.admit import Headroom
from workpool_aws.core.loop.choose import (
    Choice,
    Found,
    WorkRead,
    choose,
    marks_after,
    read_from,
)
from workpool_aws.model.ids import EpochMs, WorkId, id_floor, make_id, shard_of, time_of
from workpool_aws.model.loop import EntryKey, ShardCursors
from workpool_aws.model.refs import PointerRef

OVERLAP = id_floor(EpochMs(NOW - limits.CURSOR_OVERLAP_MS))


def found(at: int, n: int, shard: int = 0) -> Found:
    work_id = WorkId(make_id(EpochMs(at), random_bits=n, shard=shard))
    return Found(work_id, a_work(id=work_id, due_at=at))


def read_of(
    *due: Found, bulk_canceled: tuple[Found, ...] = (), next_due: int | None = None
) -> WorkRead:
    return WorkRead(due, None if next_due is None else EpochMs(next_due), (), bulk_canceled)


def marks_of(
    mark: ShardCursors,
    choice: Choice,
    *,
    back_to: str | None = None,
    keys: tuple[str, ...] = (),
    no_room: str | None = None,
    deep: bool = False,
) -> ShardCursors:
    (after,) = marks_after(
        [mark], choice, back_to=back_to, done_keys=[keys], no_room_at=[no_room], deep=deep, now=NOW
    )
    return after


ages = st.integers(0, 40_000)
cursors = st.just("") | ages.map(lambda ms: id_floor(EpochMs(NOW - ms)))


@st.composite
def passes(draw: st.DrawFn) -> tuple[list[ShardCursors], list[WorkRead | None], int]:
    """Return shards as a pass may meet them, and some free slots.

    Each is read or not, with due and called-off work items before and behind its cursor.
    """
    numbers = count(1)
    marks: list[ShardCursors] = []
    reads: list[WorkRead | None] = []
    for shard in range(draw(st.integers(1, 3))):
        marks.append(ShardCursors(draw(cursors), "", EpochMs(NOW - draw(ages))))
        due = [found(NOW - age, next(numbers), shard) for age in draw(st.lists(ages, max_size=6))]
        off = [found(NOW - age, next(numbers), shard) for age in draw(st.lists(ages, max_size=2))]
        read = WorkRead(tuple(sorted(due, key=lambda one: one.key)), None, (), tuple(off))
        reads.append(read if draw(st.booleans()) else None)
    return marks, reads, draw(st.integers(-2, 8))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(passes(), st.none() | ages, st.booleans())
def test_cursor_does_not_pass_what_was_not_chosen(
    case: tuple[list[ShardCursors], list[WorkRead | None], int], back_ms: int | None, deep: bool
) -> None:
    """[WP-3] Whatever a pass that reads from the new cursor on would not meet has been chosen, or lay there unseen."""
    marks, reads, free = case
    back_to = None if back_ms is None else an_id(NOW - back_ms)
    choice = choose(reads, Headroom(free))
    after = marks_after(
        marks,
        choice,
        back_to=back_to,
        done_keys=[()] * len(marks),
        no_room_at=[None] * len(marks),
        deep=deep,
        now=NOW,
    )

    for shard, (before, mark, read) in enumerate(zip(marks, after, reads, strict=True)):
        waiting = [one.key for one in choice.left if shard_of(one.key) == shard] + [
            one.key for one in (read.bulk_canceled if read else ())
        ]
        assert all(mark.work_cursor <= key for key in waiting)
        assert mark.work_cursor <= max(before.work_cursor, OVERLAP)
        assert read is not None or (
            mark.work_cursor <= before.work_cursor and mark.deep_at == before.deep_at
        )
        assert mark.deep_at == (NOW if deep and read is not None else before.deep_at)
        assert back_to is None or read is not None or mark.work_cursor <= back_to


@pytest.mark.parametrize(
    ("age_ms", "stops"), [(limits.RUN_FRESH_MS - 1, True), (limits.RUN_FRESH_MS, False)]
)
def test_cursor_stays_at_last_of_run_that_was_enqueued_just_now(age_ms: int, stops: bool) -> None:
    """[WP-20] The others of its batch have greater keys, and land later."""
    at = NOW - limits.RUN_FRESH_MS - 1
    due = [
        Found(an_id(at, n), a_work(id=an_id(at, n), due_at=at, enqueued_at=NOW - age_ms))
        for n in range(4)
    ]
    alone = choose([read_of(*due)], Headroom(4))
    in_run = choose([read_of(*due)], Headroom(1), most_of=lambda _: 4, spare=3)

    assert len(in_run.chosen) == 4
    assert marks_of(ShardCursors(), in_run).work_cursor == (due[-1].key if stops else OVERLAP)
    assert marks_of(ShardCursors(), alone).work_cursor == OVERLAP


def test_cursor_does_not_pass_work_item_to_which_another_shard_led_as_well() -> None:
    """[WP-3] [WP-42] Its read stopped there, and what lies behind it was not read."""
    at = NOW - 1_000
    first, second = found(at, 1, shard=1), found(at, 2, shard=1)
    pointer = Found(an_id(at, 3), second.work)
    choice = choose([read_of(pointer), read_of(first, second)], Headroom(1))
    after = marks_after(
        [ShardCursors()] * 2,
        choice,
        back_to=None,
        done_keys=[()] * 2,
        no_room_at=[None] * 2,
        deep=False,
        now=NOW,
    )

    assert [one.work.id for one in choice.chosen] == [first.work.id]
    assert [mark.work_cursor for mark in after] == [pointer.key, second.key]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(passes())
def test_earliest_are_chosen_and_never_more_than_fit(
    case: tuple[list[ShardCursors], list[WorkRead | None], int],
) -> None:
    """[WP-1]"""
    _, reads, free = case
    choice = choose(reads, Headroom(free))
    due = sorted(one.key for read in reads if read is not None for one in read.due)

    assert len(choice.chosen) == min(len(due), max(0, free))
    assert [one.key for one in (*choice.chosen, *choice.left)] == due


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cursors, st.integers(0, 60_000), st.none() | ages)
def test_deep_read_goes_back_over_buffer(cursor: str, deep_ms: int, back_ms: int | None) -> None:
    """[WP-3] Behind the cursor, the last deep read less its buffer, and the pointer of a retry."""
    mark = ShardCursors(cursor, "", EpochMs(NOW - deep_ms))
    back_to = None if back_ms is None else an_id(NOW - back_ms)
    low = read_from(mark, back_to=back_to, deep=True)

    assert low <= cursor
    assert low <= id_floor(EpochMs(NOW - deep_ms - limits.BUFFER_MS))
    assert back_to is None or low <= back_to
    assert read_from(mark, back_to=back_to, deep=False) == min(
        [cursor] if back_to is None else [cursor, back_to]
    )


def test_older_pending_work_brings_cursor_back() -> None:
    """[WP-3] A deep read met it behind the cursor, and another one took the slot."""
    older, old = found(NOW - 20_000, 1), found(NOW - 10_000, 2)
    mark = ShardCursors(id_floor(EpochMs(NOW - 500)), "", EpochMs(NOW - 3_000))
    choice = choose([read_of(older, old)], Headroom(1))

    assert choice.chosen == (older,)
    assert marks_of(mark, choice, deep=True) == ShardCursors(old.key, "", NOW)


def test_work_that_waits_for_slot_does_not_pull_cursor_over_overlap() -> None:
    """[WP-20] Another one, enqueued just before it, may become visible a moment later, and then must not wait for a deep read."""
    waiting = found(NOW - 5, 2)
    choice = choose([read_of(found(NOW - 9, 1), waiting)], Headroom(1))

    assert choice.left == (waiting,)
    assert marks_of(ShardCursors(), choice).work_cursor == OVERLAP


def test_cursor_follows_clock_at_distance() -> None:
    choice = choose([read_of(found(NOW - 5, 1))], Headroom(1))

    assert marks_of(ShardCursors(), choice).work_cursor == OVERLAP


def test_called_off_work_keeps_cursor_until_it_is_canceled() -> None:
    """[WP-13]"""
    off = found(NOW - 9_000, 1)
    choice = choose([read_of(found(NOW - 5, 2), bulk_canceled=(off,))], Headroom(5))

    assert marks_of(ShardCursors(), choice).work_cursor == off.key
    assert choice.bulk_canceled == [off.work]


def test_retrys_pointer_behind_cursor_brings_it_back_in_shard_that_was_not_read() -> None:
    """[WP-3]"""
    pointer = an_id(NOW - 700)
    choice = choose([None], Headroom(0))

    assert marks_of(
        ShardCursors(id_floor(NOW)), choice, back_to=pointer, deep=True
    ) == ShardCursors(pointer)


def test_done_cursor_stays_below_callback_that_found_no_room() -> None:
    """[WP-8]"""
    seen = (an_id(NOW - 300), an_id(NOW - 200), an_id(NOW - 100))
    choice = choose([None], Headroom(0))

    assert marks_of(ShardCursors(), choice, keys=seen).done_cursor == seen[-1]
    assert (
        time_of(marks_of(ShardCursors(), choice, keys=seen, no_room=seen[1]).done_cursor)
        == NOW - 201
    )


def test_choice_says_what_its_reads_met() -> None:
    gone = PointerRef("email", an_id(n=9))
    reads = [
        WorkRead((), EpochMs(NOW + 9), (gone,)),
        None,
        WorkRead((), EpochMs(NOW + 5), (), cut=True),
        read_of(),
    ]
    choice = choose(reads, Headroom(3))

    assert (choice.next_due, choice.cut, choice.stale) == (NOW + 5, True, [gone])
    assert choose([None], Headroom(3)).next_due is None


def test_start_is_next_of_its_work_by_its_own_key_or_pointers() -> None:
    work = a_work(starts=2)
    pointed = Found(an_id(NOW + 1, 7), work)

    assert pointed.start == EntryKey(work.id, 3)
    assert pointed.pointers == (PointerRef("email", an_id(NOW + 1, 7)),)
    assert Found(work.id, work).pointers == ()
    assert Found(work.id, work, (PointerRef("email", an_id(NOW + 2)),)).pointers == (
        PointerRef("email", an_id(NOW + 2)),
    )


def test_waiting_work_holds_back_its_own_shards_cursor_alone() -> None:
    """[WP-23] The other would read again what it has done, for as long as this one waits."""
    waits, starts = found(NOW - 5_000, 1, shard=0), found(NOW - 9_000, 2, shard=1)
    choice = choose([read_of(waits), read_of(starts)], Headroom(1))
    after = marks_after(
        [ShardCursors(), ShardCursors()],
        choice,
        back_to=None,
        done_keys=[(), ()],
        no_room_at=[None, None],
        deep=False,
        now=NOW,
    )

    assert [mark.work_cursor for mark in after] == [waits.key, OVERLAP]
