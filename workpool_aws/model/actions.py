"""Actions of a transaction beyond writes: checks, deletes, and actions on items of users' tables."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from workpool_aws.model.writes import Put, Update
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.record import Record, Ref
    from workpool_aws.model.writes import Condition

__all__ = ["Action", "Check", "Delete", "Guest", "GuestItem", "GuestPlace", "GuestVerb"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Changes nothing. The transaction is applied only if the condition holds."""

    ref: Ref[Record]
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Removes an item, if there is one. With a condition, only if that holds."""

    ref: Ref[Record]
    condition: Condition | None = None


class GuestVerb(StrEnum):
    """Kinds of actions on items of users' tables, as DynamoDB spells them."""

    PUT = "Put"
    UPDATE = "Update"
    DELETE = "Delete"
    CHECK = "ConditionCheck"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestPlace:
    """The place of an item in a user's table. `key` has DynamoDB's typed values."""

    table: str
    key: Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """An action on one item of a user's table, which takes part in a transaction.

    `request` is the body of DynamoDB's own action, without the table.
    """

    table: str
    verb: GuestVerb
    request: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class GuestItem:
    """An item of a user's table, with DynamoDB's typed values."""

    attributes: Mapping[str, Mapping[str, object]]


Action = Put | Update | Check | Delete | Guest
"""One action of a transaction."""
