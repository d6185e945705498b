"""Ports: the Protocols through which the flow reaches the world, and the errors that cross them.

Every call may take time, fail, or be the last act of its process. Adapters implement the ports.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from workpool_aws.errors import StoreUnavailable
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from workpool_aws.model.actions import Action, GuestItem, GuestPlace
    from workpool_aws.model.events import Event
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.inspection import FunctionFacts, RoleFacts, TableFacts
    from workpool_aws.model.loop import Deployment
    from workpool_aws.model.messages import Assignment, CallbackMessage, LoopRequest
    from workpool_aws.model.record import Record, Ref
    from workpool_aws.model.refs import KeyRange, RowPage, Unreadable
    from workpool_aws.model.trace import TraceContext, TraceStep
    from workpool_aws.model.writes import Write, Written

__all__ = [
    "Clock",
    "ConditionFailed",
    "Entropy",
    "FanOut",
    "FunctionLimits",
    "InspectionFailed",
    "Inspector",
    "InvokeRefused",
    "InvokeThrottled",
    "InvokeUnanswered",
    "Invoker",
    "Messenger",
    "NoInspector",
    "NoTracing",
    "Ports",
    "Span",
    "Store",
    "StoreDenied",
    "Telemetry",
    "Timer",
    "TimerUnavailable",
    "Tracing",
    "TransactionBusy",
    "TransactionFailed",
]

A = TypeVar("A")
B = TypeVar("B")
R = TypeVar("R", bound="Record")


class ConditionFailed(Exception):
    """The condition of a single write did not hold, and nothing was written.

    `current` is the item as it stood; `None` means that there is no item. After a lost answer the
    SDK repeats a write, and the repetition may fail because the first write succeeded. Only a token
    shows that another process was faster.
    """

    def __init__(self, current: Record | Unreadable | None) -> None:
        super().__init__("condition failed")
        self.current = current


class TransactionFailed(Exception):
    """A condition of a transaction did not hold, and nothing was written.

    `current` holds one entry an action, in request order: the item as it stood if that action's
    condition failed, else `None`. `guests` holds such items of users' tables, by the place of their
    action. `repeated` means that the request was sent before and got no
    answer. The first one may then still land.
    """

    def __init__(
        self,
        current: tuple[Record | Unreadable | None, ...],
        failed: tuple[bool, ...],
        *,
        guests: Mapping[int, GuestItem] = MappingProxyType({}),
        repeated: bool = False,
    ) -> None:
        super().__init__("transaction failed")
        self.current = current
        self.failed = failed
        self.guests = guests
        self.repeated = repeated


class TransactionBusy(Exception):
    """Other writes were in the way of a transaction with a token, and it wrote nothing.

    `repeated`: as in `TransactionFailed`.
    """

    def __init__(self, *, repeated: bool = False) -> None:
        super().__init__("other writes were in the way")
        self.repeated = repeated


class Store(Protocol):
    """One table. Reads are strongly consistent, except those of `Collection.DEAD`.

    Every method raises `StoreUnavailable` without an answer. A write may have happened all the
    same.
    """

    def get(self, ref: Ref[R]) -> R | Unreadable | None:
        """Return the record, an `Unreadable` for a damaged item, or None when there is none."""

    def get_many(self, refs: Sequence[Ref[R]]) -> Mapping[Ref[R], R | Unreadable]:
        """Return those that exist, in any number of requests; no snapshot."""

    def query(self, key_range: KeyRange) -> RowPage:
        """Return one page of a range, in key order; of a reverse one in the opposite order."""

    def write(self, write: Write) -> Written:
        """Make one conditional write. Raises ConditionFailed (nothing written)."""

    def transact(self, writes: Sequence[Action], token: str | None = None) -> Written:
        """All or nothing, at most 100 actions on different items.

        Without a token conflicts are retried. With one the request is made once: a conflict raises
        TransactionBusy, and the same request with the same token is applied once in ten minutes.

        Raises TransactionFailed (nothing written).
        """

    def read_guests(self, places: Sequence[GuestPlace]) -> tuple[GuestItem | None, ...]:
        """Items of users' tables, in order, as one snapshot. At most 100."""

    def delete(self, ref: Ref[Record]) -> None:
        """Remove an item, if it exists."""


class StoreDenied(StoreUnavailable):
    """The credentials may not do this with that item; nothing was read or written."""


@dataclass(frozen=True, slots=True)
class FunctionLimits:
    """The configuration of a function, as far as it bounds one asynchronous invocation."""

    timeout_ms: int
    event_age_ms: int
    """The maximum age of an event in Lambda's queue."""
    claims: bool = False
    """True for a function deployed and marked as decorated, whose handler claims and reports. False
    when unknown."""
    own: bool = False
    """True for the loop, completion or watchdog of any table. False when unknown."""
    unfit: str | None = None
    """The reason for which none of its starts can be followed, as a timeout that is not enforced.
    `None` means that none is known."""
    serves: frozenset[str] | None = None
    """The pools that may run it, as its deployment says. `None` means any, or that nothing is
    known."""

    def refusal(self, pool: str) -> str | None:
        """Return the reason for which this pool may not run it; `None` means that it may."""
        if self.serves is None or pool in self.serves:
            return None
        return (
            f"the function does not serve pool {pool!r}: "
            "name it in WORKPOOL_SERVES of the function, by add_action(pools=[...])"
        )


class InvokeThrottled(Exception):
    """Lambda throttled the call. The event was not taken."""


class InvokeRefused(Exception):
    """Lambda refused the event: it was not taken.

    `lasting`: it always will be (too large, malformed); else it may be a fresh deployment's lag (no
    such function, no permission).
    """

    def __init__(self, reason: str, *, lasting: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


class InvokeUnanswered(Exception):
    """No answer: the event may or may not have been taken."""


class Invoker(Protocol):
    """Lambda. Every method raises InvokeThrottled, InvokeRefused or InvokeUnanswered."""

    def start_work(self, target: str, assignment: Assignment, args: str) -> None:
        """Send one start to a worker.

        Repeated by the SDK only if the worker must claim or make it before user code runs.
        """

    def start_run(self, target: str, starts: Sequence[tuple[Assignment, str]]) -> None:
        """Send starts, each with its arguments, to a worker that makes one after the other."""

    def start_loop(self, loop_arn: str, order: LoopRequest) -> None:
        """Start a loop invocation of a generation. May be delivered 0, 1 or 2 times."""

    def limits(self, target: str) -> FunctionLimits:
        """Return the limits in the function's configuration, cached for minutes.

        Never raises: the default is a safe upper bound.
        """

    def acknowledges(self, target: str) -> bool:
        """True for a handler that acknowledges callbacks: it claims, or the deployment lists it.

        Never raises.
        """


class Messenger(Protocol):
    """Targets of callbacks: Lambda functions, SQS queues, SNS topics.

    They deliver an accepted message 0, 1 or 2 times.
    """

    def send(self, target: str, message: CallbackMessage) -> None:
        """Return when the target has accepted it.

        Raises InvokeThrottled, InvokeRefused or InvokeUnanswered, as `Invoker`.
        """


class InspectionFailed(Exception):
    """AWS did not answer a question about a configuration, or refused it."""


class Inspector(Protocol):
    """Reads configurations of AWS. Methods raise InspectionFailed."""

    def table(self, name: str) -> TableFacts | None:
        """Return the facts of a table. `None` means that there is none."""

    def function(self, target: str) -> FunctionFacts | None:
        """Return the facts of a function, by name or ARN. `None` means that there is none."""

    def wake(self, table: str, pool: str, group: str) -> bool:
        """True if the pool's far wake is ordered."""

    def role(self, arn: str, target: str) -> RoleFacts | None:
        """Return the facts of a role that is to invoke a function; `None` means there is none."""


class NoInspector:
    """An inspector that refuses every question, for ports without one."""

    def table(self, name: str) -> TableFacts | None:
        """See Inspector."""
        raise InspectionFailed(f"nothing here can examine {name}")

    def function(self, target: str) -> FunctionFacts | None:
        """See Inspector."""
        raise InspectionFailed(f"nothing here can examine {target}")

    def wake(self, table: str, pool: str, group: str) -> bool:
        """See Inspector."""
        raise InspectionFailed(f"nothing here can examine {pool} of {table} in {group}")

    def role(self, arn: str, target: str) -> RoleFacts | None:
        """See Inspector."""
        raise InspectionFailed(f"nothing here can examine {arn} for {target}")


class TimerUnavailable(Exception):
    """The scheduler did not take the order.

    Only latency depends on it, since the watchdog looks every minute.
    """


class Timer(Protocol):
    """Far wakes, at most one a pool.

    A wake may come late, twice or never. Methods raise TimerUnavailable.
    """

    def wake_at(self, pool: str, at: EpochMs) -> None:
        """Order a wake of the pool's loop, in place of an earlier order."""

    def forget(self, pool: str) -> None:
        """Drop the order, if there is one."""


class Clock(Protocol):
    """The clock of this process, within 2 s of every other."""

    def now(self) -> EpochMs:
        """Return the present moment."""

    def sleep(self, ms: int) -> None:
        """Return after about `ms` milliseconds."""


class Entropy(Protocol):
    """The only source of randomness."""

    def bits(self, count: int) -> int:
        """Return a uniform non-negative int below 2 ** count."""

    def fraction(self) -> float:
        """Return a uniform float in [0, 1)."""

    def token(self) -> str:
        """Return a short string that no other call ever returns."""


class Telemetry(Protocol):
    """Sinks of events: logs, metrics, a test's list. Never raises."""

    def emit(self, event: Event) -> None:
        """Record an event."""


class Span(Protocol):
    """A step of a trace that is under way."""

    @property
    def context(self) -> TraceContext | None:
        """The span, for the spans that follow from it. `None` means that nothing is traced."""

    def name_works(self, ids: Sequence[str]) -> None:
        """Name the work items that the step made."""

    def end(self, outcome: str, error_type: str | None = None) -> None:
        """End the span here. Spans that begin inside its block are still its children."""


class Tracing(Protocol):
    """Sink of spans. Never raises."""

    def span(
        self, step: TraceStep, parent: TraceContext | None = None
    ) -> AbstractContextManager[Span]:
        """Trace a step for the time of a block.

        `parent`: the span from which the step follows, of another process. `None` means that of the
        surrounding code. An error that leaves the block is noted by its type, and goes on.
        """

    def current(self) -> TraceContext | None:
        """Return the span of the surrounding code. `None` means that there is none."""


class _NoSpan:
    """See Span. Notes nothing."""

    context: TraceContext | None = None

    def name_works(self, ids: Sequence[str]) -> None:
        """See Span."""

    def end(self, outcome: str, error_type: str | None = None) -> None:
        """See Span."""


class NoTracing:
    """See Tracing. Traces nothing, for the price of a call."""

    def span(
        self, step: TraceStep, parent: TraceContext | None = None
    ) -> AbstractContextManager[Span]:
        """See Tracing."""
        del step, parent
        return _NOTHING_TRACED

    def current(self) -> TraceContext | None:
        """See Tracing."""
        return None


_NOTHING_TRACED: Final[AbstractContextManager[Span]] = nullcontext(_NoSpan())


class FanOut(Protocol):
    """Does many independent calls at once."""

    def __call__(
        self, call: Callable[[A], B], items: Sequence[A], at_once: int | None = None
    ) -> list[B]:
        """Call with every item, and return the results in order.

        At most `at_once` calls are under way at a time. `None` means the number that is safe for
        calls that carry 900 KB each. After all calls have ended, raise the first error, if any.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything the flow needs, for one table."""

    table: str
    store: Store
    invoker: Invoker
    messenger: Messenger
    timer: Timer
    clock: Clock
    entropy: Entropy
    telemetry: Telemetry
    fan_out: FanOut
    loop_arn: str | None
    """The loop's function, from the environment. `None` means that the table's deployment item
    names it."""
    deployed: Deployment | None = None
    """The deployment as this process's environment describes it, which is complete in the watchdog.
    `None` means that the environment does not name the loop."""
    jobs: Callable[[str], Mapping[str, str]] = lambda _name: {}
    """Returns the ARN of each deployed job by its name, as it was some minutes ago, or some seconds
    ago if the given name is not among them. Raises StoreUnavailable. Defaults to no jobs."""
    tracing: Tracing = field(default_factory=NoTracing)
    """Defaults to one that traces nothing."""
    inspector: Inspector = field(default_factory=NoInspector)
    """Reads configurations of AWS, for `doctor`. Defaults to one that refuses."""
    ticks_always: bool = True
    """True if the watchdog ticks each minute, whatever it would find. False on a virtual clock,
    where a missing heartbeat would mean nothing, so none is left."""
