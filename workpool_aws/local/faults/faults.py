"""Faults of a simulated cloud, for tests of this library: every one that its protocol survives.

Off unless a test asks for it. `Faults` says how often each kind strikes, how many strike in all and
when they end; `seeded_faults` has them strike.
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
    """The process stands still at a call for 3, 18 or 70 s."""
    THROTTLED = "throttled"
    """The service refuses the call, for once or for as long as the SDK tries."""
    SERVER_ERROR = "server error"
    """The service fails with a 5xx and does nothing; the SDK tries again, or gives up."""
    CONFLICT = "conflict"
    """Somebody else's transaction holds an item of this write, which is tried again, or given up."""
    WRITE_LOST = "write lost"
    """The request never arrives; the SDK tries again, or gives up."""
    WRITE_LATE = "write late"
    """The request arrives 0.5 to 90 s later: its sender tries again, gives up or dies meanwhile."""
    ANSWER_LOST = "answer lost"
    """The request was carried out; its sender does not learn it, and tries again or gives up."""
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


def _as_it_is(store: Store) -> Store:
    return store


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Faults of a `LocalCloud(clock="virtual", engine="memory", faults=...)`.

    Nothing, as it stands.

    Raises:
        UsageError: a value is not allowed.
    """

    rates: Mapping[Fault, float] = field(default_factory=dict)
    """Probability of each kind where it could strike, 0 to 1."""
    aim: str = ""
    """Faults of calls strike only at those whose label in the trace begins so; "": at any."""
    budget: int = 0
    """At most so many strike in all."""
    until: timedelta | None = None
    """No further one strikes after so much time of the cloud; `None` means they go on."""
    skewed_clocks: bool = False
    """Each process's clock is right, 2 s fast or 2 s slow."""
    jitter_ms: int = 0
    """Every call takes up to so much longer. Costs no budget and does not end."""
    torn_batches: bool = False
    """The items of one batch of reads are read one after the other: others run in between."""
    chooser: Chooser | None = None
    """Chooser for every open question of the run; `None` means chance, from the cloud's seed."""
    store: Callable[[Store], Store] = _as_it_is
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
    """The service refused the call: it did not happen."""


class CallUnanswered(Exception):
    """No answer came: the call happened, or not, or will."""


@contextlib.contextmanager
def answered_as(*, throttled: type[Exception], unanswered: type[Exception]) -> Iterator[None]:
    """Inside, a call that goes wrong raises what its port would raise."""
    try:
        yield
    except CallThrottled as error:
        raise throttled(str(error)) from error
    except CallUnanswered as error:
        raise unanswered(str(error)) from error


class CloudFaults(Protocol):
    """Faults beside calls.

    Delays are milliseconds, one for each time that something happens; none: it never does.
    """

    def event_delays(self, function: str) -> tuple[int, ...]:
        """When an accepted event reaches its function."""

    def record_delays(self, function: str) -> tuple[int, ...]:
        """When a destination learns what became of an event of this function."""

    def wake_delays(self, name: str) -> tuple[int, ...]:
        """When a one-time schedule fires, after its time."""

    def fires_deleted(self, name: str) -> bool:
        """True if a one-time schedule fires although it was deleted."""

    def tick_comes(self) -> bool:
        """True if this minute's tick of the watchdog happens."""

    def clock_offset_ms(self) -> int:
        """By how much the clock of the process that asks is off."""

    def around_store(self, store: Store) -> Store:
        """Return the wrapper between processes and a table."""

    @property
    def torn_batches(self) -> bool:
        """True if others may run between two items of a batch of reads."""


class NoFaults:
    """Nothing goes wrong (see CloudFaults)."""

    def event_delays(self, function: str) -> tuple[int, ...]:  # noqa: ARG002 - other faults look at it
        """At once, once."""
        return (0,)

    def record_delays(self, function: str) -> tuple[int, ...]:  # noqa: ARG002 - other faults look at it
        """At once, once."""
        return (0,)

    def wake_delays(self, name: str) -> tuple[int, ...]:  # noqa: ARG002 - other faults look at it
        """In time, once."""
        return (0,)

    def fires_deleted(self, name: str) -> bool:  # noqa: ARG002 - other faults look at it
        """It does not."""
        return False

    def tick_comes(self) -> bool:
        """It does."""
        return True

    def clock_offset_ms(self) -> int:
        """By nothing."""
        return 0

    def around_store(self, store: Store) -> Store:
        """Nothing."""
        return store

    @property
    def torn_batches(self) -> bool:
        """They may not."""
        return False
