"""Payloads of a work item: arguments, context and return value, and the chunks of large ones."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from workpool_aws.model.record import Record

if TYPE_CHECKING:
    from workpool_aws.model.ids import WorkId

__all__ = ["Chunk", "Part"]


class Part(StrEnum):
    """Parts of a work item that may lie in chunks."""

    ARGS = "args"
    CONTEXT = "context"
    RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk(Record):
    """A piece of a payload that is too large for its work item's item: at most 350 KB.

    Written by: enqueue (arguments, context) and completion (result), in one transaction with the
    work. Read by: the loop, which sends the arguments; whoever sends the callback; `result`.
    Removed by: TTL, set when the work item's is [WP-10]. Items of their own, because every write of
    the work costs by its whole size, and an item holds 400 KB.
    """

    pool: str
    work_id: WorkId
    part: Part
    number: int
    """Its place in the whole, from 0."""
    text: str
    expires_at: int | None = None
    """TTL, epoch seconds; only ever set when the work item is finished and owes no callback."""
