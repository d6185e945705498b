"""Actions of a transaction on users' items, each joined with the check of what it read there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workpool_aws.adapters.guests.expressions import check_size, guard_of
from workpool_aws.adapters.guests.values import bytes_of
from workpool_aws.model.actions import Guest, GuestPlace, GuestVerb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.adapters.guests.expressions import Guard
    from workpool_aws.adapters.guests.reads import GuestRead
    from workpool_aws.adapters.guests.values import Typed

__all__ = ["GuestAction", "place_id", "read_action"]


def place_id(place: GuestPlace) -> tuple[str, str]:
    """Returns a value that is equal for equal places."""
    return place.table, repr(
        sorted((name, sorted(value.items())) for name, value in place.key.items())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestAction:
    """One action, as the user gave it."""

    table: str
    verb: GuestVerb
    key: Mapping[str, Typed] | None
    """`None` for a put into a table whose keys are not known."""
    guard: Guard
    item: Mapping[str, Typed] | None = None
    """The item of a put."""
    expression: str | None = None
    """The expression of an update."""

    @property
    def place(self) -> GuestPlace | None:
        """The place of the item; `None` where its key is not known."""
        return None if self.key is None else GuestPlace(table=self.table, key=self.key)

    @property
    def size_bytes(self) -> int:
        """About the bytes of what it stores."""
        stored = [*(self.item or {}).values(), *self.guard.placeholders.values.values()]
        return sum(map(bytes_of, stored))

    def with_key(self, names: tuple[str, ...]) -> Mapping[str, Typed] | None:
        """Returns the key that its item has, in a table with these key attributes."""
        item = self.item or {}
        return {name: item[name] for name in names} if all(name in item for name in names) else None

    def guest(self, read: GuestRead | None) -> Guest:
        """Returns the action. `read` is joined to its condition."""
        into = self.guard.placeholders.copy()
        conditions = [] if self.guard.condition is None else [self.guard.condition]
        if read is not None:
            conditions.append(read.check(into))
        request: dict[str, Any] = {}
        if self.verb is GuestVerb.PUT:
            request["Item"] = self.item
        else:
            request["Key"] = self.key
        if self.expression is not None:
            request["UpdateExpression"] = check_size("expression", self.expression)
        if conditions:
            request["ConditionExpression"] = check_size(
                "condition",
                conditions[0]
                if len(conditions) == 1
                else " AND ".join(f"({each})" for each in conditions),
            )
        if into.names:
            request["ExpressionAttributeNames"] = into.names
        if into.values:
            request["ExpressionAttributeValues"] = into.values
        return Guest(table=self.table, verb=self.verb, request=request)


def read_action(read: GuestRead) -> GuestAction:
    """Returns the check of an item that was read, and is not written."""
    return GuestAction(
        table=read.place.table,
        verb=GuestVerb.CHECK,
        key=read.place.key,
        guard=guard_of(None),
    )
