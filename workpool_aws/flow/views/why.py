"""Loads the records that decide about one work item, for `why`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from workpool_aws.core.views.why.answer import PoolRecords, Why
from workpool_aws.core.views.why.decide import why_of
from workpool_aws.core.views.why.waits import slot_holders
from workpool_aws.flow.reading import works_of
from workpool_aws.model.ids import WorkId, is_ulid
from workpool_aws.model.loop import Config, Deployment, Ledger, LoopStatus
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import (
    ConfigRef,
    DeploymentRef,
    LedgerRef,
    StatusRef,
    Unreadable,
    WorkRef,
)
from workpool_aws.model.work import WorkItem

if TYPE_CHECKING:
    from workpool_aws.ports import Ports

__all__ = ["load_why"]

R = TypeVar("R", bound=Record)


def load_why(ports: Ports, pool: str, work_id: str) -> Why:
    """Returns the reasons for which a work item is where it is.

    One request reads the work item and the records of its pool. For a full pool a second one reads
    some of the work items that hold its slots. Raises StoreUnavailable.
    """
    if not is_ulid(work_id):
        return why_of(work_id, None, PoolRecords(), {}, now=ports.clock.now())
    work_ref = WorkRef(pool, WorkId(work_id))
    refs: list[Ref[Record]] = [
        work_ref,
        ConfigRef(pool),
        StatusRef(pool),
        LedgerRef(pool),
        DeploymentRef(),
    ]
    found = ports.store.get_many(refs)
    now = ports.clock.now()
    work = _of_kind(WorkItem, found.get(work_ref))
    records = PoolRecords(
        config=_of_kind(Config, found.get(ConfigRef(pool))),
        status=_of_kind(LoopStatus, found.get(StatusRef(pool))),
        ledger=_of_kind(Ledger, found.get(LedgerRef(pool))),
        deployment=_of_kind(Deployment, found.get(DeploymentRef())),
        loop_is_known=ports.loop_arn is not None,
    )
    keys = slot_holders(work, records, now) if isinstance(work, WorkItem) else ()
    return why_of(work_id, work, records, works_of(ports.store, pool, keys), now=now)


def _of_kind(kind: type[R], found: Record | Unreadable | None) -> R | Unreadable | None:
    return found if isinstance(found, (kind, Unreadable)) else None
