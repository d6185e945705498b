"""Judges who holds a unique key, and if a request was answered, by strong reads [WP-16, WP-17]."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from workpool_aws.core.work.replace import Replacement, decide_replacement
from workpool_aws.core.work.transaction import CancelOrder
from workpool_aws.core.work.unique import (
    Free,
    Held,
    OnConflict,
    decide_lock,
    decide_request,
    mark_of,
    still_held,
)
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.pool import configure
from workpool_aws.flow.pool.kick import epoch_of
from workpool_aws.flow.reading import load_works
from workpool_aws.flow.work.transaction import planned_cancel, show_cancel
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import RequestRef, UniqueRef, Unreadable
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Put
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from workpool_aws.core.work.transaction import PlannedCancel
    from workpool_aws.core.work.unique import Wanted
    from workpool_aws.model.actions import Action
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.spec import UniqueSpec
    from workpool_aws.model.writes import Written
    from workpool_aws.ports import Ports

__all__ = ["Arranged", "KeyTaken", "arrange", "take_key"]

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arranged:
    """The result of an enqueue, if nothing changes before its transaction.

    `locks`: actions of which one fails if something has changed.
    """

    work_id: WorkId
    epoch: int
    works: tuple[WorkItem, ...] = ()
    """The work item to store; empty if there is one already."""
    locks: tuple[Action, ...] = ()
    takeovers: tuple[PlannedCancel, ...] = ()
    """The end of the work item that held the key and is called off."""
    replaced: Replacement | None = None
    """The replacement of the work item that holds the key. Its writes are among `locks`."""
    known: WorkItem | None = None
    """The work item that the same request was answered with before, if it is known still."""
    answered: bool = False
    """True if the id is the answer, and nothing has to be written."""


def arrange(ports: Ports, wanted: Wanted) -> Arranged:
    """Returns what an enqueue comes to, by strong reads. The request is judged before the key.

    Raises:
        AlreadyEnqueued: The key is held, and that was asked for.
        UsageError: The id of the request was used for something else.
        StoreUnavailable: DynamoDB did not answer.
    """
    # Read first: what commits after a `cancel_all` was answered carries its epoch.
    epoch = epoch_of(ports, wanted.work.pool)
    return _Arranging(ports, wanted, epoch).run()


@dataclass(frozen=True, slots=True)
class _Arranging:
    """Judges one enqueue in the epoch of its pool."""

    ports: Ports
    wanted: Wanted
    epoch: int

    def run(self) -> Arranged:
        """Returns what the enqueue comes to. Raises as `arrange`."""
        ports, work, request = self.ports, self.wanted.work, self.wanted.request
        if request is None:
            return self._by_key()
        mark = _sound(ports, RequestRef(work.pool, request.id), "the mark of the request")
        unanswered = decide_request(mark, request, now=ports.clock.now())
        if mark is not None and unanswered is None:
            known = load_works(ports, work.pool, [mark.work_id])[0]
            return Arranged(work_id=mark.work_id, epoch=self.epoch, known=known, answered=True)
        arranged = self._by_key()
        new = Put(mark_of(request, work.pool, arranged.work_id), unanswered)
        return replace(arranged, locks=(new, *arranged.locks), answered=False)

    def _by_key(self) -> Arranged:
        work = self.wanted.work
        alone = Arranged(work_id=work.id, epoch=self.epoch, works=(work,))
        if work.spec.unique is None:
            return alone
        judged = _judge_key(self.ports, work, work.spec.unique, self.epoch)
        if isinstance(judged, Held):
            return self._at_held_key(judged)
        taken = _taken(self.ports, judged)
        return replace(alone, locks=(taken.put,), takeovers=taken.takeovers)

    def _at_held_key(self, held: Held) -> Arranged:
        ports, wanted = self.ports, self.wanted
        replaced = None
        if wanted.on_conflict is OnConflict.REPLACE and held.work is not None:
            replaced = decide_replacement(
                held.work,
                wanted.work,
                max_wait_ms=wanted.max_wait_ms,
                random_bits=ports.entropy.bits(75),
                now=ports.clock.now(),
            )
        found = Arranged(work_id=held.lock.work_id, epoch=self.epoch)
        if replaced is not None:
            return replace(found, locks=replaced.actions, replaced=replaced)
        wanted.refuse(held.lock.work_id)
        return replace(found, locks=(still_held(held),), answered=True)


@dataclass(frozen=True, slots=True)
class KeyTaken:
    """Actions by which a work item takes its key, and what follows from them."""

    ports: Ports
    put: Put
    takeovers: tuple[PlannedCancel, ...]

    @property
    def actions(self) -> tuple[Action, ...]:
        """A part of the transaction that stores the work item."""
        return (self.put, *(write for each in self.takeovers for write in each.actions))

    def follow_up(self, written: Written) -> None:
        """Shows the loop the end of a work item that held the key. Raises StoreUnavailable."""
        for each in self.takeovers:
            show_cancel(self.ports, each, written)


def take_key(ports: Ports, work: WorkItem, epoch: int) -> KeyTaken | WorkId | None:
    """Returns the actions by which a work item takes its key, or the id of the one that holds it.

    `None` means that it has no key. `epoch`: of the pool. Raises StoreUnavailable.
    """
    if work.spec.unique is None:
        return None
    judged = _judge_key(ports, work, work.spec.unique, epoch)
    return judged.lock.work_id if isinstance(judged, Held) else _taken(ports, judged)


def _taken(ports: Ports, free: Free) -> KeyTaken:
    holder = free.called_off
    if holder is None:
        return KeyTaken(ports, free.put, ())
    order = CancelOrder(pool=holder.pool, work_id=holder.id, require_pending=True)
    return KeyTaken(ports, free.put, (planned_cancel(ports, order, holder, only_if=free.only_if),))


def _judge_key(ports: Ports, work: WorkItem, unique: UniqueSpec, epoch: int) -> Free | Held:
    lock = _sound(ports, UniqueRef(work.pool, unique.key), "the lock of the unique key")
    holder = None if lock is None else load_works(ports, work.pool, [lock.work_id])[0]
    config = None
    if holder is not None and holder.state is State.PENDING and holder.epoch < epoch:
        config = configure.load(ports, work.pool)
    return decide_lock(lock, holder, config, work=work, unique=unique, now=ports.clock.now())


def _sound(ports: Ports, ref: Ref[R], what: str) -> R | None:
    """Reads a record. Raises StoreUnavailable, also for a damaged one, which people must remove."""
    found = ports.store.get(ref)
    if isinstance(found, Unreadable):
        raise StoreUnavailable(f"{what} is damaged, so nothing was stored: remove it ({found})")
    return found
