"""Reads the fields of a message, each as one type and within its bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeVar

from workpool_aws.core import limits
from workpool_aws.model.ids import WorkId, is_ulid, time_of
from workpool_aws.model.names import JOB, LABEL, POOL, RESERVED_KEY, TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VERSION", "WORKPOOL_KEY", "Fields", "compact"]


VERSION: Final = 1
WORKPOOL_KEY: Final = RESERVED_KEY

T = TypeVar("T")


class Fields:
    """The fields of a JSON object, each read as one type.

    A value of another type is read as an object without fields. Reads raise ValueError for a field
    of another type.
    """

    def __init__(self, value: object) -> None:
        self._value: Mapping[object, object] = value if isinstance(value, dict) else {}

    def as_mapping(self) -> Mapping[object, object]:
        """Returns all fields, as they are."""
        return self._value

    def get(self, name: str) -> object:
        """Returns a field of any type; `None` means that it is absent or null."""
        return self._value.get(name)

    def text(self, name: str) -> str:
        """Returns a text that is not empty."""
        return _need(self.optional_text(name) or None, name)

    def text_or_empty(self, name: str) -> str:
        """Returns a text, or an empty one if there is none."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

    def optional_text(self, name: str) -> str | None:
        """Returns a text; `None` means that it is absent or null."""
        value = self.get(name)
        if value is None or isinstance(value, str):
            return value
        raise ValueError(name)

    def integer(self, name: str, *, at_least: int = 0, at_most: int = limits.NUMBER_MAX) -> int:
        """Returns an integer within bounds."""
        return _need(self.optional_integer(name, at_least=at_least, at_most=at_most), name)

    def optional_integer(
        self, name: str, *, at_least: int, at_most: int | None = limits.NUMBER_MAX
    ) -> int | None:
        """Returns an integer within bounds; `None` means that it is absent or null.

        `at_most`: `None` means no upper bound.
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
        """Returns a nonce; `None` means that it is absent or null."""
        value = self.optional_text(name)
        if value is not None and (
            not value.isascii() or not 1 <= len(value) <= limits.NONCE_LENGTH_MAX
        ):
            raise ValueError(name)
        return value

    def retention(self, name: str) -> int | None:
        """Returns a retention in seconds; `None` means that it is absent or null: for ever."""
        return self.optional_integer(name, at_least=0, at_most=limits.RETENTION_S_MAX)

    def number(self, name: str) -> float:
        """Returns a number."""
        value = self.get(name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not -limits.NUMBER_MAX <= value <= limits.NUMBER_MAX
        ):
            raise ValueError(name)
        return value

    def texts(self, name: str) -> list[str]:
        """Returns a list of texts, empty if it is absent. An item of another type becomes ""."""
        value = self.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise ValueError(name)
        return [one if isinstance(one, str) else "" for one in value]

    def flag(self, name: str) -> bool:
        """Returns a boolean."""
        value = self.get(name)
        if not isinstance(value, bool):
            raise ValueError(name)
        return value

    def pool(self, name: str) -> str:
        """Returns a name that a pool can have."""
        value = self.text(name)
        if POOL.fullmatch(value) is None:
            raise ValueError(name)
        return value

    def job(self, name: str) -> str | None:
        """Returns a name that a job can have; `None` means that it is absent or null."""
        value = self.optional_text(name)
        if value is not None and JOB.fullmatch(value) is None:
            raise ValueError(name)
        return value

    def label(self, name: str) -> str | None:
        """Returns the name of a job or a function; `None` means that it is absent or null."""
        value = self.optional_text(name)
        if value is not None and LABEL.fullmatch(value) is None:
            raise ValueError(name)
        return value

    def table(self, name: str) -> str:
        """Returns a name that a table can have."""
        value = self.text(name)
        if TABLE.fullmatch(value) is None:
            raise ValueError(name)
        return value

    def work_id(self, name: str) -> WorkId:
        """Returns the id of a work item, with a time that can be stored."""
        value = self.text(name)
        if not is_ulid(value) or time_of(value) >= limits.STORED_WORK_MS_BELOW:
            raise ValueError(name)
        return WorkId(value)


def _need(value: T | None, name: str) -> T:
    if value is None:
        raise ValueError(name)
    return value


def compact(value: Mapping[str, object]) -> str:
    """Returns the JSON of a message, without spaces."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
