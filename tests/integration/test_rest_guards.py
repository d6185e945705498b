"""Rest, hand-over, recovery and kicks: guards that only save a request, or that only one more fault would show."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_work, an_id
from tests.kit.stage import LAMBDA_MS, Stage
from tests.kit.stores import first, then, updates
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core import limits
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.flow.loop.rest import rest
from workpool_aws.flow.loop.session import acquire_session
from workpool_aws.flow.pool.kick import kick
from workpool_aws.model.events import (
    ControlRepaired,
    Kicked,
    KickFailed,
    LoopFenced,
    LoopRested,
    LoopTook,
    TimerFailed,
    WatchdogActed,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Config, LoopState
from workpool_aws.model.refs import LedgerRef, StatusRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.ports import InvokeRefused, InvokeThrottled

OVER = 2 * limits.LOOKAHEAD_ROWS_MAX
"""More rows than a pass looks through."""


@pytest.fixture
def stage() -> Stage:
    return Stage()


def over(stage: Stage, first_at: int) -> None:
    """Canceled works lie in the loop's way."""
    stage.place(*(a_work(id=an_id(first_at + n, n + 1), state=State.FINISHED) for n in range(OVER)))


def test_behind_works_that_are_over_one_that_is_due_soon_keeps_the_loop_up(stage: Stage) -> None:
    """[WP-20]"""
    over(stage, NOW + 20_000)
    work_id = stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=40))
    stage.run(45_000)

    assert [event.generation for event in stage.telemetry.of(LoopTook)] == [1]
    assert 0 <= (stage.work(work_id).started_at or 0) - (NOW + 40_000) <= 1_000


def test_behind_works_that_are_over_one_that_is_due_late_is_waited_for(stage: Stage) -> None:
    """[WP-20] [WP-22]"""
    over(stage, NOW + 1_800_000)
    stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
    stage.run(60_000)

    assert (stage.status().state, stage.status().wake_at) == (LoopState.WAITING, NOW + 3_600_000)


def test_a_wake_that_cannot_be_taken_back_hinders_no_rest(stage: Stage) -> None:
    """[WP-22] It comes for nothing."""
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
    stage.run(60_000)
    stage.timer.broken = True
    pool.cancel(None, work_id)
    pool.enqueue_action(None, TARGET, {})
    stage.run(60_000)

    assert stage.status().state is LoopState.IDLE
    assert stage.telemetry.of(LoopRested)[-1].state == "idle"
    assert len(stage.telemetry.of(TimerFailed)) == 1


def test_a_loop_that_takes_itself_back_has_a_whole_lease(stage: Stage) -> None:
    """[WP-20] Else the watchdog would start another beside it."""
    stage.pool().enqueue_action(None, TARGET, {})
    late = a_work(id=an_id(NOW - 3_000, 7), due_at=NOW - 3_000)
    rested: list[int] = []

    def meanwhile() -> None:
        rested.append(stage.clock.at)
        stage.place(late)

    stage.store.plan(updates(StatusRef, state=LoopState.IDLE), then(meanwhile))
    stage.run(10_000)

    assert stage.status().lease_until == rested[0] + limits.LEASE_MS


def test_the_next_generation_gets_a_whole_lease(stage: Stage) -> None:
    """[WP-20]"""
    stage.takes_ms = 50
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 300)
    stage.serve(stage.invoker.loops.pop(), lives_ms=40_000)

    assert (stage.generation(), stage.status().lease_until) == (2, stage.clock.at + limits.LEASE_MS)


def test_a_loop_that_cannot_hand_over_because_it_was_overtaken_says_so(stage: Stage) -> None:
    """[WP-2]"""
    stage.takes_ms = 50
    stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 300)
    stage.after(15_000, lambda: stage.resting_as(LoopState.RUNNING, generation=7))
    stage.serve(stage.invoker.loops.pop(), lives_ms=40_000)

    assert [event.generation for event in stage.telemetry.of(LoopFenced)] == [1]
    assert stage.invoker.loops == []


@pytest.mark.parametrize("throttles", range(limits.INVOKE_TRIES + 1))
def test_a_throttled_kick_waits_between_its_tries_and_gives_up(
    stage: Stage, throttles: int
) -> None:
    """[WP-24] An enqueue must not hang on it: the watchdog does the rest."""
    stage.invoker.refuses_loop = [InvokeThrottled()] * throttles
    kick(stage.ports, POOL, KickReason.ENQUEUE, due=EpochMs(NOW))
    kicked = throttles < limits.INVOKE_TRIES

    assert (
        len(stage.invoker.loops),
        len(stage.telemetry.of(Kicked)),
        len(stage.telemetry.of(KickFailed)),
    ) == (kicked, kicked, not kicked)
    assert stage.clock.slept_ms == [limits.INVOKE_RETRY_MS] * min(
        throttles, limits.INVOKE_TRIES - 1
    )


def test_a_refused_kick_is_not_tried_again(stage: Stage) -> None:
    stage.invoker.refuses_loop = [InvokeRefused("no such function", lasting=True)]
    kick(stage.ports, POOL, KickReason.ENQUEUE, due=EpochMs(NOW))

    assert stage.invoker.loops == []
    assert [event.error for event in stage.telemetry.of(KickFailed)] == ["no such function"]


def test_a_tick_over_a_pool_at_rest_reads_nothing_of_its_last_burst(stage: Stage) -> None:
    """[WP-22] Each minute of the night it would be paid for again."""
    stage.takes_ms = 10
    stage.pool(max_parallelism=50).enqueue_action_batch(None, TARGET, [{}] * 300)
    stage.run(180_000)
    stage.clock.at = (stage.clock.at // 3_600_000) * 3_600_000 + 3_600_000 + 600_000
    before = stage.memory.meter.snapshot().read_units
    stage.watch()

    assert stage.status().state is LoopState.IDLE
    assert stage.memory.meter.snapshot().read_units - before <= 10


OVERDUE, LATER = (a_work(id=an_id(at, 99), due_at=at) for at in (NOW - 1_000, NOW + 7_200_000))
CALLED_OFF = Config(
    pool=POOL, version=1, max_parallelism=1, base_by="x", base_at=NOW, epoch=2, epoch_at=NOW
)


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
def test_what_no_pass_has_looked_far_enough_to_see_is_looked_for_before_rest(
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
    assert rest(hold, 5, EpochMs(NOW + 3_600_000), config_version=version, cut=True) is goes_on
    assert (stage.generation(), stage.status().state, stage.status().wake_at) == (3, state, wake_at)


def test_a_kick_of_a_pool_whose_status_is_damaged_writes_it_anew(stage: Stage) -> None:
    """[WP-12] [WP-24] Told once; the epoch goes on from the config's, one ahead, since that is how far the status may have been."""
    key = key_of(StatusRef(POOL))
    stage.place(
        Config(
            pool=POOL, version=1, max_parallelism=1, base_by="x", base_at=NOW, epoch=3, epoch_at=NOW
        )
    )
    stage.memory.inject(key.pk, key.sk, {"kind": "no such thing"})
    for _ in range(2):
        kick(stage.ports, POOL, KickReason.ENQUEUE, due=EpochMs(NOW))

    assert (stage.status().state, stage.status().epoch) == (LoopState.RUNNING, 4)
    assert len(stage.invoker.loops) == 1
    assert [(event.item, event.pool) for event in stage.telemetry.of(ControlRepaired)] == [
        ("status", POOL)
    ]


def test_a_kick_whose_status_goes_meanwhile_starts_nothing(stage: Stage) -> None:
    """[WP-2] It judged what is not there any more."""
    stage.resting_as(LoopState.IDLE)
    stage.store.plan(
        updates(StatusRef, state=LoopState.RUNNING),
        first(lambda: stage.memory.delete(StatusRef(POOL))),
    )
    kick(stage.ports, POOL, KickReason.ENQUEUE, due=EpochMs(NOW))

    assert stage.invoker.loops == []


def test_a_tick_over_a_pool_at_rest_reads_nothing_of_what_came_to_be_over(stage: Stage) -> None:
    """[WP-22] Canceled before they were due, they lie beyond the cursor for good: each minute of the night would read all of them."""
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    stage.place(
        *(a_work(id=an_id(NOW + 120_000 + n, n + 1), state=State.FINISHED) for n in range(500))
    )
    stage.clock.at = (stage.clock.at // 3_600_000) * 3_600_000 + 3_600_000 + 600_000
    before = stage.memory.meter.snapshot().read_units
    stage.watch()

    assert stage.memory.meter.snapshot().read_units - before <= 10


def test_the_hourly_look_at_a_pool_that_never_had_a_loop_finds_nothing(stage: Stage) -> None:
    """[WP-12]"""
    stage.pool().configure(None, paused=True)
    stage.resting_as(LoopState.IDLE)
    stage.memory.delete(LedgerRef(POOL))
    stage.clock.at = (stage.clock.at // 3_600_000 + 1) * 3_600_000
    stage.watch()

    assert stage.telemetry.of(WatchdogActed) == []
    assert stage.pointers() == []
