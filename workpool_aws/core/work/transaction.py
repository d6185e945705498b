"""Plans a transaction: work items, cancels and actions on users' tables, applied together [WP-9]."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.chunks import packed
from workpool_aws.core.work.end import CancelAnswer, CancelWrite
from workpool_aws.errors import UsageError
from workpool_aws.model.ids import EpochMs, WorkId, make_id, time_of
from workpool_aws.model.receipt import Receipt, Void
from workpool_aws.model.work import Pointer, Spawned, WorkItem
from workpool_aws.model.writes import IsAbsent, Put, Update
from workpool_aws.text import Words
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.core.work.replace import Replacement
    from workpool_aws.model.actions import Action, Guest
    from workpool_aws.model.loop import Notice
    from workpool_aws.model.record import Record
    from workpool_aws.model.refs import Unreadable

__all__ = [
    "CancelOrder",
    "Draft",
    "PlannedCancel",
    "PlannedWork",
    "TransactionPlan",
    "naming_spawned",
    "pause_ms",
    "place_works",
    "plan_transaction",
    "prevents",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """A work item that a transaction cancels.

    `require_pending`: the transaction is only applied if this ends the work item.
    """

    pool: str
    work_id: WorkId
    require_pending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The parts of a transaction, as its caller gave them."""

    pool: str
    """The pool whose receipt proves it, if it has no work item that does."""
    works: tuple[WorkItem, ...] = ()
    cancels: tuple[CancelOrder, ...] = ()
    guests: tuple[Guest, ...] = ()
    anchor: tuple[Update | Put, ...] = ()
    """A move of a work item, and the chunks that belong to it. The transaction is applied with that
    move or not at all, so it needs no receipt."""
    locks: tuple[Action, ...] = ()
    """Actions of which one fails if a unique key, or the id of a request, is not as it was read."""
    takeovers: tuple[PlannedCancel, ...] = ()
    """Cancels of work items that held a unique key. They fail as `locks` do."""
    replaced: tuple[Replacement, ...] = ()
    """Replacements, whose writes are among `locks`."""
    epochs: Mapping[str, int] = field(default_factory=dict)
    """Epochs of pools that were read already. The others are read before the commit."""
    receipt: bool = True
    """False means that a doubt about a transaction without work items stays one."""

    @property
    def all_locks(self) -> tuple[Action, ...]:
        """The actions of which one fails if a key or a request has changed hands."""
        return (*self.locks, *(write for each in self.takeovers for write in each.actions))


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """A work item with what is put beside it."""

    work: WorkItem
    puts: tuple[Put, ...]
    key_time: EpochMs
    """The time of the key by which the loop finds it."""


@dataclass(frozen=True, slots=True)
class PlannedCancel:
    """A cancel as judged by the stored work item."""

    order: CancelOrder
    decision: CancelWrite | CancelAnswer
    work: WorkItem | None
    notice: Notice | None = None

    @property
    def answer(self) -> CancelAnswer:
        """The answer, if the transaction is applied."""
        return self.decision.answer if isinstance(self.decision, CancelWrite) else self.decision

    @property
    def actions(self) -> tuple[Update | Put, ...]:
        """The writes of the cancel."""
        if not isinstance(self.decision, CancelWrite):
            return ()
        notice = () if self.notice is None else (Put(self.notice),)
        return (self.decision.write, *self.decision.beside, *notice)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionPlan:
    """One request, and what follows from its success."""

    pool: str
    actions: tuple[Action, ...]
    guests_from: int
    """The place of the first action on a user's table. The anchor is before it."""
    guests_to: int
    """The place behind the last one, where the locks begin."""
    locks_to: int
    works: tuple[PlannedWork, ...]
    cancels: tuple[PlannedCancel, ...]
    takeovers: tuple[PlannedCancel, ...]
    replaced: tuple[Replacement, ...]
    tombstone: Put | None
    """Put if absent, it proves that the transaction can never be applied. `None` means that nothing
    does."""
    proven_until: EpochMs
    """Until then the proof that it was applied is kept."""

    @property
    def ends(self) -> tuple[PlannedCancel, ...]:
        """All cancels."""
        return (*self.cancels, *self.takeovers)


def naming_spawned(draft: Draft) -> Draft:
    """Returns a draft whose move names the work items that its transaction stores, or replaces.

    The process that commits it may die before loops can find them.
    """
    move, *beside = draft.anchor
    ids: dict[str, list[WorkId]] = {}
    for work in draft.works:
        ids.setdefault(work.pool, []).append(work.id)
    for each in draft.replaced:
        ids.setdefault(each.pool, []).append(each.work_id)
    if not ids or not isinstance(move, Update):
        return draft
    spawned = tuple(Spawned(pool, tuple(own)) for pool, own in ids.items())
    named = replace(move, set={**move.set, "spawned": spawned})
    return replace(draft, anchor=(named, *beside))


def place_works(
    works: Sequence[WorkItem], epochs: Mapping[str, int], *, now: EpochMs, random_bits: int
) -> tuple[PlannedWork, ...]:
    """Returns work items as they are stored now, in the epochs of their pools.

    One whose id is some seconds old gets a pointer at the present time, in the same transaction.
    """
    placed: list[PlannedWork] = []
    for each in works:
        work, chunks = packed(replace(each, epoch=epochs[each.pool]))
        key_time = time_of(work.id)
        pointers: tuple[Put, ...] = ()
        if now - key_time > limits.OLD_ID_MS:
            at = make_id(now, random_bits=random_bits + len(placed))
            pointers = (Put(Pointer(pool=work.pool, at=at, work_id=work.id)),)
            key_time = now
        puts = (Put(work, IsAbsent()), *chunks, *pointers)
        placed.append(PlannedWork(work, puts, key_time))
    return tuple(placed)


def plan_transaction(
    draft: Draft,
    works: tuple[PlannedWork, ...],
    cancels: tuple[PlannedCancel, ...],
    *,
    token: str,
    now: EpochMs,
) -> TransactionPlan:
    """Returns the one request of a transaction.

    Raises:
        UsageError: It has more actions than DynamoDB takes.
    """
    prover = next(
        (
            each.work
            for each in works
            if (kept := each.work.spec.retention_s) is None or kept >= limits.PROOF_S_MIN
        ),
        None,
    )
    tombstone = _tombstone(draft, prover, token=token, now=now)
    kept_s = None if prover is None else prover.spec.retention_s
    proof_s = min(kept_s or limits.PROOF_S, limits.PROOF_S)
    own: list[Put | Update] = [put for work in works for put in work.puts]
    own += [write for cancel in cancels for write in cancel.actions]
    locks = draft.all_locks
    actions = (*draft.anchor, *draft.guests, *locks, *own, *_receipt_of(tombstone))
    _check_count(len(actions), guests=len(draft.guests), works=len(works))
    return TransactionPlan(
        pool=draft.pool,
        actions=actions,
        guests_from=len(draft.anchor),
        guests_to=len(draft.anchor) + len(draft.guests),
        locks_to=len(draft.anchor) + len(draft.guests) + len(locks),
        works=works,
        cancels=cancels,
        takeovers=draft.takeovers,
        replaced=draft.replaced,
        tombstone=tombstone,
        proven_until=EpochMs(now + proof_s * 1000),
    )


def _receipt_of(tombstone: Put | None) -> tuple[Put, ...]:
    """Returns the receipt in whose place the tombstone would be put; none if there is none."""
    if tombstone is not None and isinstance(tombstone.record, Receipt):
        return (Put(replace(tombstone.record, applied=True), IsAbsent()),)
    return ()


def _check_count(count: int, *, guests: int, works: int) -> None:
    if count > limits.TRANSACTION_ITEMS_MAX:
        counts = (
            f"{count}: {guests} on your tables, {works} work items, "
            f"{count - guests - works} beside these"
        )
        allowed = f"at most {limits.TRANSACTION_ITEMS_MAX} actions"
        raise UsageError("transaction", Words(counts), allowed)


def _tombstone(draft: Draft, prover: WorkItem | None, *, token: str, now: EpochMs) -> Put | None:
    if draft.anchor:
        return None
    expires_at = now // 1000 + limits.PROOF_S
    if prover is not None:
        return Put(Void(pool=prover.pool, id=prover.id, expires_at=expires_at), IsAbsent())
    if not draft.receipt:
        return None
    receipt = Receipt(pool=draft.pool, token=token, applied=False, expires_at=expires_at)
    return Put(receipt, IsAbsent())


def pause_ms(attempt: int, fraction: float) -> int:
    """Returns the pause before a further try: full jitter, doubling up to a bound."""
    longest = min(limits.TRANSACTION_PAUSE_MS_MAX, limits.TRANSACTION_PAUSE_MS * 2 ** (attempt - 1))
    return int(longest * fraction)


def prevents(found: Record | Unreadable | None) -> bool:
    """True if the item at the place of a transaction's proof is a tombstone."""
    return isinstance(found, Void) or (isinstance(found, Receipt) and not found.applied)
