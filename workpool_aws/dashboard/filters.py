"""Filters of lists, as addresses and forms of the dashboard spell them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, get_args

from workpool_aws.errors import UsageError
from workpool_aws.insights.answers import StateFilter, WorkFilter
from workpool_aws.insights.moments import moment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from workpool_aws.insights.answers import WorkRow

__all__ = ["FILTERS", "SORTS", "STATES", "filter_of", "sorted_rows"]

STATES: Final[tuple[StateFilter, ...]] = get_args(StateFilter)
FILTERS: Final = ("state", "fn", "error", "args", "since", "before", "group", "order")
"""Names of the filters in an address."""
SORTS: Final[Mapping[str, Callable[[WorkRow], str]]] = {
    "id": lambda row: row.work.work_id,
    "state": lambda row: row.work.outcome or row.work.state,
    "job": lambda row: row.work.job or row.work.target,
    "attempts": lambda row: f"{9_999_999 - row.work.previous_attempts:07}",
    "error": lambda row: f"{row.work.error_type or chr(126)} {row.work.error or ''}",
}
"""Orders of the rows of one page, by their names in an address."""
_NUMBER: Final = re.compile("[0-9]{1,6}")
_LIMIT_DEFAULT: Final = 50
_LIMIT_MAX: Final = 200


def filter_of(given: Mapping[str, str], now: datetime) -> WorkFilter:
    """Return the filter in a query or a form. Raises UsageError for a value that is none."""
    query = {key: value for key, value in given.items() if value}
    state, limit = query.get("state"), query.get("limit", str(_LIMIT_DEFAULT))
    if state is not None and state not in STATES:
        raise UsageError("state", state, f"one of {', '.join(STATES)}")
    if not _NUMBER.fullmatch(limit) or not 1 <= int(limit) <= _LIMIT_MAX:
        raise UsageError("limit", limit, f"a number from 1 to {_LIMIT_MAX}")
    return WorkFilter(
        state=next((known for known in STATES if known == state), None),
        fn=query.get("fn"),
        error=query.get("error"),
        args=query.get("args"),
        group=query.get("group"),
        since=moment_of("since", query["since"], now) if "since" in query else None,
        before=moment_of("before", query["before"], now) if "before" in query else None,
        order="oldest" if query.get("order") == "oldest" else "newest",
        limit=int(limit),
    )


def sorted_rows(rows: Sequence[WorkRow], sort: str | None) -> Sequence[WorkRow]:
    """Return the rows of a page in an order of their own; by default as they were read."""
    by = SORTS.get(sort or "")
    return rows if by is None else sorted(rows, key=by)
