"""`CallbackHandler`, which `@pool.on_complete` makes, and its `OnCompleteEvent`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from workpool_aws import invocation
from workpool_aws.adapters.wire.callback import ticket_from_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.api.job import name_job
from workpool_aws.api.parameters import check_function, plain_handler, take_names
from workpool_aws.core.callback.targets import JOBS_MARK
from workpool_aws.core.payload import JsonValue, checked_json
from workpool_aws.core.views.status import Result
from workpool_aws.errors import UsageError
from workpool_aws.flow.callback.acknowledge import acknowledge
from workpool_aws.model.ids import WorkId, is_ulid
from workpool_aws.settings import refuse_other_pools
from workpool_aws.text import Words

if TYPE_CHECKING:
    from workpool_aws.model.messages import CallbackTicket
    from workpool_aws.ports import Ports

__all__ = [
    "CallbackDecorator",
    "CallbackHandler",
    "OnCompleteEvent",
    "received_result",
    "ticket_in",
]

R = TypeVar("R")

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


class CallbackHandler(Generic[R]):
    """The Lambda handler that `@pool.on_complete` makes of a function.

    The handler runs the function, and then marks the callback as delivered. When the function
    raises, so does the handler. Lambda may retry it, and later the pool sends the callback again,
    up to twelve times.
    """

    __workpool__: Final = True
    __name__: str
    __qualname__: str

    def __init__(
        self,
        function: Callable[[OnCompleteEvent], R],
        *,
        connect: Callable[[str], Ports],
        name: str | None = None,
    ) -> None:
        check_function(function)
        try:
            inspect.signature(function).bind(None)
            inspect.signature(function, follow_wrapped=False).bind(None)
        except TypeError as error:
            got = Words(f"the signature {inspect.signature(function)}")
            raise UsageError(
                "function", got, "one of one parameter: the OnCompleteEvent"
            ) from error
        self._connect = connect
        self.function = function
        """The plain function, for direct tests."""
        self.handler = plain_handler(self, function)
        """The handler as a plain function, as `Worker.handler`."""
        take_names(self, function)
        self.name = name_job(function, name)
        """The name under which the handler is deployed."""
        for each in (self, self.handler):
            vars(each)[JOBS_MARK] = (self.name,)

    def __repr__(self) -> str:
        name = self.__qualname__
        return f"<on_complete handler {name}; as a plain function: {name}.handler>"

    def __call__(self, event: object, _context: object) -> None:
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
        self.function(completed)
        after_body = invocation.after_body.get()
        if after_body is not None:
            after_body()
        if ticket is not None:
            acknowledge(self._connect(ticket.table), ticket)


class CallbackDecorator:
    """Makes a function a handler of callbacks, with a name."""

    def __init__(self, connect: Callable[[str], Ports], name: str | None) -> None:
        self._connect = connect
        self._name = name

    def __call__(self, function: Callable[[OnCompleteEvent], R]) -> CallbackHandler[R]:
        """Make a function a handler, as `Workpool.on_complete` does."""
        return CallbackHandler(function, connect=self._connect, name=self._name)


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
    """The ticket that acknowledges this callback.

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
