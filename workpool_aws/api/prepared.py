"""`Prepared`: an enqueue as items of a transaction that the caller sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.guests.values import to_typed_map
from workpool_aws.adapters.items.attributes import PARTITION_KEY
from workpool_aws.adapters.items.codec import encode
from workpool_aws.model.writes import Put

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.core.work.transaction import TransactionPlan
    from workpool_aws.model.ids import WorkId

__all__ = ["Prepared", "prepared"]

_ABSENT: Final = f"attribute_not_exists(#{PARTITION_KEY})"
_NAMES: Final = {f"#{PARTITION_KEY}": PARTITION_KEY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An enqueue as items for a `TransactWriteItems` of your own. See `Workpool.transact_items`."""

    ids: tuple[WorkId, ...]
    """The ids of the work items, which exist once the transaction is applied."""
    items: tuple[dict[str, Any], ...]
    """Items for `boto3.client("dynamodb").transact_write_items`."""
    plain: tuple[dict[str, Any], ...]
    """The same for `boto3.resource("dynamodb").meta.client`, which types the values itself."""
    plan: TransactionPlan = field(repr=False)
    """For `Workpool.kick` and `Workpool.resolve`."""


def prepared(plan: TransactionPlan, table: str) -> Prepared:
    """Returns the request of a transaction as items for boto3."""
    items = [encode(put.record) for put in plan.actions if isinstance(put, Put)]
    return Prepared(
        ids=tuple(placed.work.id for placed in plan.works),
        items=tuple(_action(table, to_typed_map(item, "item")) for item in items),
        plain=tuple(_action(table, item) for item in items),
        plan=plan,
    )


def _action(table: str, item: Mapping[str, Any]) -> dict[str, Any]:
    put = {
        "TableName": table,
        "Item": dict(item),
        "ConditionExpression": _ABSENT,
        "ExpressionAttributeNames": dict(_NAMES),
    }
    return {"Put": put}
