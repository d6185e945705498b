"""Makes the schedules of the table those that the current deployment declares.

| step | commit point | lost afterwards? |
|---|---|---|
| schedules of each pool | each schedule's own transaction | the item has another digest: the next tick repeats it |
| digest in the deployment item | its own put, last, at the version that was read | nothing |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.watchdog.deployment import schedules_differ, with_schedules
from workpool_aws.errors import StoreUnavailable, UsageError
from workpool_aws.flow.pool.targets import refuse_own_targets
from workpool_aws.flow.reading import registered_pools
from workpool_aws.flow.schedule.change import sync
from workpool_aws.model import events
from workpool_aws.model.writes import Is, Put
from workpool_aws.ports import ConditionFailed
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.core.schedule.change import Definition
    from workpool_aws.model.loop import Deployment
    from workpool_aws.ports import Ports

__all__ = ["Declared", "declare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The schedules that a deployment declares."""

    digest: str | None
    """The same for the same schedules. `None` means that there are none."""
    pools: tuple[str, ...]
    """The pools that have any."""
    owner: str
    read: Callable[[str], Mapping[str, Definition]]
    """Returns the schedules of one pool by name. Raises UsageError for one that is not allowed, and
    StoreUnavailable."""


def declare(ports: Ports, known: Deployment | None, declared: Declared) -> None:
    """Brings the schedules of all pools up to date, if the table has others.

    Never raises: the next tick repeats what could not be done. Costs nothing if the table has these
    schedules, and a read for each schedule and pool otherwise.

    Args:
        ports: Those of the table.
        known: The deployment item, as it was read or written in this tick.
        declared: What the tick declares.
    """
    if known is None or not schedules_differ(known, ports.deployed, declared.digest):
        return
    try:
        pools = {*registered_pools(ports.store, ports.telemetry), *declared.pools}
        done = 0
        for pool in sorted(pools):
            try:
                asked = declared.read(pool)
                for each in asked.values():
                    refuse_own_targets(each.spec, ports)
                sync(ports, pool, asked, owner=declared.owner, by=declared.owner)
                done += 1
            except (UsageError, StoreUnavailable) as error:
                ports.telemetry.emit(events.SchedulesNotDeclared(pool=pool, error=str(error)))
        if done == len(pools):
            recorded = with_schedules(known, declared.digest)
            ports.store.write(Put(recorded, Is("version", known.version)))
    except ConditionFailed:
        return  # another watchdog wrote the item: the next tick compares with that
    except StoreUnavailable as error:
        ports.telemetry.emit(events.SchedulesNotDeclared(pool="", error=str(error)))
