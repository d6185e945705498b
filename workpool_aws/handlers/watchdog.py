"""Handler of the watchdog, which one recurring schedule for the whole table invokes each minute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from workpool_aws.compose import ports_for
from workpool_aws.errors import UsageError
from workpool_aws.flow.watchdog.register import register
from workpool_aws.flow.watchdog.survey import survey
from workpool_aws.flow.watchdog.watch import watch
from workpool_aws.handlers.own import refuse_other_table, refuse_work_item
from workpool_aws.model.names import POOL
from workpool_aws.settings import read_settings
from workpool_aws.text import Words

if TYPE_CHECKING:
    from workpool_aws.handlers.main_loop import InvocationContext

__all__ = ["handler"]


def handler(event: Mapping[str, object], _context: InvocationContext) -> None:
    """Keep the table's deployment item current, and look after every pool of the table.

    Pools that the event names are registered first. With WORKPOOL_METRICS the watchdog also reports
    the backlog of each pool.

    Raises:
        UsageError: The event names no table, or another than WORKPOOL_TABLE. Nothing was read or
            written.
    """
    refuse_work_item(event)
    order = event.get("workpool_watchdog")
    table = order.get("table") if isinstance(order, Mapping) else None
    if not isinstance(order, Mapping) or not isinstance(table, str) or not table:
        raise UsageError(
            "event",
            Words(f"the keys {sorted(map(str, event))}"),
            "an object with a table under its key 'workpool_watchdog'",
        )
    refuse_other_table(table)
    ports = ports_for(table)
    pools = order.get("pools")
    # Without names that are not valid: a tick must not fail for one.
    named = (
        [pool for pool in pools if isinstance(pool, str) and POOL.fullmatch(pool)]
        if isinstance(pools, list)
        else []
    )
    register(ports, named)
    watch(ports)
    if read_settings().metrics is not None:
        survey(ports)
