"""Mutants of `expires_after`: no start follows it, and no expired work item is passed by."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.simulation.mutation import one_edit

__all__ = ["EXPIRY_GUARDS"]

EXPIRY_GUARDS: Final = (
    one_edit(
        "classify: expired",
        "WP-25",
        "core.loop.classify:classify",
        "Look.EXPIRED if has_expired(work, now) else Look.DUE",
        "Look.DUE",
    ),
    one_edit(
        "expired: the cursor waits for it",
        "WP-3",
        "core.loop.choose:WorkRead.blocked_at",
        "(*self.bulk_canceled, *self.expired)",
        "self.bulk_canceled",
    ),
    one_edit(
        "expired: not started by a slow pass",
        "WP-25",
        "flow.loop.start:begin",
        " and has_expired(work, ports.clock.now())",
        " and False",
    ),
    one_edit(
        "expired: a start that may have landed is looked at",
        "WP-23",
        "flow.loop.start:begin",
        "work.state is State.PENDING and ",
        "",
    ),
    one_edit(
        "expired: not begun by its worker",
        "WP-25",
        "core.loop.start:_start_by",
        "min(start_by, work.start_before)",
        "start_by",
    ),
    one_edit(
        "expired: no retry is waited for",
        "WP-25",
        "core.report.complete:decide_report",
        " and may_start_at(a.stored, EpochMs(now + delay_ms))",
        "",
    ),
    replace(
        one_edit(
            "expired: found by the hourly look",
            "WP-21",
            "flow.watchdog.audit:_Audit._due_in",
            "{Look.DUE, Look.EXPIRED}",
            "{Look.DUE}",
        ),
        cases=(
            "tests/integration/test_auditing.py::test_hourly_look_finds_work_whose_time_to_start_is_over",
        ),
    ),
)
