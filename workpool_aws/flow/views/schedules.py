"""Reads the schedules of a pool with their latest work items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.views.schedules import Schedule, schedule_view
from workpool_aws.flow.reading import schedules_of
from workpool_aws.model.refs import WorkRef, readable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.model.schedule import ScheduleItem
    from workpool_aws.ports import Ports

__all__ = ["all_schedules", "as_views"]


def all_schedules(ports: Ports, pool: str) -> list[Schedule]:
    """Returns the schedules of a pool by name."""
    return as_views(ports, list(schedules_of(ports.store, ports.telemetry, pool)))


def as_views(ports: Ports, items: Sequence[ScheduleItem]) -> list[Schedule]:
    """Returns the views of schedules, each with the latest work item as it is now."""
    refs = {
        item.name: WorkRef(item.pool, item.last_work)
        for item in items
        if item.last_work is not None
    }
    found = ports.store.get_many(list(refs.values())) if refs else {}
    works = {name: readable(found.get(ref)) for name, ref in refs.items()}
    now = ports.clock.now()
    return [schedule_view(item, works.get(item.name), now=now) for item in items]
