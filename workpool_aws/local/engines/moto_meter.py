"""Cost of requests to moto's DynamoDB: AWS's rules on the items as they stand in moto, whose own figures are wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.items import capacity
from workpool_aws.adapters.items.capacity import Meter, item_size
from workpool_aws.adapters.items.codec import decode
from workpool_aws.adapters.items.expressions import item_from_wire
from workpool_aws.adapters.items.keys import PartitionKind, place_of
from workpool_aws.adapters.items.records import step_name
from workpool_aws.model.refs import Unreadable

if TYPE_CHECKING:
    from workpool_aws.adapters.items.forms import Value
    from workpool_aws.local.apis.http import Reply, Request

__all__ = ["FindItem", "MotoMeter"]

FindItem = Callable[[str, Mapping[str, Any]], Mapping[str, Any] | None]
"""The item of a table under a key, both as DynamoDB types them; `None` means there is none."""

_WRITES: Final = {"PutItem": "put", "UpdateItem": "update", "DeleteItem": "delete"}
_WRITE_KINDS: Final = ("Put", "Update", "Delete", "ConditionCheck")


class MotoMeter:
    """Counts the requests to a pool's tables, and no others.

    Labels are those of the store in memory.
    """

    def __init__(self, meter: Meter, find: FindItem, is_ours: Callable[[str], bool]) -> None:
        self._meter = meter
        self._find = find
        self._is_ours = is_ours

    def around(self, request: Request, serve: Callable[[], Reply]) -> Reply:
        """Serve a request to DynamoDB and count it. Nothing else may touch the tables meanwhile."""
        fields = request.json()
        operation = request.operation
        if operation in _WRITES and self._is_ours(str(fields.get("TableName"))):
            return self._write(_WRITES[operation], fields, serve)
        if operation == "TransactWriteItems":
            return self._transact(fields, serve)
        reply = serve()
        if reply.status == HTTPStatus.OK:
            self._read(operation, fields, reply)
        return reply

    def _write(self, verb: str, fields: Mapping[str, Any], serve: Callable[[], Reply]) -> Reply:
        before = self._item(fields)
        reply = serve()
        after = self._item(fields)
        if reply.status == HTTPStatus.OK:
            units = capacity.write_units(_bytes_of(before), _bytes_of(after))
            units += _index_units(before, after)
        elif b"ConditionalCheckFailed" in reply.body:
            units = capacity.failed_write_units(_bytes_of(before))
        else:
            return reply
        key = fields.get("Key") or fields.get("Item") or {}
        noun = _noun(key, after or before or fields.get("Item"))
        self._meter.count(f"{noun}.{verb}", write_units=units)
        return reply

    def _transact(self, fields: Mapping[str, Any], serve: Callable[[], Reply]) -> Reply:
        ours = [
            each[kind]
            for each in fields.get("TransactItems", [])
            for kind in _WRITE_KINDS
            if kind in each and self._is_ours(str(each[kind].get("TableName")))
        ]
        before = list(map(self._item, ours))
        reply = serve()
        if ours and (reply.status == HTTPStatus.OK or b"TransactionCanceled" in reply.body):
            changes = list(zip(before, map(self._item, ours), strict=True))
            sizes = ((_bytes_of(old), _bytes_of(new)) for old, new in changes)
            units = capacity.transaction_units(sizes)
            units += sum(_index_units(old, new) for old, new in changes)
            self._meter.count("tx", write_units=units)
        return reply

    def _read(self, operation: str, fields: Mapping[str, Any], reply: Reply) -> None:
        table = str(fields.get("TableName"))
        answer: Mapping[str, Any] = json.loads(reply.body)
        if operation == "BatchGetItem":
            for name, wanted in fields.get("RequestItems", {}).items():
                if self._is_ours(name):
                    found = [(key, self._find(name, key)) for key in wanted["Keys"]]
                    units = capacity.batch_get_units(_bytes_of(item) for _, item in found)
                    self._meter.count(f"{_noun(*found[0])}.get_many", read_units=units)
        elif not self._is_ours(table):
            return
        elif operation == "GetItem":
            item = self._item(fields)
            self._meter.count(
                f"{_noun(fields['Key'], item)}.get", read_units=capacity.get_units(_bytes_of(item))
            )
        elif operation in ("Query", "Scan"):
            sizes = [_bytes_of(item) for item in answer.get("Items", [])]
            units = (
                capacity.index_query_units(sizes)
                if "IndexName" in fields
                else capacity.query_units(sizes)
            )
            self._meter.count(f"{_collection_name(fields)}.{operation.lower()}", read_units=units)

    def _item(self, fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return self._find(
            str(fields.get("TableName")), fields.get("Key") or fields.get("Item") or {}
        )


def _bytes_of(item: Mapping[str, Any] | None) -> int:
    return 0 if item is None else item_size(_plain(item))


def _index_units(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> int:
    return capacity.index_units(
        None if old is None else _plain(old), None if new is None else _plain(new)
    )


def _plain(item: Mapping[str, Any]) -> dict[str, Value]:
    plain: dict[str, Value] = {}
    for name, value in item_from_wire(item).items():
        match value:
            case str() | bytes() | int() | bool():
                plain[name] = value
            case list() if all(isinstance(text, str) for text in value):
                plain[name] = [str(text) for text in value]
            case _:
                plain[name] = json.dumps(value)
    return plain


_NOUNS: Final[Mapping[PartitionKind, str]] = {
    PartitionKind.REGISTRY: "registration",
    PartitionKind.REPORTS: "minutereport",
    PartitionKind.PAYLOAD: "chunk",
    PartitionKind.RECEIPT: "receipt",
    PartitionKind.SCHEDULES: "schedule",
}
"""Kinds of items whose partitions are named otherwise. The others have the partition's name."""


def _noun(key: Mapping[str, Any], item: Mapping[str, Any] | None) -> str:
    record = None if item is None else decode(item_from_wire(item))
    if record is not None and not isinstance(record, Unreadable):
        return step_name(type(record))
    try:
        place = place_of(str(key.get("pk", {}).get("S")))
    except ValueError:
        return "other"
    kind = place.partition_kind
    if kind is PartitionKind.CONTROL:
        return str(key.get("sk", {}).get("S"))
    return _NOUNS.get(kind, kind.value)


def _collection_name(fields: Mapping[str, Any]) -> str:
    if "IndexName" in fields:
        return "dead"
    for value in fields.get("ExpressionAttributeValues", {}).values():
        try:
            partition_kind = place_of(str(value.get("S"))).partition_kind
        except ValueError:
            continue
        return "registry" if partition_kind is PartitionKind.REGISTRY else str(partition_kind.value)
    return "other"
