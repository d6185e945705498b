"""Decides if payloads are stored in the work item's item or in chunks, and when those expire."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, assert_never

from workpool_aws.core import limits
from workpool_aws.model.messages import Assignment
from workpool_aws.model.payload import (
    Chunk,
    Chunked,
    Inline,
    Part,
    Payload,
    chunk_count,
    inline_text,
)
from workpool_aws.model.refs import ChunkRef, Unreadable, WorkRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Put, Update
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.model.record import Ref


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

_TOP_BITS: Final = 0b1100_0000
_GOES_ON: Final = 0b1000_0000
"""Of a byte that goes on with a character of UTF-8."""


_INLINE_BYTES_MAX: Final = MappingProxyType(
    {
        Part.ARGS: limits.ARGS_INLINE_BYTES_MAX,
        Part.CONTEXT: limits.CONTEXT_INLINE_BYTES_MAX,
        Part.RESULT: limits.RESULT_INLINE_BYTES_MAX,
    }
)


@dataclass(frozen=True, slots=True)
class Layout:
    """A payload as its work item holds it, and its chunks.

    `puts` are written in one transaction with the work item.
    """

    payload: Payload | None
    puts: tuple[Put, ...] = ()


def lay_out(
    text: str | None, owner: WorkRef, part: Part, *, expires_at: int | None = None
) -> Layout:
    """Returns a payload as it is stored, in the work item's own item if it is small.

    `None` is no payload. `expires_at` (epoch seconds) is only set for a work item that is over
    [WP-10]. Each write of a work item costs by its whole size, but a chunk is a further item,
    written in a transaction; docs/cost.md has the break-even.
    """
    if text is None:
        return Layout(None)
    whole = text.encode()
    if len(whole) <= _INLINE_BYTES_MAX[part]:
        return Layout(Inline(text))
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
    return Layout(Chunked(len(pieces)), tuple(Put(chunk) for chunk in chunks))


def _cut(whole: bytes) -> list[str]:
    pieces: list[str] = []
    low = 0
    while low < len(whole):
        high = low + limits.CHUNK_BYTES
        while high < len(whole) and whole[high] & _TOP_BITS == _GOES_ON:
            high -= 1
        pieces.append(whole[low:high].decode())
        low = high
    return pieces


def packed(work: WorkItem) -> tuple[WorkItem, tuple[Put, ...]]:
    """Returns a new work item as stored, and the chunks of its large arguments and context."""
    owner = WorkRef(work.pool, work.id)
    spec = work.spec
    args = lay_out(inline_text(spec.args), owner, Part.ARGS)
    context = lay_out(inline_text(spec.context), owner, Part.CONTEXT)
    # What lies in chunks already stays there.
    stored = spec.with_payloads(args.payload or spec.args, context.payload or spec.context)
    return replace(work, spec=stored), (*args.puts, *context.puts)


def chunk_refs(owner: WorkRef, part: Part, count: int) -> tuple[ChunkRef, ...]:
    """Returns the names of a payload's chunks, in order.

    A count that no payload has gives none, so that a damaged item does not burden the loop.
    """
    if count > limits.CHUNKS_MAX:
        return ()
    return tuple(ChunkRef(owner.pool, owner.id, part, number) for number in range(count))


def joined(refs: Sequence[ChunkRef], found: Mapping[Ref[Chunk], Chunk | Unreadable]) -> str | None:
    """Returns the payload; `None` means that a chunk of it is gone or damaged."""
    chunks = [found.get(ref) for ref in refs]
    texts = [chunk.text for chunk in chunks if isinstance(chunk, Chunk)]
    return "".join(texts) if texts and len(texts) == len(chunks) else None


def expiries(
    owner: WorkRef, part: Part, count: int | None, *, expires_at: int | None
) -> tuple[Update, ...]:
    """Returns the updates that let the chunks of a finished work item expire with it [WP-10].

    `expires_at` is `None` for a work item that is kept forever, as its chunks are then.
    """
    if count is None or expires_at is None:
        return ()
    return tuple(
        Update(ref=ref, set={"expires_at": expires_at}) for ref in chunk_refs(owner, part, count)
    )


def input_expiries(of: WorkItem | Assignment, *, expires_at: int | None) -> tuple[Update, ...]:
    """As `expiries`, for the arguments and the context."""
    match of:
        case WorkItem():
            owner = WorkRef(of.pool, of.id)
            args, context = chunk_count(of.spec.args), chunk_count(of.spec.context)
        case Assignment():
            owner = WorkRef(of.pool, of.work_id)
            args, context = of.args_chunks, of.context_chunks
        case _:
            assert_never(of)
    return (
        *expiries(owner, Part.ARGS, args, expires_at=expires_at),
        *expiries(owner, Part.CONTEXT, context, expires_at=expires_at),
    )


def overdue_expiries(work: WorkItem) -> tuple[Update, ...]:
    """Returns the updates that let the chunks of a finished work item expire with it.

    Its finisher, or the sender of its callback, may have died before it made them. There are none
    while the work item is unfinished or owes a callback. The chunks of a result are included, since
    those of a work item that owed a callback were written without a time to live [WP-10].
    """
    if work.state is not State.FINISHED:
        return ()
    owner = WorkRef(work.pool, work.id)
    of_result = expiries(owner, Part.RESULT, chunk_count(work.result), expires_at=work.expires_at)
    return (*input_expiries(work, expires_at=work.expires_at), *of_result)
