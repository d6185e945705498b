"""The door of the watchdog: a Lambda that one recurring schedule for the whole table invokes each minute."""

from __future__ import annotations

from collections.abc import Mapping

from workpool_aws.compose import ports_for
from workpool_aws.errors import UsageError
from workpool_aws.flow.survey import survey
from workpool_aws.flow.watch import watch
from workpool_aws.handlers.main_loop import InvocationContext
from workpool_aws.settings import read_settings
from workpool_aws.text import Words

__all__ = ["handler"]


def handler(event: Mapping[str, object], context: InvocationContext) -> None:  # noqa: ARG001 - Lambda's signature
    """Keep the table's deployment item as this function's environment says, and look after every pool of the table that the event names.

    Where metrics are wanted, also tell how full each pool is. Raises UsageError for an event without a table; nothing was read or written.
    """
    order = event.get("workpool_watchdog")
    table = order.get("table") if isinstance(order, Mapping) else None
    if not isinstance(table, str) or not table:
        raise UsageError("event", Words(f"the keys {sorted(map(str, event))}"), "an object with a table under its key 'workpool_watchdog'")
    ports = ports_for(table)
    watch(ports)
    if read_settings().metrics is not None:
        survey(ports)
