"""Enqueues: stores work items, proves that they are in time, kicks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.chunks import packed
from workpool_aws.core.pool.kick import KickReason, Seen
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.chunks import write_with
from workpool_aws.flow.pool.kick import Visit, kick
from workpool_aws.flow.visibility import prove_work_in_time, put_pointer
from workpool_aws.model import events
from workpool_aws.model.ids import WorkId, make_id, shard_of, time_of
from workpool_aws.model.payload import inline_text
from workpool_aws.model.receipt import Void
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Either, Is, IsAbsent, Put, Update
from workpool_aws.ports import ConditionFailed, Ports
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from workpool_aws.model.loop import LoopStatus
    from workpool_aws.model.record import Record
    from workpool_aws.model.refs import Unreadable

__all__ = ["Acknowledged", "Guest", "enqueue", "enqueue_members", "report_enqueued"]

Guest = Callable[[Ports, Sequence[WorkItem], "LoopStatus | None"], Visit | None]
"""Returns the visit that acts for stored work items, as `flow.pool.kick.kick` takes it."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Stored work items, and what their caller now knows of their pool."""

    ids: tuple[WorkId, ...]
    seen: Seen


def enqueue(ports: Ports, works: Sequence[WorkItem], guest: Guest | None = None) -> Acknowledged:
    """Stores work items of one pool and one epoch, and ensures that a loop will see them.

    When it returns, none can be lost [WP-3]. The commit point of each is its own put, in one
    transaction with the chunks of large arguments. There is no transaction for all. When it raises
    StoreUnavailable, each of `maybe_enqueued` is either stored (and will run, or be canceled with
    those enqueued before it) or does not exist.

    `guest`: acts for those that are stored if no loop runs, as `flow.pool.kick.kick` says.
    """
    return _Enqueue(ports, works, guest=guest).run() if works else Acknowledged((), Seen())


def enqueue_members(ports: Ports, works: Sequence[WorkItem]) -> None:
    """Stores the members of a group, and ensures that a loop will see them [WP-3].

    One that an earlier call has stored, or that was canceled before it was stored, stays as it is.
    Their ids and epoch stay, too. A concurrent `cancel_all` may therefore cancel them. Raises
    StoreUnavailable: some may not be stored, and repeating the call is safe.
    """
    _Enqueue(ports, works, members=True).run()


@dataclass(frozen=True, slots=True)
class _Moved:
    """The id of a stored work item. With an `error`, the ids of which one may be stored."""

    ids: tuple[WorkId, ...]
    error: StoreUnavailable | None = None


@dataclass(frozen=True, slots=True)
class _Enqueue:
    """One enqueue of one work item or more."""

    ports: Ports
    works: Sequence[WorkItem]
    members: bool = False
    """True if they are members of a group: their ids follow from it, so none is stored twice."""
    guest: Guest | None = None

    def run(self) -> Acknowledged:
        """Stores, kicks and moves into the epoch that the kick has read."""
        works = self.works
        answers = self._store_each()
        failures = [failure for failure in answers if failure is not None]
        ids = tuple(work.id for work in works)
        if len(failures) == len(works):
            raise StoreUnavailable(
                f"no work item could be stored for certain: {failures[0]}", maybe_enqueued=ids
            )
        try:
            seen = self._kick(works, answers)
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"stored, but the loop could not be notified: {error}", maybe_enqueued=ids
            ) from error
        if seen.epoch != works[0].epoch and not self.members:
            ids = self._all_into(seen.epoch)
        if failures:
            raise StoreUnavailable(
                f"{len(failures)} of {len(works)} work items could not be stored for certain: {failures[0]}",
                maybe_enqueued=ids,
            )
        return Acknowledged(ids, seen)

    def _kick(self, works: Sequence[WorkItem], answers: Sequence[StoreUnavailable | None]) -> Seen:
        due, stored = min(work.due_at for work in works), [work.id for work in works]
        guest = None
        if self.guest is not None:
            certain = [work for work, failure in zip(works, answers, strict=True) if not failure]
            guest = partial(self.guest, self.ports, certain)
        pool = works[0].pool
        return kick(self.ports, pool, KickReason.ENQUEUE, due=due, stored=stored, guest=guest)

    def _store_each(self) -> list[StoreUnavailable | None]:
        """Stores many work items at a time. Returns the failures; `None` means that one is stored.

        A batch kicks once a first part of it is stored, so that a resting loop wakes in the meantime.
        That kick is a hint. The acknowledgement rests on the kick after the last one.
        """
        works, part = self.works, limits.BATCH_FIRST
        answered: list[tuple[WorkItem, StoreUnavailable | None]] = []
        places = count(1)

        def store(work: WorkItem) -> StoreUnavailable | None:
            failure = self._store(work)
            answered.append((work, failure))
            if len(works) >= 2 * part and next(places) == part:
                first, failures = zip(*answered[:part], strict=True)
                with suppress(StoreUnavailable):
                    self._kick(first, failures)
            return failure

        return self.ports.fan_out(store, works, _at_once(works))

    def _store(self, work: WorkItem) -> StoreUnavailable | None:
        ports = self.ports
        try:
            stored, chunks = packed(work)
            written = write_with(ports.store, Put(stored, IsAbsent()), chunks)
            prove_work_in_time(ports, written, work.pool, work.id, time_of(work.id))
        except ConditionFailed as met:
            if self.members and _is_taken(met.current, work):
                return None
            if not _is_same(met.current, work):
                return StoreUnavailable(f"another item has the id {work.id}")
            # This call's own put, which the SDK repeated after a lost answer, or another call's for
            # the same group. That may have been late, so the work item gets a pointer.
            try:
                put_pointer(ports, work.pool, work.id, max(ports.clock.now(), work.due_at))
            except StoreUnavailable as unpointed:
                return unpointed
        except StoreUnavailable as error:
            return error
        report_enqueued(ports, work)
        return None

    def _all_into(self, epoch: int) -> tuple[WorkId, ...]:
        """Moves the work items into this epoch, and returns the ids that they have then."""
        moved = self.ports.fan_out(lambda work: self._into(epoch, work), self.works)
        ids = tuple(work_id for each in moved for work_id in each.ids)
        unconfirmed = next((each.error for each in moved if each.error is not None), None)
        if unconfirmed is not None:
            raise StoreUnavailable(
                f"stored, but a concurrent cancel_all may have canceled some: {unconfirmed}",
                maybe_enqueued=ids,
            ) from unconfirmed
        return ids

    def _into(self, epoch: int, work: WorkItem) -> _Moved:
        """Moves a stored work item into the epoch that its caller has just read [WP-13].

        The `cancel_all` of that epoch covers older ones only. If the loop was faster and canceled
        the work item, it is stored once more.
        """
        unfinished = Either((Is("state", State.PENDING), Is("state", State.RUNNING)))
        ref = WorkRef(work.pool, work.id)
        try:
            self.ports.store.write(Update(ref=ref, set={"epoch": epoch}, condition=unfinished))
        except ConditionFailed as met:
            if isinstance(met.current, WorkItem) and met.current.outcome is Outcome.CANCELED:
                return self._store_again(epoch, work)
        except StoreUnavailable as error:
            return _Moved((work.id,), error)
        return _Moved((work.id,))

    def _store_again(self, epoch: int, work: WorkItem) -> _Moved:
        ports, shard = self.ports, shard_of(work.id)
        new_id = make_id(work.due_at, random_bits=ports.entropy.bits(75), shard=shard)
        again = replace(work, id=WorkId(new_id), epoch=epoch, enqueued_at=ports.clock.now())
        try:
            return _Moved(enqueue(ports, [again]).ids)
        except StoreUnavailable as error:
            return _Moved((work.id, *map(WorkId, error.maybe_enqueued)), error)


def _is_same(current: Record | Unreadable | None, work: WorkItem) -> bool:
    """True if the stored item is this work item, as a first copy of its put stored it."""
    return (
        isinstance(current, WorkItem)
        and current.enqueued_at == work.enqueued_at
        and current.spec.target == work.spec.target
        and (current.spec.args == work.spec.args or current.spec.group is not None)
    )


def _is_taken(current: Record | Unreadable | None, work: WorkItem) -> bool:
    """True if a member's place needs nothing: the loop has seen the member, or it was canceled."""
    if isinstance(current, Void):
        return True
    seen = isinstance(current, WorkItem) and (
        current.state is not State.PENDING or current.starts > 0
    )
    return seen and _is_same(current, work)


def _at_once(works: Sequence[WorkItem]) -> int | None:
    """Returns the number to store at one time; `None` means as for any call."""
    largest = max(
        sum(len(inline_text(payload) or "") for payload in (work.spec.args, work.spec.context))
        for work in works
    )
    if largest > limits.ARGS_INLINE_BYTES_MAX:
        return None
    # A few at a time keep the CPU of a process busy, and in a cold one each begins with a handshake.
    fair = len(works) // limits.BATCH_PUTS_A_CONNECTION
    return max(limits.BATCH_AT_ONCE_MIN, min(limits.SMALL_AT_ONCE, fair))


def report_enqueued(ports: Ports, work: WorkItem) -> None:
    """Emits the event of a stored work item."""
    event = events.Enqueued(
        pool=work.pool,
        work_id=work.id,
        job=work.spec.label,
        target=work.spec.target,
        kind=work.spec.kind,
        delay_ms=max(0, work.due_at - work.enqueued_at),
    )
    ports.telemetry.emit(event)
