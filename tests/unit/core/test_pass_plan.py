"""Plan of a pass: what it commits, which effects follow, and what the holder remembers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_running_work, a_work, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.ahead import Ahead
from workpool_aws.core.loop.bulk_cancel import BulkCancel
from workpool_aws.core.loop.callbacks import CallbackPlan
from workpool_aws.core.loop.choose import Choice, Found, WorkRead
from workpool_aws.core.loop.effects import Begun, Cancel, Results, Start, Tidy
from workpool_aws.core.loop.memory import Inputs, Memory
from workpool_aws.core.loop.plan import (
    Findings,
    PassPlan,
    plan_pass,
    refused_result,
    remembered,
    result_of,
    spent_pointers,
)
from workpool_aws.core.loop.recover import Checked, Recover
from workpool_aws.core.loop.settle import Notices, settle
from workpool_aws.core.report.complete import Judged
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import (
    Entry,
    EntryKey,
    Ledger,
    Notice,
    NoticeKind,
    PendingCallback,
    ShardCursors,
)
from workpool_aws.model.refs import PointerRef

LATER = EpochMs(NOW + 60_000)
END = EpochMs(NOW + 600_000)
KEY = EntryKey(an_id(n=1), 1)
OTHER = EntryKey(an_id(n=2), 1)
DUE = Found(an_id(n=3), a_work(id=an_id(n=3), due_at=NOW - 40))
STARTED = EntryKey(DUE.work.id, 1)
NOTHING = Choice((), (), (None,))
ONE = Choice((DUE,), (), (WorkRead((DUE,), None, ()),))
OWED = PendingCallback(an_id(n=4), NOW)


def ledger(*keys: EntryKey, **changes: object) -> Ledger:
    entries = {key: Entry(LATER) for key in keys}
    made = Ledger(pool="email", holder="h", generation=1, version=1, entries=entries)
    return replace(made, **changes)


def plan_of(
    before: Ledger,
    *,
    choice: Choice = NOTHING,
    records: tuple[Notice, ...] = (),
    bulk_cancel: BulkCancel | None = None,
    checked: Checked | None = None,
    owed: tuple[PendingCallback, ...] | None = None,
    ends_at: EpochMs = END,
) -> PassPlan:
    settled = settle(before.entries, records)
    found = Findings(
        Memory.of(before),
        Inputs(
            now=NOW,
            config=None,
            config_read_at=NOW,
            bulk_cancel=bulk_cancel,
            deep=False,
            notices=(Notices(records, tuple(each.at for each in records)),),
        ),
        settled,
        Checked(settled.entries) if checked is None else checked,
        choice,
        CallbackPlan(before.callbacks if owed is None else owed, (None,)),
        {one.start: Entry(LATER) for one in choice.chosen},
    )
    return plan_pass(found, ends_at=ends_at)


def finished(key: EntryKey) -> Notice:
    return Notice(
        pool="email", at=an_id(), work_id=key.work_id, start=key.start, kind=NoticeKind.FINISHED
    )


def test_pass_that_moves_nothing_is_not_committed_and_keeps_its_cursors_in_memory() -> None:
    before = ledger(KEY)
    idle = replace(NOTHING, reads=(WorkRead((), None, ()),))

    plan = plan_of(before, choice=idle)

    assert not plan.changes_ledger
    assert plan.ledger.entries == before.entries
    assert plan.ledger.shards != (ShardCursors(),)
    assert result_of(plan, Memory(ledger=plan.ledger), NOW).changes == 0


@pytest.mark.parametrize(
    "plan",
    [
        plan_of(ledger(), choice=ONE),
        # It has left its run in this pass, and now has a slot of its own under the same key.
        plan_of(ledger(STARTED), choice=ONE, checked=Checked({})),
        plan_of(ledger(KEY), records=(finished(KEY),)),
        plan_of(ledger(), owed=(OWED,)),
        plan_of(ledger(), bulk_cancel=BulkCancel(1, (None,))),
    ],
    ids=["start", "start that left a run", "settled", "callback", "bulk cancel"],
)
def test_pass_that_moves_something_is_committed_and_is_progress(plan: PassPlan) -> None:
    assert plan.changes_ledger
    assert result_of(plan, Memory(ledger=plan.ledger), NOW).progress


def test_bulk_cancel_that_is_under_way_does_not_raise_ledgers_epoch() -> None:
    """[WP-13] Raised too early, the next holder would not go on with it."""
    plan = plan_of(ledger(), bulk_cancel=BulkCancel(1, ("",)))

    assert (plan.ledger.epoch, plan.changes_ledger, plan.progress) == (0, False, True)


def test_starts_are_those_never_sent_and_then_chosen() -> None:
    begun = a_work(id=KEY.work_id)
    checked = Checked({KEY: Entry(LATER)}, begins=((KEY, begun),))

    plan = plan_of(ledger(KEY), checked=checked, choice=ONE)

    assert plan.starts == (Start(KEY, begun, None), Start(STARTED, DUE.work, None))
    assert (plan.moved, plan.lags_ms) == (1, (40,))


def test_loop_with_backlog_promises_to_stay_unless_its_end_is_near() -> None:
    """[WP-20]"""
    backlog = replace(ONE, left=(DUE,))
    until = EpochMs(NOW + limits.PROMISE_MS)

    assert plan_of(ledger(), choice=backlog).promise_until == until
    assert plan_of(ledger(), choice=backlog, ends_at=until).promise_until is None
    assert plan_of(ledger(), choice=replace(NOTHING, left=(DUE,))).promise_until is None


def test_recoveries_of_one_pass_are_bounded() -> None:
    lost = Recover(a_running_work(), Judged(NOW, None))
    many = Checked({}, recovers=(lost,) * (limits.RECOVERIES_MAX + 1))

    assert len(plan_of(ledger(), checked=many).recovers) == limits.RECOVERIES_MAX


def test_due_work_items_that_bulk_cancel_covers_are_canceled_and_are_progress() -> None:
    off = Choice((), (), (WorkRead((), None, (), bulk_canceled=(DUE,)),))

    plan = plan_of(ledger(), choice=off)

    assert (plan.cancels, plan.progress, plan.changes_ledger) == ((Cancel(DUE.work),), True, False)


def test_pointers_are_spent_once_their_start_was_sent() -> None:
    """[WP-3] Without its pointer, a start that was not sent would be found by no read."""
    pointer, stale = PointerRef("email", an_id(n=8)), PointerRef("email", an_id(n=9))
    pointed = replace(DUE, key=pointer.at)
    plan = plan_of(ledger(), choice=Choice((pointed,), (), (WorkRead((), None, (stale,)),)))

    assert spent_pointers(plan, {STARTED}) == (Tidy(pointer), Tidy(stale))
    assert spent_pointers(plan, ()) == (Tidy(stale),)


def test_memory_after_start_confirms_what_ran_and_doubts_what_did_not() -> None:
    """[WP-1] A slot whose start is not certain stays taken.

    Also if a worker was sent the same start before the work item was replaced.
    """
    plan = plan_of(ledger(KEY, OTHER), choice=ONE)
    entries = {**plan.ledger.entries, STARTED: Entry(LATER, confirmed=True)}
    plan = replace(plan, ledger=replace(plan.ledger, entries=entries))
    results = Results(
        begun=(Begun(KEY, EpochMs(NOW + 5_000), sent=True), Begun(STARTED, None, sent=False))
    )

    before = Memory(ledger=plan.ledger, sent=frozenset({STARTED}))
    memory = remembered(before, plan, results)

    assert memory.entries == {
        KEY: Entry(EpochMs(NOW + 5_000), confirmed=True),
        OTHER: Entry(LATER),
        STARTED: Entry(LATER),
    }
    assert (memory.sent, memory.unconfirmed) == ({KEY}, {STARTED})


@pytest.mark.parametrize(
    ("choice", "crowded"),
    [
        (replace(ONE, reads=(WorkRead((), None, ()),)), False),
        (replace(ONE, reads=(WorkRead((), None, ()),), left=ONE.chosen), True),
        (replace(NOTHING, reads=(None,)), True),
        (replace(ONE, reads=(None,), ahead=Ahead(NOW, (DUE,), more=False)), False),
        (replace(ONE, reads=(None,), ahead=Ahead(NOW, (DUE,), more=True)), True),
    ],
    ids=["slots for all", "some wait", "not read", "read ahead", "read ahead, and more"],
)
def test_memory_after_pass_knows_if_more_were_due_than_slots_take(
    choice: Choice, crowded: bool
) -> None:
    plan = plan_of(ledger(), choice=choice)
    before = Memory(ledger=plan.ledger, crowded=not choice.has_read)

    assert remembered(before, plan, Results()).crowded is crowded


def test_memory_after_quiet_pass_knows_what_was_read_ahead() -> None:
    """A full pool that reads ahead does nothing else in that pass."""
    left = replace(NOTHING, reads=(WorkRead((DUE,), None, ()),), left=(DUE,))
    plan = plan_of(ledger(), choice=left)

    memory = remembered(Memory(ledger=plan.ledger, crowded=True), plan, Results())
    assert memory.ahead == Ahead(NOW, (DUE,), more=False)


def test_memory_forgets_what_has_left_ledger() -> None:
    plan = plan_of(ledger(KEY), records=(finished(KEY),))
    before = Memory(
        ledger=plan.ledger,
        unconfirmed=frozenset({KEY}),
        sent=frozenset({KEY}),
        checked={KEY: "a notice"},
    )

    memory = remembered(before, plan, Results())

    assert (memory.unconfirmed, memory.sent, memory.checked) == (frozenset(), frozenset(), {})


def test_memory_has_next_check_of_recovered_start() -> None:
    """[WP-23] A recovery without an answer is not made again by the next pass."""
    plan = plan_of(ledger(KEY))
    again = Entry(EpochMs(NOW + 9_000), confirmed=True)

    memory = remembered(Memory(ledger=plan.ledger), plan, Results(recovered={KEY: again}))

    assert memory.entries == {KEY: again}


def test_memory_lets_go_of_callbacks_that_need_nothing_more() -> None:
    """The ledger still names them, so the next pass has something to commit."""
    moved = replace(OWED, at=LATER)
    gone = PendingCallback(an_id(n=5), NOW)
    plan = plan_of(ledger(callbacks=(OWED, gone)))
    results = Results(callbacks={OWED.work_id: moved, gone.work_id: None})

    memory = remembered(Memory.of(plan.ledger), plan, results)

    assert memory.callbacks == (moved,)
    assert result_of(plan, memory, NOW).busy


def test_refused_pass_is_to_be_made_again_and_is_no_progress() -> None:
    result = refused_result(plan_of(ledger(), choice=ONE))

    assert (result.busy, result.progress, result.changes) == (True, False, 0)
