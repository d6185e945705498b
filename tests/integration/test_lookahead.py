"""Rows ahead of a loop that rests: more of them than a pass looks through."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_work, an_id
from tests.kit.stage import LAMBDA_MS, Stage
from workpool_aws.core import limits
from workpool_aws.core.loop.pace import PassResult
from workpool_aws.flow.loop.rest import rest
from workpool_aws.flow.loop.session import acquire_session
from workpool_aws.model.events import (
    LoopTook,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Config, LoopState
from workpool_aws.model.work import State, WorkItem

OVER = 2 * limits.LOOKAHEAD_ROWS_MAX
"""More rows than a pass looks through."""


def over(stage: Stage, first_at: int) -> None:
    """Canceled work items lie in the loop's way."""
    stage.place(*(a_work(id=an_id(first_at + n, n + 1), state=State.FINISHED) for n in range(OVER)))


OVERDUE, LATER = (a_work(id=an_id(at, 99), due_at=at) for at in (NOW - 1_000, NOW + 7_200_000))
CALLED_OFF = Config(
    pool=POOL, version=1, max_parallelism=1, base_by="x", base_at=NOW, epoch=2, epoch_at=NOW
)


def test_work_due_soon_behind_finished_ones_keeps_loop_up(stage: Stage) -> None:
    """[WP-20]"""
    over(stage, NOW + 20_000)
    work_id = stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=40))
    stage.run(45_000)

    assert [event.generation for event in stage.telemetry.of(LoopTook)] == [1]
    assert 0 <= (stage.work(work_id).started_at or 0) - (NOW + 40_000) <= 1_000


def test_work_due_late_behind_finished_ones_is_waited_for(stage: Stage) -> None:
    """[WP-20] [WP-22]"""
    over(stage, NOW + 1_800_000)
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
    stage.run(60_000)

    assert (stage.status().state, stage.status().wake_at) == (LoopState.WAITING, NOW + 3_600_000)


@pytest.mark.parametrize(
    ("there", "config", "goes_on", "state", "wake_at"),
    [
        (OVERDUE, None, True, LoopState.RUNNING, None),
        (OVERDUE, CALLED_OFF, True, LoopState.RUNNING, None),
        (LATER, None, False, LoopState.WAITING, LATER.due_at),
        (None, None, False, LoopState.IDLE, None),
    ],
    ids=["due", "to be canceled", "due later", "nothing"],
)
def test_rest_looks_for_what_no_pass_has_seen(
    stage: Stage,
    there: WorkItem | None,
    config: Config | None,
    *,
    goes_on: bool,
    state: LoopState,
    wake_at: int | None,
) -> None:
    """[WP-20] [WP-22] By the loop of the same generation, which has not said yet that it rests."""
    stage.resting_as(LoopState.RUNNING, generation=3)
    hold = acquire_session(stage.ports, POOL, 3, lambda: LAMBDA_MS)
    assert hold is not None
    over(stage, NOW + 3_600_000)
    if there is not None:
        stage.place(there)
    if config is not None:
        stage.place(config)
        hold.memory = replace(hold.memory, config=config)

    version = 0 if config is None else config.version
    done = PassResult(
        free=5,
        next_due=EpochMs(NOW + 3_600_000),
        progress=False,
        busy=False,
        config_version=version,
        cut=True,
    )
    assert rest(hold, done) is goes_on
    assert (stage.generation(), stage.status().state, stage.status().wake_at) == (3, state, wake_at)


def test_pool_does_not_wait_for_works_that_are_over(stage: Stage) -> None:
    """[WP-22] More rows ahead than one pass looks through, all of them canceled."""
    far = NOW + 3_600_000
    stage.place(
        *(
            a_work(id=an_id(far + n, n + 1), state=State.FINISHED)
            for n in range(2 * limits.LOOKAHEAD_ROWS_MAX)
        )
    )
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)

    assert (stage.status().state, stage.status().wake_at) == (LoopState.IDLE, None)
