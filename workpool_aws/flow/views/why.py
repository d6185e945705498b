"""Loads the records that decide about work items, for `why`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from workpool_aws.core.views.why.answer import PoolRecords, Why
from workpool_aws.core.views.why.decide import why_of
from workpool_aws.core.views.why.waits import slot_holders
from workpool_aws.flow.ledger import whole
from workpool_aws.flow.reading import load_works, works_of
from workpool_aws.flow.views.keys import key_holder
from workpool_aws.model.ids import WorkId, is_ulid
from workpool_aws.model.loop import Config, Deployment, LoopStatus
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
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.ports import Ports

__all__ = ["load_why", "load_whys"]

R = TypeVar("R", bound=Record)


def load_whys(ports: Ports, pool: str, ids: Sequence[str]) -> list[Why]:
    """Returns the reasons for which each work item is where it is, in the order of `ids`.

    One request reads up to 96 work items with the records of their pool. For a full pool a second
    one reads some of the work items that hold its slots. Raises StoreUnavailable.
    """
    work_refs = {each: WorkRef(pool, WorkId(each)) for each in ids if is_ulid(each)}
    refs: list[Ref[Record]] = [ConfigRef(pool), StatusRef(pool), LedgerRef(pool), DeploymentRef()]
    found = ports.store.get_many([*refs, *work_refs.values()]) if work_refs else {}
    now = ports.clock.now()
    records = PoolRecords(
        config=_of_kind(Config, found.get(ConfigRef(pool))),
        status=_of_kind(LoopStatus, found.get(StatusRef(pool))),
        ledger=whole(ports.store, found.get(LedgerRef(pool))),
        deployment=_of_kind(Deployment, found.get(DeploymentRef())),
        loop_is_known=ports.loop_arn is not None,
    )
    works = {each: _of_kind(WorkItem, found.get(ref)) for each, ref in work_refs.items()}
    # The same for every work item of the pool that lacks a slot.
    keys = {
        key
        for work in works.values()
        if isinstance(work, WorkItem)
        for key in slot_holders(work, records, now)
    }
    holders = works_of(ports.store, pool, sorted(keys))
    return [why_of(each, works.get(each), records, holders, now=now) for each in ids]


def load_why(ports: Ports, pool: str, work_id: str) -> Why:
    """Returns the reasons of one work item, and who holds its unique key.

    A key costs two read units. Raises StoreUnavailable.
    """
    why = load_whys(ports, pool, [work_id])[0]
    if why.unique_key is None:
        return why
    work = load_works(ports, pool, [work_id])[0]
    return why if work is None else replace(why, key_holder=key_holder(ports, work))


def _of_kind(kind: type[R], found: Record | Unreadable | None) -> R | Unreadable | None:
    return found if isinstance(found, (kind, Unreadable)) else None
