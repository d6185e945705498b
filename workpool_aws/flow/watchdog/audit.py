"""Audits the last two hours below the cursors of a pool, once an hour.

A write can land after a cursor has passed its key, while its writer is no longer there to repeat
it. The audit puts such writes where the next loop reads. It covers paused pools and pools with a
running loop, too, since a pool may always be in that state. It reads a bounded number of rows, the
latest first; earlier rows are left out.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.loop.start import Look, Taken, classify
from workpool_aws.core.watchdog.watch import may_start
from workpool_aws.flow.reading import pages
from workpool_aws.flow.visibility import ensure_visible, put_pointer
from workpool_aws.model.ids import EpochMs, id_floor, make_id, shard_of
from workpool_aws.model.loop import Config, Ledger, LoopState, Notice
from workpool_aws.model.refs import (
    Collection,
    ConfigRef,
    KeyRange,
    LedgerRef,
    NoticeRef,
    PointerRef,
    Row,
    StatusRef,
    WorkRef,
    readable,
)
from workpool_aws.model.work import CallbackState, Pointer, State, WorkItem
from workpool_aws.model.writes import Put, Written

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workpool_aws.ports import Ports, Store

__all__ = ["audit_pool", "config_of", "ledger_of"]


def audit_pool(ports: Ports, pool: str, now: EpochMs) -> str | None:
    """Returns the reason for which the pool needs a kick now; `None` means that none was found."""
    ledger = ledger_of(ports.store, pool)
    if ledger is None:
        return None
    works = _point_at_forgotten(ports, pool, ledger, now)
    callbacks = _owe_again(ports, pool, ledger, now)
    if works:
        return "due work lay out of the loop's sight"
    return "a callback lay out of the loop's sight" if callbacks else None


def ledger_of(store: Store, pool: str) -> Ledger | None:
    """Returns the pool's ledger; `None` means that there is none, or a damaged one.

    Raises StoreUnavailable.
    """
    return readable(store.get(LedgerRef(pool)))


def config_of(store: Store, pool: str) -> Config | None:
    """Returns the pool's config; `None` means that there is none, or a damaged one.

    Raises StoreUnavailable.
    """
    return readable(store.get(ConfigRef(pool)))


def _point_at_forgotten(ports: Ports, pool: str, ledger: Ledger, now: EpochMs) -> bool:
    """Writes a new pointer to each due work item of the last two hours before every cursor.

    By the late rule, none of them was acknowledged. On the way it removes the pointers that no loop
    reads any more.
    """
    all_of_them = _starts_all_due(ports, pool, ledger)
    taken = Taken(ledger.entries, frozenset())
    forgotten: list[WorkItem] = []
    for shard, mark in enumerate(ledger.shards):
        high = deep_low(mark.work_cursor, mark.deep_at)
        for page in _before_the_cursor(ports, Collection.WORK, pool, shard, high, now):
            # One that was started before waits by its pointer, wherever its own row lies.
            forgotten += [
                work
                for work in _due_in(page, taken=taken, now=now)
                if all_of_them or work.starts == 0
            ]
            _remove_spent(ports, pool, page)
    for work in forgotten:
        put_pointer(ports, pool, work.id, now)
    return bool(forgotten)


def _due_in(page: Sequence[Row], *, taken: Taken, now: EpochMs) -> list[WorkItem]:
    """Returns the due work items of a page, as their pointers would find them.

    The pointer of a work item that was moved may be what is missing.
    """
    return [
        row.record
        for row in page
        if isinstance(row.record, WorkItem)
        and classify(id_floor(row.record.due_at), row.record, taken=taken, now=now) is Look.DUE
    ]


def _starts_all_due(ports: Ports, pool: str, ledger: Ledger) -> bool:
    """True if no due work item can wait for its turn: no loop is running, and a slot is free."""
    status = readable(ports.store.get(StatusRef(pool)))
    rests = status is not None and status.state is not LoopState.RUNNING
    return rests and may_start(config_of(ports.store, pool), ledger)


def _remove_spent(ports: Ports, pool: str, page: Sequence[Row]) -> None:
    """Removes pointers to work items that are over or gone.

    A loop that died between the start of a work item and the removal of its pointer leaves one
    behind its cursor, where no loop reads.
    """
    pointers = [row.record for row in page if isinstance(row.record, Pointer)]
    refs = list(dict.fromkeys(WorkRef(pool, pointer.work_id) for pointer in pointers))
    found = ports.store.get_many(refs) if refs else {}
    for pointer in pointers:
        work = found.get(WorkRef(pool, pointer.work_id))
        # No move leaves `finished`, so nothing can need it again. A damaged one may be repaired.
        if work is None or (isinstance(work, WorkItem) and work.state is State.FINISHED):
            ports.store.delete(PointerRef(pool, pointer.at))


def _owe_again(ports: Ports, pool: str, ledger: Ledger, now: EpochMs) -> bool:
    """Puts the notices of the last two hours that owe a callback where the next loop reads.

    Their writer had no answer and may be dead: it canceled the work item, or redrove the callback.
    If a loop took a notice over and died before it removed it, the next loop finds the callback
    delivered, and removes it.
    """
    owed = [
        row.record
        for shard, mark in enumerate(ledger.shards)
        for page in _before_the_cursor(
            ports, Collection.DONE, pool, shard, deep_low(mark.done_cursor), now
        )
        for row in page
        if isinstance(row.record, Notice) and row.record.callback is CallbackState.PENDING
    ]
    for record in owed:
        _put_again(ports, record, now)
    return bool(owed)


def _put_again(ports: Ports, record: Notice, now: EpochMs) -> None:
    def put(at: EpochMs) -> Written:
        return ports.store.write(
            Put(
                replace(
                    record,
                    at=make_id(at, random_bits=ports.entropy.bits(75), shard=shard_of(record.at)),
                )
            )
        )

    ensure_visible(ports, put(now), now, put)
    ports.store.delete(NoticeRef(record.pool, record.at))


def _before_the_cursor(
    ports: Ports, shelf: Collection, pool: str, shard: int, high: str, now: EpochMs
) -> Iterator[list[Row]]:
    low = id_floor(EpochMs(now - limits.WATCHDOG_DEEP_BACK_MS))
    span = KeyRange(
        shelf=shelf,
        pool=pool,
        shard=shard,
        low=low,
        high=high,
        limit=limits.WATCHDOG_PAGE,
        reverse=True,
    )
    return islice(
        pages(ports.store, ports.telemetry, span), limits.WATCHDOG_ROWS_MAX // limits.WATCHDOG_PAGE
    )
