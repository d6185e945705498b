"""The event of an `on_complete` target, and the ticket by which its handler acknowledges."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, assert_never

from workpool_aws.adapters.wire.fields import VERSION, WORKPOOL_KEY, Fields, compact
from workpool_aws.adapters.wire.trace import trace_attributes, trace_from_wire, trace_to_wire
from workpool_aws.core.callback.targets import oversize
from workpool_aws.core.splice import one_value
from workpool_aws.model.messages import CallbackMessage, CallbackTicket
from workpool_aws.model.spec import Outcome
from workpool_aws.ports import InvokeRefused

__all__ = [
    "attributes_for",
    "callback_event",
    "event_for",
    "ticket_from_wire",
    "ticket_to_wire",
]


_REFUSED_BY_QUEUES: Final = MappingProxyType({"\ufffe": "\\ufffe", "\uffff": "\\uffff"})
"""SendMessage accepts U+0009, U+000A, U+000D, U+0020 to U+D7FF, U+E000 to U+FFFD and U+10000 to
U+10FFFF (SQS API reference). Of the rest, JSON requires no escape for these two alone."""


def event_for(target: str, message: CallbackMessage) -> str:
    """Returns the event of a callback to this target.

    Raises:
        InvokeRefused: stored values cannot be sent or the event is too large, so that no try can
            succeed.
    """
    try:
        event = callback_event(message)
    except ValueError as error:
        raise InvokeRefused(str(error), lasting=True) from error
    too_large = oversize(target, len(event.encode()))
    if too_large is not None:
        raise InvokeRefused(too_large, lasting=True)
    return event


def attributes_for(target: str, event: str, message: CallbackMessage) -> dict[str, str]:
    """Returns the attributes of a message to a queue or topic: the span that sends it, if it fits."""
    if message.trace is None:
        return {}
    attributes = trace_attributes(message.trace)
    size = sum(len(f"String{name}{text}") for name, text in attributes.items())
    return attributes if oversize(target, len(event.encode()) + size) is None else {}


def callback_event(message: CallbackMessage) -> str:
    """Returns the documented event, with the ticket, if there is one, under `_workpool`.

    Context and return value keep their stored spelling. Two noncharacters are escaped, since SQS
    and SNS refuse texts that contain them.

    Raises:
        ValueError: the stored context or return value is not exactly one JSON value.
    """
    context = "null" if message.context is None else _verified(message.context, "context")
    own = (
        ""
        if message.ticket is None
        else f',"{WORKPOOL_KEY}":{compact(ticket_to_wire(message.ticket))}'
    )
    event = f'{{"work_id":"{message.work_id}","context":{context},"result":{_result_to_wire(message)}{own}}}'
    for character, escaped in _REFUSED_BY_QUEUES.items():
        event = event.replace(character, escaped)
    return event


def _result_to_wire(message: CallbackMessage) -> str:
    match message.outcome:
        case Outcome.SUCCESS:
            value = "null" if message.result is None else _verified(message.result, "return value")
            return f'{{"kind":"success","return_value":{value}}}'
        case Outcome.FAILED:
            return compact(
                {"kind": "failed", "error": message.error, "error_type": message.error_type}
            )
        case Outcome.CANCELED:
            return compact({"kind": "canceled"})
        case _:
            assert_never(message.outcome)


def _verified(text: str, what: str) -> str:
    try:
        return one_value(text)
    except ValueError as error:
        raise ValueError(f"the stored {what} cannot be sent: {error}") from None


def ticket_to_wire(ticket: CallbackTicket) -> dict[str, object]:
    """Returns the part of a callback's event under `_workpool`."""
    return {
        "version": VERSION,
        "callback": True,
        "table": ticket.table,
        "pool": ticket.pool,
        "work_id": ticket.work_id,
        "retention_s": ticket.retention_s,
        **({} if ticket.job is None else {"job": ticket.job}),
        **({} if ticket.nonce is None else {"nonce": ticket.nonce}),
        **({} if ticket.trace is None else {"trace": trace_to_wire(ticket.trace)}),
    }


def ticket_from_wire(value: object) -> CallbackTicket | None:
    """Reads the part of a callback's event under `_workpool`.

    `None` means that it is damaged, or not a ticket of this library.
    """
    fields = Fields(value)
    try:
        if fields.integer("version") != VERSION or not fields.flag("callback"):
            return None
        return CallbackTicket(
            table=fields.table("table"),
            pool=fields.pool("pool"),
            work_id=fields.work_id("work_id"),
            retention_s=fields.retention("retention_s"),
            job=fields.job("job"),
            nonce=fields.nonce("nonce"),
            trace=trace_from_wire(fields.get("trace")),
        )
    except ValueError:
        return None
