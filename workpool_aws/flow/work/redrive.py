"""Redrives dead letters: a failure as a new work item, a dead callback by another delivery.

A failure is redriven once.

| step | commit point | lost afterwards? |
|---|---|---|
| redrive | one transaction: the new work item, the mark on the old one | kick, late rule: a second call repeats them; else the watchdog |
| deliver again | one transaction: the callback is owed, its notice | kick: watchdog |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.callback.delivery import record_of_redelivery
from workpool_aws.core.chunks import packed
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.proof import start_permit
from workpool_aws.core.work.redrive import (
    NoFailure,
    Redeliver,
    Redrive,
    RedrivenWork,
    decide_redrive,
)
from workpool_aws.errors import AlreadyEnqueued, NotFound, StoreUnavailable, UsageError
from workpool_aws.flow.chunks import read_payload
from workpool_aws.flow.commit import commit_with_notice
from workpool_aws.flow.pool.kick import epoch_of, kick
from workpool_aws.flow.reading import load_works, pages
from workpool_aws.flow.shards import shards_of
from workpool_aws.flow.visibility import prove_work_in_time, put_pointer
from workpool_aws.flow.work.arrange import take_key
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.payload import Inline, Part
from workpool_aws.model.refs import Collection, KeyRange, WorkRef
from workpool_aws.model.trace import TracedOperation, TraceStep
from workpool_aws.model.work import CallbackState, State, WorkItem
from workpool_aws.model.writes import IsAbsent, Put
from workpool_aws.ports import Ports, TransactionFailed
from workpool_aws.text import Words, shown
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.model.loop import Notice
    from workpool_aws.model.trace import TraceContext

__all__ = ["dead_letters", "redrive", "redrive_each"]


@dataclass(frozen=True, slots=True)
class _Made:
    """Result of a redrive: the new work item, or the same one if its callback is delivered again.

    `new`: this call did it.
    """

    work_id: WorkId
    new: bool


def redrive(ports: Ports, pool: str, work_id: str, *, origin: str | None) -> WorkId:
    """Returns the work item that redrives a failed one.

    A second call creates none, and returns the first one's. A dead callback is delivered again, and
    nothing else: the answer is the work item itself then.

    Raises:
        NotFound: The work item is unknown, or its large arguments were removed by hand.
        UsageError: It neither failed for good nor has a dead callback. Nothing was created.
        AlreadyEnqueued: Another work item holds its unique key. Nothing was created.
        StoreUnavailable: It may or may not be redriven.
    """
    with ports.tracing.span(_step(ports, pool)) as span:
        redrives = _Redrives(ports, pool, origin, epoch_of(ports, pool), span.context)
        made = redrives.redrive(work_id)
        span.name_works([made.work_id])
        _kick(ports, pool)
    return made.work_id


def dead_letters(ports: Ports, pool: str, admits: Callable[[WorkItem], bool]) -> list[WorkId]:
    """Returns the dead letters that `admits` accepts, oldest first within a shard.

    The latest may be missing.
    """
    found: list[WorkId] = []
    now_s = ports.clock.now() / 1000
    for shard in range(shards_of(ports.store, pool)):
        for page in pages(
            ports.store,
            ports.telemetry,
            KeyRange(collection=Collection.DEAD, pool=pool, shard=shard),
        ):
            works = [row.record for row in page if isinstance(row.record, WorkItem)]
            found += [
                work.id
                for work in works
                if (work.expires_at is None or work.expires_at > now_s) and admits(work)
            ]
    return found


def redrive_each(ports: Ports, pool: str, ids: list[WorkId], *, origin: str | None) -> int:
    """Redrives these dead letters, and returns the number that this call redrove.

    One that is gone, was redriven meanwhile, or whose unique key is held, is not counted. Raises
    StoreUnavailable: some may be redriven, some not; repeating the call redrives the others only.
    """
    count = 0
    for first in range(0, len(ids), limits.REDRIVE_CHUNK):
        chunk = ids[first : first + limits.REDRIVE_CHUNK]
        with ports.tracing.span(_step(ports, pool)) as span:
            redrives = _Redrives(ports, pool, origin, epoch_of(ports, pool), span.context)
            made = ports.fan_out(redrives.redrive_if_dead, chunk)
            new = [each.work_id for each in made if each is not None and each.new]
            span.name_works(new)
            _kick(ports, pool)
        count += len(new)
    return count


def _step(ports: Ports, pool: str) -> TraceStep:
    return TraceStep(operation=TracedOperation.REDRIVE, table=ports.table, pool=pool)


def _kick(ports: Ports, pool: str) -> None:
    kick(ports, pool, KickReason.ENQUEUE, due=ports.clock.now())


@dataclass(frozen=True, slots=True)
class _Redrives:
    """Redrives work items of a pool, for one caller and into one epoch."""

    ports: Ports
    pool: str
    origin: str | None
    epoch: int
    trace: TraceContext | None

    def redrive_if_dead(self, work_id: str) -> _Made | None:
        """Redrives a dead letter; `None` means that it is none any more, or that its key is held.

        The list that it comes from may lag behind.
        """
        try:
            return self.redrive(work_id)
        except (AlreadyEnqueued, NotFound, UsageError):
            return None

    def redrive(self, work_id: str) -> _Made:
        """Redrives a work item, or finds what redrove it. Raises as `redrive` of the module."""
        was_dead = False
        for _ in range(limits.REDRIVE_TRIES):
            old = load_works(self.ports, self.pool, [work_id])[0]
            if old is None:
                raise NotFound(work_id)
            if was_dead and old.callback is not CallbackState.DEAD:
                # Another caller was faster, or this very write succeeded without an answer.
                return _Made(old.id, new=False)
            decision = self._decide(old)
            match decision:
                case NoFailure():
                    got = Words(f"{shown(work_id)}, which is {decision.what}")
                    raise UsageError(
                        "work_id",
                        got,
                        "the id of a work item that failed for good, or whose callback is dead",
                    )
                case RedrivenWork():
                    self._point_again(decision.work_id)
                    return _Made(decision.work_id, new=False)
                case Redrive():
                    if self._commit(old, decision):
                        return _Made(decision.work.id, new=True)
                case Redeliver():
                    was_dead = True
                    if self._redeliver(old, decision):
                        return _Made(old.id, new=True)
                case _:
                    assert_never(decision)
        raise StoreUnavailable(f"work item {work_id} kept changing")

    def _decide(self, old: WorkItem) -> NoFailure | RedrivenWork | Redrive | Redeliver:
        now, bits = self.ports.clock.now(), self.ports.entropy.bits(75)
        new_id = WorkId(make_id(now, random_bits=bits))
        permit = start_permit(self.ports.entropy.token())
        return decide_redrive(
            old,
            new_id=new_id,
            now=now,
            origin=self.origin,
            epoch=self.epoch,
            permit=permit,
            trace=self.trace,
        )

    def _commit(self, old: WorkItem, decision: Redrive) -> bool:
        work, chunks = packed(self._with_inputs_of(old, decision.work))
        key = take_key(self.ports, work, self.epoch)
        if isinstance(key, str):
            raise AlreadyEnqueued(key)
        locks = () if key is None else key.actions
        try:
            written = self.ports.store.transact(
                [Put(work, IsAbsent()), decision.mark, *chunks, *locks]
            )
        except TransactionFailed:
            # Another caller was faster, or this very write succeeded without an answer. The old
            # work item shows which.
            return False
        prove_work_in_time(self.ports, written, work.pool, work.id, work.due_at)
        if key is not None:
            key.follow_up(written)
        self.ports.telemetry.emit(
            events.Redriven(
                pool=work.pool,
                work_id=work.id,
                redrive_of=str(work.redrive_of),
                job=work.spec.label,
                target=work.spec.target,
            )
        )
        return True

    def _redeliver(self, old: WorkItem, decision: Redeliver) -> bool:
        def notice_at(at: EpochMs) -> Notice:
            return record_of_redelivery(old, now=at, random_bits=self.ports.entropy.bits(75))

        try:
            commit_with_notice(self.ports, decision.write, notice_at)
        except TransactionFailed:
            return False
        self.ports.telemetry.emit(
            events.CallbackRedriven(
                pool=old.pool,
                work_id=old.id,
                job=old.spec.label,
                target=old.spec.callback_target or "",
                handler=old.spec.callback_job,
            )
        )
        return True

    def _with_inputs_of(self, old: WorkItem, new: WorkItem) -> WorkItem:
        """Returns the new work item with the old one's large arguments and context.

        Their chunks will expire with the old one. Raises NotFound if they were removed or damaged.
        """
        owner = WorkRef(old.pool, old.id)
        args, context = read_payload(self.ports, owner, Part.ARGS, old.spec.args), old.spec.context
        if context is not None:
            text = read_payload(self.ports, owner, Part.CONTEXT, context)
            context = None if text is None else Inline(text)
        if args is None or (context is None and old.spec.context is not None):
            raise NotFound(
                old.id, "it failed, and the chunks of its arguments or context are gone or damaged"
            )
        return replace(new, spec=new.spec.with_payloads(Inline(args), context))

    def _point_again(self, work_id: WorkId) -> None:
        # Its maker may have died before it proved that it was in time, so it gets a further pointer
        # while it is not started.
        new = load_works(self.ports, self.pool, [work_id])[0]
        if new is not None and new.state is State.PENDING and new.starts == 0:
            put_pointer(self.ports, self.pool, work_id, max(self.ports.clock.now(), new.due_at))
