"""Enqueues work items that have a unique key, or the id of a request [WP-16, WP-17].

The commit point is one transaction: the work item, the lock of its key, the mark of its request.
Nothing releases a key: its lock names a work item, and that one says if the key is held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.work.replace import Replacement, is_own_replacement
from workpool_aws.core.work.transaction import Draft, pause_ms
from workpool_aws.errors import StoreUnavailable, WorkpoolError
from workpool_aws.flow.pool.kick import kick
from workpool_aws.flow.visibility import put_pointer
from workpool_aws.flow.work import transaction
from workpool_aws.flow.work.arrange import Arranged, arrange
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.work import State, WorkItem
from workpool_aws.ports import ConditionFailed
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.core.pool.kick import Seen
    from workpool_aws.core.work.unique import Wanted
    from workpool_aws.model.writes import Written
    from workpool_aws.ports import Ports

__all__ = ["Keyed", "enqueue_unique"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """The end of one enqueue. `error`: why it is not certain, or was refused."""

    work_id: WorkId
    applied: transaction.Applied | None = None
    error: WorkpoolError | None = None
    maybe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Keyed:
    """The id of each work item that was asked for, new or not.

    `seen`: what their caller now knows of the pool; `None` means that it learned nothing.
    """

    ids: tuple[WorkId, ...]
    seen: Seen | None


def enqueue_unique(ports: Ports, wanted: Sequence[Wanted]) -> Keyed:
    """Stores work items of one pool, each in a transaction of its own, unless there is one already.

    Those of one key go one after the other, others at once.

    Raises:
        AlreadyEnqueued, UsageError: As `arrange`. Of several, others may be stored.
        StoreUnavailable: `maybe_enqueued` names the ids that may be stored.
    """
    done = _Enqueue(ports).run_each(wanted)
    maybe = tuple(dict.fromkeys(work_id for each in done for work_id in each.maybe))
    try:
        seen = transaction.kick_loops(
            ports, [each.applied for each in done if each.applied is not None]
        )
    except StoreUnavailable as error:
        text = f"stored, but the loop could not be notified: {error}"
        raise StoreUnavailable(text, maybe_enqueued=maybe) from error
    for failed in (each.error for each in done if each.error is not None):
        if isinstance(failed, StoreUnavailable):
            raise StoreUnavailable(str(failed), maybe_enqueued=maybe) from failed
        raise failed
    ids = tuple(each.work_id for each in done)
    return Keyed(ids, seen.get(wanted[0].work.pool))


@dataclass(frozen=True, slots=True)
class _Enqueue:
    """Enqueues one work item after another."""

    ports: Ports

    def run_each(self, wanted: Sequence[Wanted]) -> list[_Done]:
        """Enqueues several, at once where they have no key."""
        if any(each.work.spec.unique is not None for each in wanted):
            return [self.run(each) for each in wanted]
        return self.ports.fan_out(self.run, wanted)

    def run(self, wanted: Wanted) -> _Done:
        """Tries until the key and the request stay as they were read. Never raises WorkpoolError."""
        ports = self.ports
        for attempt in range(limits.UNIQUE_TRIES):
            if attempt > 0:
                ports.clock.sleep(pause_ms(attempt, ports.entropy.fraction()))
            try:
                done = self._try_once(wanted)
            except WorkpoolError as error:
                return _Done(work_id=wanted.work.id, error=error)
            if isinstance(done, _Done):
                return done
            wanted = done
        changing = StoreUnavailable("the unique key, or the request, kept changing")
        return _Done(work_id=wanted.work.id, error=changing)

    def _try_once(self, wanted: Wanted) -> _Done | Wanted:
        """Makes one try. Returns what is wanted of the next one, if another caller was faster."""
        arranged = arrange(self.ports, wanted)
        if arranged.known is not None:
            self._show_again(arranged.known)
        if arranged.answered:
            return _Done(work_id=arranged.work_id)
        if arranged.replaced is not None and len(arranged.locks) == 1:
            return self._replace_alone(wanted, arranged.replaced)
        return self._store(wanted, arranged)

    def _store(self, wanted: Wanted, arranged: Arranged) -> _Done | Wanted:
        done = _Done(work_id=arranged.work_id, maybe=tuple(work.id for work in arranged.works))
        sent = self._commit(wanted.work.pool, arranged)
        match sent:
            case transaction.Applied():
                return replace(done, applied=sent, error=self._unshown(sent))
            case transaction.Unresolved():
                return replace(done, error=sent.error)
            case transaction.Lost():
                return replace(done, error=sent.error, maybe=())
            case transaction.ConditionsFailed() if sent.fenced:
                return self._under_another_id(wanted)
            case _:
                return wanted

    def _under_another_id(self, wanted: Wanted) -> Wanted:
        """Returns the same, since a tombstone stands at its id."""
        bits, work = self.ports.entropy.bits(75), wanted.work
        new_id = WorkId(make_id(work.due_at, random_bits=bits))
        return replace(wanted, work=replace(work, id=new_id))

    def _commit(self, pool: str, arranged: Arranged) -> transaction.Sent:
        draft = Draft(
            pool=pool,
            works=arranged.works,
            locks=arranged.locks,
            takeovers=arranged.takeovers,
            replaced=() if arranged.replaced is None else (arranged.replaced,),
            epochs={pool: arranged.epoch},
            receipt=False,
        )
        until = EpochMs(self.ports.clock.now() + limits.TRANSACTION_MS_MAX)
        return transaction.commit(self.ports, draft, until=until)

    def _unshown(self, applied: transaction.Applied) -> StoreUnavailable | None:
        """Proves that the loop finds what was stored. Returns the reason why that is not certain."""
        try:
            transaction.show(self.ports, applied)
        except StoreUnavailable as error:
            return error
        return None

    def _replace_alone(self, wanted: Wanted, replaced: Replacement) -> _Done | Wanted:
        """Makes a replacement by one write, which costs half of a transaction."""
        written: Written | None
        try:
            written = self.ports.store.write(replaced.write)
        except ConditionFailed as met:
            current = met.current
            if not isinstance(current, WorkItem) or not is_own_replacement(current, replaced):
                return wanted
            written = None  # the SDK repeated it after a lost answer
        transaction.show_replacement(self.ports, replaced, written)
        return _Done(work_id=replaced.work_id)

    def _show_again(self, work: WorkItem) -> None:
        """Has the loop see a work item whose first enqueue may have died before it did that."""
        if work.state is State.PENDING and work.starts == 0:
            ports = self.ports
            at = EpochMs(max(ports.clock.now(), work.due_at))
            put_pointer(ports, work.pool, work.id, at)
            kick(ports, work.pool, KickReason.ENQUEUE, due=work.due_at)
