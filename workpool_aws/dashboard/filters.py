"""Filters of lists, as addresses and forms of the dashboard spell them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, get_args

from workpool_aws.errors import UsageError
from workpool_aws.insights.answers import StateFilter, WorkFilter

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FILTERS", "STATES", "filter_of"]

STATES: Final[tuple[StateFilter, ...]] = get_args(StateFilter)
FILTERS: Final = ("state", "fn", "error", "order")
"""Names of the filters in an address."""
_NUMBER: Final = re.compile("[0-9]{1,6}")
_LIMIT_DEFAULT: Final = 50
_LIMIT_MAX: Final = 200


def filter_of(given: Mapping[str, str]) -> WorkFilter:
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
        order="oldest" if query.get("order") == "oldest" else "newest",
        limit=int(limit),
    )
