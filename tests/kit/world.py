"""A table in memory, a clock that stands still and a Lambda that only takes notes: what a pool needs to be tested without AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tests.kit.records import NONCE, NOW, PROOF, TARGET
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.adapters.system import SerialFanOut
from workpool_aws.adapters.telemetry import ListTelemetry
from workpool_aws.adapters.wire.assignment import assignment_to_wire
from workpool_aws.api.pool import Workpool
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.messages import Assignment, CallbackMessage, LoopRequest
from workpool_aws.model.refs import KeyRange, Record, Ref, RowPage, Unreadable, WorkRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Put, Write, Written
from workpool_aws.ports import FunctionLimits, Ports

R = TypeVar("R", bound=Record)

TABLE = "jobs"
LOOP = "arn:aws:lambda:us-east-1:123456789012:function:workpool-loop"
TIME_LEFT_MS = 20_000


@dataclass
class StandingClock:
    """Time passes only when a test says so, or sleeps."""

    at: int = NOW
    slept_ms: list[int] = field(default_factory=list)

    def now(self) -> EpochMs:
        return EpochMs(self.at)

    def sleep(self, ms: int) -> None:
        self.slept_ms.append(ms)
        self.at += ms


class CountedEntropy:
    """Chance without chance: the same draws in every test, in no order."""

    def __init__(self) -> None:
        self._drawn = 0

    def _next(self) -> int:
        self._drawn += 1
        return self._drawn

    def bits(self, count: int) -> int:
        return self._next() * 0x9E3779B97F4A7C15F39CC060 % (1 << count)

    def fraction(self) -> float:
        return 0.5

    def token(self) -> str:
        return f"token-{self._next()}"


@dataclass
class NotingInvoker:
    """Takes every event and runs nothing."""

    loops: list[LoopRequest] = field(default_factory=list)

    def start_work(self, target: str, assignment: Assignment, args: str) -> None:
        raise AssertionError(f"a caller never starts work: {target} {assignment} {args}")

    def start_loop(self, loop_arn: str, order: LoopRequest) -> None:
        assert loop_arn == LOOP
        self.loops.append(order)

    def limits(self, target: str) -> FunctionLimits:
        raise AssertionError(f"a caller never asks for the limits of {target}")

    def acknowledges(self, target: str) -> bool:
        raise AssertionError(f"a caller never asks whether {target} acknowledges")


@dataclass
class NotingMessenger:
    """Takes every callback, unless told to refuse, and delivers none."""

    sent: list[tuple[str, CallbackMessage]] = field(default_factory=list)
    refuses: Exception | None = None

    def send(self, target: str, message: CallbackMessage) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.sent.append((target, message))


class NoTimer:
    """Nothing here orders a wake."""

    def wake_at(self, pool: str, at: EpochMs) -> None:
        raise AssertionError(f"{pool} ordered a wake at {at}")

    def forget(self, pool: str) -> None:
        raise AssertionError(f"{pool} dropped a wake")


class FaultyStore:
    """The store behind it, but for the writes that `fails` picks: those are not answered, and not applied unless `applies`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.fails: Callable[[Write], bool] = lambda _: False
        self.applies = False

    def get(self, ref: Ref[R]) -> R | Unreadable | None:
        return self._store.get(ref)

    def get_many(self, refs: Sequence[Ref[R]]) -> Mapping[Ref[R], R | Unreadable]:
        return self._store.get_many(refs)

    def query(self, span: KeyRange) -> RowPage:
        return self._store.query(span)

    def write(self, write: Write) -> Written:
        if not self.fails(write):
            return self._store.write(write)
        if self.applies:
            self._store.write(write)
        raise StoreUnavailable("no answer")

    def transact(self, writes: Sequence[Write]) -> Written:
        if any(self.fails(write) for write in writes):
            raise StoreUnavailable("no answer")
        return self._store.transact(writes)

    def delete(self, ref: Ref[Record]) -> None:
        self._store.delete(ref)


class World:
    """One table and everything around it."""

    def __init__(self) -> None:
        self.clock = StandingClock()
        self.memory = MemoryStore(self.clock.now)
        self.store = FaultyStore(self.memory)
        self.invoker = NotingInvoker()
        self.messenger = NotingMessenger()
        self.telemetry = ListTelemetry()
        self.ports = Ports(
            table=TABLE,
            store=self.store,
            invoker=self.invoker,
            messenger=self.messenger,
            timer=NoTimer(),
            clock=self.clock,
            entropy=CountedEntropy(),
            telemetry=self.telemetry,
            fan_out=SerialFanOut(),
            loop_arn=LOOP,
        )

    def pool(self, name: str = "email") -> Workpool:
        return Workpool(TABLE, name, ports=self.ports)

    def work(self, work_id: str, pool: str = "email") -> WorkItem:
        stored = self.memory.peek(WorkRef(pool, WorkId(work_id)))
        assert isinstance(stored, WorkItem)
        return stored

    @property
    def requests(self) -> int:
        return self.memory.meter.snapshot().requests

    def put(self, work: WorkItem) -> WorkItem:
        self.memory.write(Put(work))
        return work

    def start(self, work: WorkItem) -> Assignment:
        """Makes the work run its next start, as the loop would, and tells the worker about it."""
        deadline = EpochMs(self.clock.now() + 60_000)
        started = replace(
            work,
            state=State.RUNNING,
            starts=work.starts + 1,
            started_by="loop-1",
            started_at=self.clock.now(),
            deadline=deadline,
            proof=PROOF,
        )
        self.put(started)
        return Assignment(
            table=TABLE,
            pool=work.pool,
            work_id=work.id,
            start=started.starts,
            attempts_made=work.attempts_made,
            kind=work.kind,
            retry=work.retry,
            claimed=work.claimed,
            retention_s=work.retention_s,
            start_by=EpochMs(self.clock.now() + 30_000),
            nonce=NONCE,
            proof=PROOF,
        )


@dataclass(frozen=True)
class Context:
    """What Lambda gives to a handler, with `TIME_LEFT_MS` to go."""

    aws_request_id: str = "8f2c-1"
    invoked_function_arn: str = TARGET

    def get_remaining_time_in_millis(self) -> int:
        return TIME_LEFT_MS


def event_of(assignment: Assignment, **arguments: object) -> dict[str, object]:
    """What a worker receives."""
    return {**arguments, "_workpool": assignment_to_wire(assignment)}
