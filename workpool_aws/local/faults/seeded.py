"""Strikes of faults in a simulated cloud: around its calls, as the SDK would let a caller see them, and beside them.

Each fault is a question to the cloud's chooser, so a seed repeats it. What happened stands in the
kernel's trace, in lines that begin with `**`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from workpool_aws.local.faults.faults import CallThrottled, CallUnanswered, Fault, Faults
from workpool_aws.local.kernel.kernel import Crashed, Kernel, PlannedCrashes, Task, TraceLine
from workpool_aws.model.ids import EpochMs
from workpool_aws.ports import TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.local.kernel.chance import Chooser
    from workpool_aws.ports import Store

__all__ = ["LANDS", "SeededFaults"]

LANDS: Final = "** lands now"
"""Beginning of the line in the trace of a late write that lands."""

T = TypeVar("T")

_TRIES: Final[Mapping[str, int]] = {"invoke": 1, "call": 2, "schedule": 2, "unschedule": 2}
"""Number of times the SDK sends a request, by the first word of its label; `_TRIES_ELSE` for the
others."""
_TRIES_ELSE: Final = 3
_STORE_WRITES: Final = ("put", "update", "delete", "transact")
_SDK_PAUSES_MS: Final = (0, 60, 3_000)
"""Between two tries: a connection that broke, a pause, the read timeout."""
_FREEZES_MS: Final = (3_000, 18_000, 70_000)
_WRITE_LATE_MS: Final = (500, 4_000, 12_000, 45_000, 90_000)
_EVENT_LATE_MS: Final = (500, 5_000, 30_000, 58_000, 75_000)
_EVENT_AGAIN_MS: Final = (0, 50, 1_000, 20_000, 58_000)
_RECORD_LATE_MS: Final = (1_000, 20_000, 75_000)
_WAKE_LATE_MS: Final = (5_000, 30_000, 60_000)
_WAKE_AGAIN_MS: Final = 7_000
_OFFSETS_MS: Final = (0, 2_000, -2_000)


@dataclass(frozen=True, slots=True)
class _Raised:
    """A refusal is an answer, too."""

    error: Exception


@dataclass(slots=True)
class _Request:
    """One request of a task and all its repetitions by the SDK.

    A repeated transaction is recognised by its token: applied once.
    """

    task: Task
    label: str
    apply: Callable[[], object]
    writes: bool
    landed: list[object] = field(default_factory=list)

    @property
    def verb(self) -> str:
        return self.label.split(" ", 1)[0]

    def land(self) -> object:
        """Carry it out, and return the answer."""
        if self.landed:
            return self.landed[0]
        try:
            answer = self.apply()
        except Exception as error:  # noqa: BLE001 - whatever the service refuses with
            return _Raised(error)
        if self.verb == "transact":
            self.landed.append(answer)
        return answer


def _process_of(task: Task) -> Task:
    return task.process or task


class SeededFaults:
    """The faults of one cloud: around its calls (kernel.CallFaults) and beside them (CloudFaults).

    To be attached to its kernel first.
    """

    def __init__(self, plan: Faults, chooser: Chooser, loop: str) -> None:
        """`loop`: the name of the main loop's function."""
        self.struck: list[Fault] = []
        """Faults that struck so far, in order."""
        self._plan = plan
        self._chooser = chooser
        self._loop = loop
        self._left = plan.budget
        self._kernels: list[Kernel] = []
        self._until: EpochMs | None = None
        self._planned = PlannedCrashes()
        self._offsets: dict[Task, int] = {}
        self._cut_until: dict[Task, EpochMs] = {}

    def attach(self, kernel: Kernel) -> None:
        """Let faults strike in this kernel's time from now on."""
        self._kernels.append(kernel)
        if self._plan.until is not None:
            self._until = EpochMs(kernel.now() + round(self._plan.until.total_seconds() * 1000))

    def around(self, task: Task, label: str, apply: Callable[[], T], *, writes: bool) -> T:
        """See kernel.CallFaults."""
        if _process_of(task).crash_in is not None:
            return self._planned.around(task, label, apply, writes=writes)
        if self._plan.jitter_ms:
            self._kernel.sleep(self._chooser.choose(self._plan.jitter_ms, "jitter"))
        longer_ms = self._plan.call_ms(task, label)
        if longer_ms > 0:
            self._kernel.sleep(longer_ms)
        if not self._may_strike(label) and not self._is_cut_off(task):
            return apply()
        answers: list[T] = []
        request = _Request(task, label, lambda: answers.append(apply()), writes)
        answer = self._sent(request)
        if isinstance(answer, _Raised):
            raise answer.error
        return answers[-1]

    def event_delays(self, function: str) -> tuple[int, ...]:
        """See CloudFaults."""
        if function == self._loop and self._strikes(Fault.LOOP_LOST, function):
            return ()
        if self._strikes(Fault.EVENT_LOST, function):
            return ()
        if self._strikes(Fault.EVENT_TWICE, function):
            return (0, self._one_of(_EVENT_AGAIN_MS, "second delivery"))
        if self._strikes(Fault.EVENT_LATE, function):
            return (self._one_of(_EVENT_LATE_MS, "late delivery"),)
        return (0,)

    def record_delays(self, function: str) -> tuple[int, ...]:
        """See CloudFaults."""
        if self._strikes(Fault.RECORD_LOST, function):
            return ()
        if self._strikes(Fault.RECORD_TWICE, function):
            return (0, self._one_of(_RECORD_LATE_MS, "second record"))
        if self._strikes(Fault.RECORD_LATE, function):
            return (self._one_of(_RECORD_LATE_MS, "late record"),)
        return (0,)

    def wake_delays(self, name: str) -> tuple[int, ...]:
        """See CloudFaults."""
        if self._strikes(Fault.WAKE_NEVER, name):
            return ()
        if self._strikes(Fault.WAKE_TWICE, name):
            return (0, _WAKE_AGAIN_MS)
        if self._strikes(Fault.WAKE_LATE, name):
            return (self._one_of(_WAKE_LATE_MS, "late wake"),)
        return (0,)

    def fires_deleted(self, name: str) -> bool:
        """See CloudFaults."""
        return self._strikes(Fault.WAKE_DELETED, name)

    def tick_comes(self) -> bool:
        """See CloudFaults."""
        return not self._strikes(Fault.TICK_DROPPED, "watchdog")

    def clock_offset_ms(self) -> int:
        """See CloudFaults. A process keeps the offset that it was given when it first asked."""
        task = self._kernel.current() if self._plan.skewed_clocks else None
        if task is None:
            return 0
        process = _process_of(task)
        if process not in self._offsets:
            self._offsets[process] = self._one_of(_OFFSETS_MS, "clock")
        return self._offsets[process]

    def around_store(self, store: Store) -> Store:
        """See CloudFaults."""
        return self._plan.store(store)

    @property
    def torn_batches(self) -> bool:
        """See CloudFaults."""
        return self._plan.torn_batches

    @property
    def _kernel(self) -> Kernel:
        return self._kernels[0]

    def _sent(self, request: _Request) -> object:
        """Return the answer to a request, tried as often as the SDK does.

        Raises CallThrottled, CallUnanswered: it gave up.
        """
        trouble: Exception | None = None
        unanswered = False
        for attempt in range(_TRIES.get(request.verb, _TRIES_ELSE)):
            if trouble is not None:
                if self._yes("sdk gives up"):
                    break
                self._kernel.sleep(self._one_of(_SDK_PAUSES_MS, "sdk pause"))
                self._note(request.task, f"try {attempt + 1}: {request.label}")
            trouble = self._on_its_way(request)
            if trouble is None:
                answer = request.land()
                trouble = self._on_its_way_back(request)
                if trouble is None:
                    if isinstance(answer, _Raised) and isinstance(answer.error, TransactionFailed):
                        # An earlier try may still land.
                        answer.error.repeated = unanswered
                    return answer
            unanswered = unanswered or isinstance(trouble, CallUnanswered)
        if isinstance(trouble, CallThrottled):
            trouble.repeated = unanswered
        raise trouble or CallUnanswered(request.label)

    def _on_its_way(self, request: _Request) -> Exception | None:
        """Return the fault that keeps a request from the service; `None` means that it arrives."""
        label = request.label
        if self._is_cut_off_by(request):
            return CallUnanswered(f"no network: {label}")
        if self._strikes_at(Fault.CRASH_BEFORE, request):
            self._die(request.task)
        self._may_freeze(request)
        if self._strikes_at(Fault.THROTTLED, request):
            return CallThrottled(f"throttled: {label}")
        if self._strikes_at(Fault.SERVER_ERROR, request):
            return CallUnanswered(f"500: {label}")
        if request.verb in _STORE_WRITES and self._strikes_at(Fault.CONFLICT, request):
            return CallThrottled(f"conflict: {label}")
        if request.writes and self._strikes_at(Fault.WRITE_LOST, request):
            return CallUnanswered(f"no answer: {label}")
        if request.writes and self._strikes_at(Fault.WRITE_LATE, request):
            self._land_later(request)
            if self._yes("sender dies"):
                self._die(request.task)
            return CallUnanswered(f"no answer: {label}")
        return None

    def _on_its_way_back(self, request: _Request) -> Exception | None:
        """Return the fault that keeps an answer from its reader; `None` means that it arrives."""
        if request.writes and self._strikes_at(Fault.ANSWER_LOST, request):
            return CallUnanswered(f"no answer: {request.label}")
        if self._strikes_at(Fault.CRASH_AFTER, request):
            self._die(request.task)
        self._may_stand_still(request)
        return None

    def _is_cut_off_by(self, request: _Request) -> bool:
        if self._strikes_at(Fault.CUT_OFF, request):
            cut_ms = self._one_of(_FREEZES_MS, "cut off")
            self._cut_until[_process_of(request.task)] = EpochMs(self._kernel.now() + cut_ms)
        return self._is_cut_off(request.task)

    def _is_cut_off(self, task: Task) -> bool:
        return self._cut_until.get(_process_of(task), EpochMs(0)) > self._kernel.now()

    def _may_freeze(self, request: _Request) -> None:
        if self._strikes_at(Fault.FROZEN, request):
            self._kernel.sleep(self._one_of(_FREEZES_MS, "freeze"))
        self._may_stand_still(request)

    def _may_stand_still(self, request: _Request) -> None:
        if self._strikes_at(Fault.STANDS_STILL, request):
            still_ms = self._one_of(_FREEZES_MS, "standstill")
            process, now = _process_of(request.task), self._kernel.now()
            process.still_since, process.still_until = now, EpochMs(now + still_ms)
            self._kernel.sleep(still_ms)

    def _land_later(self, request: _Request) -> None:
        def land() -> None:
            self._kernel.trace.append(
                TraceLine(self._kernel.now(), request.task.name, f"{LANDS}: {request.label}")
            )
            request.land()

        delay_ms = self._one_of(_WRITE_LATE_MS, "write late by")
        self._note(request.task, f"lands in {delay_ms} ms")
        self._kernel.at(EpochMs(self._kernel.now() + delay_ms), land)

    def _die(self, task: Task) -> NoReturn:
        process = _process_of(task)
        process.killed = process.crashed = task.killed = True
        raise Crashed

    def _is_on(self) -> bool:
        return self._left > 0 and (self._until is None or self._kernel.now() < self._until)

    def _may_strike(self, label: str) -> bool:
        """True if any fault of calls could strike this one: most calls of a run need not be asked about each kind."""
        return bool(self._plan.rates) and label.startswith(self._plan.aim) and self._is_on()

    def _strikes_at(self, kind: Fault, request: _Request) -> bool:
        return request.label.startswith(self._plan.aim) and self._strikes(kind, request.label)

    def _strikes(self, kind: Fault, where: str) -> bool:
        rate = self._plan.rates.get(kind, 0.0)
        if not rate or not self._is_on():
            return False
        if not self._chooser.chance(rate, kind):
            return False
        self._left -= 1
        self.struck.append(kind)
        self._note(self._kernel.current(), f"{kind}: {where}")
        return True

    def _yes(self, tag: str) -> bool:
        return self._chooser.choose(2, tag) == 1

    def _one_of(self, options: tuple[int, ...], tag: str) -> int:
        return options[self._chooser.choose(len(options), tag)]

    def _note(self, task: Task | None, text: str) -> None:
        self._kernel.trace.append(
            TraceLine(self._kernel.now(), "-" if task is None else task.name, f"** {text}")
        )
