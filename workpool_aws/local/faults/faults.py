"""Faults of a simulated cloud, for tests of this library: every one that its protocol survives.

Off unless a test asks for it. `Faults` holds the rate of each kind, their number in all and their
end. `SeededFaults` has them strike.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from workpool_aws.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import timedelta

    from workpool_aws.local.kernel.chance import Chooser
    from workpool_aws.local.kernel.kernel import Task
    from workpool_aws.ports import Store

__all__ = [
    "CallThrottled",
    "CallUnanswered",
    "CloudFaults",
    "Fault",
    "Faults",
    "NoFaults",
    "answered_as",
]


class Fault(StrEnum):
    """One kind of trouble."""

    CRASH_BEFORE = "crash before"
    """The process dies at a call, which does not happen."""
    CRASH_AFTER = "crash after"
    """The process dies at a call, which happened."""
    FROZEN = "frozen"
    """The thread that makes a call stands still for 3, 18 or 70 s. Most processes have one thread."""
    STANDS_STILL = "stands still"
    """The process stands still at a call with all of its threads, for as long. Only Lambda's timeout
    ends it meanwhile."""
    CUT_OFF = "cut off"
    """No further call of the process reaches a service for 3, 18 or 70 s, from a call on."""
    THROTTLED = "throttled"
    """The service refuses the call, once or for as long as the SDK tries."""
    SERVER_ERROR = "server error"
    """The service fails with a 5xx and does nothing. The SDK tries again, or gives up."""
    CONFLICT = "conflict"
    """Another transaction holds an item of this write, which is tried again, or given up."""
    WRITE_LOST = "write lost"
    """The request never arrives. The SDK tries again, or gives up."""
    WRITE_LATE = "write late"
    """The request arrives 0.5 to 90 s later. Its sender tries again, gives up or dies meanwhile."""
    ANSWER_LOST = "answer lost"
    """The request was carried out, but its answer is lost. Its sender tries again, or gives up."""
    EVENT_LOST = "event lost"
    EVENT_TWICE = "event twice"
    EVENT_LATE = "event late"
    """An asynchronous invocation, by 0.5 to 75 s."""
    LOOP_LOST = "loop lost"
    """An asynchronous invocation of the main loop."""
    RECORD_LOST = "record lost"
    """Record for a function's destination."""
    RECORD_TWICE = "record twice"
    RECORD_LATE = "record late"
    WAKE_NEVER = "wake never"
    """A one-time schedule that does not fire."""
    WAKE_TWICE = "wake twice"
    WAKE_LATE = "wake late"
    WAKE_DELETED = "wake deleted"
    """A one-time schedule that fires although it was deleted, or replaced, before."""
    TICK_DROPPED = "tick dropped"
    """A minute of the watchdog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Faults of a `LocalCloud(clock="virtual", engine="memory", faults=...)`. None by default.

    Raises:
        UsageError: a value is not allowed.
    """

    rates: Mapping[Fault, float] = field(default_factory=dict)
    """Probability of each kind where it could strike, 0 to 1."""
    aim: str = ""
    """Faults of calls strike only at those whose label in the trace begins so."""
    budget: int = 0
    """Faults that strike in all, at most."""
    until: timedelta | None = None
    """Time of the cloud after which no further one strikes. `None` means they go on."""
    skewed_clocks: bool = False
    """Each process's clock is right, 2 s fast or 2 s slow."""
    jitter_ms: int = 0
    """Time by which every call may take longer. Costs no budget and does not end."""
    call_ms: Callable[[Task, str], int] = lambda _task, _label: 0
    """Milliseconds that a call takes beyond the cloud's latency, by the task that makes it and by
    its label in the trace. A benchmark charges the CPU of a process in this way."""
    torn_batches: bool = False
    """True if others may run between two items of one batch of reads."""
    chooser: Chooser | None = None
    """Chooser for every open question of the run. `None` means chance, from the cloud's seed."""
    store: Callable[[Store], Store] = lambda store: store
    """Wrapper between the processes and a table: a test watches writes there, or makes pages
    small. Called once for each table."""

    def __post_init__(self) -> None:
        for kind, rate in self.rates.items():
            if not 0 <= rate <= 1:
                raise UsageError(f"rates[{kind}]", rate, "a probability: a number from 0.0 to 1.0")
        if self.budget < 0:
            raise UsageError("budget", self.budget, "an int, not negative")
        if self.jitter_ms < 0:
            raise UsageError("jitter_ms", self.jitter_ms, "an int, not negative")


class CallThrottled(Exception):
    """The service refused the call, and it did not happen.

    `repeated`: an earlier try got no answer, so that one may have happened.
    """

    repeated = False


class CallUnanswered(Exception):
    """No answer came. The call happened, or not, or will."""


@contextlib.contextmanager
def answered_as(*, throttled: type[Exception], unanswered: type[Exception]) -> Iterator[None]:
    """Inside, a call that goes wrong raises the errors of its port."""
    try:
        yield
    except CallThrottled as error:
        raise throttled(str(error)) from error
    except CallUnanswered as error:
        raise unanswered(str(error)) from error


class CloudFaults(Protocol):
    """Faults beside calls.

    Delays are milliseconds, one for each time that something happens. Without one it never does.
    """

    def event_delays(self, function: str) -> tuple[int, ...]:
        """Return the delays until an accepted event reaches its function."""

    def record_delays(self, function: str) -> tuple[int, ...]:
        """Return the delays until a destination receives the record of this function's event."""

    def wake_delays(self, name: str) -> tuple[int, ...]:
        """Return the delays of a one-time schedule, after its time."""

    def fires_deleted(self, name: str) -> bool:
        """True if a one-time schedule fires although it was deleted."""

    def tick_comes(self) -> bool:
        """True if this minute's tick of the watchdog happens."""

    def clock_offset_ms(self) -> int:
        """Return the milliseconds by which the calling process's clock is fast (negative: slow)."""

    def around_store(self, store: Store) -> Store:
        """Return the wrapper between processes and a table."""

    @property
    def torn_batches(self) -> bool:
        """True if others may run between two items of a batch of reads."""


class NoFaults:
    """Lets nothing go wrong (see CloudFaults)."""

    def event_delays(self, function: str) -> tuple[int, ...]:
        """Return one delay of 0."""
        return (0,)

    def record_delays(self, function: str) -> tuple[int, ...]:
        """Return one delay of 0."""
        return (0,)

    def wake_delays(self, name: str) -> tuple[int, ...]:
        """Return one delay of 0."""
        return (0,)

    def fires_deleted(self, name: str) -> bool:
        """Return False."""
        return False

    def tick_comes(self) -> bool:
        """Return True."""
        return True

    def clock_offset_ms(self) -> int:
        """Return 0."""
        return 0

    def around_store(self, store: Store) -> Store:
        """Return the store itself."""
        return store

    @property
    def torn_batches(self) -> bool:
        """Return False."""
        return False
