"""Ports that reach a cloud without HTTP: every call of theirs is one service call of the kernel."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from workpool_aws.adapters.aws.schedule_names import SCHEDULE_AHEAD_MS_MIN, schedule_name
from workpool_aws.adapters.wire.assignment import run_event, worker_event
from workpool_aws.adapters.wire.loop import request_to_wire
from workpool_aws.core import limits
from workpool_aws.errors import StoreUnavailable
from workpool_aws.local.faults.faults import CallThrottled, CallUnanswered, answered_as
from workpool_aws.local.services.functions import EVENT_AGE_MS_MAX
from workpool_aws.local.services.schedules import EmulatedSchedule, Schedules
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Assignment, LoopRequest
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.writes import Put, Write, Written
from workpool_aws.ports import (
    FunctionLimits,
    InvokeRefused,
    InvokeThrottled,
    InvokeUnanswered,
    Store,
    TimerUnavailable,
    TransactionBusy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workpool_aws.local.kernel.kernel import Kernel
    from workpool_aws.local.services.deliveries import Deliveries
    from workpool_aws.local.services.functions import Functions
    from workpool_aws.model.actions import Action, GuestItem, GuestPlace
    from workpool_aws.model.refs import KeyRange, RowPage, Unreadable

__all__ = [
    "UNKNOWN_LIMITS",
    "DirectInvoker",
    "DirectTimer",
    "SteppingStore",
]

R = TypeVar("R", bound=Record)

T = TypeVar("T")

UNKNOWN_LIMITS: Final = FunctionLimits(
    timeout_ms=limits.TIMEOUT_MS_MAX, event_age_ms=EVENT_AGE_MS_MAX
)
"""Of a function that does not exist: Lambda's maxima."""


class Call(Protocol):
    """Carries out a request (see `Kernel.call`)."""

    def __call__(self, label: str, apply: Callable[[], T], *, writes: bool) -> T: ...


class SteppingStore:
    """A store whose every request is a service call, or whatever else `call` makes of it."""

    def __init__(self, call: Call, store: Store, *, torn_batches: bool = False) -> None:
        """`torn_batches`: each item of a batch of reads is a call of its own."""
        self._send = call
        self._store = store
        self._torn_batches = torn_batches

    def get(self, ref: Ref[R]) -> R | Unreadable | None:
        """See Store."""
        return self._call(f"get {_named(ref)}", lambda: self._store.get(ref), writes=False)

    def get_many(self, refs: Sequence[Ref[R]]) -> Mapping[Ref[R], R | Unreadable]:
        """See Store."""
        if not self._torn_batches:
            return self._call(f"get {len(refs)}", lambda: self._store.get_many(refs), writes=False)
        found: dict[Ref[R], R | Unreadable] = {}
        for ref in refs:
            found |= self._call(
                f"get one of {len(refs)}", partial(self._store.get_many, [ref]), writes=False
            )
        return found

    def query(self, key_range: KeyRange) -> RowPage:
        """See Store."""
        return self._call(
            f"query {key_range.collection} {key_range.pool}",
            lambda: self._store.query(key_range),
            writes=False,
        )

    def write(self, write: Write) -> Written:
        """See Store."""
        label = (
            f"put {_named(write.record)}"
            if isinstance(write, Put)
            else f"update {_named(write.ref)}"
        )
        return self._call(label, lambda: self._store.write(write), writes=True)

    def transact(self, writes: Sequence[Action], token: str | None = None) -> Written:
        """See Store."""
        label = f"transact {len(writes)}"
        try:
            return self._send(label, lambda: self._store.transact(writes, token), writes=True)
        except CallThrottled as error:
            if token is not None:
                raise TransactionBusy(repeated=error.repeated) from error
            raise StoreUnavailable(str(error)) from error
        except CallUnanswered as error:
            raise StoreUnavailable(str(error)) from error

    def read_guests(self, places: Sequence[GuestPlace]) -> tuple[GuestItem | None, ...]:
        """See Store."""
        return self._call(
            f"read {len(places)}", lambda: self._store.read_guests(places), writes=False
        )

    def delete(self, ref: Ref[Record]) -> None:
        """See Store."""
        self._call(f"delete {_named(ref)}", lambda: self._store.delete(ref), writes=True)

    def _call(self, label: str, apply: Callable[[], T], *, writes: bool) -> T:
        try:
            return self._send(label, apply, writes=writes)
        except (CallThrottled, CallUnanswered) as error:
            raise StoreUnavailable(str(error)) from error


def _named(thing: Ref[Record] | Record) -> str:
    key: object = (
        getattr(thing, "id", None) or getattr(thing, "at", None) or getattr(thing, "pool", "")
    )
    return f"{type(thing).__name__} {key}"


class DirectInvoker:
    """Lambda's API, as the flow uses it."""

    def __init__(self, kernel: Kernel, functions: Functions, deliveries: Deliveries) -> None:
        self._kernel = kernel
        self._functions = functions
        self._deliveries = deliveries

    def start_work(self, target: str, assignment: Assignment, args: str) -> None:
        """See Invoker."""
        try:
            event = worker_event(args, assignment).decode()
        except ValueError as error:
            raise InvokeRefused(str(error), lasting=True) from error
        self._call(f"invoke {target} {assignment.work_id}/{assignment.start}", target, event)

    def start_run(self, target: str, starts: Sequence[tuple[Assignment, str]]) -> None:
        """See Invoker."""
        try:
            event = run_event(starts).decode()
        except ValueError as error:
            raise InvokeRefused(str(error), lasting=True) from error
        first = starts[0][0]
        more = f" and {len(starts) - 1} more" if len(starts) > 1 else ""
        self._call(f"invoke {target} {first.work_id}/{first.start}{more}", target, event)

    def start_loop(self, loop_arn: str, order: LoopRequest) -> None:
        """See Invoker."""
        event = json.dumps(request_to_wire(order))
        self._call(f"invoke {loop_arn} {order.pool}/{order.generation}", loop_arn, event)

    def limits(self, target: str) -> FunctionLimits:
        """See Invoker."""
        resolved = self._functions.resolve(target)
        if resolved is None:
            return UNKNOWN_LIMITS
        function = resolved.function
        return FunctionLimits(
            timeout_ms=function.timeout_ms,
            event_age_ms=function.event_age_ms,
            claims=function.decorated,
            own=function.own,
            serves=function.serves,
        )

    def acknowledges(self, target: str) -> bool:
        """See Invoker."""
        return self.limits(target).claims

    def _call(self, label: str, target: str, event: str) -> None:
        with answered_as(throttled=InvokeThrottled, unanswered=InvokeUnanswered):
            accept = partial(self._deliveries.accept_named, target, event)
            self._kernel.call(label, accept, writes=True)


class DirectTimer:
    """EventBridge Scheduler's API, as the flow uses it.

    A wake is a minute away at least, as on AWS.
    """

    def __init__(
        self, kernel: Kernel, schedules: Schedules, table: str, *, group: str, loop_arn: str
    ) -> None:
        self._kernel = kernel
        self._schedules = schedules
        self._table = table
        self._group = group
        self._loop_arn = loop_arn

    def wake_at(self, pool: str, at: EpochMs) -> None:
        """See Timer."""
        wake = LoopRequest(table=self._table, pool=pool, generation=None)
        earliest = EpochMs(max(at, self._kernel.now() + SCHEDULE_AHEAD_MS_MIN))
        schedule = EmulatedSchedule(
            group=self._group,
            name=schedule_name(self._table, pool),
            at=EpochMs(-(-earliest // 1000) * 1000),
            target=self._loop_arn,
            payload=json.dumps(request_to_wire(wake)),
        )
        self._call(f"schedule {pool} at {schedule.at}", lambda: self._schedules.put(schedule))

    def forget(self, pool: str) -> None:
        """See Timer."""
        name = schedule_name(self._table, pool)
        self._call(f"unschedule {pool}", lambda: self._schedules.drop(self._group, name))

    def _call(self, label: str, apply: Callable[[], None]) -> None:
        with answered_as(throttled=TimerUnavailable, unanswered=TimerUnavailable):
            self._kernel.call(label, apply, writes=True)
