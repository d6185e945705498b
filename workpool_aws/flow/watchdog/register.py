"""Registers the pools that a deployment names, so that the watchdog visits them [WP-20]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.pool.kick import KickReason
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.reading import registered_pools
from workpool_aws.flow.watchdog.turns import hourly
from workpool_aws.model import events
from workpool_aws.model.loop import Registration
from workpool_aws.model.writes import Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.ports import Ports

__all__ = ["register"]


def register(ports: Ports, pools: Sequence[str]) -> None:
    """Writes a row for each pool that has none.

    Never raises: the next tick writes a row that could not be written. Costs one query of the
    registry if pools are named, and nothing otherwise.
    """
    if not pools:
        return
    try:
        known = set(registered_pools(ports.store, hourly(ports).telemetry))
    except StoreUnavailable as error:
        ports.telemetry.emit(
            events.KickFailed(pool="", reason=KickReason.WATCHDOG, error=str(error))
        )
        return
    for pool in dict.fromkeys(pools):
        if pool in known:
            continue
        try:
            ports.store.write(Put(Registration(pool=pool, registered_at=ports.clock.now())))
        except StoreUnavailable as error:
            ports.telemetry.emit(
                events.KickFailed(pool=pool, reason=KickReason.WATCHDOG, error=str(error))
            )
