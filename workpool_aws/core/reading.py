"""Decides how much a page of a read takes."""

from __future__ import annotations

from typing import Final

from workpool_aws.core import limits

__all__ = ["page_limit_after"]

_GROWTH: Final = 4


def page_limit_after(limit: int | None) -> int | None:
    """Returns the rows of the next page (`None` means as many as an answer holds).

    Pages grow, so that rows late in a range are reached in few of them.
    """
    if limit is None:
        return None
    return max(limit, min(_GROWTH * limit, limits.QUERY_LIMIT_MAX))
