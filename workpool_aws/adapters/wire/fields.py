"""Reads the fields of a message, each as one type and within its bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeVar

from workpool_aws.core import limits
from workpool_aws.core.payload import RESERVED_KEY
from workpool_aws.model.ids import WorkId, is_ulid, time_of
from workpool_aws.model.names import POOL, TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VERSION", "WORKPOOL_KEY", "Fields", "compact"]


VERSION: Final = 1
WORKPOOL_KEY: Final = RESERVED_KEY

T = TypeVar("T")


class Fields:
    """The fields of what should be a JSON object, each read as one type.

    Raises ValueError where it is another.
    """

    def __init__(self, value: object) -> None:
        self._value: Mapping[object, object] = value if isinstance(value, dict) else {}

    def get(self, name: str) -> object:
        """The field, of any type; `None` means that it is absent or null."""
        return self._value.get(name)

    def text(self, name: str) -> str:
        """A text that is not empty."""
        return _need(self.optional_text(name) or None, name)

    def text_or_empty(self, name: str) -> str:
        """A text, or an empty one where there is none."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

    def optional_text(self, name: str) -> str | None:
        """A text; `None` means that it is absent or null."""
        value = self.get(name)
        if value is None or isinstance(value, str):
            return value
        raise ValueError(name)

    def integer(self, name: str, *, at_least: int = 0, at_most: int = limits.NUMBER_MAX) -> int:
        """A whole number within bounds."""
        return _need(self.optional_integer(name, at_least=at_least, at_most=at_most), name)

    def optional_integer(
        self, name: str, *, at_least: int, at_most: int | None = limits.NUMBER_MAX
    ) -> int | None:
        """A whole number within bounds; `None` means that it is absent or null.

        `at_most` `None` means without bound.
        """
        value = self.get(name)
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or value < at_least
            or (at_most is not None and value > at_most)
        ):
            raise ValueError(name)
        return value

    def nonce(self, name: str) -> str | None:
        """A nonce; `None` means that it is absent or null."""
        value = self.optional_text(name)
        if value is not None and (
            not value.isascii() or not 1 <= len(value) <= limits.NONCE_LENGTH_MAX
        ):
            raise ValueError(name)
        return value

    def number(self, name: str) -> float:
        """A number, whole or not."""
        value = self.get(name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not -limits.NUMBER_MAX <= value <= limits.NUMBER_MAX
        ):
            raise ValueError(name)
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts; none where it is absent."""
        value = self.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise ValueError(name)
        return [one if isinstance(one, str) else "" for one in value]

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.get(name)
        if not isinstance(value, bool):
            raise ValueError(name)
        return value

    def pool(self, name: str) -> str:
        """A name that a pool can have."""
        value = self.text(name)
        if POOL.fullmatch(value) is None:
            raise ValueError(name)
        return value

    def table(self, name: str) -> str:
        """A name that a table can have."""
        value = self.text(name)
        if TABLE.fullmatch(value) is None:
            raise ValueError(name)
        return value

    def work_id(self, name: str) -> WorkId:
        """An id, of a time that can be."""
        value = self.text(name)
        if not is_ulid(value) or time_of(value) >= limits.STORED_WORK_MS_BELOW:
            raise ValueError(name)
        return WorkId(value)


def _need(value: T | None, name: str) -> T:
    if value is None:
        raise ValueError(name)
    return value


def compact(value: Mapping[str, object]) -> str:
    """Return the JSON of a message, without spaces."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
