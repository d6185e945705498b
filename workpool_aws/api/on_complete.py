"""`CallbackHandler`, which `@pool.on_complete` makes, and its `OnCompleteEvent`."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar, overload

from workpool_aws import invocation
from workpool_aws.adapters.wire.callback import ticket_from_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.api.anchored import AnchoredTransaction, run_anchored
from workpool_aws.api.caller import read_caller
from workpool_aws.api.job import name_job
from workpool_aws.api.parameters import check_function, plain_handler, take_names
from workpool_aws.api.transaction import Transaction
from workpool_aws.api.work import timer_of
from workpool_aws.core import limits
from workpool_aws.core.callback.delivery import delivered_write
from workpool_aws.core.callback.targets import JOBS_MARK
from workpool_aws.core.payload import JsonValue, checked_json
from workpool_aws.core.views.status import Result
from workpool_aws.core.work.transaction import pause_ms
from workpool_aws.errors import UsageError
from workpool_aws.flow.callback.acknowledge import (
    acknowledge,
    note_acknowledged,
    note_missed,
)
from workpool_aws.model.ids import WorkId, is_ulid
from workpool_aws.model.messages import ReportKind
from workpool_aws.model.trace import TracedOperation, TraceStep
from workpool_aws.settings import refuse_other_pools
from workpool_aws.text import Words

if TYPE_CHECKING:
    from workpool_aws.model.messages import CallbackTicket
    from workpool_aws.ports import Ports

__all__ = [
    "CallbackDecorator",
    "CallbackHandler",
    "EffectHandler",
    "OnCompleteEvent",
    "received_result",
    "ticket_in",
]

F = TypeVar("F", bound=Callable[..., object])
R = TypeVar("R")

_TICKETED: Final = (
    "one with a ticket: deploy the handler as on_complete of the construct, or list it in "
    "WORKPOOL_ACKNOWLEDGING, so that its effect can be tied to the callback"
)
_SHAPE: Final = "what a pool sends to an on_complete target: work_id, context, result"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCompleteEvent:
    """The outcome of a work item, as its `on_complete` handler receives it.

    It may arrive more than once.

    A handler's plain function can be tested with one:

        >>> from workpool_aws import OnCompleteEvent, Result, WorkId, Workpool
        >>> pool = Workpool("my-table")
        >>> @pool.on_complete
        ... def email_sent(event: OnCompleteEvent) -> str:
        ...     return f"{event.context}: {event.result.kind}"
        >>> failed = Result(kind="failed", error="timed out", error_type="TimeoutError")
        >>> work_id = WorkId("01KDV000000000000000000000")
        >>> email_sent.function(OnCompleteEvent(work_id=work_id, context="user 7", result=failed))
        'user 7: failed'
    """

    work_id: WorkId
    context: JsonValue
    """The `context` of the enqueue, after JSON. `None` means that it had none."""
    result: Result


class _Handler(Generic[F]):
    """A Lambda handler of callbacks. `function` is called by `_handle`."""

    __workpool__: bool
    __name__: str
    __qualname__: str

    def __init__(
        self,
        function: F,
        *,
        connect: Callable[[str], Ports],
        name: str | None = None,
    ) -> None:
        plain = check_function(function)
        self._connect = connect
        self.function = function
        """The plain function, for direct tests."""
        self.handler = plain_handler(self, plain)
        """The handler as a plain function, as `Worker.handler`."""
        take_names(self, plain)
        self.name = name_job(plain, name)
        """The name under which the handler is deployed."""
        for each in (self, self.handler):
            vars(each)[JOBS_MARK] = (self.name,)

    def __repr__(self) -> str:
        name = self.__qualname__
        return f"<on_complete handler {name}; as a plain function: {name}.handler>"

    def __call__(self, event: object, context: object) -> None:
        """Handle one event, as Lambda calls it.

        Raises:
            UsageError: The event is no callback, or one of a pool that this function does not
                serve. The function did not run.
            StoreUnavailable: The function ran, but DynamoDB did not record it. It may be called
                again.
        """
        if not isinstance(event, Mapping):
            raise UsageError("event", Words(type(event).__name__), _SHAPE)
        work_id, result = event.get("work_id"), received_result(event.get("result"))
        if not isinstance(work_id, str) or not is_ulid(work_id) or result is None:
            raise UsageError("event", Words(f"the keys {sorted(map(str, event))}"), _SHAPE)
        context_given = checked_json(event.get("context"), "event.context")
        completed = OnCompleteEvent(work_id=WorkId(work_id), context=context_given, result=result)
        ticket = ticket_in(event)
        if ticket is not None:
            refuse_other_pools(f"event.{WORKPOOL_KEY}.pool", ticket.pool)
        if ticket is None:
            self._handle(completed, ticket, context)
            return
        step = TraceStep(
            operation=TracedOperation.ON_COMPLETE,
            table=ticket.table,
            pool=ticket.pool,
            work_id=ticket.work_id,
            job=self.name,
        )
        with self._connect(ticket.table).tracing.span(step, ticket.trace) as span:
            self._handle(completed, ticket, context)
            span.end(ReportKind.SUCCESS)

    @abstractmethod
    def _handle(
        self, completed: OnCompleteEvent, ticket: CallbackTicket | None, context: object
    ) -> None:
        """Run the function, and record the delivery."""


class CallbackHandler(_Handler[Callable[[OnCompleteEvent], R]], Generic[R]):
    """The Lambda handler that `@pool.on_complete` makes of a function.

    The handler runs the function, and then marks the callback as delivered. When the function
    raises, so does the handler. Lambda may retry it, and later the pool sends the callback again,
    up to twelve times.
    """

    def _handle(
        self, completed: OnCompleteEvent, ticket: CallbackTicket | None, context: object
    ) -> None:
        del context
        self.function(completed)
        _body_is_over()
        if ticket is not None:
            acknowledge(self._connect(ticket.table), ticket)


class EffectHandler(_Handler[Callable[[OnCompleteEvent, Transaction], R]], Generic[R]):
    """As `CallbackHandler`, for a function with a second parameter: a `Transaction` [WP-15].

    The transaction is committed with the delivery or not at all. What the function does through it
    happens once, however often the function is called.
    """

    def _handle(
        self, completed: OnCompleteEvent, ticket: CallbackTicket | None, context: object
    ) -> None:
        if ticket is None:
            raise UsageError("event", Words("one without a ticket"), _TICKETED)
        ports, caller = self._connect(ticket.table), read_caller(context)
        remaining_ms = timer_of(context)

        def run(tx: Transaction) -> None:
            self.function(completed, tx)
            _body_is_over()

        def again(attempt: int) -> bool:
            ports.clock.sleep(pause_ms(attempt, ports.entropy.fraction()))
            return remaining_ms() > limits.ANCHORED_END_MS

        _, tx, missed = run_anchored(
            lambda: AnchoredTransaction(ports, ticket.pool, caller, remaining_ms=remaining_ms),
            run,
            lambda _: (delivered_write(ticket, now=ports.clock.now()),),
            again=again,
        )
        if missed is not None:
            note_missed(ports, ticket, missed.current)
            return
        note_acknowledged(ports, ticket, job=None)
        tx.follow_up()


class CallbackDecorator:
    """Makes a function a handler of callbacks, with a name."""

    def __init__(self, connect: Callable[[str], Ports], name: str | None) -> None:
        self._connect = connect
        self._name = name

    @overload
    def __call__(self, function: Callable[[OnCompleteEvent], R]) -> CallbackHandler[R]: ...
    @overload
    def __call__(
        self, function: Callable[[OnCompleteEvent, Transaction], R]
    ) -> EffectHandler[R]: ...
    def __call__(self, function: Callable[..., R]) -> CallbackHandler[R] | EffectHandler[R]:
        """Make a function a handler, as `Workpool.on_complete` does."""
        check_function(function)
        if _takes(function, 1):
            return CallbackHandler(function, connect=self._connect, name=self._name)
        if _takes(function, 2):
            return EffectHandler(function, connect=self._connect, name=self._name)
        got = Words(f"the signature {inspect.signature(function)}")
        allowed = "one of the OnCompleteEvent, or of the OnCompleteEvent and a Transaction"
        raise UsageError("function", got, allowed)


def _body_is_over() -> None:
    after_body = invocation.after_body.get()
    if after_body is not None:
        after_body()


def _takes(function: Callable[..., object], count: int) -> bool:
    """True if the function can be called with so many arguments by position."""
    try:
        inspect.signature(function).bind(*[None] * count)
        inspect.signature(function, follow_wrapped=False).bind(*[None] * count)
    except TypeError:
        return False
    return True


def received_result(value: object) -> Result | None:
    """Returns the result in the event of an `on_complete` target.

    `None` means that the value is no result.

    Raises:
        UsageError: The return value is not JSON.
    """
    if not isinstance(value, dict):
        return None
    match value.get("kind"):
        case "success":
            return Result(
                kind="success",
                return_value=checked_json(value.get("return_value"), "event.result.return_value"),
            )
        case "failed":
            error, error_type = value.get("error"), value.get("error_type")
            return Result(
                kind="failed",
                error=error if isinstance(error, str) else None,
                error_type=error_type if isinstance(error_type, str) else None,
            )
        case "canceled":
            return Result(kind="canceled")
        case _:
            return None


def ticket_in(event: Mapping[object, object]) -> CallbackTicket | None:
    """Returns the ticket that acknowledges this callback.

    `None` means that its sender waits for no acknowledgement.

    Raises:
        UsageError: The event has a damaged ticket.
    """
    if WORKPOOL_KEY not in event:
        return None
    ticket = ticket_from_wire(event[WORKPOOL_KEY])
    if ticket is None:
        given = type(event[WORKPOOL_KEY]).__name__
        raise UsageError(
            f"event.{WORKPOOL_KEY}",
            Words(f"a {given} that cannot be read"),
            "the ticket that a pool sends with a callback",
        )
    return ticket
