"""Requests to DynamoDB: `ports.Store` on a table, through the low-level boto3 client.

All reads are strongly consistent, but those of the dead letters, which are an index. A write that
lost its answer is repeated by the SDK; its repetition may fail on the first one's own effect, which
is why every failed condition comes with the item as it stood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, assert_never

from botocore.exceptions import ParamValidationError

from workpool_aws.adapters.aws.sdk_errors import SDK_ERRORS
from workpool_aws.adapters.dynamodb.answers import TryAgain, server_time, translated, was_repeated
from workpool_aws.adapters.items import capacity
from workpool_aws.adapters.items.attributes import DEAD_INDEX
from workpool_aws.adapters.items.codec import decode, key_in
from workpool_aws.adapters.items.expressions import Expressions, item_from_wire
from workpool_aws.adapters.items.keys import (
    Key,
    is_empty,
    next_high,
    next_low,
    partition_of,
    sort_attribute,
)
from workpool_aws.adapters.items.records import found_for, key_of, ref_of
from workpool_aws.adapters.items.requests import Requests, wire_key
from workpool_aws.adapters.items.row_filters import NOT_STARTED
from workpool_aws.errors import StoreUnavailable, TimedOut, WorkpoolError
from workpool_aws.model.actions import (
    Action,
    Guest,
    GuestItem,
    GuestPlace,
)
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import Collection, KeyRange, Row, RowPage, Unreadable, readable
from workpool_aws.model.work import WorkItem
from workpool_aws.model.writes import Put, Update, Write, Written
from workpool_aws.ports import TransactionBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        QueryInputTypeDef,
    )

    from workpool_aws.ports import Clock, Entropy

__all__ = ["DynamoStore"]

A = TypeVar("A")
R = TypeVar("R", bound=Record)

_TRIES: Final = 5
_PAUSE_MS: Final = 50
"""Doubles with every try, times [0.5, 1.5): all tries together wait about a second."""


class DynamoStore:
    """A table in DynamoDB, behind `ports.Store`.

    Every method raises `StoreUnavailable` when there was no answer (a write may have happened),
    when the table is missing, or when access to it is denied, and UsageError, a ValueError, for a
    table with other keys and for a request that DynamoDB refuses as malformed (nothing was
    written).
    """

    def __init__(
        self, client: Callable[[], DynamoDBClient], table: str, *, clock: Clock, entropy: Entropy
    ) -> None:
        """Wrap an existing table. Makes no request, and asks for its client before each one.

        `clock` and `entropy` serve the pauses between tries, and transaction tokens.
        """
        self._client = client
        self._table = table
        self._requests = Requests(table)
        self._clock = clock
        self._entropy = entropy

    def get(self, ref: Ref[R]) -> R | Unreadable | None:
        """Return the record, or `None`. Raises ValueError for a name that no key can carry."""
        key = wire_key(key_of(ref))
        answer = self._send(
            lambda: self._client().get_item(TableName=self._table, Key=key, ConsistentRead=True)
        )
        item = answer.get("Item")
        return found_for(ref, _decoded(item) if item else None)

    def get_many(self, refs: Sequence[Ref[R]]) -> Mapping[Ref[R], R | Unreadable]:
        """Return those that exist. A place asked for twice is read once."""
        wanted = {ref: key_of(ref) for ref in refs}
        keys = list(dict.fromkeys(wanted.values()))
        found: dict[Key, Record | Unreadable] = {}
        for start in range(0, len(keys), capacity.BATCH_GET_KEYS_MAX):
            for item in self._get_batch(keys[start : start + capacity.BATCH_GET_KEYS_MAX]):
                found[key_in(item)] = decode(item)
        records = {ref: found_for(ref, found.get(key)) for ref, key in wanted.items()}
        return {ref: record for ref, record in records.items() if record is not None}

    def query(self, key_range: KeyRange) -> RowPage:
        """Return one page of a range, in key order. `next_low` may lead to an empty page."""
        partition = partition_of(key_range)
        if is_empty(key_range):
            return RowPage((), None)
        expressions = Expressions()
        request: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": expressions.key_range(
                partition, key_range.low, key_range.high, sort=sort_attribute(key_range)
            ),
            "ExpressionAttributeNames": expressions.names,
            "ExpressionAttributeValues": expressions.values,
        }
        if key_range.collection is Collection.DEAD:
            request["IndexName"] = DEAD_INDEX
        else:
            request["ConsistentRead"] = True
        if key_range.pending_only:
            request["FilterExpression"] = expressions.condition(NOT_STARTED, WorkItem)
        if key_range.reverse:
            request["ScanIndexForward"] = False
        if key_range.limit is not None:
            request["Limit"] = key_range.limit
        answer = self._send(lambda: self._client().query(**request))
        items = [item_from_wire(item) for item in answer["Items"]]
        rows = tuple(Row(_sort_in(item, key_range), decode(item)) for item in items)
        last, low, high = answer.get("LastEvaluatedKey"), None, None
        if last:
            sort = _sort_in(item_from_wire(last), key_range)
            if key_range.reverse:
                high = next_high(sort, key_range.low)
            else:
                low = next_low(sort, key_range.high)
        return RowPage(rows, low, high, lambda: sum(map(capacity.item_size, items)))

    def write(self, write: Write) -> Written:
        """Do one conditional write. Raises ConditionFailed (nothing was written)."""
        match write:
            case Put():
                put = self._requests.put(write)
                placed = self._send(lambda: self._client().put_item(**put))
                return Written(server_time(placed), write.record)
            case Update():
                update = self._requests.update(write)
                changed = self._send(
                    lambda: self._client().update_item(**update, ReturnValues="ALL_NEW")
                )
                return Written(
                    server_time(changed), lambda: readable(_decoded(changed["Attributes"]))
                )
            case _:
                assert_never(write)

    def transact(self, writes: Sequence[Action], token: str | None = None) -> Written:
        """Do all of these actions, or none. Raises TransactionFailed (nothing was written).

        With a token, one request; raises TransactionBusy for a conflict.
        """
        own = [
            key_of(ref_of(write.record) if isinstance(write, Put) else write.ref)
            for write in writes
            if not isinstance(write, Guest)
        ]
        capacity.check_transaction(own, guests=len(writes) - len(own))
        items = [self._requests.action(write) for write in writes]
        guests = {at: each.table for at, each in enumerate(writes) if isinstance(each, Guest)}
        # The same token in every try: a try that went through unseen is then recognised, not
        # applied again.
        given = self._entropy.token() if token is None else token
        answer = self._send(
            lambda: self._client().transact_write_items(
                TransactItems=items, ClientRequestToken=given
            ),
            guests=guests,
            once=token is not None,
        )
        return Written(server_time(answer), None)

    def read_guests(self, places: Sequence[GuestPlace]) -> tuple[GuestItem | None, ...]:
        """Return items of other tables, as one snapshot."""
        wanted: list[Any] = [{"TableName": each.table, "Key": each.key} for each in places]
        every = {place: each.table for place, each in enumerate(places)}
        if len(wanted) == 1:
            found = self._send(
                lambda: self._client().get_item(**wanted[0], ConsistentRead=True), guests=every
            )
            return (_guest_item(found.get("Item")),)
        answer = self._send(
            lambda: self._client().transact_get_items(
                TransactItems=[{"Get": each} for each in wanted]
            ),
            guests=every,
        )
        return tuple(_guest_item(each.get("Item")) for each in answer["Responses"])

    def delete(self, ref: Ref[Record]) -> None:
        """Remove an item, if it exists."""
        key = wire_key(key_of(ref))
        self._send(lambda: self._client().delete_item(TableName=self._table, Key=key))

    def _get_batch(self, keys: Sequence[Key]) -> list[dict[str, object]]:
        items: list[dict[str, object]] = []
        missing = [wire_key(key) for key in keys]
        stalled = 0
        while missing:
            left = self._get_some(missing, items)
            stalled = stalled + 1 if len(left) == len(missing) else 0
            if stalled == _TRIES:
                raise StoreUnavailable(
                    f"table {self._table!r}: {len(left)} items were left unread in all {_TRIES} tries"
                )
            if left:
                self._pause(max(1, stalled))
            missing = left
        return items

    def _get_some(
        self, keys: list[dict[str, AttributeValueTypeDef]], into: list[dict[str, object]]
    ) -> list[dict[str, AttributeValueTypeDef]]:
        answer = self._send(
            lambda: self._client().batch_get_item(
                RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}}
            )
        )
        into.extend(item_from_wire(item) for item in answer["Responses"].get(self._table, []))
        left = answer.get("UnprocessedKeys", {}).get(self._table)
        return list(left["Keys"]) if left else []

    def _send(
        self, call: Callable[[], A], *, guests: Mapping[int, str] | None = None, once: bool = False
    ) -> A:
        """Makes a request.

        `guests`: tables of actions on other tables, by place. `once`: a conflict raises TransactionBusy.
        """
        for attempt in range(_TRIES):
            self._pause(attempt)
            try:
                return call()
            except (WorkpoolError, TimedOut):
                raise  # by the making of the client, or by the alarm of a job
            except SDK_ERRORS as error:
                meaning = translated(error, self._table, guests=guests or {})
                if once and meaning is TryAgain.CONFLICT:
                    raise TransactionBusy(repeated=was_repeated(error)) from error
                if once and meaning is TryAgain.IN_PROGRESS:
                    raise StoreUnavailable(
                        f"table {self._table!r}: the same transaction is in progress"
                    ) from error
                if not isinstance(meaning, TryAgain):
                    # Invalid parameters quote what was to be stored, which may be secret: not even
                    # as a cause.
                    raise meaning from None if isinstance(error, ParamValidationError) else error
        raise StoreUnavailable(
            f"table {self._table!r}: other transactions were in the way in all {_TRIES} tries"
        )

    def _pause(self, attempt: int) -> None:
        if attempt > 0:
            self._clock.sleep(
                int(_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + self._entropy.fraction()))
            )


def _guest_item(item: Mapping[str, Any] | None) -> GuestItem | None:
    return GuestItem(item) if item else None


def _decoded(item: Mapping[str, object]) -> Record | Unreadable:
    return decode(item_from_wire(item))


def _sort_in(plain: Mapping[str, object], key_range: KeyRange) -> str:
    sort = plain.get(sort_attribute(key_range))
    return sort if isinstance(sort, str) else ""
