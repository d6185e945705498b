"""Owns who takes part in a simulated run beside the library: workers, `on_complete` targets, callers, cancelers and an operator."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from functools import partial

from tests.simulation.judge import Judge
from tests.simulation.scenario import TIMEOUT_MS, Act, Change, Mode, Scenario, Submission, Told, ending_of
from workpool_aws import NonRetryableError, RetryPolicy, StoreUnavailable, Workpool
from workpool_aws.adapters.wire import WORKPOOL_KEY, assignment_from_wire
from workpool_aws.callbacks import OnCompleteEvent
from workpool_aws.local import LocalCloud
from workpool_aws.local.functions import Event
from workpool_aws.local.kernel import Kernel, Killed
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.messages import Assignment
from workpool_aws.workers import Worker

__all__ = ["DECORATED", "Actors"]

DECORATED = frozenset({Mode.CLAIMED, Mode.RETRIED})

_PAD = "x" * 5_000
"""Arguments with it do not fit beside a work."""

_assignment: ContextVar[Assignment] = ContextVar("assignment")


class Actors:
    """Everybody in one cloud, as its scenario has them. The judge hears what they do and what they are told."""

    def __init__(self, cloud: LocalCloud, scenario: Scenario, judge: Judge) -> None:
        self.workers = {mode: mode.value for mode in Mode}
        """The functions that works run; their ARNs, once deployed."""
        self.listeners = {told: told.value for told in Told}
        """`on_complete` targets; their ARNs, once deployed."""
        self._cloud = cloud
        self._scenario = scenario
        self._judge = judge

    def deploy(self) -> None:
        self.workers = {mode: self._deploy(mode) for mode in Mode}
        self.listeners = {Told.HANDLER: self._deploy_handler(), Told.LISTENER: self._deploy_listener()}

    def is_decorated(self, target: str) -> bool:
        return any(self.workers[mode] == target for mode in DECORATED)

    def begin(self) -> None:
        """Callers, cancelers and the operator begin; each is a process of its own."""
        began = self._kernel.now()
        for number, submission in enumerate(self._scenario.submissions):
            self._kernel.spawn(f"caller#{number}", partial(self._submit, submission))
        for number, cancel in enumerate(self._scenario.cancels):
            self._kernel.spawn(f"canceler#{number}", partial(self._cancel, cancel))
        if self._scenario.changes:
            self._kernel.spawn("operator", partial(self._operate, began))

    def repair(self) -> None:
        """An operator who died in the middle is followed by another, when all is calm."""
        for name in {self._scenario.pools[change.pool].name: None for change in self._scenario.changes}:
            self._cloud.workpool(name).configure(None, reset=True)
            self._judge.config_answered(name)

    @property
    def _kernel(self) -> Kernel:
        return self._cloud._open.kernel

    def _deploy(self, mode: Mode) -> str:
        handler = self._decorated() if mode in DECORATED else self._plain(mode)
        return self._cloud.function(handler, name=mode.value, timeout=timedelta(milliseconds=TIMEOUT_MS))

    def _decorated(self) -> Callable[[Event, object], object]:
        def body(number: int, pad: str = "") -> dict[str, int]:
            self._check(number, pad)
            return self._user_code(_assignment.get(), number)

        return _Remembering(self._cloud.workpool().action(body))

    def _plain(self, mode: Mode) -> Callable[[Event, object], object]:
        def plain(event: Event, context: object) -> dict[str, int]:
            assignment = assignment_from_wire(event[WORKPOOL_KEY])
            assert assignment is not None, mode
            self._check(event["number"], event.get("pad", ""))
            return self._user_code(assignment, event["number"])

        return plain

    def _check(self, number: int, pad: str) -> None:
        """What arrives is what was sent."""
        large = next(each.large for each in self._scenario.submissions if each.first <= number < each.first + each.count)
        if pad != (_PAD if large else ""):
            self._judge.fail("WP-3", f"the arguments of number {number} arrived with a text of {len(pad)} characters")

    def _deploy_handler(self) -> str:
        def handler(event: OnCompleteEvent) -> None:
            self._check(*_context(event.context))
            self._judge.told(event.work_id, event.result.kind)
            self._kernel.sleep(100)
            self._judge.heard(event.work_id)

        return self._cloud.function(self._cloud.workpool().on_complete(handler), name=Told.HANDLER.value)

    def _deploy_listener(self) -> str:
        def listener(event: Event, context: object) -> None:
            self._check(*_context(event["context"]))
            self._judge.told(WorkId(event["work_id"]), event["result"]["kind"])

        return self._cloud.function(listener, name=Told.LISTENER.value)

    def _user_code(self, assignment: Assignment, number: int) -> dict[str, int]:
        does = ending_of(self._scenario.seed, number, assignment.attempts_made + 1)
        execution = self._judge.begins(assignment, self._judge.works[assignment.work_id].target)
        try:
            self._kernel.sleep(does.takes_ms)
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

    def _pool(self, number: int) -> Workpool:
        """As a process of its own has it."""
        plan = self._scenario.pools[number]
        return self._cloud.workpool(plan.name, max_parallelism=plan.limit)

    def _submit(self, submission: Submission) -> None:
        self._kernel.sleep(submission.at_ms)
        retried = submission.mode in {Mode.RETRIED, Mode.PLAIN_RETRIED}
        backoff = timedelta(milliseconds=submission.backoff_ms)
        try:
            ids = self._pool(submission.pool).enqueue_action_batch(
                None,
                self.workers[submission.mode],
                [{"number": submission.first + n, **({"pad": _PAD} if submission.large else {})} for n in range(submission.count)],
                retry=RetryPolicy(max_attempts=submission.attempts, initial_backoff=backoff) if retried else False,
                run_after=timedelta(milliseconds=submission.delay_ms),
                on_complete=None if submission.told is None else self.listeners[submission.told],
                context=[submission.first, _PAD if submission.large else ""] if submission.told is not None else None,
                on_complete_exclude=("failed", "canceled") if submission.told is not None and submission.first % 2 else (),
            )
        except StoreUnavailable:
            return
        self._judge.acknowledged += ids

    def _cancel(self, act: Act) -> None:
        self._kernel.sleep(act.at_ms)
        works = sorted(self._judge.works)
        if not works:
            return
        work = self._judge.works[works[act.which % len(works)]]
        try:
            answer = self._cloud.workpool(work.pool).cancel(None, work.id)
        except StoreUnavailable:
            return
        self._judge.cancel_answered(work.id, answer)

    def _operate(self, began: EpochMs) -> None:
        for change in self._scenario.changes:
            self._kernel.sleep(max(0, began + change.at_ms - self._kernel.now()))
            self._change(change)

    def _change(self, change: Change) -> None:
        name = self._scenario.pools[change.pool].name
        try:
            self._cloud.workpool(name).configure(None, max_parallelism=change.max_parallelism, paused=change.paused)
        except StoreUnavailable:
            return
        self._judge.config_answered(name)


class _Remembering:
    """A decorated worker, as Lambda's handler; its user code can ask which assignment it runs."""

    __workpool__ = True

    def __init__(self, worker: Worker[..., dict[str, int]]) -> None:
        self._worker = worker

    def __call__(self, event: Event, context: object) -> object:
        assignment = assignment_from_wire(event[WORKPOOL_KEY])
        assert assignment is not None
        _assignment.set(assignment)
        return self._worker(event, context)


def _context(told: object) -> tuple[int, str]:
    match told:
        case [int(number), str(pad)]:
            return number, pad
        case _:
            raise AssertionError(f"no context of ours: {told!r}")
