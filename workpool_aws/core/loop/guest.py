"""Decides which work items a caller starts itself, before the loop that its kick starts [WP-44].

Such a guest commits once, as the first pass of a loop that takes the ledger by its commit does. It
sees nothing of the pool but its ledger and its config, and its own work items. So it acts only
where a loop would find nothing else to do.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.core.lifecycle import has_expired
from workpool_aws.core.loop.admit import Refusal, headroom_of
from workpool_aws.core.loop.start import is_made_by_worker
from workpool_aws.core.work.bulk_cancel import is_settled
from workpool_aws.model.ids import shard_of
from workpool_aws.model.loop import LoopState
from workpool_aws.model.pages import Slots
from workpool_aws.model.payload import inline_text
from workpool_aws.model.refs import LedgerRef
from workpool_aws.model.writes import All, Below, Is, Update

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Config, Entry, EntryKey, Ledger, LoopStatus
    from workpool_aws.model.work import WorkItem

__all__ = ["guest_commit", "may_look", "starts_of_guest"]

_NONE: Final[Sequence[WorkItem]] = ()


def may_look(before: LoopStatus | None) -> bool:
    """True if the pool was at rest. A loop that died may have left work items that come first."""
    return before is not None and before.state is not LoopState.RUNNING


def starts_of_guest(
    works: Sequence[WorkItem],
    ledger: Ledger,
    config: Config | None,
    *,
    shards: int,
    claims: bool,
    now: EpochMs,
) -> Sequence[WorkItem]:
    """Returns the work items to start at once, in their order; none where a loop is to decide.

    `works`: stored by this caller, of one target. `shards`: the number into which producers may
    put. `claims`: the target is known to be decorated.

    A rate limit is for loops alone, since each change of the holder costs it the difference of two
    clocks.
    """
    if ledger.entries or ledger.pages or ledger.callbacks or not is_settled(config, ledger):
        return _NONE
    room = headroom_of(config, in_flight=0, bulk_cancel=None, now=now)
    if isinstance(room, Refusal) or room.tokens is not None:
        return _NONE

    in_order = sorted(works, key=lambda work: (work.due_at, work.id))
    startable = takewhile(
        lambda work: (
            work.epoch == ledger.epoch
            and shard_of(work.id) < shards
            and is_made_by_worker(work, target_claims=claims)
            and _is_plain(work, now)
        ),
        in_order,
    )
    return list(startable)[: min(room.slots, limits.GUEST_STARTS_MAX)]


def _is_plain(work: WorkItem, now: EpochMs) -> bool:
    """True if it may start now by its own terms, and its arguments lie beside it."""
    args = inline_text(work.spec.args)
    small = args is not None and len(args.encode()) <= limits.ARGS_INLINE_BYTES_MAX
    # A loop that has run it since lingers that long before it rests.
    is_fresh = now - work.enqueued_at < limits.LINGER_MS
    return small and is_fresh and work.due_at <= now and not has_expired(work, now)


def guest_commit(
    ledger: Ledger, entries: Mapping[EntryKey, Entry], *, generation: int, token: str, beats: bool
) -> Update:
    """Returns the commit of a guest, which takes the ledger as well [WP-2].

    It fails if the ledger was written since it was read, by a loop or by a change of the config.
    The cursors stay as they are, so the loop that follows reads what it would have read.
    """
    return Update(
        ref=LedgerRef(ledger.pool),
        set={
            "holder": token,
            "generation": generation,
            "entries": Slots(entries),
            "beats": beats,
            "committed_by": token,
            "version": ledger.version + 1,
        },
        condition=All((Is("version", ledger.version), Below("generation", generation))),
    )
