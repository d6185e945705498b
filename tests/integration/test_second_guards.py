"""Guards that stand behind another one: no fault reaches them while the first holds, so each is shown alone."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from tests.kit.records import (
    NOW,
    PROOF,
    TARGET,
    a_policy,
    a_running_work,
    a_work,
    an_assignment,
    an_id,
)
from tests.kit.stage import FAILED, Stage
from tests.kit.stores import first, updates
from workpool_aws.core.loop.recover import Begin, Drop, judge_entry
from workpool_aws.core.loop.start import Look, Taken, classify, start_write
from workpool_aws.core.report.complete import decide_canceled, must_cancel
from workpool_aws.model.events import LoopFenced
from workpool_aws.model.loop import EntryKey, LoopState
from workpool_aws.model.refs import StatusRef, Unreadable
from workpool_aws.model.work import State, WorkItem
from workpool_aws.ports import ConditionFailed


def test_a_start_begins_unclaimed_whatever_the_one_before_left() -> None:
    """[WP-5] Every way back to pending clears the claim, too."""
    stage = Stage()
    work = a_work(claim="of the start before")
    stage.place(work)
    stage.store.write(
        start_write(work, 1, token="t", proof=PROOF, timeout_ms=1, event_age_ms=1, now=NOW)
    )

    assert stage.work(work.id).claim is None


def test_a_pending_work_that_somebody_asked_to_cancel_is_not_begun() -> None:
    """[WP-7] None ever is: a retry and a put back are refused where a cancel was asked for."""
    work = a_work(cancel_requested=True)

    assert classify(work.id, work, taken=Taken((), frozenset()), now=NOW) is Look.SKIP
    assert isinstance(
        judge_entry(EntryKey(work.id, 1), work, deadline=NOW, token="t", sent=False, now=NOW), Drop
    )
    assert isinstance(
        judge_entry(EntryKey(work.id, 1), a_work(), deadline=NOW, token="t", sent=False, now=NOW),
        Begin,
    )


@pytest.mark.parametrize("asked", [True, False])
def test_only_what_somebody_asked_to_cancel_ends_as_canceled(*, asked: bool) -> None:
    """[WP-7] The decision to end it so is only taken when that was seen, and nobody takes a request back."""
    stage = Stage()
    work = a_running_work(claimed=False, retry=a_policy(), cancel_requested=asked)
    stage.place(work)
    write = decide_canceled(an_assignment(claimed=False, retry=a_policy()), FAILED, now=NOW).write

    with nullcontext() if asked else pytest.raises(ConditionFailed):
        stage.store.write(write)
    assert (stage.work(work.id).state is State.FINISHED) is asked


@pytest.mark.parametrize(
    ("work", "must"),
    [
        (a_running_work(cancel_requested=True), True),
        (a_running_work(), False),
        (a_running_work(cancel_requested=True, starts=2), False),
        (a_running_work(cancel_requested=True, state=State.FINISHED), False),
        (Unreadable("p", "s", "bad"), False),
        (None, False),
    ],
)
def test_a_refused_retry_ends_as_canceled_only_while_this_start_runs_and_was_asked_to(
    work: WorkItem | Unreadable | None, *, must: bool
) -> None:
    """[WP-7] The write that follows is bound to all of it once more."""
    assert must_cancel(work, an_assignment(work_id=an_id())) is must


def test_a_status_write_finds_the_state_that_it_leaves() -> None:
    """[WP-2] Whoever else changes the state takes the next generation, too."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    resting = updates(StatusRef, state=LoopState.IDLE)
    stage.store.plan(
        resting, first(lambda: stage.place(replace(stage.status(), state=LoopState.WAITING)))
    )
    stage.run(20_000)

    assert stage.status().state is LoopState.WAITING
    assert len(stage.telemetry.of(LoopFenced)) == 1
