"""A delivery of a run: what it makes, where it stops, and what it reports [WP-30]."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kit.doubles import TIMEOUT_MS
from tests.kit.records import TARGET
from tests.kit.stage import Stage
from tests.kit.stores import Died, lost_before, updates
from workpool_aws import RetryPolicy
from workpool_aws.api.run import RunStart, RunSteps, serve_run
from workpool_aws.core.loop.runs import longest_run_ms
from workpool_aws.core.report.claim import ClaimAnswer
from workpool_aws.flow.report.claim import ClaimUnanswered, take
from workpool_aws.flow.report.complete import complete
from workpool_aws.flow.report.follow_up import FollowUp
from workpool_aws.flow.report.notices import write_together
from workpool_aws.model.ids import time_of
from workpool_aws.model.loop import Notice
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State
from workpool_aws.model.writes import Write

RETRY = RetryPolicy(max_attempts=3, jitter=False)
TAKES_MS = 100


class Lost(Exception):
    """Carries a report that could not be written."""


class Delivery:
    """A run of work items whose events are on their way, and what one delivery of it does."""

    def __init__(self, count: int = 4) -> None:
        self.stage = Stage()
        self.stage.invoker.on_start = lambda _: None
        self.ids = self.stage.pool(max_parallelism=count).enqueue_action_batch(
            None, TARGET, [{}] * count, retry=RETRY
        )
        self.stage.run(1_000)
        self.events = sorted(self.stage.invoker.started, key=lambda each: each.work_id)
        self.performed: list[str] = []
        self.puts = 0
        self.kind = ReportKind.SUCCESS
        self.during: dict[int, Callable[[], object]] = {}

    def serve(self) -> None:
        steps = RunSteps(
            begin=lambda _start: None,
            take=self._take,
            perform=lambda start, token: self._perform(start.assignment, token),
            report=lambda start, report, later: complete(
                self.stage.ports, start.assignment, report, by="worker", later=later
            ),
            failed=lambda start, report: Lost(f"{start.assignment.work_id} {report.kind}"),
            put=lambda notices: write_together(self.stage.ports, notices),
        )
        starts = [RunStart(each, {}, {}) for each in self.events]
        if serve_run(self.stage.ports, starts, steps, remaining_ms=TIMEOUT_MS):
            FollowUp(self.stage.ports, self.events[0], "worker").kick()

    def _take(self, start: RunStart) -> ClaimAnswer | Exception:
        try:
            return take(self.stage.ports, start.assignment, remaining_ms=TIMEOUT_MS)
        except ClaimUnanswered:
            return Lost(f"{start.assignment.work_id} not claimed")

    def _perform(self, a: Assignment, token: str | None) -> Report:
        self.during.pop(len(self.performed), lambda: None)()
        self.performed.append(a.work_id)
        self.stage.clock.at += TAKES_MS
        result = '"ok"' if self.kind is ReportKind.SUCCESS else None
        return Report(kind=self.kind, result=result, claim=token, ran_ms=TAKES_MS)

    def states(self) -> list[State]:
        return [self.stage.work(each).state for each in self.ids]

    def notices(self) -> list[Notice]:
        return self.stage.dones()


def test_run_makes_each_start_and_puts_one_notice_for_all() -> None:
    """[WP-30] [WP-21]"""
    run = Delivery()
    run.serve()

    assert run.performed == [str(each) for each in run.ids]
    assert run.states() == [State.FINISHED] * 4
    (notice,) = run.notices()
    assert [one.work_id for one in notice.each()] == list(run.ids)
    assert {(one.outcome, one.ran_ms) for one in notice.each()} == {(Outcome.SUCCESS, TAKES_MS)}
    run.stage.run(5_000)
    assert run.stage.ledger().entries == {}


def test_second_delivery_of_run_stops_at_first_start_that_is_made() -> None:
    """[WP-30] [WP-1] Or two of a run would run at one time."""
    run = Delivery()
    run.during[0] = run.serve
    run.serve()

    assert run.performed == [str(each) for each in run.ids]


def test_run_stops_where_another_delivery_has_made_start() -> None:
    """[WP-30] [WP-1] That one goes on with it."""
    run = Delivery()
    run.stage.claim(run.events[1])
    run.serve()

    assert run.performed == [run.ids[0]]
    assert run.states() == [State.FINISHED, State.RUNNING, State.PENDING, State.PENDING]


def test_run_passes_over_what_was_canceled_before_it() -> None:
    """[WP-30] [WP-7] No other delivery runs that either."""
    run = Delivery()
    run.stage.pool().cancel(None, run.ids[1])
    run.serve()

    assert run.performed == [run.ids[0], run.ids[2], run.ids[3]]


def test_run_gives_back_what_it_does_not_reach_in_its_time() -> None:
    """[WP-30] [WP-29] The starts are spent, no attempt is, and the loop makes the next ones."""
    run = Delivery()

    def wait() -> None:
        run.stage.clock.at += longest_run_ms(TIMEOUT_MS)

    run.during[1] = wait
    run.serve()

    assert run.performed == list(run.ids[:2])
    back = [run.stage.work(each) for each in run.ids[2:]]
    assert [(work.state, work.starts, work.attempts_made, work.undelivered) for work in back] == [
        (State.PENDING, 1, 0, 1)
    ] * 2


def test_retries_of_run_have_notices_of_their_own() -> None:
    run = Delivery()
    run.kind = ReportKind.FAILED
    run.serve()

    assert run.states() == [State.PENDING] * 4
    assert [notice.more for notice in run.notices()] == [()] * 4


def test_report_that_cannot_be_written_ends_run_and_gives_next_start_back() -> None:
    """[WP-30] The next one was made at the same time, and its code will not run."""
    run = Delivery()
    run.during[0] = lambda: run.stage.store.plan(updates(WorkRef, "outcome"), lost_before)
    with pytest.raises(Lost):
        run.serve()

    assert run.performed == [run.ids[0]]
    second = run.stage.work(run.ids[1])
    assert (second.state, second.attempts_made, second.undelivered) == (State.PENDING, 0, 1)
    assert run.states()[2:] == [State.PENDING] * 2


@pytest.mark.parametrize(
    ("also_lost", "second"),
    [
        (updates(WorkRef, "starts"), "not claimed"),
        (updates(WorkRef, undelivered=1), "never_delivered"),
    ],
    ids=["claim of the next", "return of the next"],
)
def test_error_of_run_carries_both_reports_where_table_does_not_answer(
    also_lost: Callable[[Write], bool], second: str
) -> None:
    """[WP-30] The end of the one that ran, and that the next one will not run."""
    run = Delivery()

    def lose() -> None:
        for each in (also_lost, updates(WorkRef, "outcome")):
            run.stage.store.plan(each, lost_before)

    run.during[0] = lose
    with pytest.raises(Lost) as lost:
        run.serve()

    assert sorted(str(lost.value).splitlines()) == [
        f"{run.ids[0]} success",
        f"{run.ids[1]} {second}",
    ]


def test_process_that_next_code_ends_at_once_takes_no_end_of_run_with_it() -> None:
    """[WP-30] User code begins when the report of the last start is answered."""
    run = Delivery()

    def end_process() -> None:
        raise Died

    run.during[1] = end_process
    with pytest.raises(Died):
        run.serve()

    assert run.states() == [State.FINISHED, State.RUNNING, State.PENDING, State.PENDING]
    assert run.stage.work(run.ids[0]).outcome is Outcome.SUCCESS


def test_notices_of_run_that_last_longer_than_second_are_put_on_way() -> None:
    """[WP-20] Their callers wait for nothing, and the loop counts them."""
    run = Delivery(14)
    run.serve()

    assert [len(notice.each()) for notice in run.notices()] == [9, 5]


def test_notice_of_run_lies_where_it_was_put() -> None:
    """[WP-21] At the time of its first end the loop may have read past it."""
    run = Delivery()
    run.serve()

    (notice,) = run.notices()
    assert time_of(notice.at) == run.stage.clock.at
