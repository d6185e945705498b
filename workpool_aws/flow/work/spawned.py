"""Has loops find the work items that a transaction stored with a move of another work item [WP-20].

The process that committed the move proves this itself, by the late rule. Another process that meets
the move, and no sign of what followed it, does so here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.flow.visibility import put_pointer
from workpool_aws.model.ids import EpochMs, time_of
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import State, WorkItem

if TYPE_CHECKING:
    from workpool_aws.ports import Ports

__all__ = ["show_spawned"]


def show_spawned(ports: Ports, work: WorkItem) -> None:
    """Points again at the work items that a move of this one stored and no loop may have found.

    Those of the last seconds are inside the buffer of deep reads, and need none.

    Raises StoreUnavailable: the caller makes no step that would end the look for them.
    """
    now = ports.clock.now()
    refs = [
        WorkRef(pool, work_id)
        for pool, ids in work.spawned
        for work_id in ids
        if now - time_of(work_id) > limits.LATE_MS
    ]
    found = ports.store.get_many(refs) if refs else {}
    waiting = [
        child
        for child in found.values()
        if isinstance(child, WorkItem) and child.state is State.PENDING and child.starts == 0
    ]
    ports.fan_out(
        lambda child: put_pointer(ports, child.pool, child.id, EpochMs(max(now, child.due_at))),
        waiting,
    )
