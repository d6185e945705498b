"""Surveys the pools of a table for the metrics: backlog, delay and slots in use.

The watchdog calls it once a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.admit import limit_of
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.pool import configure
from workpool_aws.flow.reading import registered_pools
from workpool_aws.flow.views.stats import take_stats
from workpool_aws.flow.watchdog.turns import hourly, visit_each
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import LoopState
from workpool_aws.model.refs import StatusRef, readable

if TYPE_CHECKING:
    from workpool_aws.ports import Ports

__all__ = ["survey"]


def survey(ports: Ports) -> None:
    """Emits an event for every pool that is not idle.

    Never raises: a pool that could not be read is reported as such, and left out until the next
    survey. Damaged items are reported once an hour.
    """
    now, ports = ports.clock.now(), hourly(ports)
    try:
        pools = [*registered_pools(ports.store, ports.telemetry)]
    except StoreUnavailable:
        return
    visit_each(ports, pools, _survey_pool, ends_at=EpochMs(now + limits.SURVEY_MS_MAX), by="survey")


def _survey_pool(ports: Ports, pool: str) -> None:
    status = readable(ports.store.get(StatusRef(pool)))
    if status is None or status.state is LoopState.IDLE:
        return
    config = configure.in_force(ports.store, ports.telemetry, pool)
    stats = take_stats(ports, pool, window_ms=limits.STATS_WINDOW_MS_MIN)
    ports.telemetry.emit(
        events.Surveyed(
            pool=pool,
            pending=stats.pending,
            running=stats.running,
            limit=limit_of(config),
            oldest_pending_s=stats.oldest_pending_s,
        )
    )
