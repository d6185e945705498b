"""The result of a read of a pool's ranges, and its extent."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.kit.records import NOW, POOL, a_config, a_work, an_id
from tests.kit.stage import LAMBDA_MS, Stage
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core import limits
from workpool_aws.core.loop.admit import Headroom, Reason, Refusal
from workpool_aws.core.loop.ahead import Ahead
from workpool_aws.core.loop.choose import Found, WorkRead
from workpool_aws.core.loop.classify import Taken
from workpool_aws.core.loop.memory import Inputs
from workpool_aws.core.loop.recover import Checked
from workpool_aws.core.loop.runs import JobPace, SentRun, rows_of
from workpool_aws.flow.loop.choose import choose_due, read_due, read_works
from workpool_aws.flow.loop.run_pass import run_pass
from workpool_aws.flow.loop.session import LoopSession, acquire_session
from workpool_aws.flow.reading import pages, read_notices, work_range
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, LoopState, Notice, NoticeKind
from workpool_aws.model.refs import Collection, KeyRange, NoticeRef, PointerRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import Pointer, State, WorkItem

NOTHING = Taken((), frozenset())
INPUTS = Inputs(now=NOW, config=None, config_read_at=None, bulk_cancel=None, deep=False, notices=())


def read(stage: Stage, *, free: int = 5) -> WorkRead:
    return read_works(
        stage.store,
        stage.telemetry,
        work_range(POOL, 0, ""),
        free=free,
        taken=NOTHING,
        now=EpochMs(NOW),
    )


def held(stage: Stage) -> LoopSession:
    stage.pool()
    stage.resting_as(LoopState.RUNNING, generation=1)
    hold = acquire_session(stage.ports, POOL, 1, lambda: LAMBDA_MS)
    assert hold is not None
    return hold


@pytest.mark.parametrize(("free", "requests"), [(0, 1), (100, 1), (limits.QUERY_LIMIT_MIN - 1, 1)])
def test_read_for_free_slots_is_one_page(stage: Stage, free: int, requests: int) -> None:
    """One work more is read, to know of it; and with few slots, as many rows as cost no more than one."""
    over = [
        a_work(id=an_id(NOW - 9_000 + n, n), due_at=NOW - 9_000 + n, state=State.FINISHED)
        for n in range(limits.QUERY_LIMIT_MIN - 1)
    ]
    due = [a_work(id=an_id(NOW - 5_000 + n, n), due_at=NOW - 5_000 + n) for n in range(free + 1)]
    stage.place(*(over if free == 0 else ()), *due)
    found = read(stage, free=free).due

    assert [one.work.id for one in found] == [work.id for work in due]
    assert stage.notes.count("query work") == requests


@pytest.mark.parametrize(
    ("row_at", "due_at"), [(NOW + 5_000, NOW + 9_000), (NOW + 9_000, NOW + 5_000)]
)
def test_work_that_is_not_due_is_waited_for_until_its_row_and_its_time_have_come(
    stage: Stage, row_at: int, due_at: int
) -> None:
    work = a_work(id=an_id(NOW - 50_000), due_at=due_at)
    stage.place(work, Pointer(pool=POOL, at=an_id(row_at), work_id=work.id))

    assert read(stage).next_due == NOW + 9_000


def test_rows_ahead_that_are_over_are_read_up_to_bound(stage: Stage) -> None:
    """[WP-23] And it is said that no more was read."""
    many = limits.LOOKAHEAD_ROWS_MAX + 1
    stage.place(*(a_work(id=an_id(NOW + 1_000 + n, n), state=State.FINISHED) for n in range(many)))
    stage.place(a_work(id=an_id(NOW + 90_000), due_at=NOW + 90_000))
    found = read(stage)

    assert (found.cut, found.next_due) == (True, NOW + 1_000 + limits.LOOKAHEAD_ROWS_MAX - 1)


def test_works_to_cancel_are_read_part_at_time(stage: Stage) -> None:
    """[WP-20] What is due behind them waits for no more than a part."""
    config = a_config(max_parallelism=5, epoch=1, epoch_at=NOW)
    stage.place(
        *(
            a_work(id=an_id(NOW - 9_000 + n, n), due_at=NOW - 9_000 + n)
            for n in range(limits.BULK_CANCEL_ROWS + 3)
        )
    )
    taken = Taken((), frozenset(), config)
    found = read_works(
        stage.store, stage.telemetry, work_range(POOL, 0, ""), free=5, taken=taken, now=EpochMs(NOW)
    )

    assert (len(found.bulk_canceled), found.due) == (limits.BULK_CANCEL_ROWS, ())


def test_work_that_is_met_twice_is_found_once_with_pointer_to_remove(stage: Stage) -> None:
    """By its first row. Its own row is never removed."""
    work = a_work(id=an_id(NOW - 5_000), due_at=NOW - 5_000)
    stage.place(work, Pointer(pool=POOL, at=an_id(NOW - 3_000), work_id=work.id))
    (found,) = read(stage).due

    assert (found.key, found.pointers) == (work.id, (PointerRef(POOL, an_id(NOW - 3_000)),))


def test_damaged_rows_are_not_among_what_is_read(stage: Stage) -> None:
    """[WP-12] Nor does the key of one count for how far was read."""
    good = Notice(
        pool=POOL, at=an_id(NOW - 500), work_id=an_id(1), start=1, kind=NoticeKind.FINISHED
    )
    stage.place(good)
    key = key_of(NoticeRef(POOL, an_id(NOW)))
    stage.memory.inject(key.pk, key.sk, {"kind": "no such thing"})

    assert read_notices(stage.store, stage.telemetry, POOL, 0, "").keys == (good.at,)


@pytest.mark.parametrize("reverse", [False, True])
def test_all_pages_of_range_are_read_in_either_direction(stage: Stage, *, reverse: bool) -> None:
    stage.place(*(a_work(id=an_id(NOW, n)) for n in range(7)))
    read_pages = list(
        pages(
            stage.store,
            stage.telemetry,
            KeyRange(collection=Collection.WORK, pool=POOL, shard=0, limit=3, reverse=reverse),
        )
    )
    keys = [row.sort for page in read_pages for row in page]

    assert keys == sorted((an_id(NOW, n) for n in range(7)), reverse=reverse)


@pytest.mark.parametrize("reason", Reason)
def test_read_without_free_slots_reads_no_work(stage: Stage, reason: Reason) -> None:
    """A pass of a full pool costs nothing for the backlog behind it."""
    hold = held(stage)
    stage.place(a_work())
    stage.notes.clear()
    reads = read_due(stage.ports, hold.memory, INPUTS, Checked({}), Refusal(reason), back_to=None)

    assert (reads, stage.notes) == ([None], [])


@pytest.mark.parametrize(
    ("has_entry", "understood", "chosen"),
    [(True, False, False), (True, True, True), (False, False, True)],
    ids=["unconfirmed", "understood", "gone"],
)
def test_work_whose_entry_is_not_understood_is_not_chosen(
    stage: Stage, *, has_entry: bool, understood: bool, chosen: bool
) -> None:
    """[WP-4] One that was just looked at, or has no entry any more, waits for no further look."""
    hold = held(stage)
    work = a_work(starts=1)
    stage.place(replace(work, due_at=EpochMs(NOW - 10)))
    key = EntryKey(work.id, 1)
    memory = replace(hold.memory, unconfirmed=frozenset({key}))
    entries = {key: Entry(EpochMs(NOW + 60_000))} if has_entry else {}
    checked = Checked(entries, understood=frozenset({key} if understood else ()))
    (due,) = read_due(stage.ports, memory, INPUTS, checked, Headroom(1), back_to=None)

    assert due is not None
    assert [found.work.id for found in due.due] == [work.id] * chosen


@pytest.mark.parametrize(("crowded", "rows"), [(True, 90 + 6), (False, 6 + 24 + 96)])
def test_deep_read_with_backlog_ends_where_slots_are_filled(
    stage: Stage, *, crowded: bool, rows: int
) -> None:
    """Pages that grow behind the cursor would end far beyond. A calm pool makes one request instead."""
    hold = held(stage)
    over = [a_work(id=an_id(NOW - 9_000 + n, n), state=State.FINISHED) for n in range(90)]
    due = [a_work(id=an_id(NOW - 1_000 + n, n), due_at=EpochMs(NOW - 1_000 + n)) for n in range(90)]
    stage.place(*over, *due)
    marks = (replace(hold.memory.marks[0], work_cursor=due[0].id, deep_at=EpochMs(NOW - 3_000)),)
    ledger = replace(hold.memory.ledger, shards=marks)
    memory = replace(hold.memory, ledger=ledger, crowded=crowded)
    list(pages(stage.store, stage.telemetry, work_range(POOL, 0, "")))
    of_all = stage.memory.meter.snapshot().read_units
    (found,) = read_due(
        stage.ports, memory, replace(INPUTS, deep=True), Checked({}), Headroom(2), back_to=None
    )
    units = stage.memory.meter.snapshot().read_units - of_all

    assert found is not None
    assert [one.work.id for one in found.due] == [work.id for work in due[:3]]
    assert found.more
    assert units == pytest.approx(of_all * rows / 180, abs=2)


def read_ahead(stage: Stage, *works: WorkItem) -> LoopSession:
    """Returns a loop that knows these work items as they are, and has made its first pass."""
    hold = held(stage)
    run_pass(hold, NOW)
    stage.place(*works)
    found = tuple(Found(work.id, work) for work in works)
    hold.memory = replace(hold.memory, ahead=Ahead(NOW, found, more=False))
    stage.notes.clear()
    return hold


def due(number: int) -> WorkItem:
    at = NOW - 40 + number
    return a_work(id=an_id(at, number), due_at=at, permit="p", claimed=False)


def test_pass_starts_what_was_read_ahead_and_reads_nothing(stage: Stage) -> None:
    works = [due(number) for number in range(3)]
    hold = read_ahead(stage, *works)
    before = hold.memory.marks
    run_pass(hold, EpochMs(NOW + 50))

    assert [each.work_id for each in stage.invoker.started] == [work.id for work in works]
    assert "query work" not in stage.notes
    assert hold.memory.marks == before
    assert hold.memory.ahead == Ahead(NOW, (), more=False)


def test_deep_pass_reads_whatever_was_read_ahead(stage: Stage) -> None:
    """[WP-3] Nothing else finds what lies behind the cursor."""
    hold = read_ahead(stage, due(1))
    hold.memory = replace(hold.memory, deep_read_at=None)
    run_pass(hold, EpochMs(NOW + 50))

    assert "query work" in stage.notes
    assert len(stage.invoker.started) == 1


def test_paused_pool_does_not_start_what_was_read_ahead(stage: Stage) -> None:
    """[WP-13]"""
    hold = read_ahead(stage, due(1))
    config = a_config(override_paused=True)
    hold.memory = replace(hold.memory, config=config, config_read_at=NOW)
    run_pass(hold, EpochMs(NOW + 50))

    assert stage.invoker.started == []


def test_work_item_canceled_since_it_was_read_ahead_does_not_run(stage: Stage) -> None:
    """[WP-2] Its worker is refused, and the next pass drops its entry."""
    work = due(1)
    hold = read_ahead(stage, work)
    over = replace(work, state=State.FINISHED, outcome=Outcome.CANCELED)
    stage.place(over)
    run_pass(hold, EpochMs(NOW + 50))

    assert len(stage.invoker.started) == 1
    assert stage.work(work.id) == over
    run_pass(hold, EpochMs(NOW + 100))
    assert stage.ledger().entries == {}


@pytest.mark.parametrize(("ends_in_ms", "queries"), [(0, 1), (1_000, 0)])
def test_full_pool_reads_before_a_run_ends(stage: Stage, *, ends_in_ms: int, queries: int) -> None:
    hold = held(stage)
    stage.place(due(1))
    run = EntryKey(an_id(n=9), 1)
    entries = {run: Entry(EpochMs(NOW + 60_000), run=run)}
    sent = SentRun(EpochMs(NOW + ends_in_ms - 1_000), 10, 100.0)
    memory = replace(
        hold.memory, runs={run: sent}, ledger=replace(hold.memory.ledger, entries=entries)
    )
    (read,) = read_due(
        stage.ports, memory, INPUTS, Checked(entries), Refusal(Reason.SLOTS_TAKEN), back_to=None
    )

    assert stage.notes.count("query work") == queries
    assert (read is not None and [one.work.id for one in read.due] == [due(1).id]) == bool(queries)


@pytest.mark.parametrize("limit", [4, limits.RUN_LIMIT_MAX])
def test_read_before_the_end_of_a_run_is_enough_for_its_slot(stage: Stage, limit: int) -> None:
    """As many work items as a run takes, in the largest pool with runs, too."""
    hold = held(stage)
    stage.place(*[due(number) for number in range(40)])
    runs = [EntryKey(an_id(n=100 + number), 1) for number in range(limit)]
    entries = {run: Entry(EpochMs(NOW + 60_000), run=run) for run in runs}
    sent = {run: SentRun(EpochMs(NOW - 1_000), 10, 100.0) for run in runs[:1]}
    short = JobPace(mean_ms=100.0, ends=limits.RUN_LEARNED, is_known=True)
    ledger = replace(hold.memory.ledger, entries=entries)
    memory = replace(hold.memory, runs=sent, paces={"send": short}, ledger=ledger)
    (read,) = read_due(
        stage.ports, memory, INPUTS, Checked(entries), Refusal(Reason.SLOTS_TAKEN), back_to=None
    )

    assert read is not None
    assert len(read.due) > rows_of(memory, 1, NOW) >= 20


def test_slots_that_are_free_at_one_time_leave_the_others_their_part(stage: Stage) -> None:
    """The last ones of a backlog end together in all slots of a pool."""
    hold = held(stage)
    works = [due(number) for number in range(32)]
    found = tuple(Found(work.id, work) for work in works)
    label = works[0].spec.label
    assert label is not None
    short = JobPace(mean_ms=100.0, ends=limits.RUN_LEARNED, is_known=True)
    taken = {EntryKey(an_id(n=99), 1): Entry(EpochMs(NOW + 60_000))}
    memory = replace(hold.memory, paces={label: short})
    reads = [WorkRead(found, None, ())]
    choice = choose_due(stage.invoker, memory, Checked(taken), reads, Headroom(3), NOW)

    assert len(choice.chosen) == 25
    assert sorted(Counter(choice.runs.values()).values()) == [8, 8, 9]
