"""Deployment of a cloud beside the user's functions: loop, completion and watchdog, and the watchdog's schedule."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.flow.watchdog.deployment import would_record
from workpool_aws.flow.watchdog.watch import would_act
from workpool_aws.local.services.functions import (
    COMPLETION_NAME,
    EVENT_AGE_MS_MAX,
    LOOP_NAME,
    WATCHDOG_NAME,
    Function,
    Handler,
    function_arn,
)
from workpool_aws.local.services.schedules import WATCHDOG_MS, WatchdogMinute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.local.services.platform import Engine, Platform
    from workpool_aws.model.events import Event
    from workpool_aws.ports import Ports

__all__ = ["deploy", "start_watchdog"]

_OWN: Final = (
    (LOOP_NAME, "workpool_aws.handlers.main_loop", limits.TIMEOUT_MS_MAX, 0),
    (COMPLETION_NAME, "workpool_aws.handlers.completion", 60_000, 2),
    (WATCHDOG_NAME, "workpool_aws.handlers.watchdog", 60_000, 0),
)
"""Name, module of the handler, timeout in milliseconds, Lambda's retries."""


def deploy(platform: Platform) -> None:
    """Add the package's own functions."""
    for name, module, timeout_ms, retries in _OWN:
        # By name, as Lambda loads a handler.
        handler: Handler = import_module(module).handler
        age_ms = EVENT_AGE_MS_MAX
        platform.functions.add(
            Function(
                name=name,
                handler=handler,
                timeout_ms=timeout_ms,
                event_age_ms=age_ms,
                retries=retries,
                decorated=True,
                own=True,
            )
        )


def start_watchdog(
    platform: Platform, engine: Engine, tables: Mapping[str, Ports], *, real: bool
) -> None:
    """Have the watchdog look at every table each minute from now on.

    On the virtual clock it does not where it would find nothing.
    """
    unheard = _Unheard()

    def tick(table: str) -> None:
        if platform.faults.tick_comes():
            event = {"workpool_watchdog": {"table": table}}
            platform.send(function_arn(WATCHDOG_NAME), json.dumps(event))

    minute = WatchdogMinute(
        platform.kernel,
        tables=lambda: tuple(tables),
        # Only what its ports name as deployed. Otherwise it would be asked to tick each minute for
        # what it would not do.
        would_act=lambda table, at: (
            would_record(engine.quiet(table), tables[table].deployed, at)
            or would_act(engine.quiet(table), unheard, at)
        ),
        tick=tick,
    )
    platform.kernel.watch_jumps(minute.await_tick if real else minute.skip, WATCHDOG_MS)
    if real:
        minute.start()


class _Unheard:
    """Telemetry of a rehearsal, which leaves no trace."""

    def emit(self, event: Event) -> None:
        """Drop it."""
