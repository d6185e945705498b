"""Decides whether payloads lie in the work item's own item or in chunks, and when those expire."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.model.payload import Chunk, Part
from workpool_aws.model.refs import ChunkRef, Ref, Unreadable, WorkRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Put, Update

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.model.messages import Assignment

__all__ = [
    "Layout",
    "chunk_refs",
    "expiries",
    "input_expiries",
    "joined",
    "lay_out",
    "overdue_expiries",
    "packed",
]


_INLINE_BYTES_MAX: Final = MappingProxyType(
    {
        Part.ARGS: limits.ARGS_INLINE_BYTES_MAX,
        Part.CONTEXT: limits.CONTEXT_INLINE_BYTES_MAX,
        Part.RESULT: limits.RESULT_INLINE_BYTES_MAX,
    }
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Place of a payload: `inline` in the work item's own item, or in `puts`.

    `puts` are written in one transaction with the work item.
    """

    inline: str | None
    puts: tuple[Put, ...] = ()

    @property
    def count(self) -> int | None:
        """Number of chunks; `None` means that there are none."""
        return len(self.puts) or None


def lay_out(
    text: str | None, owner: WorkRef, part: Part, *, expires_at: int | None = None
) -> Layout:
    """Small payloads stay with the work item; None is no payload.

    `expires_at` (epoch seconds) only for a work item that is over [WP-10].

    Each write of a work item costs by its whole size, but a chunk is an item more, written in a
    transaction: docs/cost.md says where they meet.
    """
    if text is None:
        return Layout(None)
    whole = text.encode()
    if len(whole) <= _INLINE_BYTES_MAX[part]:
        return Layout(text)
    pieces = _cut(whole)
    chunks = (
        Chunk(
            pool=owner.pool,
            work_id=owner.id,
            part=part,
            number=number,
            text=piece,
            expires_at=expires_at,
        )
        for number, piece in enumerate(pieces)
    )
    return Layout(None, tuple(Put(chunk) for chunk in chunks))


def _cut(whole: bytes) -> list[str]:
    pieces: list[str] = []
    low = 0
    while low < len(whole):
        high = low + limits.CHUNK_BYTES
        while high < len(whole) and whole[high] & 0xC0 == 0x80:  # noqa: PLR2004 - UTF-8: the byte goes on with a character
            high -= 1
        pieces.append(whole[low:high].decode())
        low = high
    return pieces


def packed(work: WorkItem) -> tuple[WorkItem, tuple[Put, ...]]:
    """Return a new work item as it is stored, and the chunks of its large arguments and context."""
    owner = WorkRef(work.pool, work.id)
    args, context = lay_out(work.args, owner, Part.ARGS), lay_out(work.context, owner, Part.CONTEXT)
    stored = replace(
        work,
        args=args.inline,
        args_chunks=args.count,
        context=context.inline,
        context_chunks=context.count,
    )
    return stored, (*args.puts, *context.puts)


def chunk_refs(owner: WorkRef, part: Part, count: int) -> tuple[ChunkRef, ...]:
    """The names of a payload's chunks, in order.

    There are none for a count that no payload has: a damaged item must not cost the loop.
    """
    if count > limits.CHUNKS_MAX:
        return ()
    return tuple(ChunkRef(owner.pool, owner.id, part, number) for number in range(count))


def joined(refs: Sequence[ChunkRef], found: Mapping[Ref[Chunk], Chunk | Unreadable]) -> str | None:
    """The payload again; `None` means a chunk of it is gone or damaged."""
    chunks = [found.get(ref) for ref in refs]
    texts = [chunk.text for chunk in chunks if isinstance(chunk, Chunk)]
    return "".join(texts) if texts and len(texts) == len(chunks) else None


def expiries(
    owner: WorkRef, part: Part, count: int | None, *, expires_at: int | None
) -> tuple[Update, ...]:
    """Let the chunks of a finished work item expire with it [WP-10].

    `expires_at` is `None` for a work item that is kept for ever, as its chunks are then.
    """
    if count is None or expires_at is None:
        return ()
    return tuple(
        Update(ref=ref, set={"expires_at": expires_at}) for ref in chunk_refs(owner, part, count)
    )


def input_expiries(of: WorkItem | Assignment, *, expires_at: int | None) -> tuple[Update, ...]:
    """As `expiries`, for all that a work item was enqueued with."""
    owner = WorkRef(of.pool, of.id if isinstance(of, WorkItem) else of.work_id)
    counts = ((Part.ARGS, of.args_chunks), (Part.CONTEXT, of.context_chunks))
    return tuple(
        expiry
        for part, count in counts
        for expiry in expiries(owner, part, count, expires_at=expires_at)
    )


def overdue_expiries(work: WorkItem) -> tuple[Update, ...]:
    """Lets what lies beside a finished work item expire with it, in case its finisher, or who delivered its callback, did not come to that.

    Nothing while the work item is unfinished or owes a callback. The chunks of a result are among
    them: of a work item that owed a callback they were written without a time to live [WP-10].
    """
    if work.state is not State.FINISHED:
        return ()
    owner = WorkRef(work.pool, work.id)
    of_result = expiries(owner, Part.RESULT, work.result_chunks, expires_at=work.expires_at)
    return (*input_expiries(work, expires_at=work.expires_at), *of_result)
