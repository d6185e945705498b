"""`Prepared`: an enqueue as items of a transaction that the caller sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workpool_aws.core.work.transaction import TransactionPlan
    from workpool_aws.model.ids import WorkId

__all__ = ["Prepared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An enqueue as items for a `TransactWriteItems` of your own. See `Workpool.transact_items`."""

    ids: tuple[WorkId, ...]
    """The ids of the work items, which exist once the transaction is applied."""
    items: list[dict[str, Any]]
    """Items for `boto3.client("dynamodb").transact_write_items`."""
    plain: list[dict[str, Any]]
    """The same for `boto3.resource("dynamodb").meta.client`, which types the values itself, in lists
    only."""
    plan: TransactionPlan = field(repr=False)
    """For `Workpool.kick` and `Workpool.resolve`."""
