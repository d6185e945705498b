"""Writes as DynamoDB's requests, without a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

from workpool_aws.adapters.items.attributes import PARTITION_KEY, SORT_KEY
from workpool_aws.adapters.items.codec import change_of, encode
from workpool_aws.adapters.items.expressions import Expressions, item_from_wire, item_to_wire
from workpool_aws.adapters.items.records import key_of, record_type
from workpool_aws.model.actions import Action, Check, Delete, Guest, GuestVerb
from workpool_aws.model.writes import Put, Update
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        ConditionCheckTypeDef,
        DeleteTypeDef,
        PutTypeDef,
        TransactWriteItemTypeDef,
        UpdateTypeDef,
    )

    from workpool_aws.adapters.items.keys import Key

__all__ = ["Requests", "plain_action", "wire_key"]

_TYPED: Final = ("Item", "Key", "ExpressionAttributeValues")
"""The parts of an action that have DynamoDB's typed values."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests for items of one table. Methods raise ValueError as the codec."""

    table: str

    def action(self, write: Action) -> TransactWriteItemTypeDef:
        """Return one action of a transaction."""
        match write:
            case Put():
                return {"Put": self.put(write)}
            case Update():
                return {"Update": self.update(write)}
            case Check():
                return {"ConditionCheck": self.check(write)}
            case Delete():
                return {"Delete": self.delete(write)}
            case Guest():
                return _guest_action(write)
            case _:
                assert_never(write)

    def check(self, write: Check) -> ConditionCheckTypeDef:
        """Return a check."""
        expressions = Expressions()
        request: ConditionCheckTypeDef = {
            "TableName": self.table,
            "Key": wire_key(key_of(write.ref)),
            "ConditionExpression": expressions.condition(write.condition, record_type(write.ref)),
            "ExpressionAttributeNames": expressions.names,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if expressions.values:
            request["ExpressionAttributeValues"] = expressions.values
        return request

    def delete(self, write: Delete) -> DeleteTypeDef:
        """Return a delete."""
        if write.condition is None:
            return {"TableName": self.table, "Key": wire_key(key_of(write.ref))}
        return {**self.check(Check(ref=write.ref, condition=write.condition))}

    def put(self, write: Put) -> PutTypeDef:
        """Return a put."""
        request: PutTypeDef = {"TableName": self.table, "Item": item_to_wire(encode(write.record))}
        if write.condition is not None:
            expressions = Expressions()
            request["ConditionExpression"] = expressions.condition(
                write.condition, type(write.record)
            )
            request["ExpressionAttributeNames"] = expressions.names
            # DynamoDB refuses an empty map of values.
            if expressions.values:
                request["ExpressionAttributeValues"] = expressions.values
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return request

    def update(self, write: Update) -> UpdateTypeDef:
        """Return an update, which never creates an item."""
        expressions = Expressions()
        request: UpdateTypeDef = {
            "TableName": self.table,
            "Key": wire_key(key_of(write.ref)),
            "UpdateExpression": expressions.change(change_of(write)),
            "ConditionExpression": expressions.existing(write.condition, record_type(write.ref)),
            "ExpressionAttributeNames": expressions.names,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if expressions.values:
            request["ExpressionAttributeValues"] = expressions.values
        return request


def _guest_action(guest: Guest) -> TransactWriteItemTypeDef:
    request: Any = {"TableName": guest.table, **guest.request}
    if "ConditionExpression" in guest.request:
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    match guest.verb:
        case GuestVerb.PUT:
            return {"Put": request}
        case GuestVerb.UPDATE:
            return {"Update": request}
        case GuestVerb.DELETE:
            return {"Delete": request}
        case GuestVerb.CHECK:
            return {"ConditionCheck": request}
        case _:
            assert_never(guest.verb)


def wire_key(key: Key) -> dict[str, AttributeValueTypeDef]:
    """Return a key as DynamoDB takes it."""
    return {PARTITION_KEY: {"S": key.pk}, SORT_KEY: {"S": key.sk}}


def plain_action(action: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an action of a transaction with plain values in place of typed ones."""
    return {
        verb: {
            name: item_from_wire(value) if name in _TYPED else value for name, value in body.items()
        }
        for verb, body in action.items()
    }
