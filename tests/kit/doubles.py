"""Stand-ins for the functions, targets and schedules of AWS. They take notes and run nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Assignment, CallbackMessage, LoopRequest
from workpool_aws.ports import FunctionLimits, TimerUnavailable

LOOP = "arn:aws:lambda:us-east-1:123456789012:function:workpool-loop"
TIMEOUT_MS = 30_000
EVENT_AGE_MS = 60_000
START_MS = TIMEOUT_MS + EVENT_AGE_MS
"""From a start to its deadline."""


@dataclass
class CallersInvoker:
    """Takes events for the loop. A caller sends no others, and asks nothing about functions."""

    loops: list[LoopRequest] = field(default_factory=list)
    refuses_loop: list[Exception] = field(default_factory=list)
    """Raised for the next events, one each."""

    def start_work(self, target: str, assignment: Assignment, args: str) -> None:
        raise AssertionError(f"a caller never starts work: {target} {assignment} {args}")

    def start_run(self, target: str, starts: Sequence[tuple[Assignment, str]]) -> None:
        raise AssertionError(f"a caller never starts work: {target} {starts}")

    def start_loop(self, loop_arn: str, order: LoopRequest) -> None:
        assert loop_arn == LOOP
        if self.refuses_loop:
            raise self.refuses_loop.pop(0)
        self.loops.append(order)

    def limits(self, target: str) -> FunctionLimits:
        raise AssertionError(f"a caller never asks for the limits of {target}")

    def acknowledges(self, target: str) -> bool:
        raise AssertionError(f"a caller never asks whether {target} acknowledges")


@dataclass(kw_only=True)
class LoopsInvoker(CallersInvoker):
    """Takes events for the loop and for workers, and says what is known of their functions."""

    notes: list[str]
    on_start: Callable[[Assignment], None]
    started: list[Assignment] = field(default_factory=list)
    refuses: list[Exception] = field(default_factory=list)
    """Raised for the next starts, one each."""
    claims: bool = True
    listed: tuple[str, ...] | None = None
    """The functions that the deployment lists as acknowledging. `None` means those that claim."""

    def start_work(self, target: str, assignment: Assignment, args: str) -> None:
        self.notes.append("invoke")
        if self.refuses:
            raise self.refuses.pop(0)
        self.started.append(assignment)
        self.on_start(assignment)

    def start_run(self, target: str, starts: Sequence[tuple[Assignment, str]]) -> None:
        self.notes.append(f"invoke {len(starts)}")
        if self.refuses:
            raise self.refuses.pop(0)
        for assignment, _ in starts:
            self.started.append(assignment)
            self.on_start(assignment)

    def limits(self, target: str) -> FunctionLimits:
        return FunctionLimits(timeout_ms=TIMEOUT_MS, event_age_ms=EVENT_AGE_MS, claims=self.claims)

    def acknowledges(self, target: str) -> bool:
        return self.claims if self.listed is None else target in self.listed


@dataclass
class NotingMessenger:
    """Takes every callback and delivers none."""

    sent: list[tuple[str, CallbackMessage]] = field(default_factory=list)
    refuses: Exception | None = None
    """Raised for each callback. `None` means that it is taken."""

    def send(self, target: str, message: CallbackMessage) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.sent.append((target, message))


class CallersTimer:
    """Takes no orders: a caller gives none."""

    def wake_at(self, pool: str, at: EpochMs) -> None:
        raise AssertionError(f"{pool} ordered a wake at {at}")

    def forget(self, pool: str) -> None:
        raise AssertionError(f"{pool} dropped a wake")


@dataclass
class NotingTimer:
    """Takes orders for far wakes, or none while it is `broken`."""

    notes: list[str]
    at: EpochMs | None = None
    broken: bool = False

    def wake_at(self, pool: str, at: EpochMs) -> None:
        self._check()
        self.notes.append("timer")
        self.at = at

    def forget(self, pool: str) -> None:
        self._check()
        self.notes.append("no timer")
        self.at = None

    def _check(self) -> None:
        if self.broken:
            raise TimerUnavailable("no scheduler")
