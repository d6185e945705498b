"""Owns what turns a function into an `on_complete` handler: the Lambda handler around it, and the event that it receives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from workpool_aws import invocation
from workpool_aws.adapters.wire import WORKPOOL_KEY, ticket_from_wire
from workpool_aws.core.payload import JsonValue, checked_json
from workpool_aws.core.status import Result, result_from_callback
from workpool_aws.errors import UsageError
from workpool_aws.flow.callback import acknowledge
from workpool_aws.model.ids import WorkId, is_ulid
from workpool_aws.model.messages import CallbackTicket
from workpool_aws.parameters import check_function, plain_handler
from workpool_aws.ports import Ports
from workpool_aws.settings import refuse_other_pools
from workpool_aws.text import Words

__all__ = ["CallbackHandler", "OnCompleteEvent", "ticket_in"]

R = TypeVar("R")

_SHAPE: Final = "what a pool sends to an on_complete target: work_id, context, result"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCompleteEvent:
    """How a work ended, as its `on_complete` target is told. It may be told more than once."""

    work_id: WorkId
    context: JsonValue
    """What the enqueue gave as `context`, after JSON; None: nothing."""
    result: Result


class CallbackHandler(Generic[R]):
    """A Lambda handler made of a function, by `@pool.on_complete`.

    It runs the function, and then marks the callback as delivered. When the function raises, so does the handler: Lambda may retry it, and
    later the pool sends the callback again, up to twelve times.
    """

    __workpool__: Final = True
    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[[OnCompleteEvent], R], *, connect: Callable[[str], Ports]) -> None:
        self._connect = connect
        self.function = _check_function(function)
        """The plain function, for direct tests."""
        self.handler = plain_handler(self, function)
        """The handler as a plain function, as `Worker.handler`."""
        vars(self)["__workpool__"] = True  # see Worker
        self.__module__ = function.__module__
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return f"<on_complete handler {self.__qualname__}; as a plain function: {self.__qualname__}.handler>"

    def __call__(self, event: object, context: object) -> None:  # noqa: ARG002 - Lambda's signature
        """What Lambda calls.

        Raises:
            UsageError: the event is no callback of a pool, or of one that this function does not serve. The function did not run.
            StoreUnavailable: the function ran, but that could not be marked: it may be called again.
        """
        if not isinstance(event, Mapping):
            raise UsageError("event", Words(type(event).__name__), _SHAPE)
        told, ticket = _read(event), ticket_in(event)
        if ticket is not None:
            refuse_other_pools(f"event.{WORKPOOL_KEY}.pool", ticket.pool)
        self.function(told)
        after_body = invocation.after_body.get()
        if after_body is not None:
            after_body()
        if ticket is not None:
            acknowledge(self._connect(ticket.table), ticket)


def ticket_in(event: Mapping[object, object]) -> CallbackTicket | None:
    """By what this callback is to be acknowledged; None: its sender does not wait for that.

    Raises:
        UsageError: the event has a damaged ticket.
    """
    if WORKPOOL_KEY not in event:
        return None
    ticket = ticket_from_wire(event[WORKPOOL_KEY])
    if ticket is None:
        given = type(event[WORKPOOL_KEY]).__name__
        raise UsageError(f"event.{WORKPOOL_KEY}", Words(f"a {given} that cannot be read"), "the ticket that a pool sends with a callback")
    return ticket


def _read(event: Mapping[object, object]) -> OnCompleteEvent:
    work_id, result = event.get("work_id"), result_from_callback(event.get("result"))
    if not isinstance(work_id, str) or not is_ulid(work_id) or result is None:
        raise UsageError("event", Words(f"the keys {sorted(map(str, event))}"), _SHAPE)
    return OnCompleteEvent(work_id=WorkId(work_id), context=checked_json(event.get("context"), "event.context"), result=result)


def _check_function(function: Callable[[OnCompleteEvent], R]) -> Callable[[OnCompleteEvent], R]:
    check_function(function)
    try:
        inspect.signature(function).bind(None)
        inspect.signature(function, follow_wrapped=False).bind(None)
    except TypeError as error:
        raise UsageError(
            "function", Words(f"the signature {inspect.signature(function)}"), "one of one parameter: the OnCompleteEvent"
        ) from error
    return function
