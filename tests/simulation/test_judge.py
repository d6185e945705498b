"""The judge itself: it must see every broken promise that it is there for, and nothing in a life that keeps them."""

from dataclasses import replace
from typing import Any

import pytest

from tests.kit.records import NOW, a_policy, a_running_work, a_work, an_assignment, an_id, changed
from tests.simulation.forger import MARK
from tests.simulation.judge import Judge
from tests.simulation.sweep import run_of_seed
from workpool_aws.core.work.end import CancelAnswer
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import Config, Entry, EntryKey, Ledger
from workpool_aws.model.messages import Assignment
from workpool_aws.model.payload import Inline
from workpool_aws.model.record import Record
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem

LATER = EpochMs(NOW + 60_000)
DECORATED = "decorated"
PLAIN = "plain"


class Court:
    """A judge with a clock that a test sets."""

    def __init__(self, *, once: bool = False, in_time: bool = False) -> None:
        self.now = NOW
        self.judge = Judge(
            lambda: self.now,
            lambda: 0,
            lambda: "workpool-loop#1",
            decorated={DECORATED},
            once=once,
            in_time=in_time,
        )

    @property
    def rules(self) -> list[str]:
        return [violation.rule for violation in self.judge.violations]

    def shows(self, *records: Record) -> None:
        """Each record is written over the one of its name."""
        stood: dict[str, Record] = {}
        for record in records:
            name = f"{type(record).__name__} {getattr(record, 'id', '')}"
            self.judge.seen(stood.get(name), record)
            stood[name] = record


@pytest.fixture
def court() -> Court:
    return Court()


def pending(**changes: object) -> WorkItem:
    return a_work(due_at=NOW, **changes)


def running(start: int = 1, **changes: object) -> WorkItem:
    return a_running_work(starts=start, **changes)


def success(work: WorkItem) -> WorkItem:
    result = f'{{"start":{work.starts}}}'
    return changed(
        work,
        state=State.FINISHED,
        outcome=Outcome.SUCCESS,
        result=Inline(result),
        attempts_made=1,
        claim=None,
        deadline=None,
    )


def ledger(version: int, *starts: int, **changes: Any) -> Ledger:
    entries = {EntryKey(an_id(n=start), start): Entry(LATER) for start in starts}
    made = Ledger(
        pool="email",
        holder="loop-1",
        generation=1,
        version=version,
        entries=entries,
        committed_by=f"pass-{version}",
    )
    return replace(made, **changes)


def config(limit: int) -> Config:
    return Config(pool="email", version=1, max_parallelism=limit, base_by="test", base_at=NOW)


def assignment(start: int = 1, **changes: object) -> Assignment:
    return replace(an_assignment(**changes), start=start)


def test_life_that_keeps_every_promise_is_not_blamed(court: Court) -> None:
    court.shows(config(1), pending(), ledger(1), ledger(2, 1), running())
    execution = court.judge.begins(assignment(claimed=False), DECORATED, 20_000)
    court.judge.ends(execution, by_itself=True)
    court.shows(running(), success(running()))

    assert court.judge.violations == []


@pytest.mark.parametrize(
    ("records", "rule"),
    [
        ([config(1), ledger(1), ledger(2, 1, 2)], "WP-1"),
        ([config(9), running(), ledger(1, 1), ledger(2)], "WP-1"),
        ([ledger(1, generation=2), ledger(2)], "WP-2"),
        ([ledger(1), ledger(2, holder="loop-2")], "WP-2"),
        ([ledger(2), ledger(2)], "WP-2"),
        ([ledger(1), ledger(2, 1, committed_by="pass-1")], "WP-2"),
        ([ledger(1), pending(), running()], "WP-2"),
        ([ledger(1, 1, 2), pending(starts=0), running(start=2)], "WP-4"),
        ([running(start=1), running(start=2)], "WP-4"),
        ([pending(attempts_made=1, retry=a_policy()), pending(retry=a_policy())], "WP-4"),
        ([running(start=2), replace(success(running(start=1)), starts=2)], "WP-4"),
        ([pending(attempts_made=2)], "WP-5"),
        ([success(running()), changed(success(running()), outcome=Outcome.FAILED)], "WP-6"),
        ([success(running()), pending(starts=1, attempts_made=1)], "WP-6"),
        ([running(expires_at=1)], "WP-10"),
    ],
)
def test_write_that_breaks_promise_is_seen(court: Court, records: list[Record], rule: str) -> None:
    court.shows(*records)

    assert rule in court.rules


@pytest.mark.parametrize("told", [True, False])
def test_slot_is_not_free_before_its_user_code_is_over(court: Court, *, told: bool) -> None:
    """A process killed this instant notes it a little later in it, so its slot was not free before."""
    first, second, third = (a_work(id=an_id(n=n), due_at=NOW) for n in (1, 2, 3))
    court.shows(config(1), first, second, third)
    for number, work in enumerate((first, second, third)):
        court.now = EpochMs(NOW + 20_000 * number)
        court.shows(
            ledger(1, 1, 2, 3), work, replace(work, state=State.RUNNING, starts=1, deadline=LATER)
        )
        if work is first or told:
            execution = court.judge.begins(
                assignment(work_id=work.id, claimed=False), DECORATED, 20_000
            )
            court.now = EpochMs(NOW + 20_000 * (number + 1))
            court.judge.ends(execution, by_itself=True)

    assert court.judge.lags_ms[-1] == 0


def test_slot_whose_start_never_ran_is_free_when_that_is_recorded(court: Court) -> None:
    """Put back or refused: were it taken for full, no later start could be late."""
    first, second = (a_work(id=an_id(n=n), due_at=NOW) for n in (1, 2))
    started = replace(first, state=State.RUNNING, starts=1, deadline=LATER)
    court.shows(config(1), first, second, ledger(1, 1), started, replace(first, starts=1))
    court.now = EpochMs(NOW + 20_000)
    court.shows(
        ledger(2, 2), second, replace(second, state=State.RUNNING, starts=1, deadline=LATER)
    )

    assert court.judge.lags_ms[-1] == 20_000


def a_canceled_work(court: Court, before: WorkItem) -> WorkId:
    after = replace(
        before, state=State.FINISHED, outcome=Outcome.CANCELED, callback=CallbackState.PENDING
    )
    court.judge.seen(None, before)
    court.judge.seen(before, after)
    return after.id


def test_callback_is_excused_where_cancel_of_pending_work_had_no_answer(
    court: Court,
) -> None:
    waiting = a_canceled_work(court, pending())
    unasked = court.judge.is_excused(waiting)
    court.judge.cancel_asked(waiting)
    asked = court.judge.is_excused(waiting)
    court.judge.cancel_answered(waiting, CancelAnswer.CANCELED)

    assert (unasked, asked, court.judge.is_excused(waiting)) == (False, True, False)


def test_callback_is_not_excused_where_start_came_to_its_end(court: Court) -> None:
    """Its entry stands for it until a loop has seen to it, whatever was asked meanwhile."""
    ran = a_canceled_work(court, running())
    court.judge.cancel_asked(ran)

    assert not court.judge.is_excused(ran)


def test_callback_is_excused_as_long_as_redrive_has_no_answer(court: Court) -> None:
    excused = []
    for step in (
        court.judge.redrive_asked,
        court.judge.redrive_asked,
        court.judge.redrive_answered,
        court.judge.redrive_answered,
    ):
        step(an_id())
        excused.append(court.judge.is_excused(an_id()))

    assert excused == [True, True, True, False]


def test_slot_of_higher_limit_is_free_from_its_write_on(court: Court) -> None:
    """Nor since the change before: a start that waited for the only slot did not wait for this one."""
    first, second = (a_work(id=an_id(n=n), due_at=NOW) for n in (1, 2))
    court.shows(
        config(1),
        first,
        second,
        ledger(1, 1),
        replace(first, state=State.RUNNING, starts=1, deadline=LATER),
    )
    court.now = EpochMs(NOW + 20_000)
    court.shows(
        config(2),
        ledger(1, 1, 2),
        second,
        replace(second, state=State.RUNNING, starts=1, deadline=LATER),
    )

    assert court.judge.lags_ms[-1] == 0


def test_deleted_work_is_seen(court: Court) -> None:
    court.judge.seen(pending(), None)

    assert court.rules == ["WP-3"]


def test_start_after_cancel_is_seen(court: Court) -> None:
    canceled = pending(outcome=Outcome.CANCELED)
    court.shows(ledger(1, 1), canceled)
    court.judge.cancel_answered(canceled.id, CancelAnswer.CANCELED)
    court.judge.seen(pending(), running())

    assert court.rules == ["WP-7"]


def test_start_after_requested_cancel_is_seen(court: Court) -> None:
    court.shows(ledger(1, 1), running(start=0))
    court.judge.cancel_answered(running().id, CancelAnswer.REQUESTED)
    court.judge.seen(pending(starts=0), running(start=1))

    assert court.rules == ["WP-7"]


def test_commit_by_limit_that_was_answered_away_is_seen(court: Court) -> None:
    court.shows(config(2), ledger(1), ledger(2, 1))
    court.judge.seen(config(2), config(0))
    court.judge.config_answered("email")
    court.judge.seen(ledger(2), ledger(3, 2))

    assert court.rules == ["WP-1"]


def test_commit_by_limit_that_is_being_changed_is_none(court: Court) -> None:
    court.shows(config(2), ledger(1))
    court.judge.seen(config(2), config(0))
    court.judge.seen(ledger(1), ledger(2, 1))

    assert court.rules == []


def test_claimed_work_that_runs_again_is_seen(court: Court) -> None:
    court.shows(config(9), running(claim="worker-1"))
    for _ in range(2):
        court.judge.ends(court.judge.begins(assignment(), DECORATED, 20_000), by_itself=True)

    assert court.rules == ["WP-5", "WP-29"]


def test_claimed_work_that_runs_without_claim_is_seen(court: Court) -> None:
    """[WP-29]"""
    court.shows(config(9), running())
    court.judge.begins(assignment(), DECORATED, 20_000)

    assert court.rules == ["WP-29"]


def test_start_of_retried_work_that_runs_twice_is_seen(court: Court) -> None:
    """[WP-29] Its worker made the start, so no other delivery may."""
    court.shows(config(9), running(claimed=False, claim="worker-1"))
    for _ in range(2):
        begun = court.judge.begins(assignment(claimed=False, permit="permit"), DECORATED, 20_000)
        court.judge.ends(begun, by_itself=True)

    assert court.rules == ["WP-29"]


def test_run_for_forged_event_is_seen(court: Court) -> None:
    """[WP-28]"""
    court.shows(config(9), running(claimed=False, claim="worker-1"))
    court.judge.begins(assignment(claimed=False, nonce=f"{MARK}AA"), DECORATED, 20_000)

    assert court.rules == ["WP-28"]


def test_attempt_too_many_is_seen(court: Court) -> None:
    court.shows(config(9), running(claimed=False))
    court.judge.begins(assignment(claimed=False, attempts_made=1), PLAIN, 20_000)

    assert court.rules == ["WP-5"]


def test_undecorated_work_may_run_twice_where_events_are_doubled(court: Court) -> None:
    court.shows(config(1), running())
    for _ in range(2):
        court.judge.begins(assignment(), PLAIN, 20_000)

    assert court.rules == []


def test_judge_sees_work_that_runs_twice_without_doubled_events() -> None:
    court = Court(once=True)
    court.shows(config(9), running())
    for _ in range(2):
        court.judge.begins(assignment(), PLAIN, 20_000)

    assert court.rules == ["WP-4"]


def test_judge_sees_more_claimed_works_than_were_allowed(court: Court) -> None:
    works = [running(id=an_id(n=n), claim=f"worker-{n}") for n in (1, 2)]
    court.shows(config(1), *works)
    for work in works:
        court.judge.begins(assignment(work_id=work.id), DECORATED, 20_000)

    assert court.rules == ["WP-1"]


def recovered(work: WorkItem) -> WorkItem:
    return replace(
        work,
        state=State.FINISHED,
        outcome=Outcome.FAILED,
        dead="dead",
        error_type="no_report",
        error="no report arrived before the deadline",
    )


def test_recovery_that_is_too_early_is_seen(court: Court) -> None:
    court.now = EpochMs(LATER + 4_000)
    court.shows(running(), recovered(running()))

    assert court.rules == ["WP-14"]


def test_recovery_in_time_is_none(court: Court) -> None:
    court.now = EpochMs(LATER + 4_001)
    court.shows(running(), recovered(running()))

    assert court.rules == []


def test_recovery_beside_running_code_is_seen(court: Court) -> None:
    court.now = EpochMs(LATER + 10_000)
    court.shows(config(9), running(claimed=False))
    court.judge.begins(assignment(claimed=False), DECORATED, 20_000)
    court.judge.seen(running(), recovered(running()))

    assert court.rules == ["WP-14"]


def test_code_that_begins_after_its_recovery_is_seen(court: Court) -> None:
    court.now = EpochMs(LATER + 10_000)
    court.shows(config(9), running(claimed=False), recovered(running(claimed=False)))
    court.judge.begins(assignment(claimed=False), DECORATED, 20_000)

    assert court.rules == ["WP-14"]


def court_with_works(court: Court, *numbers: int) -> list[WorkId]:
    ids = [an_id(n=number) for number in numbers]
    court.shows(config(3), ledger(1), *(a_work(id=each, due_at=NOW) for each in ids))
    return ids


def test_start_that_is_committed_after_cancel_all_was_answered_is_seen(court: Court) -> None:
    court.judge.enqueue_asked("email")(court_with_works(court, 1))
    court.judge.cancel_all_asked("email")()

    court.judge.seen(ledger(1), ledger(2, 1))

    assert court.rules == ["WP-13"]


def test_judge_sees_called_off_work_that_is_not_canceled(court: Court) -> None:
    court.judge.enqueue_asked("email")(court_with_works(court, 1, 2))
    court.judge.seen(ledger(1), ledger(2, 1))
    court.judge.cancel_all_asked("email")()

    court.judge.judge_call_offs()

    assert court.rules == ["WP-13"]
    assert an_id(n=2) in court.judge.violations[0].what, "the other one was committed before"


@pytest.mark.parametrize(("left_ms", "rules"), [(0, []), (1, ["WP-13"])])
def test_called_off_work_may_end_by_expiry_that_was_over_when_it_was_answered(
    court: Court, left_ms: int, rules: list[str]
) -> None:
    pending = a_work(id=an_id(n=1), due_at=NOW)
    pending = replace(pending, spec=replace(pending.spec, expires_after_ms=1_000))
    court.shows(config(3), ledger(1), pending)
    court.judge.enqueue_asked("email")([pending.id])
    court.now = EpochMs(NOW + 1_000 - left_ms)
    court.judge.cancel_all_asked("email")()

    court.judge.judge_call_offs()

    assert court.rules == rules


@pytest.mark.parametrize(
    ("after_ms", "error_type", "rules"),
    [(3_000, "expired", []), (3_001, "expired", ["WP-13"]), (0, "ValueError", ["WP-13"])],
)
def test_called_off_work_may_expire_until_loop_has_read_of_it(
    court: Court, after_ms: int, error_type: str, rules: list[str]
) -> None:
    """Seed 40131."""
    pending = a_work(id=an_id(n=1), due_at=NOW, expires_after_ms=1)
    court.shows(config(3), ledger(1), pending)
    court.judge.enqueue_asked("email")([pending.id])
    court.now = NOW
    court.judge.cancel_all_asked("email")()
    over = replace(
        pending,
        state=State.FINISHED,
        outcome=Outcome.FAILED,
        error_type=error_type,
        finished_at=EpochMs(NOW + after_ms),
    )
    court.judge.works[pending.id] = over

    court.judge.judge_call_offs()

    assert court.rules == rules


@pytest.mark.parametrize(
    ("asked_at", "answered", "rules"),
    [
        ("before the enqueue", True, ["WP-3"]),
        ("before the enqueue", False, []),
        ("during the enqueue", True, []),
        ("after the enqueue", True, []),
    ],
)
def test_work_that_came_after_cancel_all_and_is_canceled_with_it_is_seen(
    court: Court, asked_at: str, answered: bool, rules: list[str]
) -> None:
    def cancel_all(moment: str) -> None:
        if moment == asked_at:
            said = court.judge.cancel_all_asked("email")
            if answered:
                said()

    cancel_all("before the enqueue")
    acknowledged = court.judge.enqueue_asked("email")
    ids = court_with_works(court, 1)
    cancel_all("during the enqueue")
    acknowledged(ids)
    cancel_all("after the enqueue")
    work = a_work(id=ids[0], due_at=NOW)
    court.judge.seen(work, replace(work, state=State.FINISHED, outcome=Outcome.CANCELED))

    court.judge.judge_call_offs()

    assert court.rules == rules


def test_second_redrive_is_answered_with_work_that_may_be_canceled(court: Court) -> None:
    ids = court_with_works(court, 1)
    court.judge.cancel_all_asked("email")()
    court.judge.enqueue_asked("email")(ids)
    work = a_work(id=ids[0], due_at=NOW)
    court.judge.seen(work, replace(work, state=State.FINISHED, outcome=Outcome.CANCELED))

    court.judge.judge_call_offs()

    assert court.rules == []


def test_failure_that_is_no_dead_letter_is_seen(court: Court) -> None:
    court.shows(running(), changed(success(running()), outcome=Outcome.FAILED, result=None))

    assert "WP-8" in court.rules


@pytest.mark.parametrize(("asked", "rules"), [(True, []), (False, ["WP-8"])])
def test_dead_callback_is_owed_again_only_for_who_asked(
    court: Court, asked: bool, rules: list[str]
) -> None:
    ended = changed(
        success(running()),
        callback=CallbackState.DEAD,
        callback_outcomes=(Outcome.SUCCESS,),
        dead="dead",
    )
    if asked:
        court.judge.redrive_asked(ended.id)

    court.judge.seen(ended, replace(ended, callback=CallbackState.PENDING, dead=None))

    assert court.rules == rules


def test_snooze_that_spends_attempt_is_blamed(court: Court) -> None:
    court.shows(
        pending(), ledger(2, 1), running(), replace(pending(), starts=1, snoozes=1, attempts_made=1)
    )

    assert "WP-5" in court.rules


def test_hundred_and_one_snoozes_in_row_are_blamed(court: Court) -> None:
    worn = running(snoozes=100)
    court.shows(pending(), ledger(2, 1), worn, replace(pending(), starts=1, snoozes=101))

    assert "WP-5" in court.rules


def test_judge_blames_forged_end(court: Court) -> None:
    """[WP-28]"""
    court.shows(
        pending(),
        ledger(2, 1),
        running(),
        changed(success(running()), result='{"start":1,"by":"Forged"}'),
    )

    assert court.rules == ["WP-28"]


def test_late_write_is_not_laid_to_process_that_reads_meanwhile() -> None:
    """A caller that stores nothing gave way just when the ledger of a loop landed."""
    run = run_of_seed(61_158)

    assert run.violation is None, run.report()
    assert run.faults["write late"] > 0
