"""Makes the work items of a checked enqueue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workpool_aws.model.payload import Inline
from workpool_aws.model.work import Kind, Outcome, State, WorkItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.retry import RetryPolicy

__all__ = ["Callback", "Order", "works_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """Target of a callback, and the outcomes that it wants. Defaults to none."""

    target: str | None = None
    context: str | None = None
    """JSON; `None` means that none was given."""
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Checked enqueue of work items that differ in nothing but their arguments."""

    kind: Kind
    target: str
    retry: RetryPolicy | None
    link: str | None
    callback: Callback = field(default_factory=Callback)


def works_of(
    order: Order,
    args: Sequence[str],
    ids: Sequence[WorkId],
    *,
    pool: str,
    retention_s: int | None,
    due: EpochMs,
    now: EpochMs,
    epoch: int,
) -> tuple[WorkItem, ...]:
    """The work items to store, one for each arguments and id, in order.

    Claimed [WP-5]: whatever may not run twice. A policy of one attempt says so as clearly as no
    policy. A query has no effect that a second run could double. `epoch`: the pool's, as far as
    this caller knows it; the enqueue itself finds out.
    """
    once = order.retry is None or order.retry.max_attempts == 1
    return tuple(
        WorkItem(
            pool=pool,
            id=work_id,
            target=order.target,
            args=Inline(text),
            kind=order.kind,
            retry=order.retry,
            claimed=once and order.kind is not Kind.QUERY,
            state=State.PENDING,
            due_at=due,
            enqueued_at=now,
            retention_s=retention_s,
            link=order.link,
            on_complete=order.callback.target,
            context=None if order.callback.context is None else Inline(order.callback.context),
            callback_for=order.callback.outcomes,
            epoch=epoch,
        )
        for work_id, text in zip(ids, args, strict=True)
    )
