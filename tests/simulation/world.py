"""Owns one simulated run: a cloud in memory, callers and workers as the scenario has them, the judge, and what must hold at the end.

A run has three parts. While faults strike, callers enqueue, cancel and change limits. When they have stopped, everything acknowledged must
finish, and the pools must come to rest. At rest nothing may happen for an hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final, cast

from tests.simulation.judge import Judge, Violation
from tests.simulation.scenario import TIMEOUT_MS, Act, Change, Mode, Scenario, Submission, Told, ending_of
from tests.simulation.watched import WatchedStore
from workpool_aws import NonRetryableError, RetryPolicy, StoreUnavailable, Workpool
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.adapters.wire import WORKPOOL_KEY, assignment_from_wire
from workpool_aws.callbacks import OnCompleteEvent
from workpool_aws.local import LocalCloud
from workpool_aws.local.faults import Faults, SeededFaults
from workpool_aws.local.functions import Event
from workpool_aws.local.kernel import Killed
from workpool_aws.local.platform import LOOP_NAME, Platform
from workpool_aws.model.ids import WorkId
from workpool_aws.model.loop import Ledger, LoopState, Status
from workpool_aws.model.messages import Assignment
from workpool_aws.model.refs import LedgerRef, RegistrationRef, StatusRef
from workpool_aws.model.work import CallbackState, State
from workpool_aws.ports import Store
from workpool_aws.workers import Worker

__all__ = ["Run", "simulate"]

_LINES_MAX: Final = 60_000
"""So many service calls are a loop that spins."""
_SETTLING_MAX: Final = timedelta(hours=3)
_STEP: Final = timedelta(seconds=30)
_BEFORE: Final = timedelta(minutes=50)
"""A run begins so long after the cloud does: ten minutes before an hour, at which the watchdog looks further back."""
_LAG_MS_MAX: Final = 1_500
_CALLS_BETWEEN: Final = 15
"""Service calls between the end of user code and the start of what waits for its slot, at most."""
_DECORATED: Final = frozenset({Mode.CLAIMED, Mode.RETRIED})
_EXPECTED_ENDS: Final = ("ReportNotWritten", "Runtime.ExitError", "Sandbox.Timedout", "StoreUnavailable", "Exception", "NonRetryableError")
"""What an invocation may end with: anything else is an error in the library."""

_assignment: ContextVar[Assignment] = ContextVar("assignment")


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to. `violation`: the first promise that was broken; None: none was."""

    scenario: Scenario
    violation: Violation | None
    trace: tuple[str, ...]
    faults: Counter[str]
    executions: int
    calls: int
    virtual_ms: int

    def report(self, *, whole: bool = False) -> str:
        """Everything a person needs to understand a failure: scenario, trace up to it (`whole`: to the end), and what was broken."""
        if self.violation is None:
            return "\n".join([str(self.scenario), *(self.trace if whole else ()), f"nothing was broken in {self.calls} calls"])
        shown = self.trace if whole else self.trace[: self.violation.lines]
        return "\n".join([str(self.scenario), *shown, f"seed {self.scenario.seed}: {self.violation}"])


def simulate(scenario: Scenario) -> Run:
    """Run a scenario. The same scenario gives the same run, to the last line of its trace."""
    stage = _Stage(scenario)
    with stage.cloud:
        stage.play()
        return stage.run()


class _Stage:
    """One run as it happens."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._judge = Judge(
            lambda: self._platform.kernel.now(),
            lambda: len(self._platform.kernel.trace),
            self._is_decorated,
            once=not scenario.doubles_events,
            in_time=not scenario.delays_starts,
        )
        self._targets: dict[Mode, str] = {}
        self._listeners: dict[Told, str] = {}
        self._began = 0
        faults = Faults(
            rates=scenario.rates,
            aim=scenario.aim,
            budget=scenario.budget,
            until=_BEFORE + scenario.calm_after,
            skewed_clocks=scenario.skewed_clocks,
            jitter_ms=scenario.jitter_ms,
            store=lambda store: WatchedStore(cast(MemoryStore, store), self._judge.seen, scenario.page_items),
        )
        self.cloud = LocalCloud(
            engine="memory",
            seed=scenario.seed,
            scheduler=scenario.precision,
            call_latency=timedelta(milliseconds=scenario.latency_ms),
            faults=faults,
        )

    @property
    def _platform(self) -> Platform:
        return self.cloud._open

    def play(self) -> None:
        self._targets = {mode: self._deploy(mode) for mode in Mode}
        self._listeners = {Told.HANDLER: self._deploy_handler(), Told.LISTENER: self._deploy_listener()}
        self._shorten_the_loop()
        self.cloud.advance(_BEFORE)
        self._began = self._platform.kernel.now()
        self._spawn_callers()
        self._let_pass(self._scenario.over_after)
        self._repair()
        if self._settles():
            self._judge_the_rest()
            self._judge_the_end()

    def run(self) -> Run:
        lines = tuple(self._rendered())
        faults = self._platform.faults
        struck = faults.struck if isinstance(faults, SeededFaults) else []
        violations = self._judge.violations
        return Run(
            scenario=self._scenario,
            violation=violations[0] if violations else None,
            trace=lines,
            faults=Counter(str(each) for each in struck),
            executions=len(self._judge.executions),
            calls=len(lines),
            virtual_ms=self._platform.kernel.now() - self._began,
        )

    def _rendered(self) -> list[str]:
        names = {work_id: f"w{number}" for number, work_id in enumerate(sorted(self._judge.works), 1)}
        lines = []
        for at, task, label in self._platform.kernel.trace:
            words = " ".join(_named(word, names) for word in label.split(" "))
            lines.append(f"{(at - self._began) / 1000:10.3f}  {task:<24} {words}")
        return lines

    def _shorten_the_loop(self) -> None:
        functions, timeout = self._platform.functions, self._scenario.loop_timeout
        functions._by_name[LOOP_NAME] = replace(functions._by_name[LOOP_NAME], timeout_ms=timeout // timedelta(milliseconds=1))

    def _is_decorated(self, target: str) -> bool:
        return any(self._targets[mode] == target for mode in _DECORATED)

    def _deploy(self, mode: Mode) -> str:
        handler = self._decorated() if mode in _DECORATED else self._plain(mode)
        return self.cloud.function(handler, name=mode.value, timeout=timedelta(milliseconds=TIMEOUT_MS))

    def _decorated(self) -> Callable[[Event, object], object]:
        def body(number: int) -> dict[str, int]:
            return self._user_code(_assignment.get(), number)

        return _Remembering(self.cloud.workpool().action(body))

    def _plain(self, mode: Mode) -> Callable[[Event, object], object]:
        def plain(event: Event, context: object) -> dict[str, int]:
            assignment = assignment_from_wire(event[WORKPOOL_KEY])
            assert assignment is not None, mode
            return self._user_code(assignment, event["number"])

        return plain

    def _deploy_handler(self) -> str:
        def handler(event: OnCompleteEvent) -> None:
            self._judge.told(event.work_id, event.result.kind)
            self._platform.kernel.sleep(100)
            self._judge.heard(event.work_id)

        return self.cloud.function(self.cloud.workpool().on_complete(handler), name=Told.HANDLER.value)

    def _deploy_listener(self) -> str:
        def listener(event: Event, context: object) -> None:
            self._judge.told(WorkId(event["work_id"]), event["result"]["kind"])

        return self.cloud.function(listener, name=Told.LISTENER.value)

    def _user_code(self, assignment: Assignment, number: int) -> dict[str, int]:
        does = ending_of(self._scenario.seed, number, assignment.attempts_made + 1)
        execution = self._judge.begins(assignment, self._judge.works[assignment.work_id].target)
        try:
            self._platform.kernel.sleep(does.takes_ms)
        except Killed:
            self._judge.ends(execution, by_itself=False)
            raise
        self._judge.ends(execution, by_itself=True)
        match does.ending:
            case "ok":
                return {"start": assignment.start}
            case "fails":
                raise Exception("the user's own")  # noqa: TRY002 - as users raise
            case "fails for good":
                raise NonRetryableError("the user's own")

    def _spawn_callers(self) -> None:
        kernel = self._platform.kernel
        for number, submission in enumerate(self._scenario.submissions):
            kernel.spawn(f"caller#{number}", partial(self._submit, submission))
        for number, cancel in enumerate(self._scenario.cancels):
            kernel.spawn(f"canceler#{number}", partial(self._cancel, cancel))
        if self._scenario.changes:
            kernel.spawn("operator", self._operate)

    def _pool(self, number: int) -> Workpool:
        """As a process of its own has it."""
        plan = self._scenario.pools[number]
        return self.cloud.workpool(plan.name, max_parallelism=plan.limit)

    def _submit(self, submission: Submission) -> None:
        self._platform.kernel.sleep(submission.at_ms)
        retried = submission.mode in {Mode.RETRIED, Mode.PLAIN_RETRIED}
        backoff = timedelta(milliseconds=submission.backoff_ms)
        try:
            ids = self._pool(submission.pool).enqueue_action_batch(
                None,
                self._targets[submission.mode],
                [{"number": submission.first + n} for n in range(submission.count)],
                retry=RetryPolicy(max_attempts=submission.attempts, initial_backoff=backoff) if retried else False,
                run_after=timedelta(milliseconds=submission.delay_ms),
                on_complete=None if submission.told is None else self._listeners[submission.told],
                on_complete_exclude=("failed", "canceled") if submission.told is not None and submission.first % 2 else (),
            )
        except StoreUnavailable:
            return
        self._judge.acknowledged += ids

    def _cancel(self, act: Act) -> None:
        self._platform.kernel.sleep(act.at_ms)
        works = sorted(self._judge.works)
        if not works:
            return
        work = self._judge.works[works[act.which % len(works)]]
        try:
            answer = self.cloud.workpool(work.pool).cancel(None, work.id)
        except StoreUnavailable:
            return
        self._judge.cancel_answered(work.id, answer)

    def _operate(self) -> None:
        for change in self._scenario.changes:
            kernel = self._platform.kernel
            kernel.sleep(max(0, self._began + change.at_ms - kernel.now()))
            self._change(change)

    def _change(self, change: Change) -> None:
        name = self._scenario.pools[change.pool].name
        try:
            self.cloud.workpool(name).configure(None, max_parallelism=change.max_parallelism, paused=change.paused)
        except StoreUnavailable:
            return
        self._judge.config_answered(name)

    def _let_pass(self, time: timedelta) -> bool:
        """False: enough was broken, or called, to stop."""
        end = self.cloud.now + time
        while self.cloud.now < end:
            self.cloud.advance(min(_STEP, end - self.cloud.now))
            if len(self._platform.kernel.trace) > _LINES_MAX:
                self._judge.fail("WP-23", f"{_LINES_MAX} calls")
            if self._judge.violations:
                return False
        return True

    def _repair(self) -> None:
        """An operator who died in the middle is followed by another, when all is calm."""
        for name in {self._scenario.pools[change.pool].name: None for change in self._scenario.changes}:
            self.cloud.workpool(name).configure(None, reset=True)
            self._judge.config_answered(name)

    def _settles(self) -> bool:
        """Let time pass until the pools rest. False: something was broken."""
        if self._scenario.hourly_look:
            self._let_pass(timedelta(seconds=3_630 - self.cloud.now.minute * 60 - self.cloud.now.second))
            self.cloud.invoke(self.cloud.watchdog_arn, {"workpool_watchdog": {"table": self.cloud.table}})
        end = self.cloud.now + _SETTLING_MAX
        while self._let_pass(timedelta(minutes=5)) and self._restless():
            if self.cloud.now >= end:
                self._judge.fail("WP-22", f"after {_SETTLING_MAX}: {'; '.join(self._restless())}")
        return not self._judge.violations

    def _restless(self) -> list[str]:
        """What keeps the pools from resting."""
        found = [f"schedule {each.name} at {each.at}" for each in self._platform.schedules.standing]
        for plan in self._scenario.pools:
            status, ledger = self._store.get(StatusRef(plan.name)), self._store.get(LedgerRef(plan.name))
            if isinstance(status, Status) and status.state is not LoopState.IDLE:
                found.append(f"{plan.name} is {status.state} in generation {status.generation}, to wake at {status.wake_at}")
            if isinstance(ledger, Ledger) and (ledger.entries or ledger.callbacks):
                found.append(f"{plan.name} has {sorted(ledger.entries)} in flight and owes {ledger.callbacks}")
        return found

    @property
    def _store(self) -> Store:
        return self.cloud._engine_open.quiet(self.cloud.table)

    def _judge_the_end(self) -> None:
        judge = self._judge
        for work_id in judge.acknowledged:
            work = judge.works.get(work_id)
            if work is None or work.state is not State.FINISHED:
                judge.fail("WP-3", f"acknowledged {work_id} is {None if work is None else work.state} at the end")
        for work in judge.works.values():
            # The watchdog knows a pool from its first kick on; before it, nothing was acknowledged.
            watched = self._scenario.hourly_look and self._store.get(RegistrationRef(work.pool)) is not None
            if work.state is State.RUNNING or (work.state is State.PENDING and watched):
                judge.fail("WP-21", f"{work.id} is {work.state} at the end")
            if work.callback in {CallbackState.PENDING, CallbackState.SENT, CallbackState.DEAD}:
                judge.fail("WP-8", f"the callback of {work.id} is {work.callback} at the end")
            if (
                work.callback is CallbackState.DELIVERED
                and work.on_complete == self._listeners[Told.HANDLER]
                and work.id not in judge.handled
            ):
                judge.fail("WP-8", f"the callback of {work.id} is said to be delivered, and its handler never ran to its end")
        if self._scenario.is_calm:
            latest = max(judge.lags_ms, default=0)
            calls_ms = _CALLS_BETWEEN * (self._scenario.latency_ms + self._scenario.jitter_ms)
            if latest > _LAG_MS_MAX + calls_ms:
                judge.fail("WP-20", f"a start came {latest} ms after it was due and a slot was free")
        for error in self._unexpected_errors():
            judge.fail("WP-12", error)

    def _unexpected_errors(self) -> list[str]:
        found = []
        for arn in (
            self.cloud.loop_arn,
            self.cloud.completion_arn,
            self.cloud.watchdog_arn,
            *self._targets.values(),
            *self._listeners.values(),
        ):
            for each in self.cloud.invocations(arn):
                if each.error is not None and each.error.split(":")[0] not in _EXPECTED_ENDS:
                    found.append(f"{arn} ended with {each.error}")
        return found

    def _judge_the_rest(self) -> None:
        """An hour at rest: the watchdog's ticks find nothing, so the cloud skips them, and nothing at all is called [WP-22]."""
        before = len(self._platform.kernel.trace)
        self.cloud.advance(timedelta(hours=1))
        calls = len(self._platform.kernel.trace) - before
        if calls:
            self._judge.fail("WP-22", f"{calls} calls in an hour at rest")


class _Remembering:
    """A decorated worker, as Lambda's handler; its user code can ask which assignment it runs."""

    __workpool__ = True

    def __init__(self, worker: Worker[[int], dict[str, int]]) -> None:
        self._worker = worker

    def __call__(self, event: Event, context: object) -> object:
        assignment = assignment_from_wire(event[WORKPOOL_KEY])
        assert assignment is not None
        _assignment.set(assignment)
        return self._worker(event, context)


def _named(word: str, names: Mapping[str, str]) -> str:
    """Ids of works by their number, functions by their name."""
    head, slash, tail = (word.rpartition(":")[2] if word.startswith("arn:") else word).partition("/")
    return f"{names.get(head, head)}{slash}{tail}"
