"""Loads the last signs of life of a table's deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.views.instants import instant
from workpool_aws.core.views.last_seen import LastSeen, PoolLastSeen, pool_seen
from workpool_aws.flow.reading import registered_pools
from workpool_aws.flow.shards import marks_of
from workpool_aws.model.ids import EpochMs, is_ulid, time_of
from workpool_aws.model.loop import Ledger
from workpool_aws.model.refs import (
    Collection,
    HeartbeatRef,
    KeyRange,
    LedgerRef,
    StatusRef,
    readable,
)

if TYPE_CHECKING:
    from workpool_aws.ports import Ports

__all__ = ["load_last_seen"]


def load_last_seen(ports: Ports) -> LastSeen:
    """Returns the signs of the watchdog and of each pool, by name. Raises StoreUnavailable."""
    heartbeat = readable(ports.store.get(HeartbeatRef()))
    pools = sorted(registered_pools(ports.store, ports.telemetry))
    return LastSeen(
        watchdog_at=None if heartbeat is None else instant(heartbeat.at),
        pools=tuple(_of_pool(ports, pool) for pool in pools),
    )


def _of_pool(ports: Ports, pool: str) -> PoolLastSeen:
    status, found = ports.store.get(StatusRef(pool)), ports.store.get(LedgerRef(pool))
    ledger = found if isinstance(found, Ledger) else None
    times: list[EpochMs] = []
    for shard in range(len(marks_of(ledger))):
        newest = KeyRange(collection=Collection.DONE, pool=pool, shard=shard, limit=1, reverse=True)
        # By its key, which holds the time at which it was written.
        rows = ports.store.query(newest).rows
        times += [time_of(row.sort) for row in rows if is_ulid(row.sort)]
    return pool_seen(pool, status, ledger, max(times, default=None), now=ports.clock.now())
