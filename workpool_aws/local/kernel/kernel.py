"""Acts of a simulated process: run, sleep, call a service, die.

Both clocks implement the one `Kernel` protocol.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from workpool_aws.errors import WorkpoolError
from workpool_aws.model.ids import EpochMs

if TYPE_CHECKING:
    from collections import deque

__all__ = [
    "TRACE_MAX",
    "Alarm",
    "CallFaults",
    "Crashed",
    "JumpWatch",
    "Kernel",
    "Killed",
    "LocalCloudError",
    "PlannedCrashes",
    "Task",
    "TraceLine",
]

T = TypeVar("T")

TRACE_MAX = 100_000
"""Lines of trace a kernel keeps: the last ones."""

JumpWatch = Callable[[EpochMs, EpochMs], None]
"""Called before time passes over (now, to] with nothing to do in between; it may set alarms there."""


class LocalCloudError(WorkpoolError):
    """The simulated run cannot go on: work is left that nothing would finish, or a worker waits for something that cannot come."""


class Killed(BaseException):
    """The platform ended this simulated process.

    A BaseException: `except Exception` in user code must not survive it.
    """


class Crashed(Killed):
    """The process ended by itself, at a service call."""


class TraceLine(NamedTuple):
    """One thing a task did."""

    at: EpochMs
    task: str
    label: str

    def __str__(self) -> str:
        return f"{self.at} {self.task} {self.label}"


@dataclass(eq=False, slots=True)
class Task:
    """One simulated process.

    `killed`: it raises Killed at its next service call or sleep, and at every later one.
    """

    name: str
    body: Callable[[], None]
    killed: bool = False
    crashed: bool = False
    done: bool = False
    crash_in: int | None = None
    """It crashes at its n-th service call from now; `None` means not planned."""
    crash_applied: bool = False
    """True if that call takes effect before the crash."""
    process: Task | None = None
    """The task of whose process this one is a further thread; `None` means it is a process of its
    own."""
    still_since: EpochMs = EpochMs(0)
    still_until: EpochMs = EpochMs(0)
    """Between them neither it nor any further thread of its process goes on."""
    interruption: BaseException | None = None
    """It raises this at its next service call or sleep. `None` means that it is not interrupted."""

    def interrupted(self) -> None:
        """Raise the interruption, once."""
        error, self.interruption = self.interruption, None
        if error is not None:
            raise error


@dataclass(eq=False, slots=True)
class Alarm:
    """Something that happens at a time, unless canceled."""

    at: EpochMs
    fire: Callable[[], None]
    background: bool = False
    """True if a run may end before it."""
    canceled: bool = False

    def cancel(self) -> None:
        """Keep it from happening. Late or repeated calls do nothing."""
        self.canceled = True


class CallFaults(Protocol):
    """The one place where service calls go wrong."""

    def around(self, task: Task, label: str, apply: Callable[[], T], *, writes: bool) -> T:
        """Carry out a call of a task, or not, or twice, or late.

        May raise what the service would raise, or Crashed.
        """


class PlannedCrashes:
    """The faults of a plain LocalCloud: a task with a planned crash dies at that call, before or after its effect."""

    def around(self, task: Task, label: str, apply: Callable[[], T], *, writes: bool) -> T:
        """See CallFaults."""
        process = task.process or task
        if process.crash_in is None:
            return apply()
        process.crash_in -= 1
        if process.crash_in > 0:
            return apply()
        if process.crash_applied:
            with contextlib.suppress(Exception):
                apply()
        process.killed = process.crashed = task.killed = True
        raise Crashed


class Kernel(Protocol):
    """Tasks, time and service calls.

    The thread that made the kernel (a test) is not a task. Its calls, and those of threads that
    user code starts by itself, apply at once.
    """

    trace: deque[TraceLine]

    def now(self) -> EpochMs:
        """Return the simulated time."""

    def lock(self) -> AbstractContextManager[object]:
        """Guards everything that calls and alarms touch. Never held while waiting."""

    def current(self) -> Task | None:
        """Return the task that asks; None for a thread that is none."""

    def spawn(self, name: str, body: Callable[[], None], *, process: Task | None = None) -> Task:
        """Return a new task, ready to run: a process of its own, or a further thread of one.

        Its context is empty (no context variables).
        """

    def join(self, tasks: Sequence[Task]) -> None:
        """Wait until they have ended. Only for tasks. Raises Killed."""

    def at(
        self, at: EpochMs, fire: Callable[[], None], *, last: bool = False, background: bool = False
    ) -> Alarm:
        """Call `fire` (quick, never waiting) at a time.

        `last`: after everything else of that instant.
        """

    def sleep(self, ms: int) -> None:
        """Let time pass for this task. Raises Killed."""

    def step(self, label: str) -> None:
        """Let others run. Raises Killed."""

    def call(self, label: str, apply: Callable[[], T], *, writes: bool) -> T:
        """Make a service call: let others run, then `apply` as one act. Raises Killed."""

    def kill(self, task: Task) -> None:
        """End a task: it raises Killed at its next service call or sleep."""

    def interrupt(self, task: Task, error: BaseException) -> None:
        """Raise an error in a task, at its sleep or its next service call."""

    def watch_jumps(self, watch: JumpWatch, every_ms: int) -> None:
        """Ask `watch` before time passes over a stretch in which nothing is known to happen and that has a multiple of `every_ms` in it."""

    def run(self, until: EpochMs) -> None:
        """Run everything that happens up to and including `until`, in order.

        Return when nothing more does.

        Raises LocalCloudError: a task waits for something that no simulated time brings. Errors of
        the simulation itself pass through.
        """

    def pass_to(self, at: EpochMs) -> None:
        """Let the time become `at`, with nothing happening before."""

    def close(self) -> None:
        """Kill every task and end every thread."""
