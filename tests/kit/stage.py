"""A stage on which the flow is driven by hand: one thread, a clock that moves when somebody sleeps, faults where a test wants them.

Workers are calls on an agenda: while a loop sleeps, everything that is due happens.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from tests.kit.records import NOW
from tests.kit.stores import Died, FaultyTable
from tests.kit.world import LOOP, TABLE, CountedEntropy, NotingMessenger
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.adapters.system import SerialFanOut
from workpool_aws.adapters.telemetry import ListTelemetry
from workpool_aws.api.pool import Workpool
from workpool_aws.flow.loop.iterate import run_loop
from workpool_aws.flow.report.claim import claim
from workpool_aws.flow.report.complete import Reporter, complete
from workpool_aws.flow.watchdog.watch import watch
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import Ledger, LoopState, LoopStatus, Notice
from workpool_aws.model.messages import Assignment, LoopRequest, Report, ReportKind
from workpool_aws.model.refs import (
    Collection,
    KeyRange,
    LedgerRef,
    NoticeRef,
    PointerRef,
    Record,
    Row,
    StatusRef,
    WorkRef,
)
from workpool_aws.model.work import Pointer, WorkItem
from workpool_aws.model.writes import Put
from workpool_aws.ports import FunctionLimits, Ports, TimerUnavailable

POOL = "email"
TARGET = "arn:aws:lambda:us-east-1:123456789012:function:send_email"
LAMBDA_MS = 900_000
TIMEOUT_MS = 30_000
EVENT_AGE_MS = 60_000
START_MS = TIMEOUT_MS + EVENT_AGE_MS
"""From a start to its deadline."""
SLEEPS_MAX = 5_000

SUCCESS = Report(kind=ReportKind.SUCCESS, result='"ok"')
FAILED = Report(kind=ReportKind.FAILED, error="boom", error_type="ValueError")
NOT_DELIVERED = Report(kind=ReportKind.NEVER_DELIVERED, error="too old")


@dataclass
class AgendaClock:
    """Time passes only in sleeps; what stands on the agenda happens meanwhile, in order."""

    at: int = NOW
    slept_ms: list[int] = field(default_factory=list)
    _agenda: list[tuple[int, int, Callable[[], object]]] = field(default_factory=list)
    _entered: int = 0

    def now(self) -> EpochMs:
        return EpochMs(self.at)

    def sleep(self, ms: int) -> None:
        self.slept_ms.append(ms)
        assert len(self.slept_ms) < SLEEPS_MAX, "it never comes to rest"
        self.pass_to(self.at + ms)

    def enter(self, at: int, deed: Callable[[], object]) -> None:
        self._entered += 1
        heappush(self._agenda, (at, self._entered, deed))

    def next_at(self) -> int | None:
        return self._agenda[0][0] if self._agenda else None

    def pass_to(self, end: int) -> None:
        while self._agenda and self._agenda[0][0] <= end:
            at, _, deed = heappop(self._agenda)
            self.at = max(self.at, at)
            deed()
        self.at = max(self.at, end)


@dataclass(frozen=True)
class StoppedClock:
    """The clock of a process that read it, and was then frozen; or of one whose clock is off."""

    at: int

    def now(self) -> EpochMs:
        return EpochMs(self.at)

    def sleep(self, ms: int) -> None:
        raise AssertionError(f"a producer slept {ms} ms")


@dataclass
class StageLambda:
    """Takes events: starts go to `stage.runs`, loop orders wait in `loops`.

    `refuses` raises for the next starts, one each.
    """

    notes: list[str]
    on_start: Callable[[Assignment], None]
    loops: list[LoopRequest] = field(default_factory=list)
    started: list[Assignment] = field(default_factory=list)
    refuses: list[Exception] = field(default_factory=list)
    refuses_loop: list[Exception] = field(default_factory=list)
    claims: bool = True
    listed: tuple[str, ...] | None = None
    """What the deployment lists as acknowledging; None: whoever claims does."""

    def start_work(self, target: str, assignment: Assignment, args: str) -> None:
        self.notes.append("invoke")
        if self.refuses:
            raise self.refuses.pop(0)
        self.started.append(assignment)
        self.on_start(assignment)

    def start_loop(self, loop_arn: str, order: LoopRequest) -> None:
        assert loop_arn == LOOP
        if self.refuses_loop:
            raise self.refuses_loop.pop(0)
        self.loops.append(order)

    def limits(self, target: str) -> FunctionLimits:
        return FunctionLimits(timeout_ms=TIMEOUT_MS, event_age_ms=EVENT_AGE_MS, claims=self.claims)

    def acknowledges(self, target: str) -> bool:
        return self.claims if self.listed is None else target in self.listed


@dataclass
class StageTimer:
    """Takes orders for far wakes and notes them; with `broken` it takes none."""

    notes: list[str]
    at: EpochMs | None = None
    broken: bool = False

    def wake_at(self, pool: str, at: EpochMs) -> None:
        if self.broken:
            raise TimerUnavailable("no scheduler")
        self.notes.append("timer")
        self.at = at

    def forget(self, pool: str) -> None:
        if self.broken:
            raise TimerUnavailable("no scheduler")
        self.notes.append("no timer")
        self.at = None


class Stage:
    """One table, one pool, and everything around it.

    `takes_ms`: how long a worker runs before it reports; None: it never does.
    """

    def __init__(self, *, takes_ms: int | None = 1_000, report: Report = SUCCESS) -> None:
        self.takes_ms = takes_ms
        self.report = report
        self.notes: list[str] = []
        self.clock = AgendaClock()
        self.table = FaultyTable(MemoryStore(self.clock.now), self.notes)
        self.aws = StageLambda(self.notes, self._start)
        self.timer = StageTimer(self.notes)
        self.telemetry = ListTelemetry()
        self.ports = Ports(
            table=TABLE,
            store=self.table,
            invoker=self.aws,
            messenger=NotingMessenger(),
            timer=self.timer,
            clock=self.clock,
            entropy=CountedEntropy(),
            telemetry=self.telemetry,
            fan_out=SerialFanOut(),
            loop_arn=LOOP,
        )

    def pool(self, *, at: int | None = None, max_parallelism: int | None = None) -> Workpool:
        """The pool; `at`: of a caller whose clock stands there.

        A program that gives no limit says nothing about it.
        """
        ports = self.ports if at is None else self.ports_at(at)
        return (
            Workpool(TABLE, POOL, ports=ports)
            if max_parallelism is None
            else Workpool(TABLE, POOL, max_parallelism=max_parallelism, ports=ports)
        )

    def ports_at(self, at: int) -> Ports:
        return replace(self.ports, clock=StoppedClock(at))

    def after(self, ms: int, deed: Callable[[], object]) -> None:
        """This happens so long from now, whoever sleeps then."""
        self.clock.enter(self.clock.at + ms, deed)

    def run(self, ms: int = 3_600_000, *, watchdog: bool = False) -> None:
        """Let so much time pass: loops that were ordered run until they end, the agenda happens, far wakes come."""
        end = self.clock.at + ms
        while True:
            if self.aws.loops:
                self.serve(self.aws.loops.pop(0))
                continue
            coming = [
                at
                for at in (
                    self.clock.next_at(),
                    self.timer.at,
                    self._minute() if watchdog else None,
                )
                if at is not None
            ]
            if not coming or min(coming) > end:
                break
            with suppress(Died):  # nobody was there to be killed
                self.clock.pass_to(min(coming))
            if self.timer.at is not None and self.timer.at <= self.clock.at:
                self.timer.at = None
                self.aws.loops.append(LoopRequest(table=TABLE, pool=POOL, generation=None))
            if watchdog and self.clock.at % 60_000 == 0:
                watch(self.ports)
        self.clock.pass_to(end)

    def serve(self, order: LoopRequest, *, lives_ms: int = LAMBDA_MS) -> None:
        """One loop invocation, until it returns or dies."""
        end = self.clock.at + lives_ms
        try:
            run_loop(self.ports, order, lambda: end - self.clock.at)
        except Died:
            self.notes.append("died")

    def kill_at(self, ms: int) -> None:
        """Whoever sleeps so long from now is killed."""

        def die() -> None:
            raise Died

        self.after(ms, die)

    def generation(self) -> int:
        return self.status().generation

    def complete(self, a: Assignment, report: Report = SUCCESS, *, by: Reporter = "worker") -> None:
        complete(self.ports, a, report, by=by)

    def claim(self, a: Assignment, remaining_ms: int = TIMEOUT_MS) -> str | None:
        return claim(self.ports, a, remaining_ms=remaining_ms)

    def watch(self) -> None:
        watch(self.ports)

    def work(self, work_id: str) -> WorkItem:
        found = self.table.memory.peek(WorkRef(POOL, WorkId(work_id)))
        assert isinstance(found, WorkItem)
        return found

    def works(self) -> list[WorkItem]:
        return [
            row.record for row in self._rows(Collection.WORK) if isinstance(row.record, WorkItem)
        ]

    def status(self) -> LoopStatus:
        found = self.table.memory.peek(StatusRef(POOL))
        assert isinstance(found, LoopStatus)
        return found

    def ledger(self) -> Ledger:
        found = self.table.memory.peek(LedgerRef(POOL))
        assert isinstance(found, Ledger)
        return found

    def pointers(self) -> list[Pointer]:
        return [
            row.record for row in self._rows(Collection.WORK) if isinstance(row.record, Pointer)
        ]

    def dones(self) -> list[Notice]:
        return [row.record for row in self._rows(Collection.DONE) if isinstance(row.record, Notice)]

    def place(self, *records: Record) -> None:
        """Put records there as they are, past every fault and note."""
        for record in records:
            self.table.memory.write(Put(record))

    def remove(self, *refs: NoticeRef | PointerRef | WorkRef) -> None:
        for ref in refs:
            self.table.memory.delete(ref)

    def resting_as(
        self,
        state: LoopState,
        *,
        generation: int = 1,
        lease_until: int | None = None,
        wake_at: int | None = None,
        saturated: bool = False,
    ) -> None:
        """The status says this; without `lease_until`, under a lease that has half a minute to go."""
        lease = self.clock.at + 30_000 if lease_until is None else lease_until
        wake = None if wake_at is None else EpochMs(wake_at)
        status = LoopStatus(
            pool=POOL,
            state=state,
            generation=generation,
            lease_until=EpochMs(lease),
            wake_at=wake,
            saturated=saturated,
        )
        self.place(status)

    def _rows(self, shelf: Collection) -> tuple[Row, ...]:
        return self.table.memory.query(KeyRange(shelf=shelf, pool=POOL)).rows

    def _minute(self) -> int:
        return (self.clock.at // 60_000 + 1) * 60_000

    def _start(self, assignment: Assignment) -> None:
        if self.takes_ms is not None:
            self.after(self.takes_ms, lambda: self.complete(assignment, self.report))


def order(generation: int | None) -> LoopRequest:
    return LoopRequest(table=TABLE, pool=POOL, generation=generation)
