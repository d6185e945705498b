"""The pace of EventBridge Scheduler.

MiniStack looks every ten seconds, and never fires a name again that has fired once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import scheduler

STOCK_TICK_S = 10


def mend(*, tick_s: float) -> None:
    """Look every `tick_s` seconds, and take a schedule that was written again for a new one."""
    assert scheduler._SCHEDULE_TICK_INTERVAL == STOCK_TICK_S
    assert isinstance(scheduler._schedule_last_fired, dict)
    scheduler._SCHEDULE_TICK_INTERVAL = tick_s
    for name in ("_create_schedule", "_update_schedule", "_delete_schedule"):
        setattr(scheduler, name, _forgetting(getattr(scheduler, name)))


def _forgetting(original: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def wrapped(name: str, fields: Mapping[str, Any] | None) -> Any:
        # A body says GroupName, a query string groupName.
        group = (fields or {}).get("GroupName") or (fields or {}).get("groupName") or "default"
        scheduler._schedule_last_fired.pop(
            (scheduler.get_account_id(), scheduler.get_region(), f"{group}/{name}"), None
        )
        return original(name, fields)

    return wrapped
