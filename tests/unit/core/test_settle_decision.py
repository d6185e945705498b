"""Which slots done records free, and where cursors go."""

from __future__ import annotations

from dataclasses import replace

from tests.kit.records import NOW, a_running_work, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.choose import cursor_after
from workpool_aws.core.loop.settle import deep_low, done_cursor_after, settle
from workpool_aws.model.ids import EpochMs, id_floor, make_id, time_of
from workpool_aws.model.loop import Entry, EntryKey, Notice, NoticeKind
from workpool_aws.model.spec import Outcome

A, B = an_id(n=1), an_id(n=2)
ENTRY = Entry(EpochMs(NOW + 60_000))


CLAIMED = a_running_work(claim="worker-1")


def done(work_id: str, start: int, pointer: str | None = None) -> Notice:
    kind = NoticeKind.FINISHED if pointer is None else NoticeKind.RETRY
    return Notice(
        pool="email",
        at=make_id(NOW, random_bits=9),
        work_id=an_id() if work_id == A else B,
        start=start,
        kind=kind,
        pointer=pointer,
    )


def test_report_frees_slot_of_its_very_start_only() -> None:
    """[WP-1] A duplicate of start 1 must not free the slot of start 2."""
    entries = {EntryKey(A, 2): ENTRY, EntryKey(B, 1): ENTRY}

    settled = settle(entries, [done(A, 1), done(B, 1), done(B, 1)])

    assert settled.entries == {EntryKey(A, 2): ENTRY}
    assert settled.gone == (EntryKey(B, 1),)


def test_settling_retry_names_pointer_that_cursor_must_go_back_to() -> None:
    early, late = make_id(EpochMs(NOW - 500), random_bits=1), make_id(NOW, random_bits=1)
    entries = {EntryKey(A, 1): ENTRY, EntryKey(B, 1): ENTRY}

    assert settle(entries, [done(A, 1, late), done(B, 1, early)]).back_to == early
    assert settle({}, [done(A, 1, early)]).back_to is None


def test_done_cursor_follows_what_was_seen_but_never_past_now() -> None:
    seen, future = (
        make_id(EpochMs(NOW - 10), random_bits=1),
        make_id(EpochMs(NOW + 2_000), random_bits=1),
    )

    assert done_cursor_after("", [], NOW) == ""
    assert done_cursor_after("", [seen], NOW) == seen
    assert done_cursor_after("", [seen, future], NOW) == id_floor(NOW)
    assert done_cursor_after(id_floor(EpochMs(NOW + 1)), [seen], NOW) == id_floor(EpochMs(NOW + 1))


def test_deep_read_goes_back_over_buffer_from_last_one() -> None:
    cursor = id_floor(NOW)

    assert deep_low("") == ""
    assert time_of(deep_low(cursor)) == NOW - limits.BUFFER_MS
    assert time_of(deep_low(cursor, EpochMs(NOW - 3_000))) == NOW - 3_000 - limits.BUFFER_MS
    behind = id_floor(EpochMs(NOW - 60_000))
    assert deep_low(behind, NOW) == behind


def test_work_cursor_never_passes_what_was_not_chosen() -> None:
    blocked = make_id(EpochMs(NOW - 9_000), random_bits=1)
    ahead = id_floor(EpochMs(NOW + 5_000))

    assert cursor_after(id_floor(NOW), blocked, NOW) == blocked
    assert time_of(cursor_after("", None, NOW)) == NOW - limits.CURSOR_OVERLAP_MS
    assert cursor_after(ahead, None, NOW) == ahead


def test_request_for_look_frees_nothing() -> None:
    look = Notice(
        pool="email", at=make_id(NOW, random_bits=9), work_id=A, start=1, kind=NoticeKind.CHECK
    )

    settled = settle({EntryKey(A, 1): ENTRY}, [look])

    assert (settled.entries, settled.gone, settled.asked) == (
        {EntryKey(A, 1): ENTRY},
        (),
        {EntryKey(A, 1): look.at},
    )
    assert settle({}, [look]).asked == {}


def test_statistics_count_each_entry_that_went_once() -> None:
    """Not its duplicate, and not a record of a start that has no entry."""
    counts = Notice(
        pool="email",
        at=an_id(NOW, 7),
        work_id=CLAIMED.id,
        start=1,
        kind=NoticeKind.FINISHED,
        outcome=Outcome.SUCCESS,
    )
    again, stranger = replace(counts, at=an_id(NOW, 8)), replace(counts, at=an_id(NOW, 9), start=2)

    assert settle({EntryKey(CLAIMED.id, 1): Entry(NOW)}, [counts, again, stranger]).records == (
        counts,
    )
