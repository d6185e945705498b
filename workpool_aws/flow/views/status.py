"""Completes work items that were read by id, for `status` and `result`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.splice import decoded
from workpool_aws.core.work.bulk_cancel import shown
from workpool_aws.flow.chunks import read_payload
from workpool_aws.flow.pool import configure
from workpool_aws.model.payload import Inline, Part
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.ports import Ports

__all__ = ["as_shown", "with_result"]


def as_shown(ports: Ports, pool: str, works: Sequence[WorkItem | None]) -> list[WorkItem | None]:
    """Returns the work items as callers see them, with a requested cancel if they are called off.

    Costs one read, unless all have finished.
    """
    if all(work is None or work.state is State.FINISHED for work in works):
        return list(works)
    config = configure.load(ports, pool)
    return [None if work is None else shown(work, config) for work in works]


def with_result(ports: Ports, work: WorkItem) -> WorkItem | None:
    """Returns the work item with its whole return value, read from its chunks if it has any.

    `None` means that the value was removed or damaged [WP-12].
    """
    if work.result is None:
        return work
    whole = read_payload(ports, WorkRef(work.pool, work.id), Part.RESULT, work.result)
    if whole is None:
        return None
    try:
        decoded(whole)
    except ValueError:
        return None
    return replace(work, result=Inline(whole))
