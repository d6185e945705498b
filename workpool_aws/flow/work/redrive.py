"""Redrives dead letters: a failure as a new work item, a dead callback by another delivery.

A failure is redriven once.

| step | commit point | lost afterwards? |
|---|---|---|
| redrive | one transaction: the new work item, the mark on the old one | kick, late rule: a second call repeats them; else the watchdog |
| deliver again | one transaction: the callback is owed, its notice | kick: watchdog |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.callback.delivery import record_of_redelivery
from workpool_aws.core.chunks import packed
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.work.redrive import (
    NoFailure,
    Redeliver,
    Redrive,
    RedrivenWork,
    decide_redrive,
)
from workpool_aws.errors import NotFound, StoreUnavailable, UsageError
from workpool_aws.flow.chunks import read_payload
from workpool_aws.flow.pool.kick import epoch_of, kick
from workpool_aws.flow.reading import load_works, pages
from workpool_aws.flow.shards import shards_of
from workpool_aws.flow.visibility import ensure_visible, prove_work_in_time, put_pointer
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, WorkId, make_id, shard_of, time_of
from workpool_aws.model.payload import Inline, Part
from workpool_aws.model.refs import Collection, KeyRange, WorkRef
from workpool_aws.model.work import CallbackState, State, WorkItem
from workpool_aws.model.writes import IsAbsent, Put, Written
from workpool_aws.ports import Ports, TransactionFailed
from workpool_aws.text import Words, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.model.loop import Notice

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
        StoreUnavailable: It may or may not be redriven.
    """
    made = _redrive(ports, pool, work_id, origin=origin, epoch=epoch_of(ports, pool))
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

    One that is gone or was redriven meanwhile is not counted. Raises StoreUnavailable: some may be
    redriven, some not; repeating the call redrives the others only.
    """
    count = 0
    for first in range(0, len(ids), limits.REDRIVE_CHUNK):
        chunk = ids[first : first + limits.REDRIVE_CHUNK]
        made = ports.fan_out(
            partial(_try_redrive, ports, pool, origin=origin, epoch=epoch_of(ports, pool)), chunk
        )
        _kick(ports, pool)
        count += sum(each is not None and each.new for each in made)
    return count


def _try_redrive(
    ports: Ports, pool: str, work_id: WorkId, *, origin: str | None, epoch: int
) -> _Made | None:
    try:
        return _redrive(ports, pool, work_id, origin=origin, epoch=epoch)
    except (NotFound, UsageError):
        return None  # the list it came from may lag behind


def _redrive(ports: Ports, pool: str, work_id: str, *, origin: str | None, epoch: int) -> _Made:
    was_dead = False
    for _ in range(limits.REDRIVE_TRIES):
        old = load_works(ports, pool, [work_id])[0]
        if old is None:
            raise NotFound(work_id)
        if was_dead and old.callback is not CallbackState.DEAD:
            return _Made(
                old.id, new=False
            )  # another caller was faster, or this very write succeeded without an answer
        now = ports.clock.now()
        new_id = WorkId(make_id(now, random_bits=ports.entropy.bits(75), shard=shard_of(old.id)))
        decision = decide_redrive(old, new_id=new_id, now=now, origin=origin, epoch=epoch)
        match decision:
            case NoFailure():
                got = Words(f"{shown(work_id)}, which is {decision.what}")
                raise UsageError(
                    "work_id",
                    got,
                    "the id of a work item that failed for good, or whose callback is dead",
                )
            case RedrivenWork():
                _make_up(ports, pool, decision.work_id)
                return _Made(decision.work_id, new=False)
            case Redrive():
                if _commit(ports, old, decision):
                    return _Made(new_id, new=True)
            case Redeliver():
                was_dead = True
                if _redeliver(ports, old, decision):
                    return _Made(old.id, new=True)
            case _:
                assert_never(decision)
    raise StoreUnavailable(f"work {work_id} kept changing")


def _commit(ports: Ports, old: WorkItem, decision: Redrive) -> bool:
    work, chunks = packed(_with_inputs_of(ports, old, decision.work))
    try:
        written = ports.store.transact([Put(work, IsAbsent()), decision.mark, *chunks])
    except TransactionFailed:
        # Another caller was faster, or this very write succeeded without an answer. The old work
        # item shows which.
        return False
    prove_work_in_time(ports, written, work.pool, work.id, work.due_at)
    ports.telemetry.emit(
        events.Redriven(
            pool=work.pool,
            work_id=work.id,
            job=work.spec.label,
            redrive_of=str(work.redrive_of),
            target=work.spec.target,
        )
    )
    return True


def _redeliver(ports: Ports, old: WorkItem, decision: Redeliver) -> bool:
    record = _record(ports, old, ports.clock.now())
    try:
        written = ports.store.transact([decision.write, Put(record)])
    except TransactionFailed:
        return False
    ensure_visible(ports, written, time_of(record.at), lambda at: _put_record(ports, old, at))
    ports.telemetry.emit(
        events.CallbackRedriven(
            pool=old.pool,
            work_id=old.id,
            job=old.spec.label,
            target=old.spec.callback_target or "",
            handler=old.spec.callback_job,
        )
    )
    return True


def _record(ports: Ports, work: WorkItem, at: EpochMs) -> Notice:
    return record_of_redelivery(work, now=at, random_bits=ports.entropy.bits(75))


def _put_record(ports: Ports, work: WorkItem, at: EpochMs) -> Written:
    return ports.store.write(Put(_record(ports, work, at)))


def _with_inputs_of(ports: Ports, old: WorkItem, new: WorkItem) -> WorkItem:
    """Returns the new work item with the old one's large arguments and context.

    Their chunks will expire with the old one. Raises NotFound if they were removed or damaged.
    """
    owner = WorkRef(old.pool, old.id)
    args, context = read_payload(ports, owner, Part.ARGS, old.spec.args), old.spec.context
    if context is not None:
        text = read_payload(ports, owner, Part.CONTEXT, context)
        context = None if text is None else Inline(text)
    if args is None or (context is None and old.spec.context is not None):
        raise NotFound(
            old.id, "it failed, and the chunks of its arguments or context are gone or damaged"
        )
    return replace(new, spec=new.spec.with_payloads(Inline(args), context))


def _make_up(ports: Ports, pool: str, work_id: WorkId) -> None:
    # Its maker may have died before it proved that it was in time, so it gets a further pointer
    # while it is not started.
    new = load_works(ports, pool, [work_id])[0]
    if new is not None and new.state is State.PENDING and new.starts == 0:
        put_pointer(ports, pool, work_id, max(ports.clock.now(), new.due_at))


def _kick(ports: Ports, pool: str) -> None:
    kick(ports, pool, KickReason.ENQUEUE, due=ports.clock.now())
