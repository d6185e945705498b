"""Forms of single values. A form turns a field's value into a plain one and back, or refuses it.

Plain values are stored by every engine: text, bytes, whole numbers, true, and lists of texts.
Composite values are written compactly, because every write of an item costs by its whole size. Their
forms stand beside the fields that have them: `spec.py`, `work.py`, `ledger_forms.py`.

A function named `read_…` raises ValueError for anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workpool_aws.core import limits
from workpool_aws.model.ids import SHARDS_MAX, WorkId, is_ulid, time_of
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable
    from enum import StrEnum

__all__ = [
    "CHUNKS",
    "COUNT",
    "EXPIRY",
    "FLAG",
    "GENERATION",
    "MOMENT",
    "NUMBERS",
    "PARALLELISM",
    "RETENTION",
    "SECONDS",
    "STARTS",
    "TEXT",
    "TEXTS",
    "ULID",
    "WORK_MOMENT",
    "FieldCodec",
    "Value",
    "choice",
    "list_of",
    "matched",
    "matching",
    "read_limit",
    "read_moment",
    "read_text",
    "read_whole",
    "read_work_moment",
    "work_id",
    "write_base36",
]

Value = str | bytes | int | bool | list[str]

_ROOM: Final = 1_000
"""So many times the largest number that can be read can be written, so that a number counted up from
a stored one still fits [WP-12]."""
_BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, eq=False)
class FieldCodec:
    """Form in which values of one kind are stored. Each is itself alone.

    `encode` and `decode` raise ValueError for what is not of this kind.
    """

    name: str
    """Description of such a value, for messages."""
    encode: Callable[[Any], Value]
    decode: Callable[[object], object]


def work_id(value: object) -> WorkId:
    """Return an id in its one canonical spelling, of a time that can be.

    Raises ValueError for anything else.
    """
    if isinstance(value, str) and is_ulid(value) and time_of(value) < limits.STORED_WORK_MS_BELOW:
        return WorkId(value)
    raise ValueError("not an id")


def read_text(value: object) -> str:
    """Return a text that can be stored as it is."""
    if not isinstance(value, str):
        raise ValueError("text expected")
    if not value.isascii():
        value.encode()  # a lone surrogate could not be sent, or would come back as something else
    return str(value)


def read_moment(value: object) -> int:
    """Return a time in milliseconds."""
    return read_whole(value, below=limits.STORED_MS_BELOW)


def read_work_moment(value: object) -> int:
    """Return a time to which others can be added."""
    return read_whole(value, below=limits.STORED_WORK_MS_BELOW)


def _number_below(below: int, *, at_least: int = 0, name: str = "a whole number") -> FieldCodec:
    """Return the form of numbers from `at_least` to under `below`."""

    def decode(value: object) -> int:
        return read_whole(value, at_least=at_least, below=below)

    return FieldCodec(
        name, lambda value: read_whole(value, at_least=at_least, below=below * _ROOM), decode
    )


def read_whole(value: object, *, below: int, at_least: int = 0) -> int:
    """Return a whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number expected")
    if not at_least <= value < below:
        raise ValueError(f"a number from {at_least} to {below - 1} expected")
    return value


def _chunks(value: object) -> int:
    return read_whole(value, at_least=1, below=limits.CHUNKS_MAX + 1)


def read_limit(value: object) -> int:
    """Return a number of slots."""
    return read_whole(value, below=limits.PARALLELISM_MAX + 1)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false expected")
    return value


TEXT: Final = FieldCodec("a text", read_text, read_text)
COUNT: Final = _number_below(limits.STORED_COUNT_BELOW)
STARTS: Final = _number_below(limits.STORED_STARTS_BELOW)
GENERATION: Final = _number_below(limits.STORED_GENERATION_BELOW)
SHARDS: Final = _number_below(SHARDS_MAX + 1, at_least=1, name="a number of shards")
CHUNKS: Final = FieldCodec("a number of chunks", _chunks, _chunks)
PARALLELISM: Final = FieldCodec("a limit", read_limit, read_limit)
RETENTION: Final = FieldCodec(
    "a retention in seconds",
    read_moment,
    lambda value: read_whole(value, at_least=1, below=limits.RETENTION_S_MAX + 1),
)
EXPIRY: Final = _number_below(
    limits.DELAY_MS_MAX + 1, at_least=1, name="a positive number of milliseconds, at most a year"
)
MOMENT: Final = FieldCodec("a time in milliseconds", read_moment, read_moment)
WORK_MOMENT: Final = FieldCodec("a time in milliseconds", read_moment, read_work_moment)
"""A time to which others are added."""
SECONDS: Final = FieldCodec(
    "a time in seconds",
    read_moment,
    lambda value: read_whole(value, below=limits.STORED_MS_BELOW // 1_000),
)
NUMBERS: Final = frozenset(
    {
        COUNT,
        STARTS,
        GENERATION,
        SHARDS,
        CHUNKS,
        PARALLELISM,
        RETENTION,
        EXPIRY,
        MOMENT,
        WORK_MOMENT,
        SECONDS,
    }
)
"""The forms of numbers."""
FLAG: Final = FieldCodec("true or false", _flag, _flag)
ULID: Final = FieldCodec("an id", work_id, work_id)


def choice(members: type[StrEnum]) -> FieldCodec:
    """Return the form of an enumeration, which has its values and nothing else."""

    def encode(value: object) -> Value:
        return members(read_text(value)).value

    def decode(value: object) -> object:
        return members(read_text(value))

    return FieldCodec(f"one of {', '.join(members)}", encode, decode)


def list_of(
    one: FieldCodec, name: str, *, at_least: int = 0, at_most: int | None = None
) -> FieldCodec:
    """Return the form of lists of texts of one form. The bounds hold for what is read."""

    def encode(values: Iterable[object]) -> Value:
        return [str(one.encode(value)) for value in values]

    def decode(value: object) -> object:
        if not isinstance(value, list):
            raise ValueError("a list expected")
        if len(value) < at_least or (at_most is not None and len(value) > at_most):
            raise ValueError("a list of another length expected")
        return tuple(one.decode(each) for each in value)

    return FieldCodec(name, encode, decode)


def matching(pattern: re.Pattern[str], name: str) -> FieldCodec:
    """Return the form of texts that match a pattern as a whole."""

    def read(value: object) -> str:
        return matched(pattern, value).group()

    return FieldCodec(name, read, read)


def write_base36(number: int) -> str:
    """Return a number from 0 in base 36.

    Raises ValueError for anything else.
    """
    if number < 0:
        raise ValueError("a time before 1970")
    digits = ""
    while number >= len(_BASE36):
        number, digit = divmod(number, len(_BASE36))
        digits = _BASE36[digit] + digits
    return _BASE36[number] + digits


def matched(pattern: re.Pattern[str], value: object) -> re.Match[str]:
    """Return the match of a whole text.

    Raises ValueError for anything else.
    """
    found = pattern.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("not of the expected form")
    return found


TEXTS: Final = list_of(TEXT, "a list of texts")
