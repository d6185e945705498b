"""Sorting of Lambda's destination records: a worker's outcome, a callback whose handler failed, one of ours that cannot be read.

What the parts say is spelled in `wire.py`. Reading never raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workpool_aws.adapters.fields import Fields
from workpool_aws.adapters.wire import (
    REPORTED,
    WORKPOOL_KEY,
    DestinationReport,
    assignment_from_wire,
    read_destination,
    ticket_from_wire,
)
from workpool_aws.model.names import POOL, TABLE

if TYPE_CHECKING:
    from workpool_aws.model.messages import CallbackTicket

__all__ = ["CallbackLost", "UnreadableRecord", "read_record"]

_NAME_LENGTH_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackLost:
    """A handler that acknowledges was sent a callback, and did not run to its end."""

    ticket: CallbackTicket
    target: str
    """The qualified ARN that Lambda ran, or was to run; "" if the record does not say."""
    reason: str
    """The condition, and the name of the error: never its text, which may quote arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRecord:
    """It carries our mark, and cannot be read. `None` means it does not say that either."""

    table: str | None
    pool: str | None
    work_id: str | None
    reason: str


def read_record(record: object) -> DestinationReport | CallbackLost | UnreadableRecord | None:
    """Content of a destination record.

    `None` means it is another system's, or its worker or handler has said everything by itself.
    """
    told = read_destination(record)
    if told is not None:
        return told
    fields = Fields(record)
    request = fields.get("requestPayload")
    if isinstance(request, str) and f'"{WORKPOOL_KEY}"' in request:
        return UnreadableRecord(
            table=None, pool=None, work_id=None, reason="the event in it is a text, not an object"
        )
    own = Fields(request).get(WORKPOOL_KEY)
    if own is None:
        return None
    context = Fields(fields.get("requestContext"))
    condition = context.get("condition")
    if not isinstance(condition, str) or not condition:
        return _unreadable(own, "it does not say under which condition it was written")
    ticket = ticket_from_wire(own)
    if ticket is not None:
        return (
            None
            if condition == "Success"
            else _lost(ticket, context, condition, fields.get("responsePayload"))
        )
    if assignment_from_wire(own) is not None and fields.get("responsePayload") == REPORTED:
        return None
    return _unreadable(own, "what stands in it is of another version, or damaged")


def _lost(ticket: CallbackTicket, context: Fields, condition: str, answer: object) -> CallbackLost:
    error_type = Fields(answer).get("errorType")
    named = f"{condition}: {error_type}" if isinstance(error_type, str) else condition
    return CallbackLost(
        ticket=ticket,
        target=_text(context.get("functionArn")) or "",
        reason=named[:_NAME_LENGTH_MAX],
    )


def _unreadable(own: object, reason: str) -> UnreadableRecord:
    said = Fields(own)
    table, pool = _text(said.get("table")), _text(said.get("pool"))
    return UnreadableRecord(
        table=table if table is not None and TABLE.fullmatch(table) else None,
        pool=pool if pool is not None and POOL.fullmatch(pool) else None,
        work_id=_text(said.get("work_id")),
        reason=reason,
    )


def _text(value: object) -> str | None:
    return value[:_NAME_LENGTH_MAX] if isinstance(value, str) else None
