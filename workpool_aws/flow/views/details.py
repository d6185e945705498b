"""Loads the details of one work item, and the pools of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from workpool_aws.core.views.details import PoolSummary, WorkDetails, details_of, summary_of
from workpool_aws.flow.chunks import read_payload
from workpool_aws.flow.reading import load_works, registered_pools
from workpool_aws.flow.views import status
from workpool_aws.flow.views.keys import key_holder
from workpool_aws.model.payload import Part, Payload, inline_text
from workpool_aws.model.refs import ConfigRef, StatusRef, WorkRef

if TYPE_CHECKING:
    from collections.abc import Collection

    from workpool_aws.model.record import Record, Ref
    from workpool_aws.model.work import WorkItem
    from workpool_aws.ports import Ports

__all__ = ["load_details", "load_pools"]


def load_details(
    ports: Ports, pool: str, work_id: str, parts: Collection[Part]
) -> WorkDetails | None:
    """Returns the details of a work item with the given payloads; `None` means an unknown id.

    Raises StoreUnavailable.
    """
    work = status.as_shown(ports, pool, load_works(ports, pool, [work_id]))[0]
    if work is None:
        return None
    opened = {part: _opened(ports, work, part) for part in parts}
    return details_of(work, opened, key_holder(ports, work))


def _opened(ports: Ports, work: WorkItem, part: Part) -> str | None:
    payload: Payload | None
    match part:
        case Part.ARGS:
            payload = work.spec.args
        case Part.CONTEXT:
            payload = work.spec.context
        case Part.RESULT:
            whole = status.with_result(ports, work)
            return None if whole is None else inline_text(whole.result)
        case _:
            assert_never(part)
    if payload is None:
        return None
    return read_payload(ports, WorkRef(work.pool, work.id), part, payload)


def load_pools(ports: Ports) -> tuple[PoolSummary, ...]:
    """Returns every pool of the table that ever had a work item, by name.

    Raises StoreUnavailable.
    """
    names = sorted(registered_pools(ports.store, ports.telemetry))
    refs: list[Ref[Record]] = [ref for name in names for ref in (ConfigRef(name), StatusRef(name))]
    found = ports.store.get_many(refs)
    return tuple(
        summary_of(name, found.get(ConfigRef(name)), found.get(StatusRef(name))) for name in names
    )
