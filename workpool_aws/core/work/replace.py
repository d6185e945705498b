"""Decides if a work item that has not started can be replaced by a later request for its key [WP-16].

The work item keeps its id, and gets other arguments and another due time. A later due time takes no
pointer: the pass that meets the work item at its old place puts one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.core.chunks import expiries, lay_out
from workpool_aws.model.ids import EpochMs, make_id
from workpool_aws.model.payload import Part, chunk_count, inline_text, stored_fields
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import Pointer, State, WorkItem
from workpool_aws.model.writes import All, Is, Put, Update
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.payload import Payload

__all__ = ["Replacement", "decide_replacement", "is_own_replacement", "pointed_write"]


_UNSTARTED: Final = (
    Is("state", State.PENDING),
    Is("starts", 0),
    Is("cancel_requested", value=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """Write all of this in one transaction, or the update alone if there is nothing else.

    Afterwards, for an earlier due time: the late rule, kick. And let the old chunks expire.
    """

    pool: str
    work_id: WorkId
    label: str
    """For logs, as `Spec.label`."""
    write: Update
    chunks: tuple[Put, ...]
    pointer: Pointer | None
    """At an earlier due time; `None` means that the work item is met by its places as they are."""
    due_at: EpochMs
    rev: int
    unused: tuple[Update, ...]
    """Time to live of chunks that nothing names any more. Lost, they stay."""

    @property
    def actions(self) -> tuple[Put | Update, ...]:
        """The parts of its transaction."""
        pointer = () if self.pointer is None else (Put(self.pointer),)
        return (self.write, *self.chunks, *pointer)


def decide_replacement(
    held: WorkItem, new: WorkItem, *, max_wait_ms: int | None, random_bits: int, now: EpochMs
) -> Replacement | None:
    """Returns the replacement of a work item's arguments and due time by those of a new one.

    `None` means that it cannot be replaced: it has started, or would run another function. Then the
    new arguments would be lost. `max_wait_ms`: the longest time from its enqueue to its due time;
    `None` means any.
    """
    spec, wanted = held.spec, new.spec
    same = (spec.target, spec.job, spec.kind) == (wanted.target, wanted.job, wanted.kind)
    if held.state is not State.PENDING or held.starts > 0 or held.cancel_requested or not same:
        return None
    due_at = new.due_at
    if max_wait_ms is not None:
        due_at = EpochMs(max(now, min(due_at, held.enqueued_at + max_wait_ms)))
    owner = WorkRef(held.pool, held.id)
    layout = lay_out(inline_text(wanted.args), owner, Part.ARGS)
    pointer = None
    if due_at < held.due_at:
        at = make_id(due_at, random_bits=random_bits)
        pointer = Pointer(pool=held.pool, at=at, work_id=held.id)
    unused = expiries(
        owner, Part.ARGS, chunk_count(spec.args), expires_at=now // 1000 + limits.LOCK_KEPT_S
    )
    return Replacement(
        pool=held.pool,
        work_id=held.id,
        label=spec.label,
        write=_replacing_write(held, layout.payload, due_at),
        chunks=layout.puts,
        pointer=pointer,
        due_at=due_at,
        rev=held.rev + 1,
        unused=unused[chunk_count(layout.payload) or 0 :],
    )


def _replacing_write(held: WorkItem, args: Payload | None, due_at: EpochMs) -> Update:
    changes: dict[str, object] = {
        **stored_fields(Part.ARGS, args),
        "due_at": due_at,
        "rev": held.rev + 1,
        "postponed": due_at > held.due_at or (held.postponed and due_at == held.due_at),
        # The event of a start that is on its way carries the old arguments. Without its permit no
        # worker makes that start, and the loop makes it [WP-29].
        "permit": None,
    }
    unreplaced = All((*_UNSTARTED, Is("rev", held.rev)))
    return Update(ref=WorkRef(held.pool, held.id), set=changes, condition=unreplaced)


def is_own_replacement(current: WorkItem, replaced: Replacement) -> bool:
    """True if a replacement that was refused had been made already, by an earlier copy of itself."""
    args = stored_fields(Part.ARGS, current.spec.args)
    wanted = replaced.write.set
    same_args = all(wanted[name] == value for name, value in args.items())
    return current.rev == replaced.rev and current.due_at == replaced.due_at and same_args


def pointed_write(work: WorkItem) -> Update:
    """Returns the write that takes the mark of a postponed work item, once its pointer stands.

    A further replacement keeps it, since it has moved the due time beyond that pointer.
    """
    return Update(
        ref=WorkRef(work.pool, work.id),
        set={"postponed": False},
        condition=All((Is("state", State.PENDING), Is("due_at", work.due_at))),
    )
