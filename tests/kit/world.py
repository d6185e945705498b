"""Everything around one table: what a pool needs to be tested without AWS."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from tests.kit.clocks import CountedEntropy, ManualClock, StoppedClock
from tests.kit.doubles import LOOP, CallersInvoker, CallersTimer, NotingMessenger
from tests.kit.records import POOL, PROOF, an_assignment, changed
from tests.kit.stores import FaultyStore
from workpool_aws.adapters.items.records import key_of
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.adapters.system import SerialFanOut
from workpool_aws.adapters.telemetry import ListTelemetry
from workpool_aws.api.pool import Workpool
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import Config, Ledger, LoopStatus, Notice
from workpool_aws.model.messages import Assignment
from workpool_aws.model.record import Record, Ref
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
)
from workpool_aws.model.work import Pointer, State, WorkItem
from workpool_aws.model.writes import Put
from workpool_aws.ports import Invoker, Ports, Timer

R = TypeVar("R", bound=Record)

TABLE = "jobs"


class World:
    """A table in memory and all ports of a process that uses it. Nothing in it runs by itself.

    `notes` lists what was asked of the table, of Lambda and of the scheduler, in order.
    """

    def __init__(
        self,
        *,
        invoker: Invoker | None = None,
        timer: Timer | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self.notes: list[str] = [] if notes is None else notes
        self.clock = ManualClock()
        self.memory = MemoryStore(self.clock.now)
        self.store = FaultyStore(self.memory, self.notes)
        self.invoker = CallersInvoker() if invoker is None else invoker
        self.messenger = NotingMessenger()
        self.timer = CallersTimer() if timer is None else timer
        self.telemetry = ListTelemetry()
        self.ports = Ports(
            table=TABLE,
            store=self.store,
            invoker=self.invoker,
            messenger=self.messenger,
            timer=self.timer,
            clock=self.clock,
            entropy=CountedEntropy(),
            telemetry=self.telemetry,
            fan_out=SerialFanOut(),
            loop_arn=LOOP,
        )

    def ports_at(self, at: int) -> Ports:
        """Return the ports of a process whose clock stands there."""
        return replace(self.ports, clock=StoppedClock(at))

    def pool(
        self, name: str = POOL, *, at: int | None = None, max_parallelism: int | None = None
    ) -> Workpool:
        """Return the pool as its callers have it.

        `at` stops a caller's clock there. A caller that gives no limit says nothing about it.
        """
        limits = {} if max_parallelism is None else {"max_parallelism": max_parallelism}
        return Workpool(
            TABLE, name, ports=self.ports if at is None else self.ports_at(at), **limits
        )

    def work(self, work_id: str, pool: str = POOL) -> WorkItem:
        found = self.memory.peek(WorkRef(pool, WorkId(work_id)))
        assert isinstance(found, WorkItem)
        return found

    def works(self) -> list[WorkItem]:
        return [
            row.record for row in self._rows(Collection.WORK) if isinstance(row.record, WorkItem)
        ]

    def status(self) -> LoopStatus:
        found = self.memory.peek(StatusRef(POOL))
        assert isinstance(found, LoopStatus)
        return found

    def config(self) -> Config:
        found = self.memory.peek(ConfigRef(POOL))
        assert isinstance(found, Config)
        return found

    def ledger(self) -> Ledger:
        found = self.memory.peek(LedgerRef(POOL))
        assert isinstance(found, Ledger)
        return found

    def pointers(self) -> list[Pointer]:
        return [
            row.record for row in self._rows(Collection.WORK) if isinstance(row.record, Pointer)
        ]

    def dones(self) -> list[Notice]:
        return [row.record for row in self._rows(Collection.DONE) if isinstance(row.record, Notice)]

    def put(self, record: R) -> R:
        """Store the record as it is, past every fault and note."""
        self.memory.write(Put(record))
        return record

    def place(self, *records: Record) -> None:
        """Put each of the records."""
        for record in records:
            self.put(record)

    def remove(self, *refs: NoticeRef | PointerRef | WorkRef) -> None:
        for ref in refs:
            self.memory.delete(ref)

    def damage(self, ref: Ref) -> None:
        """Make the item one that cannot be read."""
        key = key_of(ref)
        self.memory.inject(key.pk, key.sk, {"kind": "no such thing"})

    def start(self, work: WorkItem) -> Assignment:
        """Store the next start of the work item as the loop would, and return its assignment."""
        started = self.put(
            changed(
                work,
                state=State.RUNNING,
                starts=work.starts + 1,
                started_by="loop-1",
                started_at=self.clock.now(),
                deadline=EpochMs(self.clock.now() + 60_000),
                proof=PROOF,
            )
        )
        return an_assignment(
            table=TABLE,
            pool=work.pool,
            work_id=work.id,
            start=started.starts,
            attempts_made=work.attempts_made,
            kind=work.spec.kind,
            retry=work.spec.retry,
            claimed=work.spec.claimed,
            retention_s=work.spec.retention_s,
            start_by=EpochMs(self.clock.now() + 30_000),
        )

    @property
    def requests(self) -> int:
        return self.memory.meter.snapshot().requests

    def _rows(self, collection: Collection) -> tuple[Row, ...]:
        return self.memory.query(KeyRange(collection=collection, pool=POOL)).rows
