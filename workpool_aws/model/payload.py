"""Payloads of a work item: arguments, context and return value, in its item or in chunks."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from workpool_aws.model.record import Record
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.ids import WorkId

__all__ = [
    "NO_ARGS",
    "Chunk",
    "Chunked",
    "Inline",
    "Part",
    "Payload",
    "chunk_count",
    "inline_text",
    "payload_of",
    "stored_fields",
]


class Part(StrEnum):
    """Parts of a work item that may lie in chunks."""

    ARGS = "args"
    CONTEXT = "context"
    RESULT = "result"


@dataclass(frozen=True, slots=True)
class Inline:
    """Payload in the work item's own item, as compact JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class Chunked:
    """Payload in so many chunks beside the work item, at least one."""

    count: int


Payload = Inline | Chunked

NO_ARGS: Final = Inline("{}")
"""Arguments of a function that takes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk(Record):
    """A piece of a payload that is too large for its work item's item: at most 350 KB.

    Written by: enqueue (arguments, context) and completion (result), in one transaction with the
    work item. Read by: the loop, which sends the arguments; the sender of the callback; `result`.
    Removed by: TTL, set when the work item's is [WP-10]. Items of their own, because every write of
    the work item costs by its whole size, and an item holds 400 KB.
    """

    pool: str
    work_id: WorkId
    part: Part
    number: int
    """Its place in the whole, from 0."""
    text: str
    expires_at: int | None = None
    """TTL, epoch seconds; only ever set when the work item is finished and owes no callback."""


def inline_text(payload: Payload | None) -> str | None:
    """Returns the JSON of a payload that lies in its work item's item, and `None` for any other."""
    return payload.text if isinstance(payload, Inline) else None


def chunk_count(payload: Payload | None) -> int | None:
    """Returns the number of chunks of a payload. `None` means that it lies in none."""
    return payload.count if isinstance(payload, Chunked) else None


def payload_of(text: str | None, chunks: int | None) -> Payload | None:
    """Returns the payload of a text and a number of chunks. `None` means that there is neither."""
    if chunks is not None:
        return Chunked(chunks)
    return None if text is None else Inline(text)


def stored_fields(part: Part, payload: Payload | None) -> Mapping[str, str | int | None]:
    """Returns the two fields of a work item's item that hold a payload: its text, and its chunks."""
    return {part.value: inline_text(payload), f"{part.value}_chunks": chunk_count(payload)}
