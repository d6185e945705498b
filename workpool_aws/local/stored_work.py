"""Reads the work items that a cloud's tables hold, with their arguments, as tests look at them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from workpool_aws.core.chunks import chunk_refs, joined
from workpool_aws.core.views.instants import instant
from workpool_aws.model.ids import SHARDS_MAX
from workpool_aws.model.loop import Registration
from workpool_aws.model.payload import Inline, Part, Payload
from workpool_aws.model.refs import Collection, KeyRange, LedgerRef, WorkRef, readable
from workpool_aws.model.work import WorkItem
from workpool_aws.text import as_line, shown
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from workpool_aws.core.payload import JsonValue
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.retry import RetryPolicy
    from workpool_aws.ports import Store

__all__ = ["EnqueuedWork", "call_text", "enqueued_work", "name_in", "work_items_in"]

R = TypeVar("R", Registration, WorkItem)

_NAME_MAX: Final = 100

StateName = Literal["pending", "running", "finished"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueuedWork:
    """A work item of a `LocalCloud`, as tests look at it. Times are aware, in UTC."""

    work_id: WorkId
    pool: str
    target: str
    """The function: an ARN, or a name as it was enqueued."""
    job: str | None = None
    """The job's name. `None` means that it was enqueued by the function's name or ARN."""
    args: dict[str, JsonValue]
    """The arguments, after JSON. Those that were left out are not among them."""
    kind: str
    """action, query or mutation."""
    state: StateName
    run_at: datetime
    """The time at which it was or will be due: of the next attempt while it waits for one."""
    retry: RetryPolicy | None
    """The retry policy; `None` means a single attempt."""
    on_complete: str | None
    """Target of the callback; `None` means no callback."""
    context: JsonValue
    """The callback's context. `None` also means that there is none."""

    @property
    def call(self) -> str:
        """The job and the arguments on one line, as in `send_email(to='a@example.com')`.

        Without a job it has the function's name.
        """
        return call_text(self.job or self.target, self.args)


def call_text(target: str, args: Mapping[str, object]) -> str:
    """Return a call of a job or function, an ARN or a name, on one line for people."""
    given = (f"{as_line(each, limit=_NAME_MAX)}={shown(value)}" for each, value in args.items())
    return f"{name_in(target)}({', '.join(given)})"


def name_in(target: str) -> str:
    """Return the name in the ARN of a function, and any other target as it is, for people."""
    return as_line(target.rpartition(":function:")[2], limit=_NAME_MAX)


def work_items_in(store: Store) -> Iterator[WorkItem]:
    """Yield a table's work items, finished ones too, pool by pool, each shard by due time."""
    for registration in _records(store, KeyRange(collection=Collection.REGISTRY), Registration):
        pool = registration.pool
        ledger = readable(store.get(LedgerRef(pool)))
        shards = 1 if ledger is None else len(ledger.shards)
        for shard in range(min(shards, SHARDS_MAX)):
            key_range = KeyRange(collection=Collection.WORK, pool=pool, shard=shard)
            yield from _records(store, key_range, WorkItem)


def enqueued_work(store: Store, work: WorkItem) -> EnqueuedWork:
    """Return the view of a work item for tests. Arguments whose chunks are gone are empty."""
    args = _payload(store, work, Part.ARGS, work.spec.args)
    return EnqueuedWork(
        work_id=work.id,
        pool=work.pool,
        target=work.spec.target,
        job=work.spec.job,
        args=args if isinstance(args, dict) else {},
        kind=work.spec.kind.value,
        state=work.state.value,
        run_at=instant(work.due_at),
        retry=work.spec.retry,
        on_complete=work.spec.callback_target,
        context=_payload(store, work, Part.CONTEXT, work.spec.context),
    )


def _payload(store: Store, work: WorkItem, part: Part, payload: Payload | None) -> JsonValue:
    if payload is None:
        return None
    if isinstance(payload, Inline):
        text: str | None = payload.text
    else:
        refs = chunk_refs(WorkRef(work.pool, work.id), part, payload.count)
        text = joined(refs, store.get_many(refs))
    value: JsonValue = None if text is None else json.loads(text)
    return value


def _records(store: Store, key_range: KeyRange, kind: type[R]) -> Iterator[R]:
    low: str | None = key_range.low
    while low is not None:
        page = store.query(replace(key_range, low=low))
        yield from (row.record for row in page.rows if isinstance(row.record, kind))
        low = page.next_low
