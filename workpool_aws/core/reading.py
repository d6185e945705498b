"""Decides how much a page of a read takes."""

from __future__ import annotations

from workpool_aws.core import limits

__all__ = ["page_limit_after"]


def page_limit_after(limit: int | None) -> int | None:
    """Returns the rows of the next page (`None` means as many as an answer holds).

    Pages grow, so that rows late in a range are reached in few of them.
    """
    return None if limit is None else max(limit, min(2 * limit, limits.QUERY_LIMIT_MAX))
