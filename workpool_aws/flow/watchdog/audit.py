"""Audits the last two hours below the cursors of a pool, once an hour.

A write can land after a cursor has passed its key, while its writer is no longer there to repeat
it. The audit puts such writes where the next loop reads. It covers paused pools and pools with a
running loop, too, since a pool may always be in that state. It reads a bounded number of rows, the
latest first; earlier rows are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.classify import Look, Taken, classify
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.watchdog.watch import may_start
from workpool_aws.flow.ledger import ledger_of
from workpool_aws.flow.reading import pages, schedules_of
from workpool_aws.flow.visibility import ensure_visible, put_pointer, put_tick
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, id_floor, make_id, shard_of
from workpool_aws.model.loop import Ledger, LoopState, LoopStatus, Notice
from workpool_aws.model.refs import (
    Collection,
    ConfigRef,
    KeyRange,
    NoticeRef,
    PointerRef,
    Row,
    StatusRef,
    WorkRef,
    readable,
)
from workpool_aws.model.work import Pointer, State, WorkItem
from workpool_aws.model.writes import Put, Written
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workpool_aws.ports import Ports

__all__ = ["audit_pool"]


def audit_pool(ports: Ports, pool: str, now: EpochMs) -> str | None:
    """Returns the reason for which the pool needs a kick now; `None` means that none was found."""
    ledger = ledger_of(ports.store, pool)
    if ledger is None:
        return None
    audit = _Audit(ports, pool, ledger, now)
    works = audit.point_at_forgotten()
    callbacks = audit.owe_again()
    if audit.tick_again():
        return "a schedule had lost its tick"
    if works:
        return "due work lay out of the loop's sight"
    return "a callback lay out of the loop's sight" if callbacks else None


@dataclass(frozen=True, slots=True)
class _Audit:
    """The audit of one pool."""

    ports: Ports
    pool: str
    ledger: Ledger
    now: EpochMs

    def point_at_forgotten(self) -> bool:
        """Writes a new pointer to each due work item of the last two hours before every cursor.

        By the late rule, none of them was acknowledged. On the way it removes the pointers that no
        loop reads any more.
        """
        all_of_them = self._starts_all_due()
        forgotten: list[WorkItem] = []
        read = self._shards_read()
        for shard, mark in enumerate(self.ledger.shards):
            # No loop reads the others at all.
            high = deep_low(mark.work_cursor, mark.deep_at) if shard < read else id_floor(self.now)
            for page in self._before_the_cursor(Collection.WORK, shard, high):
                # One that was started before waits by its pointer, wherever its own row lies.
                forgotten += [
                    work for work in self._due_in(page) if all_of_them or work.starts == 0
                ]
                self._remove_spent(page)
        for work in forgotten:
            put_pointer(self.ports, self.pool, work.id, self.now)
        return bool(forgotten)

    def owe_again(self) -> bool:
        """Puts the notices of the last two hours that await the loop where the next one reads.

        They owe a callback, or have the end of a group's member. Their writer had no answer and may
        be dead: it ended the work item, or redrove the
        callback. If a loop took a notice over and died before it removed it, the next loop finds
        the callback delivered, and removes it.
        """
        owed = [
            row.record
            for shard, mark in enumerate(self.ledger.shards)
            for page in self._before_the_cursor(Collection.DONE, shard, deep_low(mark.done_cursor))
            for row in page
            if isinstance(row.record, Notice) and row.record.awaits_loop
        ]
        for record in owed:
            self._put_again(record)
        return bool(owed)

    def tick_again(self) -> bool:
        """Writes a tick for each schedule whose next occurrence is overdue.

        The transaction that moved it on may have landed so late that its tick lies out of sight.
        In a pool without a free slot no tick is read, so none is missing.
        """
        if not self._may_start(None):
            return False
        overdue = [
            item
            for item in schedules_of(self.ports.store, self.ports.telemetry, self.pool)
            if not item.paused
            and item.next_at is not None
            and item.next_at < self.now - limits.SCHEDULE_LATE_MS
        ]
        for item in overdue:
            put_tick(self.ports, self.pool, item.name, self.now)
            late_ms = self.now - (item.next_at or self.now)
            late = events.ScheduleRepaired(pool=self.pool, schedule=item.name, late_ms=late_ms)
            self.ports.telemetry.emit(late)
        return bool(overdue)

    def _shards_read(self) -> int:
        """Returns the number of shards that a loop reads, without a request if there is one."""
        shards = len(self.ledger.shards)
        if shards == 1:
            return shards
        status = readable(self.ports.store.get(StatusRef(self.pool)))
        return shards if status is None else status.shards_read or shards

    def _starts_all_due(self) -> bool:
        """True if no due work item can be waiting for its turn: no loop runs, and a slot is free."""
        status = readable(self.ports.store.get(StatusRef(self.pool)))
        if status is None or status.state is LoopState.RUNNING:
            return False
        return self._may_start(status)

    def _may_start(self, status: LoopStatus | None) -> bool:
        """True if a due work item could start. `status`: `None` counts tokens by the ledger alone."""
        config = readable(self.ports.store.get(ConfigRef(self.pool)))
        return may_start(config, self.ledger, status, self.now)

    def _due_in(self, page: Sequence[Row]) -> list[WorkItem]:
        """Returns the due work items of a page, and those whose time to start is over.

        They are judged as their pointers would find them: the pointer of one that was moved may be what
        is missing.
        """
        taken = Taken(self.ledger.entries, frozenset())
        return [
            row.record
            for row in page
            if isinstance(row.record, WorkItem)
            and classify(id_floor(row.record.due_at), row.record, taken=taken, now=self.now)
            in {Look.DUE, Look.EXPIRED}
        ]

    def _remove_spent(self, page: Sequence[Row]) -> None:
        """Removes pointers to work items that are over or gone.

        A loop that died between the start of a work item and the removal of its pointer leaves one
        behind its cursor, where no loop reads.
        """
        pointers = [row.record for row in page if isinstance(row.record, Pointer)]
        refs = list(dict.fromkeys(WorkRef(self.pool, pointer.work_id) for pointer in pointers))
        found = self.ports.store.get_many(refs) if refs else {}
        for pointer in pointers:
            work = found.get(WorkRef(self.pool, pointer.work_id))
            # No move leaves `finished`, so nothing can need it again. A damaged one may be repaired.
            if work is None or (isinstance(work, WorkItem) and work.state is State.FINISHED):
                self.ports.store.delete(PointerRef(self.pool, pointer.at))

    def _put_again(self, record: Notice) -> None:
        store = self.ports.store

        def put(at: EpochMs) -> Written:
            random_bits = self.ports.entropy.bits(75)
            place = make_id(at, random_bits=random_bits, shard=shard_of(record.at))
            return store.write(Put(replace(record, at=place)))

        ensure_visible(self.ports, put(self.now), self.now, put)
        store.delete(NoticeRef(record.pool, record.at))

    def _before_the_cursor(
        self, collection: Collection, shard: int, high: str
    ) -> Iterator[list[Row]]:
        key_range = KeyRange(
            collection=collection,
            pool=self.pool,
            shard=shard,
            low=id_floor(EpochMs(self.now - limits.WATCHDOG_DEEP_BACK_MS)),
            high=high,
            limit=limits.WATCHDOG_PAGE,
            reverse=True,
        )
        rows_read = 0
        # By rows: a page that a query's 1 MB cut short is no reason to stop.
        for page in pages(self.ports.store, self.ports.telemetry, key_range, readable=False):
            yield page
            rows_read += len(page)
            if rows_read >= limits.WATCHDOG_ROWS_MAX:
                return
