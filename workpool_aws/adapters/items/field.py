"""The row of one field of a record: its attribute, and the form of its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.adapters.items.forms import FieldCodec

__all__ = ["REQUIRED", "Field", "Required"]


class Required:
    """A field that is never absent from an item."""


REQUIRED: Final = Required()


@dataclass(frozen=True, slots=True)
class Field:
    """Attribute and form of a record's field. `absent` is the value that its absence stands for."""

    attribute: str
    form: FieldCodec
    absent: int | tuple[()] | Required | None = REQUIRED

    @property
    def required(self) -> bool:
        """True if an item without it is damaged."""
        return self.absent is REQUIRED
