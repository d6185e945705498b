"""Kicks that meet a throttle, a refusal, or a status that is damaged or gone."""

from __future__ import annotations

import pytest

from tests.kit.records import NOW, POOL
from tests.kit.stage import Stage
from tests.kit.stores import first, updates
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core import limits
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.flow.pool.kick import kick
from workpool_aws.model.events import (
    ControlRepaired,
    Kicked,
    KickFailed,
)
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Config, LoopState
from workpool_aws.model.refs import StatusRef
from workpool_aws.ports import InvokeRefused, InvokeThrottled


@pytest.mark.parametrize("throttles", range(limits.INVOKE_TRIES + 1))
def test_throttled_kick_waits_between_its_tries_and_gives_up(stage: Stage, throttles: int) -> None:
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


def test_refused_kick_is_not_tried_again(stage: Stage) -> None:
    stage.invoker.refuses_loop = [InvokeRefused("no such function", lasting=True)]
    kick(stage.ports, POOL, KickReason.ENQUEUE, due=EpochMs(NOW))

    assert stage.invoker.loops == []
    assert [event.error for event in stage.telemetry.of(KickFailed)] == ["no such function"]


def test_kick_of_pool_whose_status_is_damaged_writes_it_anew(stage: Stage) -> None:
    """[WP-12] [WP-24] Reported once. The epoch goes on one ahead of the config's, as the status may have
    been."""
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


def test_kick_whose_status_goes_meanwhile_starts_nothing(stage: Stage) -> None:
    """[WP-2] It judged what is not there any more."""
    stage.resting_as(LoopState.IDLE)
    stage.store.plan(
        updates(StatusRef, state=LoopState.RUNNING),
        first(lambda: stage.memory.delete(StatusRef(POOL))),
    )
    kick(stage.ports, POOL, KickReason.ENQUEUE, due=EpochMs(NOW))

    assert stage.invoker.loops == []
