"""Writes and reads the chunks of large payloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.chunks import chunk_refs, joined
from workpool_aws.model import events
from workpool_aws.model.payload import Inline, Part, Payload
from workpool_aws.model.refs import Unreadable, WorkRef
from workpool_aws.ports import ConditionFailed, Ports, Store, TransactionFailed
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.model.work import WorkItem
    from workpool_aws.model.writes import Update, Write, Written

__all__ = ["let_expire", "read_payload", "with_payloads", "write_with"]


def write_with(store: Store, write: Write, beside: Sequence[Write]) -> Written:
    """Writes a work item and its chunks, all or nothing.

    No crash leaves a work item without its payload, or a payload without its work item. A chunk
    that is to be changed and is gone (only people remove one) is left out, since the work item must
    be able to end all the same [WP-12]. Raises ConditionFailed if the work item's own condition
    does not hold; nothing was written then.
    """
    left = list(beside)
    while left:
        try:
            return store.transact([write, *left])
        except TransactionFailed as met:
            if met.failed[0]:
                raise ConditionFailed(met.current[0]) from met
            left = [other for other, failed in zip(left, met.failed[1:], strict=True) if not failed]
    return store.write(write)


def let_expire(store: Store, expiries: Sequence[Update]) -> None:
    """Sets the TTL of chunks. Repeating it does no harm, and a chunk that is gone needs none."""
    for expiry in expiries:
        try:
            store.write(expiry)
        except ConditionFailed:
            continue


def with_payloads(ports: Ports, work: WorkItem) -> WorkItem | None:
    """Returns a finished work item with its whole context and return value.

    `None` means that chunks of them are gone or damaged.
    """
    owner = WorkRef(work.pool, work.id)
    parts: dict[Part, Payload | None] = {Part.CONTEXT: work.spec.context, Part.RESULT: work.result}
    for part, payload in parts.items():
        if payload is None:
            continue
        text = read_payload(ports, owner, part, payload)
        if text is None:
            return None
        parts[part] = Inline(text)
    spec = work.spec.with_payloads(work.spec.args, parts[Part.CONTEXT])
    return replace(work, spec=spec, result=parts[Part.RESULT])


def read_payload(ports: Ports, owner: WorkRef, part: Part, payload: Payload) -> str | None:
    """Return the whole payload, read from its chunks if it lies in some.

    `None` means that a chunk of it is gone or damaged, which concerns its work item alone [WP-12].
    """
    if isinstance(payload, Inline):
        return payload.text
    refs = chunk_refs(owner, part, payload.count)
    found = ports.store.get_many(refs)
    for chunk in found.values():
        if isinstance(chunk, Unreadable):
            ports.telemetry.emit(
                events.SetAside(
                    pool=owner.pool, partition=chunk.partition, sort=chunk.sort, reason=chunk.reason
                )
            )
    return joined(refs, found)
