"""Reads the library's own actions back from requests of user code, for a table in memory.

`Workpool.transact_items` returns them, and user code sends them. Only the syntax that
`adapters/items/expressions.py` writes is known.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.items.attributes import PARTITION_KEY
from workpool_aws.adapters.items.codec import decode, key_in
from workpool_aws.adapters.items.expressions import item_from_wire
from workpool_aws.adapters.items.keys import place_of
from workpool_aws.adapters.items.records import RecordKind, kind_in, kind_of
from workpool_aws.model.actions import Check
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.writes import Above, All, Below, Either, Is, IsAbsent, Put, Update
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.actions import Action
    from workpool_aws.model.writes import Condition

__all__ = ["own_action"]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<word>AND|OR)\b|(?P<paren>[()])"
    r"|(?P<test>attribute_(?:not_)?exists)\((?P<tested>#\w+)\)"
    r"|(?P<name>#\w+) (?P<sign>[=<>]) (?P<value>:\w+))"
)
_CLAUSE: Final = re.compile(r"(SET|REMOVE) ((?:(?!\b(?:SET|REMOVE|ADD) ).)*)")


def own_action(verb: str, body: Mapping[str, Any]) -> Action | None:
    """Returns an action of this library; `None` means that it is none of those it knows."""
    try:
        return _Reader(body).action(verb)
    except (ValueError, KeyError, StopIteration):
        return None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one action. Methods raise ValueError or KeyError for an unknown one."""

    body: Mapping[str, Any]

    def action(self, verb: str) -> Action:
        if verb == "Put":
            record = decode(item_from_wire(_unpacked(self.body["Item"])))
            if isinstance(record, Unreadable):
                raise ValueError("no record")
            return Put(record, self._condition(kind_of(type(record))))
        kind, ref = self._named()
        condition = self._condition(kind)
        if verb == "ConditionCheck" and condition is not None:
            return Check(ref=ref, condition=condition)
        if verb == "Update":
            return Update(ref=ref, set=self._changes(kind), condition=condition)
        raise ValueError("no action")

    def _named(self) -> tuple[RecordKind[Any], Any]:
        """Returns the kind and the name of the record at the key."""
        key = key_in(item_from_wire(self.body["Key"]))
        place = place_of(key.pk)
        # Work items share their partition with pointers, which are only put.
        kind = kind_in(place.partition_kind, key.sk, {"t": "w"})
        return kind, kind.ref(*kind.key.names(place, key.sk))

    def _changes(self, kind: RecordKind[Any]) -> dict[str, object]:
        changes: dict[str, object] = {}
        for word, parts in _CLAUSE.findall(self.body["UpdateExpression"]):
            for part in parts.strip().split(", "):
                name, _, value = part.strip().partition(" = ")
                field = self._field(name, kind)
                changes[field] = None if word == "REMOVE" else self._value(value, field, kind)
        return changes

    def _condition(self, kind: RecordKind[Any]) -> Condition | None:
        text = self.body.get("ConditionExpression")
        if text is None:
            return None
        tokens = list(_TOKEN.finditer(text))
        if "".join(each.group() for each in tokens) != text:
            raise ValueError("unknown syntax")
        found = self._either(tokens, kind)
        if tokens:
            raise ValueError("unknown syntax")
        return found

    def _either(self, tokens: list[re.Match[str]], kind: RecordKind[Any]) -> Condition | None:
        parts = [self._all(tokens, kind)]
        while tokens and tokens[0]["word"] == "OR":
            tokens.pop(0)
            parts.append(self._all(tokens, kind))
        known = tuple(each for each in parts if each is not None)
        return known[0] if len(known) == 1 else Either(known) if known else None

    def _all(self, tokens: list[re.Match[str]], kind: RecordKind[Any]) -> Condition | None:
        parts = [self._one(tokens, kind)]
        while tokens and tokens[0]["word"] == "AND":
            tokens.pop(0)
            parts.append(self._one(tokens, kind))
        known = tuple(each for each in parts if each is not None)
        return known[0] if len(known) == 1 else All(known) if known else None

    def _one(self, tokens: list[re.Match[str]], kind: RecordKind[Any]) -> Condition | None:
        """Returns one part. `None` means that the item exists, which each update needs anyway."""
        token = tokens.pop(0)
        if token["paren"] == "(":
            inner = self._either(tokens, kind)
            tokens.pop(0)
            return inner
        if token["test"] is not None:
            absent = token["test"] == "attribute_not_exists"
            if self.body["ExpressionAttributeNames"][token["tested"]] == PARTITION_KEY:
                return IsAbsent() if absent else None
            if not absent:
                raise ValueError("unknown syntax")
            return Is(self._field(token["tested"], kind), None)
        field = self._field(token["name"], kind)
        value = self._value(token["value"], field, kind)
        if not isinstance(value, str | int):
            raise ValueError("unknown syntax")
        if token["sign"] == "=":
            return Is(field, value)
        number = int(value)
        return Below(field, number) if token["sign"] == "<" else Above(field, number)

    def _field(self, alias: str, kind: RecordKind[Any]) -> str:
        attribute = self.body["ExpressionAttributeNames"][alias]
        return next(name for name, each in kind.fields.items() if each.attribute == attribute)

    def _value(self, alias: str, field: str, kind: RecordKind[Any]) -> object:
        values = item_from_wire(_unpacked(self.body["ExpressionAttributeValues"]))
        return kind.fields[field].form.decode(values[alias])


def _unpacked(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Returns typed values with bytes in place of the text that a request has."""
    return {
        name: {"B": base64.b64decode(value["B"])} if "B" in value else value
        for name, value in typed.items()
    }
