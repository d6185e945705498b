"""Reads who holds a unique key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.work.unique import holder_of
from workpool_aws.flow.reading import load_works
from workpool_aws.model.refs import UniqueRef
from workpool_aws.model.unique import UniqueLock

if TYPE_CHECKING:
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.work import WorkItem
    from workpool_aws.ports import Ports

__all__ = ["key_holder"]


def key_holder(ports: Ports, work: WorkItem) -> WorkId | None:
    """Returns the work item that holds the key of this one now.

    `None` means that the key is free, or damaged, or that there is none. Raises StoreUnavailable.
    """
    unique = work.spec.unique
    if unique is None:
        return None
    lock = ports.store.get(UniqueRef(work.pool, unique.key))
    if not isinstance(lock, UniqueLock):
        return None
    holder = work if lock.work_id == work.id else load_works(ports, work.pool, [lock.work_id])[0]
    return holder_of(lock, holder, now=ports.clock.now())
