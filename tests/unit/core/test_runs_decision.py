"""Runs: which work items share an invocation, and what becomes of those that theirs does not reach [WP-30]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.kit.records import NOW, TARGET, a_running_work, a_work, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.admit import Headroom
from workpool_aws.core.loop.choose import Found, WorkRead, choose
from workpool_aws.core.loop.effects import Point, Start
from workpool_aws.core.loop.memory import Memory
from workpool_aws.core.loop.plan import runs_among
from workpool_aws.core.loop.recover import Checked, check, mates_of
from workpool_aws.core.loop.runs import (
    JobPace,
    SentRun,
    fill_runs,
    learned,
    may_share,
    rows_wanted,
    share_of_slots,
    spare_starts,
    starts_left,
    starts_of_run,
    turnover_ms,
)
from workpool_aws.core.loop.settle import settle, slots_taken
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, Ledger, Notice, NoticeKind, ReportedEnd
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import AttemptEnd, PastAttempt, State, WorkItem

MINUTE = 60_000
LATER = EpochMs(NOW + MINUTE)
SHORT = JobPace(mean_ms=100.0, ends=limits.RUN_LEARNED, is_known=True)
KEYS = [EntryKey(an_id(n=number), 1) for number in range(1, 5)]
LEAD = KEYS[0]
PATIENT = EpochMs(NOW + limits.RUN_PATIENCE_MS - limits.RECOVERY_MARGIN_MS)
OVER = EpochMs(NOW - limits.RECOVERY_MARGIN_MS - 1)
EMPTY = Ledger(pool="email", holder="h", generation=1, version=1)


def found(number: int, *, target: str = TARGET) -> Found:
    work = a_work(id=an_id(n=number), target=target)
    return Found(work.id, work)


def notice(key: EntryKey, **changes: object) -> Notice:
    made = Notice(
        pool="email",
        at=an_id(n=99),
        work_id=key.work_id,
        start=key.start,
        kind=NoticeKind.FINISHED,
        outcome=Outcome.SUCCESS,
        job="send",
        ran_ms=100,
    )
    return replace(made, **changes)


def paces_after(*notices: Notice, run: EntryKey | None = None) -> Mapping[str, JobPace]:
    entries = {key: Entry(LATER, run=run) for key in KEYS}
    return learned({}, settle(entries, notices), entries, NOW)


def checked(
    works: list[WorkItem],
    *,
    deadline: EpochMs = LATER,
    confirmed: bool,
    suspects: tuple[EntryKey, ...] = (),
) -> Checked:
    """Check a run of all keys; the starts after the first have this deadline."""
    entries = {
        key: Entry(LATER if key == LEAD else deadline, confirmed=confirmed, run=LEAD)
        for key in KEYS
    }
    return check(
        entries,
        suspects or tuple(KEYS),
        {work.id: work for work in works},
        Memory(ledger=EMPTY),
        token="loop-1",
        now=NOW,
    )


def pending(*keys: EntryKey) -> list[WorkItem]:
    return [a_work(id=key.work_id, permit="a-permit") for key in keys]


def test_run_takes_one_slot_and_start_alone_another() -> None:
    """[WP-1] Also when the first of the run is over."""
    entries = {key: Entry(LATER, run=LEAD) for key in KEYS[1:]}
    alone = {EntryKey(an_id(n=9), 1): Entry(LATER)}
    # A later start of the work item that began the run has a slot of its own.
    again = {EntryKey(LEAD.work_id, 2): Entry(LATER)}

    # So has the work item itself, once it was replaced and has left the run.
    left = {LEAD: Entry(LATER)}

    assert slots_taken(entries) == 1
    assert slots_taken({**entries, **alone, **again}) == 3
    assert slots_taken({**entries, **left}) == 2


def test_pace_of_job_is_known_after_some_ends_and_follows_latest() -> None:
    first = paces_after(*(notice(key) for key in KEYS[:2]))["send"]
    third = paces_after(*(notice(key) for key in KEYS[:3]))["send"]
    slower = third
    for _ in range(12):
        slower = slower.after_end(900)

    assert starts_of_run(None, MINUTE, NOW) == 1
    assert starts_of_run(first, MINUTE, NOW) == 1
    assert starts_of_run(third, MINUTE, NOW) == 22
    assert starts_of_run(slower, MINUTE, NOW) == 1


def test_pace_is_known_once_as_many_ends_were_seen_as_slots_are_taken() -> None:
    """The first ends of many starts are those of the shortest."""
    entries = {EntryKey(an_id(n=number), 1): Entry(LATER) for number in range(8)}
    notices = [notice(key) for key in entries]

    early = learned({}, settle(entries, notices[:3]), entries, NOW)["send"]
    half = learned({}, settle(entries, notices[:4]), entries, NOW)["send"]
    later = learned({"send": half}, settle(entries, notices[:1]), entries, NOW)["send"]

    assert starts_of_run(early, MINUTE, NOW) == 1
    assert starts_of_run(half, MINUTE, NOW) == 22
    assert starts_of_run(later, MINUTE, NOW) == 22


def test_job_whose_ends_differ_is_as_long_as_most_of_them() -> None:
    pace = replace(SHORT, mean_ms=400.0)
    mixed = JobPace(is_known=True)
    for ran_ms in (200, 900, 300, 800):
        mixed = mixed.after_end(ran_ms)

    assert mixed.mean_ms == pytest.approx(550)
    assert mixed.spread_ms > 150
    assert starts_of_run(pace, MINUTE, NOW) == 6
    assert starts_of_run(replace(pace, spread_ms=100.0), MINUTE, NOW) == 1


def test_worker_that_says_no_times_takes_no_runs() -> None:
    """One of version 0.1, whose notices lack them."""
    assert paces_after(*(notice(key, ran_ms=None) for key in KEYS)) == {}


@pytest.mark.parametrize(
    ("mean_ms", "starts"), [(0.0, 25), (30.0, 25), (90.0, 25), (290.0, 8), (499.0, 4)]
)
def test_run_takes_some_seconds_and_no_more_starts_than_fit_event(
    mean_ms: float, starts: int
) -> None:
    assert starts_of_run(replace(SHORT, mean_ms=mean_ms), MINUTE, NOW) == starts


def test_start_of_run_that_comes_back_keeps_job_from_runs_for_while() -> None:
    """[WP-23] Its function may be one that refuses runs, and would refuse them again and again."""
    ends = [notice(key) for key in KEYS[:3]]
    back = notice(KEYS[3], kind=NoticeKind.PUT_BACK, outcome=None, ran_ms=None)
    alone, shared = paces_after(*ends, back)["send"], paces_after(*ends, back, run=LEAD)["send"]

    assert starts_of_run(alone, MINUTE, NOW) > 1
    assert starts_of_run(shared, MINUTE, NOW) == 1
    assert starts_of_run(shared, MINUTE, EpochMs(NOW + limits.RUN_QUIET_MS)) > 1


@pytest.mark.parametrize("error_type", ["timeout", "crashed", "no_report"])
def test_work_item_that_lost_its_process_runs_alone(error_type: str) -> None:
    """[WP-30] It would take the others of its run along."""
    past = PastAttempt(
        number=1,
        started_at=NOW,
        ended_at=NOW,
        outcome=AttemptEnd.FAILED,
        error_type=error_type,
        error=None,
    )

    assert not may_share(a_work(history=(past,)))
    assert may_share(a_work(history=(replace(past, error_type="ValueError"),)))
    assert may_share(a_work())


def test_runs_are_filled_evenly_by_target_in_order_of_due_time() -> None:
    chosen = [found(1), found(2), found(3, target="another")]
    left = [found(number) for number in range(4, 9)] + [found(9, target="a third")]
    runs = fill_runs(chosen, left, most_of=lambda _work: 3, spare=99)

    assert runs == [[found(1), found(4), found(6)], [found(2), found(5), found(7)]]
    assert fill_runs(chosen, left, most_of=lambda _work: 3, spare=1) == [[found(1), found(4)]]
    assert fill_runs(chosen, left, most_of=lambda _work: 1, spare=99) == []


def test_choice_of_runs_leaves_others_and_names_first_start_by_key() -> None:
    """[WP-3] What is left keeps the cursor before it."""
    due = [found(number) for number in (3, 1, 2, 4, 5)]
    choice = choose(
        [WorkRead(tuple(due), None, ())], Headroom(1), most_of=lambda _work: 3, spare=99
    )

    assert [each.work.id for each in choice.chosen] == [an_id(n=n) for n in (1, 2, 3)]
    assert set(choice.runs.values()) == {EntryKey(an_id(n=1), 1)}
    assert [each.work.id for each in choice.left] == [an_id(n=4), an_id(n=5)]


def test_pass_reads_more_than_its_slots_only_where_runs_would_take_it() -> None:
    """[WP-3] And never chooses all that it read: one that was read stays, since the cursor stops there."""
    unknown = Memory(ledger=EMPTY)
    known = Memory(ledger=EMPTY, paces={"send": SHORT})

    assert rows_wanted(unknown, 4, NOW, limit=8, in_flight=4) == 4
    assert spare_starts(4, 0, 4) == 0
    wanted = 4 * starts_of_run(SHORT, MINUTE, NOW)
    assert rows_wanted(known, 4, NOW, limit=4, in_flight=0) == wanted
    assert spare_starts(wanted, 0, 4) == wanted - 4
    assert rows_wanted(known, 100, NOW, limit=100, in_flight=0) == limits.RUN_ROWS_MAX
    assert spare_starts(wanted, limits.LEDGER_STARTS_MAX - 10, 4) == 6
    assert spare_starts(wanted, limits.LEDGER_STARTS_MAX, 4) == 0


def test_pool_reads_backlog_as_far_as_all_of_its_slots_can_take() -> None:
    known = Memory(ledger=EMPTY, paces={"send": SHORT})
    most = starts_of_run(SHORT, MINUTE, NOW)

    assert rows_wanted(known, 1, NOW, limit=4, in_flight=20) == 4 * most - 20
    # In a large pool that is far, and the next passes use what one has read.
    assert rows_wanted(known, 1, NOW, limit=100, in_flight=20) == limits.RUN_FILLING_ROWS
    # Each shard has its part of them.
    sharded = replace(known, shards_read=5)
    assert rows_wanted(sharded, 1, NOW, limit=100, in_flight=20) == limits.RUN_FILLING_ROWS // 5


def test_last_starts_of_backlog_are_shared_by_all_slots_of_pool() -> None:
    assert share_of_slots(1, 25, 0, limit=4, more=False) == 7
    assert share_of_slots(1, 25, 15, limit=4, more=False) == 10
    assert share_of_slots(1, 25, 0, limit=4, more=True) == limits.RUN_STARTS_MAX
    assert share_of_slots(1, 3, 1, limit=4, more=False) == 1
    # Three at one time leave the fourth its part of the 33.
    assert share_of_slots(3, 32, 1, limit=4, more=False) == 25
    assert share_of_slots(3, 32, 1, limit=4, more=True) == 3 * limits.RUN_STARTS_MAX


def test_starts_that_a_run_has_probably_ended_are_not_left() -> None:
    """Their notices come up to a second late."""
    run = {key: Entry(LATER, run=LEAD) for key in KEYS}
    alone = {EntryKey(an_id(n=9), 1): Entry(LATER)}
    known = Memory(ledger=EMPTY, runs={LEAD: SentRun(NOW, 4, 110.0)})

    def left(after_ms: int, entries: Mapping[EntryKey, Entry]) -> int:
        return starts_left(known, entries, EpochMs(NOW + after_ms))

    assert left(0, run | alone) == 5
    assert left(225, run | alone) == 3
    # Whatever the clock says: a run that has an entry may have a start that is not over.
    assert left(MINUTE, run) == 1
    assert left(MINUTE, alone) == 1
    # Two ends are noticed already.
    assert left(225, dict(list(run.items())[2:])) == 2
    # One that an earlier holder has sent.
    assert starts_left(Memory(ledger=EMPTY), run, EpochMs(NOW + 225)) == 4


def test_notice_of_run_frees_each_of_its_starts() -> None:
    """[WP-21]"""
    ends = (ReportedEnd(KEYS[1].work_id, 1, Outcome.FAILED), ReportedEnd(KEYS[2].work_id, 1, None))
    each = notice(LEAD, more=ends).each()
    entries = {key: Entry(LATER, run=LEAD) for key in KEYS}

    assert set(settle(entries, each).entries) == {KEYS[3]}
    assert [one.outcome for one in each] == [Outcome.SUCCESS, Outcome.FAILED, None]
    assert {one.more for one in each} == {()}


def test_run_of_suspect_is_read_as_whole() -> None:
    other = EntryKey(an_id(n=9), 1)
    entries = {key: Entry(LATER, run=LEAD) for key in KEYS} | {other: Entry(LATER)}

    assert mates_of(entries, (KEYS[2],)) == tuple(KEYS)
    assert mates_of(entries, (other,)) == (other,)


def test_run_whose_event_is_uncertain_is_sent_again_as_run() -> None:
    """[WP-20]"""
    again = checked(pending(*KEYS), confirmed=False)

    assert [key for key, _ in again.begins] == KEYS
    assert {again.entries[key].run for key in KEYS} == {LEAD}


def test_run_is_not_sent_again_while_one_of_it_runs() -> None:
    """[WP-30] Its invocation lives, and a second one would run beside it in the same slot."""
    running = a_running_work(id=LEAD.work_id, deadline=LATER, started_by="its worker")
    kept = checked([running, *pending(*KEYS[1:])], confirmed=False)

    assert kept.begins == ()
    assert kept.understood == set(KEYS)
    assert all(entry.confirmed for entry in kept.entries.values())


@pytest.mark.parametrize("others_run", [True, False])
def test_work_item_that_was_replaced_leaves_its_run(others_run: bool) -> None:
    """[WP-23] No worker makes its start and no run takes it, so that its entry would stay for ever."""
    replaced = a_work(id=KEYS[1].work_id, permit=None, rev=1)
    running = [a_running_work(id=LEAD.work_id, deadline=LATER, started_by="its worker")]
    first = running if others_run else pending(LEAD)
    left = checked([*first, replaced, *pending(*KEYS[2:])], confirmed=True)

    assert KEYS[1] not in left.entries
    assert KEYS[1] not in [key for key, _ in left.begins]
    assert Point("email", replaced.id, NOW) in left.before
    assert set(left.entries) == {LEAD, *KEYS[2:]}


def test_run_has_begun_without_first_that_left_it() -> None:
    """[WP-23] It starts alone under the same key, which says nothing of the run."""
    entries = {key: Entry(OVER, confirmed=True, run=LEAD) for key in KEYS[1:]}
    works = {work.id: work for work in pending(*KEYS)}
    memory = Memory(ledger=EMPTY)
    found = check({LEAD: Entry(LATER), **entries}, KEYS[1:], works, memory, token="loop-1", now=NOW)

    assert [each.key for each in found.recovers] == KEYS[1:]


def test_starts_that_their_run_does_not_reach_are_taken_back() -> None:
    """[WP-30] [WP-29] Each is spent by a write of its own before its entry goes."""
    begun = EpochMs(NOW - MINUTE)
    running = a_running_work(id=LEAD.work_id, deadline=LATER, started_at=begun)
    taken = checked([running, *pending(*KEYS[1:])], deadline=OVER, confirmed=True)

    assert [each.key for each in taken.recovers] == KEYS[1:]
    assert {each.judged for each in taken.recovers} == {None}
    assert set(taken.entries) == set(KEYS)


def test_patience_counts_from_begin_of_run() -> None:
    """Its event may wait for a cold function. The first start has the deadline of every event."""
    waiting = checked(pending(*KEYS), deadline=OVER, confirmed=True, suspects=tuple(KEYS[1:]))

    assert waiting.recovers == ()
    assert {waiting.entries[key].deadline for key in KEYS[1:]} == {PATIENT}


@pytest.mark.parametrize(
    ("begun_ms", "deadline"),
    [(-500, PATIENT - 500), (1_500, PATIENT), (-limits.RUN_PATIENCE_MS - 1, None)],
    ids=["lately", "by a fast clock", "long ago"],
)
def test_run_that_began_late_has_whole_patience(begun_ms: int, deadline: int | None) -> None:
    """[WP-30] Or starts that its invocation is about to make are taken back, and no run follows."""
    begun = EpochMs(NOW + begun_ms)
    running = a_running_work(id=LEAD.work_id, deadline=LATER, started_at=begun)
    taken = checked([running, *pending(*KEYS[1:])], deadline=OVER, confirmed=True)

    assert [each.key for each in taken.recovers] == ([] if deadline else KEYS[1:])
    assert {taken.entries[key].deadline for key in KEYS[1:]} == {deadline or OVER}


def test_end_without_notice_frees_its_start_when_patience_is_over() -> None:
    """[WP-21] The process may have died before it put the notice of its run."""
    over = [a_work(id=key.work_id, starts=1, state=State.FINISHED) for key in KEYS]
    left = checked(over, deadline=OVER, confirmed=True)

    assert left.entries == {}


def test_starts_of_run_are_sent_in_order_of_their_keys() -> None:
    """[WP-30] Of two deliveries, each meets what the other has made, and stops."""
    starts = [Start(key, a_work(id=key.work_id), None, LEAD) for key in (KEYS[2], KEYS[0], KEYS[1])]
    alone = Start(KEYS[3], a_work(id=KEYS[3].work_id), None)

    assert [[start.key for start in run] for run in runs_among([alone, *starts])] == [KEYS[:3]]


@pytest.mark.parametrize(
    ("paces", "free", "interval"),
    [
        ({"send": SHORT}, 0, limits.PASS_EAGER_MS),
        ({"send": SHORT}, 1, None),
        ({"send": SHORT, "crawl": replace(SHORT, mean_ms=limits.RUN_SHORT_MS)}, 0, None),
        ({}, 0, None),
    ],
    ids=["all short", "free slot", "one is long", "unknown"],
)
def test_slots_turn_over_soon_where_short_starts_fill_pool(
    paces: Mapping[str, JobPace], free: int, interval: int | None
) -> None:
    assert turnover_ms(Memory(ledger=EMPTY, paces=paces), free=free, now=NOW) == interval


@pytest.mark.parametrize(
    ("after_ms", "free", "others", "interval"),
    [
        (1_000, 0, {}, limits.RUN_END_POLL_MS),
        (1_000 + limits.RUN_ENDS_SOON_MS, 0, {}, limits.RUN_END_POLL_MS),
        (0, 0, {}, limits.POLL_SATURATED_MS),
        (1_001 + limits.RUN_ENDS_SOON_MS, 0, {}, limits.POLL_SATURATED_MS),
        (0, 1, {}, limits.PASS_EAGER_MS),
        (0, 0, {KEYS[3]: Entry(LATER)}, limits.PASS_EAGER_MS),
        (0, 0, {KEYS[3]: Entry(LATER, run=KEYS[3])}, limits.PASS_EAGER_MS),
    ],
    ids=["its end", "soon", "long before", "overdue", "free slot", "start alone", "another's run"],
)
def test_ends_of_runs_in_full_pool_are_awaited_about_their_time(
    after_ms: int, free: int, others: Mapping[EntryKey, Entry], interval: int | None
) -> None:
    """Any other may come at any time."""
    entries = {KEYS[0]: Entry(LATER, run=LEAD), KEYS[1]: Entry(LATER, run=LEAD), **others}
    memory = Memory(ledger=replace(EMPTY, entries=entries), runs={LEAD: SentRun(NOW, 10, 100.0)})
    now = EpochMs(NOW + after_ms)

    assert turnover_ms(memory, free=free, now=now) == interval


@pytest.mark.parametrize(
    ("runs", "interval"),
    [
        (limits.RUN_ENDS_FEW, limits.RUN_END_POLL_MS),
        (limits.RUN_ENDS_FEW + 1, limits.PASS_EAGER_MS),
    ],
)
def test_ends_of_many_runs_are_not_awaited_one_by_one(runs: int, interval: int) -> None:
    """One of them ends at any time."""
    keys = [EntryKey(an_id(n=number), 1) for number in range(runs)]
    entries = {key: Entry(LATER, run=key) for key in keys}
    sent = {key: SentRun(EpochMs(NOW - 1_000), 10, 100.0) for key in keys}
    memory = Memory(ledger=replace(EMPTY, entries=entries), runs=sent)

    assert turnover_ms(memory, free=0, now=NOW) == interval


@pytest.mark.parametrize(("starts", "within_ms"), [(4, 100), (10, 250), (20, 250)])
def test_end_of_short_run_is_foreseen_within_quarter_of_its_time(
    starts: int, within_ms: int
) -> None:
    """A full pool of short runs would await ends all the time."""
    run = SentRun(NOW, starts, 100.0)
    ends_at = NOW + 100 * starts

    assert run.ends_soon(EpochMs(ends_at - within_ms))
    assert not run.ends_soon(EpochMs(ends_at - within_ms - 1))
