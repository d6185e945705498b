"""Checks the options of a pool."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final, Literal, TypedDict, get_args

from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.model.names import POOL, TABLE
from workpool_aws.model.rate import RateLimit
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.values import dataclass

__all__ = [
    "LogLevel",
    "PoolOptions",
    "WorkpoolOptions",
    "read_log_level",
    "read_parallelism",
    "read_pool_options",
    "read_rate_limit",
]

_SECOND: Final = timedelta(seconds=1)
_RETENTION_MAX: Final = timedelta(seconds=limits.RETENTION_S_MAX)

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class WorkpoolOptions(TypedDict, total=False):
    """The options of `Workpool` beside its table, name and session, for wrappers of it."""

    max_parallelism: int
    rate_limit: RateLimit | None
    default_retry: RetryPolicy
    retry_actions_by_default: bool
    status_ttl: timedelta | None
    quick_start: bool
    log_level: LogLevel | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """The checked options of a pool's constructor."""

    table: str
    name: str
    max_parallelism: int
    rate_limit: RateLimit | None
    default_retry: RetryPolicy
    retry_actions_by_default: bool
    retention_s: int | None
    """Seconds for which a finished work item is kept; `None` means for ever."""
    quick_start: bool


def read_pool_options(
    *,
    table: object,
    name: object,
    max_parallelism: object,
    rate_limit: object,
    default_retry: object,
    retry_actions_by_default: object,
    status_ttl: object,
    quick_start: object,
) -> PoolOptions:
    """Return the options of a pool. Raises UsageError for a value that is not allowed."""
    if not isinstance(table, str) or not TABLE.fullmatch(table):
        allowed = "the name of a DynamoDB table: a str of letters, digits, '_', '-' and '.'"
        raise UsageError("table", table, allowed)
    if not isinstance(name, str) or not POOL.fullmatch(name):
        longest = limits.POOL_NAME_LENGTH_MAX
        raise UsageError("name", name, f"a str of 1 to {longest} letters, digits, '_' and '-'")
    if not isinstance(default_retry, RetryPolicy):
        raise UsageError("default_retry", default_retry, "a RetryPolicy")
    if not isinstance(retry_actions_by_default, bool):
        raise UsageError("retry_actions_by_default", retry_actions_by_default, "True or False")
    if not isinstance(quick_start, bool):
        raise UsageError("quick_start", quick_start, "True or False")
    retention_s = None
    if status_ttl is not None:
        if not isinstance(status_ttl, timedelta) or not timedelta(0) < status_ttl <= _RETENTION_MAX:
            allowed = f"a timedelta above 0, at most {_RETENTION_MAX.days} days, or None (for ever)"
            raise UsageError("status_ttl", status_ttl, allowed)
        retention_s = -(-status_ttl // _SECOND)
    return PoolOptions(
        table=table,
        name=name,
        max_parallelism=read_parallelism(max_parallelism),
        rate_limit=read_rate_limit(rate_limit),
        default_retry=default_retry,
        retry_actions_by_default=retry_actions_by_default,
        retention_s=retention_s,
        quick_start=quick_start,
    )


def read_log_level(level: object) -> int | None:
    """Return the level by the logging module; `None` stays `None`.

    Raises UsageError for a name that is none.
    """
    names = get_args(LogLevel)
    if level is not None and level not in names:
        raise UsageError("log_level", level, f"None or one of {', '.join(names)}")
    return None if level is None else logging.getLevelNamesMapping()[str(level)]


def read_parallelism(value: object) -> int:
    """Return a number of slots; 0 pauses. Raises UsageError for one not from 0 to 10,000."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not 0 <= value <= limits.PARALLELISM_MAX
    ):
        raise UsageError("max_parallelism", value, f"an int from 0 to {limits.PARALLELISM_MAX}")
    return value


def read_rate_limit(value: object) -> RateLimit | None:
    """Return a rate limit; `None` stays `None`. Raises UsageError for anything else."""
    if value is not None and not isinstance(value, RateLimit):
        raise UsageError("rate_limit", value, "a RateLimit, or None (no rate limit)")
    return value
