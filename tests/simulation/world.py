"""One simulated run: a cloud in memory, callers, workers, the judge, and the checks at the end.

A run has three parts. While faults strike, callers enqueue, cancel and change limits. When they
have stopped, everything acknowledged must finish, and the pools must come to rest. At rest nothing
may happen for an hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from unittest.mock import patch

from tests.simulation.actors import DECORATED, Actors
from tests.simulation.bill import OpenTime, Use, reads_max, writes_max
from tests.simulation.coverage import Coverage
from tests.simulation.full_shards import FullShardStore, full_times
from tests.simulation.history import Event, Terms, breaches
from tests.simulation.judge import Judge, Violation
from tests.simulation.scenario import SHARDS_SEEN_MAX, PoolPlan, Scenario, Told
from tests.simulation.versions import is_first_version, two_versions
from tests.simulation.watched import WatchedStore
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.core import limits
from workpool_aws.local import LocalCloud
from workpool_aws.local.faults.faults import Fault, Faults
from workpool_aws.local.faults.seeded import LANDS, SeededFaults
from workpool_aws.local.kernel.chance import Chooser
from workpool_aws.local.kernel.kernel import TraceLine
from workpool_aws.local.services.functions import LOOP_NAME
from workpool_aws.local.services.platform import Platform
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import (
    Config,
    Ledger,
    LoopState,
    LoopStatus,
    Registration,
    ShardCursors,
)
from workpool_aws.model.payload import Chunked
from workpool_aws.model.record import Record
from workpool_aws.model.refs import LedgerRef, StatusRef
from workpool_aws.model.work import CallbackState, State, WorkItem
from workpool_aws.model.writes import IsAbsent, Put
from workpool_aws.ports import Store

__all__ = ["Run", "simulate"]

_LINES_MAX: Final = 15_000
"""So many service calls are a loop that spins."""
_LINES_UNDELIVERED: Final = 30_000
"""So many more for each work item that is requeued for a day, fifty times, with a poll a second for
two minutes each time."""
_SETTLING_MAX: Final = timedelta(hours=8)
_SETTLING_UNDELIVERED_MAX: Final = timedelta(days=2)
_STEP: Final = timedelta(seconds=30)
_BEFORE: Final = timedelta(minutes=50)
"""A run begins so long after the cloud does: ten minutes before an hour, at which the watchdog
looks further back."""
_LAG_MS_MAX: Final = 1_500
_CALLS_TO_COUNT: Final = 4
"""So many more in a pass that counts ends of groups before its commit: read, write, and both again
after another count."""
_CALLS_BETWEEN: Final = 17
"""Service calls between the end of user code and the start of what waits for its slot, at most. The
loop reads the status first, and a report the work item that it is of."""
_CALLS_A_WORK: Final = 3
"""So many more for each work, where ranges come in small pages or a `cancel_all` is carried out
first: two pages and an update."""
_EAGER: Final = {
    "SHARD_WINDOW_MS": 400,
    "SHARD_LATELY_MS": 200,
    "SHARD_SPAN_MS": 0,
    "STARTS_A_SHARD": 2,
    "STARTS_A_FULL_SHARD": 10,
    "SHARDS_GROWN_MAX": 4,
    "SHARD_QUIET_MS": 2_000,
}
"""A pool of a few starts grows and shrinks as one of thousands would."""
_PAGED: Final = {"LEDGER_HEAD_SLOTS": 1, "LEDGER_PAGES": 2, "LEDGER_PAGES_MERGED": 2}
"""A ledger of a few slots has pages as one of thousands would."""
_EXPECTED_ENDS: Final = (
    "ReportNotWritten",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "StoreUnavailable",
    "Exception",
    "NonRetryableError",
)
"""Errors with which an invocation may end. Any other is a fault of the library."""


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a run. `violation`: the first promise that was broken; `None` means none."""

    scenario: Scenario
    violation: Violation | None
    judge: Judge
    began: EpochMs
    lines: tuple[TraceLine, ...]
    """As the kernel kept them."""
    facts: tuple[events.Event, ...]
    coverage: Coverage
    executions: int
    calls: int
    virtual_ms: int

    @property
    def faults(self) -> Counter[str]:
        """The number of times that each kind of fault struck."""
        return self.coverage.faults

    @property
    def trace(self) -> tuple[str, ...]:
        """The trace for a person. Made on demand, since hardly any run is looked at."""
        names: dict[str, str] = {
            work_id: f"w{number}" for number, work_id in enumerate(sorted(self.judge.works), 1)
        }
        rendered = []
        for at, task, label in self.lines:
            words = " ".join(_named(word, names) for word in label.split(" "))
            rendered.append(f"{(at - self.began) / 1000:10.3f}  {task:<24} {words}")
        return tuple(rendered)

    def report(self, *, whole: bool = False) -> str:
        """Everything a person needs to understand a failure: scenario, trace up to it (`whole`: to the end), and what was broken."""
        if self.violation is None:
            return "\n".join(
                [
                    str(self.scenario),
                    *(self.trace if whole else ()),
                    f"nothing was broken in {self.calls} calls",
                ]
            )
        shown = self.trace if whole else self.trace[: self.violation.lines]
        return "\n".join(
            [str(self.scenario), *shown, f"seed {self.scenario.seed}: {self.violation}"]
        )


def simulate(
    scenario: Scenario, chooser: Chooser | None = None, *, judging: type[Judge] = Judge
) -> Run:
    """Run a scenario.

    The same scenario and chooser (None: chance, from its seed) give the same run, to the last line
    of its trace.

    `judging`: a judge that remembers more.
    """
    stage = _Stage(scenario, chooser, judging)
    versions = two_versions(stage.is_first_version) if scenario.two_versions else nullcontext()
    shards = patch.multiple(limits, **_EAGER) if scenario.sharded else nullcontext()
    pages = patch.multiple(limits, **_PAGED) if scenario.paged else nullcontext()
    with stage.cloud, versions, shards, pages:
        stage.play()
        return stage.run()


class _Stage:
    """One run as it happens."""

    def __init__(self, scenario: Scenario, chooser: Chooser | None, judging: type[Judge]) -> None:
        self._scenario = scenario
        self._judge = judging(
            self._now,
            self._lines,
            self._writer,
            decorated=frozenset(mode.value for mode in DECORATED),
            once=not scenario.doubles_events,
            in_time=not scenario.delays_starts,
        )
        if scenario.two_versions:
            self._judge.rates.told_apart_by(self._counts_starts)
        self._began = EpochMs(0)
        self._refused = 0
        self._coverage = Coverage()
        self._history: list[Event] = []
        self._open_time = OpenTime()
        faults = Faults(
            rates=scenario.rates,
            aim=scenario.aim,
            budget=scenario.budget,
            until=_BEFORE + scenario.calm_after,
            skewed_clocks=scenario.skewed_clocks,
            torn_batches=scenario.torn_batches,
            chooser=chooser,
            jitter_ms=scenario.jitter_ms,
            store=self._watched,
        )
        self.cloud = LocalCloud(
            engine="memory",
            seed=scenario.seed,
            scheduler=scenario.precision,
            call_latency=timedelta(milliseconds=scenario.latency_ms),
            faults=faults,
        )
        self._actors = Actors(self.cloud, scenario, self._judge, self._history)

    def _watched(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        watched = WatchedStore(store, self._seen, self._scenario.page_items, self._coverage)
        times = full_times(self._scenario)
        return FullShardStore(watched, times, self._elapsed, self._refuse) if times else watched

    def _elapsed(self) -> timedelta:
        return timedelta(milliseconds=self._now() - self._began) if self._began else -_BEFORE

    def _refuse(self) -> None:
        self._refused += 1

    def _seen(self, before: Record | None, after: Record | None) -> None:
        self._open_time.saw(after, self._now())
        self._judge.seen(before, after)

    def _now(self) -> EpochMs:
        return self._platform.kernel.now()

    def _lines(self) -> int:
        return len(self._platform.kernel.trace)

    def _writer(self) -> str:
        kernel = self._platform.kernel
        task = kernel.current()
        # A late write lands in the thread of the process that just gave way.
        lands = bool(kernel.trace) and kernel.trace[-1].label.startswith(LANDS)
        return "-" if task is None or lands else task.name

    def is_first_version(self) -> bool:
        """True if the process that runs now is of version 0.1."""
        writer = self._writer()
        # A loop of 0.1 cannot read a ledger that has runs, and what it did then is no part of this.
        if self._scenario.short and writer.startswith(LOOP_NAME):
            return False
        return is_first_version(self._scenario.seed, writer)

    def _counts_starts(self) -> bool | None:
        """True if the loop that writes now knows rate limits; `None` means that no loop is seen to."""
        return not self.is_first_version() if self._writer().startswith(LOOP_NAME) else None

    @property
    def _platform(self) -> Platform:
        return self.cloud._open

    def play(self) -> None:
        self._actors.deploy()
        self._shorten_the_loop()
        if self._scenario.sharded or self._scenario.quick:
            self._run_before()
        self.cloud.advance(_BEFORE)
        self._began = self._now()
        self._actors.begin()
        self._let_pass(self._scenario.over_after)
        self._actors.repair()
        if self._settles():
            self._judge_the_rest()
            self._judge_the_end()
            self._judge_the_bill()

    def run(self) -> Run:
        self._coverage.faults.update(map(str, self._struck))
        violations = self._judge.violations
        return Run(
            scenario=self._scenario,
            violation=violations[0] if violations else None,
            judge=self._judge,
            began=self._began,
            lines=tuple(self._platform.kernel.trace),
            facts=tuple(self.cloud.facts),
            coverage=self._coverage,
            executions=len(self._judge.executions),
            calls=self._calls,
            virtual_ms=self._now() - self._began,
        )

    def _run_before(self) -> None:
        """Gives each pool the ledger of one that had as many shards as any caller has seen.

        If callers start their own work items, the pool rests: only then may they.
        """
        for plan in self._scenario.pools:
            marks = (ShardCursors(),) * (SHARDS_SEEN_MAX if self._scenario.sharded else 1)
            ledger = Ledger(pool=plan.name, holder="", generation=0, version=1, shards=marks)
            self._store.write(Put(ledger, IsAbsent()))
            if self._scenario.quick:
                self._rests(plan)

    def _rests(self, plan: PoolPlan) -> None:
        """Gives a pool the limits that its callers would give it, and a loop that is over."""
        then = EpochMs(0)
        config = Config(
            pool=plan.name,
            version=1,
            max_parallelism=plan.limit,
            rate_limit=self._scenario.rate,
            base_by="",
            base_at=then,
        )
        rests = LoopStatus(pool=plan.name, state=LoopState.IDLE, generation=0, lease_until=then)
        registered = Registration(pool=plan.name, registered_at=then)
        for record in (registered, config, rests):
            self._store.write(Put(record, IsAbsent()))
            self._judge.seen(None, record)

    def _shorten_the_loop(self) -> None:
        functions, timeout = self._platform.functions, self._scenario.loop_timeout
        functions._by_name[LOOP_NAME] = replace(
            functions._by_name[LOOP_NAME], timeout_ms=timeout // timedelta(milliseconds=1)
        )

    def _let_pass(self, time: timedelta, step: timedelta = _STEP) -> bool:
        """False: enough was broken, or called, to stop."""
        end = self.cloud.now + time
        while self.cloud.now < end:
            self.cloud.advance(min(step, end - self.cloud.now))
            most = _LINES_MAX + _LINES_UNDELIVERED * self._scenario.undelivered
            if self._lines() > most:
                self._judge.fail("WP-23", f"{most} calls")
            if self._judge.violations:
                return False
        return True

    def _settles(self) -> bool:
        """Let time pass until the pools rest. False: something was broken."""
        if self._scenario.hourly_look:
            self._let_pass(
                timedelta(seconds=3_630 - self.cloud.now.minute * 60 - self.cloud.now.second)
            )
            self.cloud.invoke(
                self.cloud.watchdog_arn, {"workpool_watchdog": {"table": self.cloud.table}}
            )
        settling = _SETTLING_UNDELIVERED_MAX if self._scenario.takes_days else _SETTLING_MAX
        end = self.cloud.now + settling
        while self._let_pass(timedelta(minutes=5), step=timedelta(minutes=5)) and self._restless():
            if self.cloud.now >= end:
                self._judge.fail("WP-22", f"after {settling}: {'; '.join(self._restless())}")
        return not self._judge.violations

    def _restless(self) -> list[str]:
        """Return the reasons for which the pools do not rest."""
        found = [f"schedule {each.name} at {each.at}" for each in self._platform.schedules.standing]
        for plan in self._scenario.pools:
            status, ledger = (
                self._store.get(StatusRef(plan.name)),
                self._store.get(LedgerRef(plan.name)),
            )
            if isinstance(status, LoopStatus) and status.state is not LoopState.IDLE:
                found.append(
                    f"{plan.name} is {status.state} in generation {status.generation}, to wake at {status.wake_at}"
                )
            if isinstance(ledger, Ledger) and (ledger.entries or ledger.pages or ledger.callbacks):
                found.append(
                    f"{plan.name} has {sorted(ledger.entries)} in flight and owes {ledger.callbacks}"
                )
        return found

    @property
    def _struck(self) -> Sequence[Fault]:
        faults = self._platform.faults
        assert isinstance(faults, SeededFaults)
        return faults.struck

    @property
    def _calls(self) -> int:
        """Calls of ports: lines of the trace without any other event."""
        return sum(not line.label.startswith("**") for line in self._platform.kernel.trace)

    @property
    def _store(self) -> Store:
        return self.cloud._engine_open.quiet(self.cloud.table)

    def _judge_the_end(self) -> None:
        judge = self._judge
        for work_id in judge.acknowledged:
            work = judge.works.get(work_id)
            if work is None or work.state is not State.FINISHED:
                judge.fail(
                    "WP-3",
                    f"acknowledged {work_id} is {None if work is None else work.state} at the end",
                )
        for work in judge.works.values():
            if work.state is State.RUNNING or (
                work.state is State.PENDING and self._scenario.hourly_look
            ):
                judge.fail("WP-21", f"{work.id} is {work.state} at the end")
            self._judge_callback(work)
        judge.judge_call_offs()
        judge.schedules.judge(hourly_look=self._scenario.hourly_look)
        judge.groups.judge(hourly_look=self._scenario.hourly_look)
        if (
            self._scenario.is_calm and not self._scenario.takes_days
        ):  # an undelivered start holds its slot until its event is too old
            latest = max(judge.lags_ms, default=0)
            each_alone = self._scenario.page_items is not None or self._scenario.call_offs
            between = _CALLS_BETWEEN + (_CALLS_TO_COUNT if self._scenario.groups else 0)
            calls = between + (_CALLS_A_WORK * self._scenario.works if each_alone else 0)
            calls_ms = calls * (self._scenario.latency_ms + self._scenario.jitter_ms)
            if latest > _LAG_MS_MAX + calls_ms:
                judge.fail(
                    "WP-20",
                    f"a start came {latest} ms after it was due and a slot was free, or an entry was settled so late",
                )
        for error in self._unexpected_errors():
            judge.fail("WP-12", error)
        self._actors.ask_in_the_end()
        terms = Terms(
            once=not self._scenario.doubles_events,
            in_time=not self._scenario.delays_starts,
            settled=True,
            excused=frozenset(judge.robbed | self._unheard()),
            starts_a_slot=25 if self._scenario.short else 1,
        )
        for breach in breaches(self._history, terms):
            judge.fail(breach.rule, f"as seen from outside: {breach.what}")

    def _judge_the_bill(self) -> None:
        if self._scenario.schedules or self._scenario.keys is not None:
            return  # a loop stays up for occurrences that are near, whatever they enqueue
        use, spent = self._use(), self.cloud.capacity
        for unit, units, most in (
            ("write", spent.write_units, writes_max(use)),
            ("read", spent.read_units, reads_max(use)),
        ):
            if units > most:
                self._judge.fail(
                    "cost", f"{units} {unit} units, where {most:.0f} are plausible for {use}"
                )

    def _use(self) -> Use:
        scenario, works = self._scenario, self._judge.works.values()
        return Use(
            pools=len(scenario.pools),
            works=len(works),
            starts=sum(work.starts for work in works),
            put_backs=sum(max(0, work.starts - work.attempts_made) for work in works),
            callbacks=sum(work.callback is not None for work in works),
            asks=sum(
                map(
                    len,
                    (
                        scenario.cancels,
                        scenario.call_offs,
                        scenario.changes,
                        scenario.redrives,
                        scenario.redeployments,
                        scenario.looks_at_ms,
                    ),
                )
            ),
            large_works=sum(
                Chunked in (type(work.spec.args), type(work.spec.context)) for work in works
            ),
            large_results=sum(isinstance(work.result, Chunked) for work in works),
            open_ms=self._open_time.total_ms(),
            ranges=(SHARDS_SEEN_MAX if scenario.sharded else 1)
            * (1 if scenario.page_items is None else 4),
            faults=0 if scenario.is_calm else 1 + len(self._struck) + self._refused,
        )

    def _judge_callback(self, work: WorkItem) -> None:
        if work.callback is CallbackState.DEAD and work.id in self._judge.robbed:
            return
        if (
            work.callback is CallbackState.PENDING
            and not self._scenario.hourly_look
            and self._judge.is_excused(work.id)
        ):
            return
        if work.callback in {CallbackState.PENDING, CallbackState.SENT, CallbackState.DEAD}:
            self._judge.fail("WP-8", f"the callback of {work.id} is {work.callback} at the end")
        handlers = {self._actors.listeners[told] for told in (Told.HANDLER, Told.FLAKY)}
        acknowledged = (
            work.callback is CallbackState.DELIVERED and work.spec.callback_target in handlers
        )
        if acknowledged and work.id not in self._judge.handled:
            self._judge.fail(
                "WP-8",
                f"the callback of {work.id} is said to be delivered, and its handler never ran to its end",
            )

    def _unheard(self) -> set[WorkId]:
        """Works whose target does not acknowledge: that Lambda took the event is all that was promised, and some events are lost."""
        if self._scenario.rates.keys().isdisjoint({Fault.EVENT_LOST, Fault.EVENT_LATE}):
            return set()
        listener = self._actors.listeners[Told.LISTENER]
        return {
            work.id for work in self._judge.works.values() if work.spec.callback_target == listener
        }

    def _unexpected_errors(self) -> list[str]:
        own = (self.cloud.loop_arn, self.cloud.completion_arn, self.cloud.watchdog_arn)
        return [
            f"{arn} ended with {each.error}"
            for arn in (*own, *self._actors.functions)
            for each in self.cloud.invocations(arn)
            if each.error is not None and each.error.split(":")[0] not in _EXPECTED_ENDS
        ]

    def _judge_the_rest(self) -> None:
        """An hour at rest: the watchdog's ticks find nothing, so the cloud skips them, and nothing at all is called [WP-22]."""
        before = self._lines()
        self.cloud.advance(timedelta(hours=1))
        calls = self._lines() - before
        if calls:
            self._judge.fail("WP-22", f"{calls} calls in an hour at rest")


def _named(word: str, names: Mapping[str, str]) -> str:
    """Ids of work items by their number, functions by their name."""
    head, slash, tail = (word.rpartition(":")[2] if word.startswith("arn:") else word).partition(
        "/"
    )
    return f"{names.get(head, head)}{slash}{tail}"
