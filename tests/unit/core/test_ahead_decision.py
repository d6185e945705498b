"""Due work items that are read before a slot is free: when, and which of them may still start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_config, a_work, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.admit import Headroom, Reason, Refusal
from workpool_aws.core.loop.ahead import Ahead, ahead_after, room_ahead
from workpool_aws.core.loop.choose import Choice, Found, WorkRead, choose, marks_after
from workpool_aws.core.loop.classify import Taken
from workpool_aws.core.loop.memory import Memory
from workpool_aws.core.loop.runs import SentRun
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, Ledger, ShardCursors

EMPTY = Ledger(pool="email", holder="h", generation=1, version=1)
NOTHING = Taken((), ())
LEAD, SECOND = EntryKey(an_id(n=90), 1), EntryKey(an_id(n=91), 1)
ENTRIES = {key: Entry(EpochMs(NOW + 60_000), run=LEAD) for key in (LEAD, SECOND)}
FULL = Refusal(Reason.SLOTS_TAKEN)
RUN = SentRun(EpochMs(NOW - 1_000), 10, 100.0)
"""It ends about now."""
KNOWN = Memory(ledger=EMPTY, runs={LEAD: RUN})


def found(number: int, **changes: object) -> Found:
    work = a_work(id=an_id(n=number), **changes)
    return Found(work.id, work)


ONE, TWO, THREE = found(1), found(2), found(3)
RETRIED = found(4, starts=1)


def ahead(*due: Found, more: bool = False) -> Ahead:
    return Ahead(NOW, due, more)


def test_what_was_read_ahead_starts_where_it_would_start_after_a_read() -> None:
    """[WP-1] [WP-13]"""
    expired = found(4, expires_after_ms=0)
    called_off = found(5, epoch=1)
    read = ahead(ONE, TWO, THREE, expired, called_off)
    config = a_config(epoch=2, epoch_at=NOW)
    taken = Taken({ONE.start}, {TWO.work.id})

    still = read.still_due(taken, 1, NOW)
    assert still is not None
    assert still.found == (THREE, called_off)
    assert read.still_due(replace(taken, config=config), 1, NOW) is None


@pytest.mark.parametrize(
    ("after_ms", "kept"),
    [(-1, False), (0, True), (limits.AHEAD_KEPT_MS, True), (limits.AHEAD_KEPT_MS + 1, False)],
)
def test_what_was_read_ahead_is_kept_for_a_moment(after_ms: int, kept: bool) -> None:
    still = ahead(ONE).still_due(NOTHING, 1, EpochMs(NOW + after_ms))

    assert still == (ahead(ONE) if kept else None)


@pytest.mark.parametrize(
    ("read", "wanted", "after_ms", "enough"),
    [
        (ahead(ONE, TWO), 9, limits.AHEAD_ALL_MS, True),
        (ahead(ONE, TWO), 5, limits.AHEAD_ALL_MS + 1, False),
        (ahead(ONE, TWO), 4, limits.AHEAD_ALL_MS + 1, True),
        (ahead(ONE, TWO, more=True), 4, 0, True),
        (ahead(ONE, TWO, more=True), 5, 0, False),
        (ahead(), 1, 0, False),
        (ahead(more=True), 0, 0, False),
    ],
    ids=["all there is", "all a while ago", "half of it", "half", "less", "none", "none yet"],
)
def test_slots_read_anew_where_too_few_were_read_ahead(
    read: Ahead, wanted: int, after_ms: int, enough: bool
) -> None:
    """A slot that waits for a read stands empty, and so does one whose run is short."""
    still = read.still_due(NOTHING, wanted, EpochMs(NOW + after_ms))

    assert still == (read if enough else None)


@pytest.mark.parametrize(
    "after_ms",
    [-limits.RUN_ENDS_SOON_MS, limits.RUN_ENDS_SOON_MS],
    ids=["long before", "long after"],
)
def test_full_pool_reads_ahead_about_the_end_of_a_run(after_ms: int) -> None:
    at = EpochMs(NOW + after_ms)
    beyond = EpochMs(at + (1 if after_ms > 0 else -1))

    assert room_ahead(KNOWN, ENTRIES, FULL, at) == Headroom(1)
    assert room_ahead(KNOWN, ENTRIES, FULL, beyond) is None


@pytest.mark.parametrize(
    ("memory", "entries", "room"),
    [
        (KNOWN, ENTRIES, Headroom(1)),
        (KNOWN, ENTRIES, Refusal(Reason.PAUSED)),
        (KNOWN, ENTRIES, Refusal(Reason.CANCELING)),
        (KNOWN, {}, FULL),
        (Memory(ledger=EMPTY), ENTRIES, FULL),
        (replace(KNOWN, ahead=ahead()), ENTRIES, FULL),
    ],
    ids=["free slot", "paused", "canceling", "noticed", "no run of this holder", "just read"],
)
def test_pool_does_not_read_ahead_without_need(
    memory: Memory, entries: dict[EntryKey, Entry], room: Headroom | Refusal
) -> None:
    assert room_ahead(memory, entries, room, NOW) is None


@pytest.mark.parametrize("at", [NOW - limits.AHEAD_KEPT_MS - 1, NOW + 1])
def test_pool_reads_ahead_again_once_the_last_read_is_not_of_late(at: int) -> None:
    """Also if the clock has stepped back since."""
    memory = replace(KNOWN, ahead=Ahead(EpochMs(at), (), more=False))

    assert room_ahead(memory, ENTRIES, FULL, NOW) == Headroom(1)


def test_holder_keeps_what_it_has_read_and_not_started() -> None:
    """[WP-4] What it has started is not kept: after a retry, that start is over."""
    before = Memory(ledger=EMPTY, ahead=ahead(THREE))
    read = choose([WorkRead((ONE, TWO), None, (), more=True)], Headroom(1))
    used = choose([None], Headroom(1), ahead=ahead(ONE, TWO, more=True))

    assert ahead_after(before, read, NOW) == ahead(TWO, more=True)
    assert used.chosen == (ONE,)
    assert ahead_after(before, used, EpochMs(NOW + 9)) == ahead(TWO, more=True)
    assert ahead_after(before, Choice((), (), (None,)), NOW) == before.ahead


@pytest.mark.parametrize(
    ("due_at", "more", "kept"),
    [
        (NOW, True, (TWO,)),
        (NOW, False, (TWO, RETRIED)),
        (NOW - 1, True, (ONE, TWO)),
    ],
    ids=["due together", "all were read", "due before"],
)
def test_retry_is_not_started_before_first_attempts_that_were_not_read(
    due_at: int, more: bool, kept: tuple[Found, ...]
) -> None:
    """[WP-1] A backlog of retries is kept as any other."""
    retried = replace(RETRIED, work=replace(RETRIED.work, due_at=EpochMs(due_at)))
    read = choose([WorkRead((retried, ONE, TWO), None, (), more=more)], Headroom(1))

    kept = tuple(retried if each is RETRIED else each for each in kept)
    assert ahead_after(Memory(ledger=EMPTY), read, NOW) == ahead(*kept, more=more)


def test_work_item_of_one_shard_waits_for_those_of_another_that_were_not_read() -> None:
    """[WP-1]"""
    later = found(9, due_at=NOW + 5)
    reads = [WorkRead((ONE, TWO), None, (), more=True), WorkRead((later,), None, ())]
    read = choose(reads, Headroom(1))

    assert ahead_after(Memory(ledger=EMPTY), read, NOW) == ahead(TWO, more=True)


def test_holder_with_runs_remembers_that_none_was_left() -> None:
    """It does not read ahead again at once. In a calm pool there is nothing to know."""
    nothing = choose([WorkRead((), None, ())], Headroom(1))

    assert ahead_after(KNOWN, nothing, NOW) == ahead()
    assert ahead_after(Memory(ledger=EMPTY), nothing, NOW) is None


def test_start_of_what_was_read_ahead_moves_no_cursor() -> None:
    """[WP-3] What was stored since that read may lie before the time of this pass."""
    marks = (ShardCursors(work_cursor=an_id(NOW - 5_000), deep_at=EpochMs(NOW - 5_000)),)
    used = choose([None], Headroom(1), ahead=ahead(ONE))

    (after,) = marks_after(
        marks, used, back_to=None, done_keys=[()], no_room_at=[None], deep=True, now=NOW
    )
    assert (after.work_cursor, after.deep_at) == (marks[0].work_cursor, marks[0].deep_at)
