"""A pool whose status item was removed by hand: what is left of it is enough to go on from."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.kit.records import POOL, TARGET
from tests.kit.stage import Stage
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Config, LoopState, LoopStatus
from workpool_aws.model.refs import ConfigRef, StatusRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State


def worn_in(stage: Stage) -> None:
    """Its loop has been through some generations, and a caller has canceled all twice."""
    pool = stage.pool()
    for _ in range(3):
        pool.enqueue_action(None, TARGET, {})
        stage.run(60_000)
    for _ in range(2):
        pool.cancel_all(None)
        stage.run(60_000)
    assert stage.ledger().generation > 3


def test_next_loop_becomes_holder_at_once() -> None:
    """[WP-20] Not after as many watchdog ticks as there were generations."""
    stage = Stage()
    worn_in(stage)
    before = stage.ledger().generation
    stage.memory.delete(StatusRef(POOL))
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(5_000)

    assert stage.work(work_id).state is State.FINISHED
    assert stage.ledger().generation > before


def test_watchdog_starts_loop_that_can_hold() -> None:
    """[WP-20]"""
    stage = Stage()
    worn_in(stage)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.loops.clear()
    stage.memory.delete(StatusRef(POOL))
    stage.watch()
    stage.run(5_000)

    assert stage.work(work_id).state is State.FINISHED


def test_cancel_all_still_cancels() -> None:
    """[WP-13] Epochs go on from where the config stands."""
    stage = Stage()
    worn_in(stage)
    stage.memory.delete(StatusRef(POOL))
    pool = stage.pool()
    pool.configure(None, max_parallelism=0)
    work_id = pool.enqueue_action(None, TARGET, {})
    stage.run(limits.CALL_OFF_MARGIN_MS + 1_000)
    pool.cancel_all(None)
    stage.run(60_000)

    assert stage.work(work_id).outcome is Outcome.CANCELED


@pytest.mark.parametrize("config", ["gone", "damaged"])
def test_cancel_all_still_cancels_where_config_was_of_no_use(config: str) -> None:
    """[WP-13] The ledger knows the epoch that was drained last: an older one would never be drained."""
    stage = Stage()
    worn_in(stage)
    key, whole = key_of(ConfigRef(POOL)), stage.memory.peek(ConfigRef(POOL))
    stage.memory.delete(StatusRef(POOL))
    if config == "gone":
        stage.memory.delete(ConfigRef(POOL))
    else:
        stage.memory.inject(key.pk, key.sk, {"kind": "no such thing"})
    work_id = stage.pool().enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
    if config == "damaged":
        assert isinstance(whole, Config)
        stage.place(whole)
    stage.run(60_000)
    stage.pool().cancel_all(None)
    stage.run(60_000)

    assert stage.work(work_id).outcome is Outcome.CANCELED


def test_enqueue_after_cancel_all_is_not_older_though_status_is_gone() -> None:
    """[WP-3] It belongs to the epoch of the config, by any caller."""
    stage = Stage()
    worn_in(stage)
    stage.run(2 * limits.CALL_OFF_MARGIN_MS)
    stage.memory.delete(StatusRef(POOL))
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)

    assert stage.work(work_id).outcome is Outcome.SUCCESS


def test_live_lease_of_status_that_came_back_is_respected() -> None:
    stage = Stage()
    worn_in(stage)
    generation = stage.ledger().generation
    stage.memory.delete(StatusRef(POOL))
    stage.pool().enqueue_action(None, TARGET, {})
    stage.pool().enqueue_action(None, TARGET, {})
    status = stage.memory.peek(StatusRef(POOL))

    assert isinstance(status, LoopStatus)
    assert (status.state, status.generation) == (LoopState.RUNNING, generation + 1)
    assert status.lease_until > EpochMs(stage.clock.now())
    assert len(stage.invoker.loops) == 1
