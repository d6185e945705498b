"""Handler of the watchdog, which one recurring schedule for the whole table invokes each minute."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from workpool_aws.api.caller import read_caller
from workpool_aws.compose import ports_for
from workpool_aws.errors import UsageError
from workpool_aws.flow.watchdog.declare import Declared
from workpool_aws.flow.watchdog.register import register
from workpool_aws.flow.watchdog.survey import survey
from workpool_aws.flow.watchdog.watch import watch
from workpool_aws.flow.work.jobs import find_job, find_name
from workpool_aws.handlers.own import refuse_other_table, refuse_work_item
from workpool_aws.model.names import POOL
from workpool_aws.model.schedule import DEPLOYMENT_OWNER
from workpool_aws.settings import read_settings
from workpool_aws.text import Words

if TYPE_CHECKING:
    from workpool_aws.api.caller import LambdaContext
    from workpool_aws.core.schedule.change import Definition
    from workpool_aws.ports import Ports

__all__ = ["handler"]


def handler(event: Mapping[str, object], context: LambdaContext | None) -> None:
    """Keep the table's deployment item current, and look after every pool of the table.

    Pools that the event names are registered first. Schedules that it declares are those of the
    deployment from then on. With WORKPOOL_METRICS the watchdog also reports
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
    watch(ports, _declared(ports, order.get("schedules"), context))
    if read_settings().metrics is not None:
        survey(ports)


def _declared(ports: Ports, schedules: object, context: LambdaContext | None) -> Declared | None:
    """Returns the schedules of a tick, by pool; `None` means that it says nothing about schedules."""
    if not isinstance(schedules, Mapping):
        return None
    text = json.dumps(schedules, sort_keys=True)

    def find(name: str, *, field: str, decorated: bool) -> str | None:
        return (find_job if decorated else find_name)(ports, name, field=field)

    def read(pool: str) -> dict[str, Definition]:
        from workpool_aws.api.declared import from_json, read_declared

        caller = read_caller(context)
        declared = map(from_json, schedules.get(pool, ()))
        return dict(read_declared(each, caller=caller, find=find) for each in declared)

    return Declared(
        digest=hashlib.sha256(text.encode()).hexdigest() if schedules else None,
        pools=tuple(pool for pool in schedules if POOL.fullmatch(pool)),
        owner=DEPLOYMENT_OWNER,
        read=read,
    )
