"""Handler of the main loop, which serves loop requests and far wakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from workpool_aws.adapters.wire.loop import LOOP_KEY, request_from_wire
from workpool_aws.compose import ports_for
from workpool_aws.errors import UsageError
from workpool_aws.flow.loop.iterate import run_loop
from workpool_aws.handlers.own import refuse_other_table, refuse_work_item
from workpool_aws.text import Words

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["InvocationContext", "handler"]


class InvocationContext(Protocol):
    """The part of Lambda's context that the handlers read."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until Lambda ends this invocation."""


def handler(event: Mapping[str, object], context: InvocationContext) -> None:
    """Run the loop of the pool that the event names, until it rests or is handed over.

    Raises UsageError for any other event. Nothing was read or written.
    """
    refuse_work_item(event)
    request = request_from_wire(event)
    if request is None:
        raise UsageError(
            "event",
            Words(f"the keys {sorted(map(str, event))}"),
            f"an object with a loop request under its key {LOOP_KEY!r}",
        )
    refuse_other_table(request.table)
    run_loop(ports_for(request.table), request, context.get_remaining_time_in_millis)
