"""The event of a loop invocation."""

from __future__ import annotations

from typing import Final

from workpool_aws.adapters.wire.fields import VERSION, Fields
from workpool_aws.model.messages import LoopRequest

__all__ = ["LOOP_KEY", "request_from_wire", "request_to_wire"]


LOOP_KEY: Final = "workpool_loop"


def request_to_wire(request: LoopRequest) -> dict[str, object]:
    """Returns the event of a loop invocation."""
    return {
        LOOP_KEY: {
            "version": VERSION,
            "table": request.table,
            "pool": request.pool,
            "generation": request.generation,
        }
    }


def request_from_wire(event: object) -> LoopRequest | None:
    """Reads the event of a loop invocation.

    `None` means that it is damaged, or not a request of this library.
    """
    fields = Fields(Fields(event).get(LOOP_KEY))
    try:
        if fields.integer("version") != VERSION:
            return None
        return LoopRequest(
            table=fields.table("table"),
            pool=fields.pool("pool"),
            generation=fields.optional_integer("generation", at_least=0),
        )
    except ValueError:
        return None
