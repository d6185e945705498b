"""Completion: put backs and reports that come late, twice, or for a work item that is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, POOL, a_running_work, an_assignment, an_id
from tests.kit.stage import NOT_DELIVERED, SUCCESS, Stage
from tests.kit.world import TABLE
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.flow.report.complete import complete
from workpool_aws.model.events import PutBack, ReportIgnored
from workpool_aws.model.messages import Report
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State

QUEUE = "arn:aws:sqs:us-east-1:123456789012:ends"


def test_put_back_of_work_that_is_gone_changes_nothing() -> None:
    """[WP-12]"""
    stage = Stage()

    changed = complete(
        stage.ports, an_assignment(work_id=an_id(NOW), pool=POOL), NOT_DELIVERED, by="destination"
    )

    assert not changed
    assert (stage.works(), stage.pointers(), stage.dones()) == ([], [], [])
    assert [event.work_id for event in stage.telemetry.of(ReportIgnored)] == [an_id(NOW)]


def test_late_put_back_is_not_reported_as_one() -> None:
    stage = Stage()
    stage.place(a_running_work(starts=2))

    changed = complete(stage.ports, an_assignment(start=1), NOT_DELIVERED, by="destination")

    assert not changed
    assert stage.telemetry.of(PutBack) == []
    assert [event.start for event in stage.telemetry.of(ReportIgnored)] == [1]


@pytest.mark.parametrize("report", [SUCCESS, NOT_DELIVERED], ids=["finished", "put back"])
def test_record_that_owes_nothing_is_kept_for_two_weeks(report: Report) -> None:
    """[WP-21] For a loop that stays away for as long as that; afterwards it would only be paid for."""
    stage = Stage()
    running = a_running_work()
    stage.place(running)

    complete(stage.ports, assignment_of(running, TABLE), report, by="worker")

    assert [done.expires_at for done in stage.dones()] == [NOW // 1000 + 14 * 86_400]


@pytest.mark.parametrize(
    ("size", "told", "reads"),
    [(10, (Outcome.SUCCESS,), 0), (20_000, (), 0), (20_000, (Outcome.SUCCESS,), 1)],
)
def test_work_is_read_at_its_end_only_where_callback_needs_what_transaction_does_not_answer(
    size: int, told: tuple[Outcome, ...], reads: int
) -> None:
    stage = Stage()
    running = a_running_work(
        claimed=False, on_complete=QUEUE if told else None, callback_outcomes=told
    )
    stage.place(running)

    complete(
        stage.ports,
        assignment_of(running, TABLE),
        replace(SUCCESS, result=f'"{"x" * size}"'),
        by="worker",
    )

    assert stage.work(running.id).outcome is Outcome.SUCCESS
    assert stage.notes.count("get WorkRef") == reads


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (CallbackState.SENT, CallbackState.SENT),
        (CallbackState.DELIVERED, None),
        (CallbackState.DEAD, None),
    ],
)
def test_second_report_does_not_call_back_again(
    state: CallbackState, told: CallbackState | None
) -> None:
    """[WP-8] The first one has; what is still to come of it, the loop must know."""
    stage = Stage()
    ended = a_running_work(
        state=State.FINISHED,
        outcome=Outcome.SUCCESS,
        on_complete=QUEUE,
        callback_outcomes=(Outcome.SUCCESS,),
        callback=state,
    )
    stage.place(ended)

    complete(stage.ports, assignment_of(ended, TABLE), SUCCESS, by="worker")

    assert stage.ports.messenger.sent == []
    assert [done.callback for done in stage.dones()] == [told]


def test_put_back_of_older_start_changes_nothing(stage: Stage) -> None:
    """[WP-4]"""
    running = a_running_work(starts=2)
    stage.place(running)

    stage.complete(assignment_of(replace(running, starts=1), "jobs"), NOT_DELIVERED)

    assert stage.work(running.id) == running
