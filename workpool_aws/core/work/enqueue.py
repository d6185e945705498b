"""Makes the work items of a checked enqueue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.model.payload import Inline
from workpool_aws.model.spec import Kind
from workpool_aws.model.work import State, WorkItem
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.retry import RetryPolicy
    from workpool_aws.model.spec import Spec

__all__ = ["must_claim", "works_of"]


def must_claim(kind: Kind, retry: RetryPolicy | None) -> bool:
    """Returns True for what may not run twice [WP-5].

    A policy of one attempt says so as clearly as no policy. A query has no effect that a second run
    could double. A mutation is claimed by every function but one that `mutation` decorates, whose
    effect cannot be doubled.
    """
    if kind is Kind.MUTATION:
        return True
    return kind is not Kind.QUERY and (retry is None or retry.max_attempts == 1)


def works_of(
    spec: Spec,
    args: Sequence[str],
    ids: Sequence[WorkId],
    permits: Sequence[str],
    *,
    pool: str,
    due: EpochMs,
    now: EpochMs,
    epoch: int,
) -> tuple[WorkItem, ...]:
    """Returns the work items to store, one for each arguments, id and permit, in order.

    `spec`: everything else that they ask for. `epoch`: the pool's, as far as this caller knows; the
    enqueue itself finds out.
    """
    return tuple(
        WorkItem(
            pool=pool,
            id=work_id,
            spec=replace(spec, args=Inline(text)),
            state=State.PENDING,
            due_at=due,
            enqueued_at=now,
            permit=permit,
            epoch=epoch,
        )
        for work_id, text, permit in zip(ids, args, permits, strict=True)
    )
