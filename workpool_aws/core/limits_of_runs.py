"""Defines the bounds of runs of short work items in one invocation. They are read as `limits.NAME`."""

from __future__ import annotations

from typing import Final

__all__ = [
    "AHEAD_ALL_MS",
    "AHEAD_KEPT_MS",
    "RUN_EAGER_UNITS",
    "RUN_ENDS_FEW",
    "RUN_ENDS_SOON_MS",
    "RUN_END_POLL_MS",
    "RUN_FILLING_ROWS",
    "RUN_FRESH_MS",
    "RUN_LEARNED",
    "RUN_LIMIT_MAX",
    "RUN_MS",
    "RUN_NOTICE_MS",
    "RUN_OVERTIME",
    "RUN_PATIENCE_MS",
    "RUN_QUIET_MS",
    "RUN_ROWS_MAX",
    "RUN_SHORT_MS",
    "RUN_STARTS_MAX",
    "RUN_TIMEOUT_SHARE",
]

RUN_STARTS_MAX: Final = 25
RUN_SHORT_MS: Final = 500
"""Mean time of user code from which a job's work items are not put into runs."""
RUN_MS: Final = 2_500
"""Time that a run is to take: a cancel, a pause and other jobs wait for its slot as long."""
RUN_TIMEOUT_SHARE: Final = 10
"""A run takes at most this part of its function's timeout, so that each start has most of it."""
RUN_OVERTIME: Final = 1.5
"""An invocation begins no further start once its run has taken so many times its time."""
RUN_PATIENCE_MS: Final = 4_000
"""Time after which the loop takes back the starts that a run has not reached."""
RUN_NOTICE_MS: Final = 1_000
"""Age that an end may have before its run puts a notice."""
RUN_LEARNED: Final = 3
"""Ends of a job that the loop must have seen before it makes runs of it."""
RUN_QUIET_MS: Final = 60_000
"""After a run whose starts came back, so long no run of that job is made."""
RUN_LIMIT_MAX: Final = 200
"""Slots of a pool up to which it makes runs. Beyond, the partitions of the table bound it."""
RUN_FRESH_MS: Final = 2_000
"""Age of a start in a run up to which the cursor stays at it: its batch may be on its way."""
RUN_ROWS_MAX: Final = 600
"""Due work items that one pass reads for runs."""
RUN_EAGER_UNITS: Final = 2
"""Write units of a commit up to which a loop polls eagerly where slots turn over soon."""
RUN_FILLING_ROWS: Final = 250
"""Due work items that a pass reads at most to know whether all slots of a pool can be filled."""
RUN_ENDS_SOON_MS: Final = 250
"""Time before and after the expected end of a run in which a full pool reads ahead; for a short run, a
quarter of its time."""
RUN_END_POLL_MS: Final = 25
"""Interval of polls at that time, while few runs take all slots."""
RUN_ENDS_FEW: Final = 4
"""Runs in flight up to which their ends are foreseen one by one."""
AHEAD_KEPT_MS: Final = 500
"""Time for which a holder starts work items that it has read and not started, in pools without runs, too.
Within it, a full pool does not read ahead again."""
AHEAD_ALL_MS: Final = 100
"""Time for which the due work items of a read that met their end count as all there are."""
