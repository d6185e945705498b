"""Defines the bounds of views and of acts of people, and of task pools. They are read as `limits.NAME`.

No step of the protocol depends on them.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ARGS_TEXT_MAX",
    "BULK_ACTS_AT_ONCE",
    "BULK_ACTS_KEPT",
    "BULK_FORM_MAX",
    "BULK_MAX",
    "BULK_PAGE",
    "DOCTOR_ROWS",
    "ERRORS_READ_MAX",
    "ERROR_MARKS_MAX",
    "FILTER_PAGES_MAX",
    "FINGERPRINT_CHARACTERS",
    "FORM_BYTES_MAX",
    "JOBS_RUNNING_READ_MAX",
    "LIST_MAX",
    "LIST_QUERY_MAX",
    "LIST_ROWS_MAX",
    "MARK_AUTHOR_MAX",
    "MATCHING_PAGES_MAX",
    "REDRIVE_CHUNK",
    "REPORT_RETENTION_S",
    "STATS_ROWS_MAX",
    "STATS_WINDOW_MS_MAX",
    "STATS_WINDOW_MS_MIN",
    "TALLY_JOBS_MAX",
    "TALLY_MS",
    "TASK_WORKERS_MAX",
    "WHY_ERROR_MAX",
    "WHY_HOLDERS_MAX",
    "WHY_WATCHDOG_LATE_MS",
]

# Seeing and managing.
TALLY_MS: Final = 60_000
"""Span that one report covers."""
TALLY_JOBS_MAX: Final = 16
"""Jobs that are counted apart in one minute, because each takes some 20 bytes of the ledger."""
REPORT_RETENTION_S: Final = 8 * 24 * 3600
STATS_WINDOW_MS_MIN: Final = 60_000
STATS_WINDOW_MS_MAX: Final = 7 * 24 * 3_600_000
JOBS_RUNNING_READ_MAX: Final = 1_000
"""Running work items that the statistics by job read: the ledger does not say which jobs they are."""
STATS_ROWS_MAX: Final = 1_000
"""Rows that are read to count due work items, and again to count later ones: above it the count is
a lower bound."""
LIST_MAX: Final = 1_000
"""Works on one page of a list."""
LIST_ROWS_MAX: Final = 2_000
"""Rows that are read for one page of a list."""
ARGS_TEXT_MAX: Final = 1_000
"""Characters of a text that is looked for in arguments."""
LIST_QUERY_MAX: Final = 100
REDRIVE_CHUNK: Final = 50
BULK_MAX: Final = 10_000
"""Work items that one act of the dashboard cancels or redrives."""
BULK_FORM_MAX: Final = 200
"""Work items that are chosen one by one for it."""
BULK_PAGE: Final = 25
"""Work items between two looks for an abort."""
BULK_ACTS_AT_ONCE: Final = 4
BULK_ACTS_KEPT: Final = 50
"""Bulk acts that a dashboard remembers."""
FORM_BYTES_MAX: Final = 64 * 1024
"""Bytes of a form that the dashboard takes, arguments of a new work item included."""
ERRORS_READ_MAX: Final = 2_000
"""Dead letters, the newest first, that are read to group them by their errors."""
ERROR_MARKS_MAX: Final = 100
"""Errors of a pool that are marked as resolved or ignored. A further mark drops the oldest one."""
MARK_AUTHOR_MAX: Final = 200
"""Characters of the caller's name in such a mark."""
FINGERPRINT_CHARACTERS: Final = 1_000
"""Characters of an error's text that decide about its group."""
MATCHING_PAGES_MAX: Final = 50
"""Pages with a filter that are read for an act on all that meet it."""
FILTER_PAGES_MAX: Final = 20
"""Pages that are read for one page of a list with a filter of its own, as by error."""
WHY_HOLDERS_MAX: Final = 20
"""Work items that hold the slots of a full pool, read for one answer of `why`."""
WHY_ERROR_MAX: Final = 200
"""Characters of an error's type, and of its text, in one of its sentences."""
DOCTOR_ROWS: Final = 50
"""Work items, the first due and the newest, by which `doctor` learns the functions of a pool."""
WHY_WATCHDOG_LATE_MS: Final = 3 * 60_000
"""Age of a lack of a loop from which the watchdog counts as missing: three ticks."""

# Task pools.
TASK_WORKERS_MAX: Final = 500
"""Threads of one task pool. A Lambda has 1,024 threads and file descriptors in all."""

assert STATS_WINDOW_MS_MAX // 1000 < REPORT_RETENTION_S, (
    "a report must outlive the window it is asked for in"
)
