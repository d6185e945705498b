"""Writes as values: a record or changes, with a condition.

Adapters carry them out; decisions only make them.

Values of fields follow one rule on every engine: `None` and `False` are stored as absence, so
`Is("claim", None)` means "not claimed" and `Is("cancel_requested", False)` means "not asked".
Comparisons with an absent field are false, as in DynamoDB.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.record import Record, Ref

__all__ = [
    "Above",
    "All",
    "Below",
    "Condition",
    "Either",
    "Is",
    "IsAbsent",
    "IsNot",
    "Put",
    "Update",
    "Write",
    "Written",
]


@dataclass(frozen=True, slots=True)
class IsAbsent:
    """No item of this name exists."""


@dataclass(frozen=True, slots=True)
class Is:
    """The field has exactly this value.

    None and False: the field is absent (the item itself may be, too).
    """

    field: str
    value: str | int | bool | None


@dataclass(frozen=True, slots=True)
class IsNot:
    """The field does not have this value.

    It has another, of whatever type, or is absent (the item itself may be, too).
    """

    field: str
    value: str | int


@dataclass(frozen=True, slots=True)
class Below:
    """The field is present, and its number is less than this one."""

    field: str
    value: int


@dataclass(frozen=True, slots=True)
class Above:
    """The field is present, and its number is greater than this one."""

    field: str
    value: int


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds. At least one part."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part holds. At least one part."""

    parts: tuple[Condition, ...]


Condition = IsAbsent | Is | IsNot | Below | Above | All | Either


@dataclass(frozen=True, slots=True)
class Put:
    """Store the whole record, in place of any item of its name.

    With a condition, only if that holds.
    """

    record: Record
    condition: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Change single fields of an existing item.

    It never creates one: on an absent item its condition fails.

    `set` gives fields of the record new values (None and False remove them); `add` adds to a number
    (not safe to repeat: only where a second addition does no harm).
    """

    ref: Ref[Record]
    set: Mapping[str, object] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    condition: Condition | None = None


Write = Put | Update


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a write.

    `server_time` is the server's clock when it answered (the HTTP `Date` header: whole seconds,
    rounded down); `None` means the answer had none.
    """

    server_time: EpochMs | None
    answer: Record | Callable[[], Record | None] | None = field(compare=False)
    """The record, or what reads it from the answer. Most writers never ask, and a ledger's item is
    long."""

    @property
    def record(self) -> Record | None:
        """The whole record after an `Update`, the stored one after a `Put`.

        `None` after a transaction, and of an item that cannot be read.
        """
        return self.answer() if callable(self.answer) else self.answer
