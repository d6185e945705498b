"""A stage on which the flow is driven by hand: one thread, and faults where a test wants them.

Workers are calls on the clock's agenda: while a loop sleeps, everything that is due happens.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from tests.kit.doubles import TIMEOUT_MS, LoopsInvoker, NotingTimer
from tests.kit.records import NOW, POOL
from tests.kit.stores import Apply, Died
from tests.kit.world import TABLE, World
from workpool_aws.flow.loop.iterate import run_loop
from workpool_aws.flow.report.claim import claim
from workpool_aws.flow.report.complete import complete
from workpool_aws.flow.report.follow_up import Reporter
from workpool_aws.flow.watchdog.watch import watch
from workpool_aws.model.ids import EpochMs, WorkId, time_of
from workpool_aws.model.loop import (
    Config,
    Entry,
    EntryKey,
    Ledger,
    LoopState,
    LoopStatus,
    Registration,
    ShardCursors,
)
from workpool_aws.model.messages import Assignment, LoopRequest, Report, ReportKind
from workpool_aws.model.writes import Written

LAMBDA_MS = 900_000
LATE_MS = 20_000
"""Time by which a late request arrives too late for the cursors."""

SUCCESS = Report(kind=ReportKind.SUCCESS, result='"ok"')
FAILED = Report(kind=ReportKind.FAILED, error="boom", error_type="ValueError")
NOT_DELIVERED = Report(kind=ReportKind.NEVER_DELIVERED, error="too old")


class Stage(World):
    """A world in which loops, workers and far wakes run when time passes.

    A worker runs for `takes_ms` before it makes its `report`. `None` means that it never does.
    """

    def __init__(self, *, takes_ms: int | None = 1_000, report: Report = SUCCESS) -> None:
        self.takes_ms = takes_ms
        self.report = report
        self._made: dict[tuple[WorkId, int], str | None] = {}
        notes: list[str] = []
        self.invoker = LoopsInvoker(notes=notes, on_start=self._start)
        self.timer = NotingTimer(notes)
        super().__init__(invoker=self.invoker, timer=self.timer, notes=notes)

    def after(self, ms: int, deed: Callable[[], object]) -> None:
        """Enter the deed on the agenda: it happens so long from now, in the sleep of any process."""
        self.clock.enter(self.clock.at + ms, deed)

    def run(self, ms: int = 3_600_000, *, watchdog: bool = False) -> None:
        """Let so much time pass.

        Loops that were ordered run until they end, the agenda happens, far wakes come, and with
        `watchdog` it looks each minute.
        """
        end = self.clock.at + ms
        while True:
            if self.invoker.loops:
                self.serve(self.invoker.loops.pop(0))
                continue
            next_at = self._next_at(watchdog=watchdog)
            if next_at is None or next_at > end:
                break
            with suppress(Died):  # no loop was there to be killed
                self.clock.pass_to(next_at)
            if self.timer.at is not None and self.timer.at <= self.clock.at:
                self.timer.at = None
                self.invoker.loops.append(order(None))
            if watchdog and self.clock.at % 60_000 == 0:
                watch(self.ports)
        self.clock.pass_to(end)

    def serve(self, order: LoopRequest, *, lives_ms: int = LAMBDA_MS) -> None:
        """Run one loop invocation until it returns or dies."""
        end = self.clock.at + lives_ms
        try:
            run_loop(self.ports, order, lambda: end - self.clock.at)
        except Died:
            self.notes.append("died")

    def kill_at(self, ms: int) -> None:
        """Kill the process that sleeps so long from now."""

        def die() -> None:
            raise Died

        self.after(ms, die)

    def generation(self) -> int:
        return self.status().generation

    def complete(self, a: Assignment, report: Report = SUCCESS, *, by: Reporter = "worker") -> None:
        """Report a start. A worker that ran has made the start before, if that is its part."""
        if by == "worker" and report.kind is not ReportKind.NEVER_DELIVERED:
            report = replace(report, claim=report.claim or self.make(a))
        complete(self.ports, a, report, by=by)

    def make(self, a: Assignment) -> str | None:
        """Make a start that is left to its worker, once; return the claim's token."""
        if a.permit is not None and (a.work_id, a.start) not in self._made:
            self._made[a.work_id, a.start] = self.claim(a)
        return self._made.get((a.work_id, a.start))

    def of_first_version(self, work_id: WorkId) -> None:
        """Let the work item be one that version 0.1 stored: the loop makes its first start."""
        self.place(replace(self.work(work_id), permit=None))

    def claim(self, a: Assignment, remaining_ms: int = TIMEOUT_MS) -> str | None:
        return claim(self.ports, a, remaining_ms=remaining_ms)

    def watch(self) -> None:
        watch(self.ports)

    def resting_as(
        self,
        state: LoopState,
        *,
        generation: int = 1,
        lease_until: int | None = None,
        wake_at: int | None = None,
        saturated: bool = False,
    ) -> None:
        """Store this status. Without `lease_until` its lease has half a minute to go."""
        lease = self.clock.at + 30_000 if lease_until is None else lease_until
        wake = None if wake_at is None else EpochMs(wake_at)
        self.put(
            LoopStatus(
                pool=POOL,
                state=state,
                generation=generation,
                lease_until=EpochMs(lease),
                wake_at=wake,
                saturated=saturated,
            )
        )

    def _next_at(self, *, watchdog: bool) -> int | None:
        minute = (self.clock.at // 60_000 + 1) * 60_000 if watchdog else None
        coming = (self.clock.next_at(), self.timer.at, minute)
        return min((at for at in coming if at is not None), default=None)

    def _start(self, assignment: Assignment) -> None:
        if self.report.kind is not ReportKind.NEVER_DELIVERED:
            self.make(assignment)
        if self.takes_ms is not None:
            self.after(self.takes_ms, lambda: self.complete(assignment, self.report))


def order(generation: int | None) -> LoopRequest:
    return LoopRequest(table=TABLE, pool=POOL, generation=generation)


def undecorated_stage(*, takes_ms: int | None = 1_000, report: Report = SUCCESS) -> Stage:
    """Return a stage whose functions are undecorated, so that the loop makes every start."""
    stage = Stage(takes_ms=takes_ms, report=report)
    stage.invoker.claims = False
    return stage


def late(stage: Stage, *, repeated: bool) -> Callable[[Apply], Written]:
    """Return the fault of a request that arrives late, and twice if its first answer was lost."""

    def fault(apply: Apply) -> Written:
        stage.clock.at += LATE_MS
        written = apply()
        return apply() if repeated else written

    return fault


def watched_stage(
    *,
    entries: tuple[EntryKey, ...] = (),
    limit: int = 2,
    paused: bool | None = None,
    cursor: str = "",
    at: int = NOW,
) -> Stage:
    """Return the stage of a registered pool that is idle.

    It is a minute after the hour, at which the hourly look is not due.
    """
    stage = Stage()
    stage.clock.at = at + 60_000 if at == NOW else at
    ledger = Ledger(
        pool=POOL,
        holder="before",
        generation=1,
        version=1,
        entries={key: Entry(EpochMs(NOW + 3_600_000), confirmed=True) for key in entries},
        shards=(
            ShardCursors(
                work_cursor=cursor,
                done_cursor=cursor,
                deep_at=time_of(cursor) if cursor else EpochMs(0),
            ),
        ),
    )
    config = Config(
        pool=POOL,
        version=1,
        max_parallelism=limit,
        base_by="t",
        base_at=NOW,
        override_paused=paused,
    )
    stage.place(Registration(pool=POOL, registered_at=NOW), ledger, config)
    stage.resting_as(LoopState.IDLE)
    return stage
