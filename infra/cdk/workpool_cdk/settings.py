"""Names of the variables that a deployment sets for the library. No other module spells them."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ACKNOWLEDGING",
    "COMPLETION_ARN",
    "DECORATED",
    "JOBS",
    "LEAN_CALLS",
    "LOG_LEVEL",
    "LOOP_ARN",
    "METRICS",
    "POOLS",
    "SCHEDULER_ROLE_ARN",
    "SCHEDULE_GROUP",
    "SERVES",
    "TABLE",
]

TABLE: Final = "WORKPOOL_TABLE"
LOOP_ARN: Final = "WORKPOOL_LOOP_ARN"
COMPLETION_ARN: Final = "WORKPOOL_COMPLETION_ARN"
SCHEDULE_GROUP: Final = "WORKPOOL_SCHEDULE_GROUP"
SCHEDULER_ROLE_ARN: Final = "WORKPOOL_SCHEDULER_ROLE_ARN"
POOLS: Final = "WORKPOOL_POOLS"
JOBS: Final = "WORKPOOL_JOBS"
ACKNOWLEDGING: Final = "WORKPOOL_ACKNOWLEDGING"
LOG_LEVEL: Final = "WORKPOOL_LOG_LEVEL"
METRICS: Final = "WORKPOOL_METRICS"
LEAN_CALLS: Final = "WORKPOOL_LEAN_CALLS"
DECORATED: Final = "WORKPOOL_DECORATED"
"""Of users' functions: says that the handler claims its starts and reports by itself. Its one value
is "1"."""
SERVES: Final = "WORKPOOL_SERVES"
"""Of users' functions: the pools that may run it, separated by commas. Empty or unset means any
pool that may invoke it."""
