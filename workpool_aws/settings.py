"""Settings from the environment. No other module reads environment variables."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.model.names import FUNCTION_ARN, FUNCTION_NAME, POOL, POOL_LENGTH_MAX, ROLE_ARN, SCHEDULE_GROUP, TABLE

__all__ = ["DECORATED", "SERVES", "Settings", "pools_served", "read_settings", "refuse_other_pools"]

DECORATED: Final = "WORKPOOL_DECORATED"
"""The variable that a deployment sets to "1" for a function with a decorated handler. Others read it through Lambda."""

SERVES: Final = "WORKPOOL_SERVES"
"""The variable with the pools that may run a function, separated by commas. The function reads it, and the loop through Lambda."""

_LEVELS: Final[Mapping[str, int]] = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}
_FLAGS: Final[Mapping[str, bool]] = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
_POOLS_SHAPE: Final = 'a JSON object of pools: {"email": {"max_parallelism": 10}}'
_REGION: Final = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The environment at the moment of reading. `None` means that the variable is not set, or empty.

    `trace_id` changes with every invocation of a Lambda, so it needs a fresh reading.
    """

    loop_arn: str | None = None
    """WORKPOOL_LOOP_ARN"""
    completion_arn: str | None = None
    """WORKPOOL_COMPLETION_ARN"""
    schedule_group: str | None = None
    """WORKPOOL_SCHEDULE_GROUP"""
    scheduler_role_arn: str | None = None
    """WORKPOOL_SCHEDULER_ROLE_ARN: the role in which EventBridge Scheduler invokes the loop."""
    acknowledging: tuple[str, ...] = ()
    """WORKPOOL_ACKNOWLEDGING, for the watchdog: functions, by name or ARN, whose handlers acknowledge callbacks."""
    pools: tuple[tuple[str, int], ...] = ()
    """WORKPOOL_POOLS, for the watchdog: pools, and the `max_parallelism` that the deployment gives each."""
    serves: frozenset[str] | None = None
    """WORKPOOL_SERVES, for workers: the pools whose work items this function runs. `None` means any pool's."""
    metrics: Literal["table", "pools"] | None = None
    """WORKPOOL_METRICS: the subject of the metrics that loop and watchdog write (docs/events.md). `None` means no metrics."""
    log_level: int = logging.WARNING
    """WORKPOOL_LOG_LEVEL, as a number of the logging module."""
    region: str | None = None
    """AWS_REGION, else AWS_DEFAULT_REGION."""
    function_name: str | None = None
    """AWS_LAMBDA_FUNCTION_NAME; None outside Lambda."""
    trace_id: str | None = None
    """_X_AMZN_TRACE_ID"""
    table: str | None = None
    """WORKPOOL_TABLE, for the command line."""
    pool: str | None = None
    """WORKPOOL_POOL, for the command line."""
    json: bool = False
    """WORKPOOL_JSON, for the command line: 1, true or yes."""


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of an environment. Defaults to that of this process, as it is now.

    Raises:
        UsageError: A variable has a value that is not allowed. Its name is the error's field.
    """
    env = os.environ if environ is None else environ
    return Settings(
        loop_arn=_matching(env, "WORKPOOL_LOOP_ARN", FUNCTION_ARN, "the ARN of a Lambda function, version or alias"),
        completion_arn=_matching(env, "WORKPOOL_COMPLETION_ARN", FUNCTION_ARN, "the ARN of a Lambda function, version or alias"),
        schedule_group=_matching(
            env, "WORKPOOL_SCHEDULE_GROUP", SCHEDULE_GROUP, "the name of a schedule group: 1 to 64 of A-Z a-z 0-9 _ . -"
        ),
        scheduler_role_arn=_matching(env, "WORKPOOL_SCHEDULER_ROLE_ARN", ROLE_ARN, "the ARN of an IAM role"),
        acknowledging=_functions(env, "WORKPOOL_ACKNOWLEDGING"),
        pools=_pools(env, "WORKPOOL_POOLS"),
        serves=pools_served(env.get(SERVES)),
        metrics=_metrics(env),
        log_level=_log_level(env),
        region=_matching(env, "AWS_REGION", _REGION, "the name of a region")
        or _matching(env, "AWS_DEFAULT_REGION", _REGION, "the name of a region"),
        function_name=env.get("AWS_LAMBDA_FUNCTION_NAME") or None,
        trace_id=env.get("_X_AMZN_TRACE_ID") or None,
        table=_matching(env, "WORKPOOL_TABLE", TABLE, "the name of a DynamoDB table"),
        pool=_matching(env, "WORKPOOL_POOL", POOL, f"a pool's name: 1 to {POOL_LENGTH_MAX} of A-Z a-z 0-9 _ -"),
        json=_flag(env, "WORKPOOL_JSON"),
    )


def pools_served(text: object) -> frozenset[str] | None:
    """The pools that a value of WORKPOOL_SERVES names. `None` means any pool, for a variable that is not set, or empty.

    Never raises: a misspelled name matches no pool, so the function serves fewer pools, not more.
    """
    if not isinstance(text, str) or not text.strip():
        return None
    return frozenset(name.strip() for name in text.split(","))


def refuse_other_pools(field: str, pool: str) -> None:
    """Raise UsageError for a pool that this function's deployment does not name.

    The loop has checked this before it sent the event, but the event may come from elsewhere.
    """
    serves = read_settings().serves
    if serves is not None and pool not in serves:
        raise UsageError(field, pool, f"a pool in {SERVES}, which says whose work items and callbacks this function runs")


def _matching(environ: Mapping[str, str], name: str, pattern: re.Pattern[str], allowed: str) -> str | None:
    value = environ.get(name)
    if not value:
        return None
    if pattern.fullmatch(value) is None:
        raise UsageError(name, value, allowed)
    return value


def _functions(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    listed = [text.strip() for text in environ.get(name, "").split(",")]
    for text in filter(None, listed):
        if FUNCTION_ARN.fullmatch(text) is None and FUNCTION_NAME.fullmatch(text) is None:
            raise UsageError(name, text, "names or ARNs of Lambda functions, separated by commas")
    return tuple(sorted({text for text in listed if text}))


def _pools(environ: Mapping[str, str], name: str) -> tuple[tuple[str, int], ...]:
    value = environ.get(name)
    if not value:
        return ()
    try:
        pools: object = json.loads(value)
    except ValueError:
        pools = None
    if not isinstance(pools, dict):
        raise UsageError(name, value, _POOLS_SHAPE)
    limits_given = ((pool, _limit_in(name, pool, options)) for pool, options in pools.items())
    return tuple(sorted((pool, limit) for pool, limit in limits_given if limit is not None))


def _limit_in(name: str, pool: str, options: object) -> int | None:
    """The limit in a pool's entry. `None` means that it has none."""
    if POOL.fullmatch(pool) is None or not isinstance(options, dict) or options.keys() - {"max_parallelism"}:
        raise UsageError(name, {pool: options}, _POOLS_SHAPE)
    limit = options.get("max_parallelism")
    if "max_parallelism" not in options:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 <= limit <= limits.PARALLELISM_MAX:
        raise UsageError(name, {pool: options}, f"a JSON object of pools with an int from 0 to {limits.PARALLELISM_MAX} as max_parallelism")
    return limit


def _flag(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").lower()
    if value not in _FLAGS:
        raise UsageError(name, value, f"one of {', '.join(word for word in _FLAGS if word)}, or empty")
    return _FLAGS[value]


def _metrics(environ: Mapping[str, str]) -> Literal["table", "pools"] | None:
    value = environ.get("WORKPOOL_METRICS")
    match value:
        case None | "":
            return None
        case "table" | "pools":
            return value
        case _:
            raise UsageError("WORKPOOL_METRICS", value, "'table' or 'pools'")


def _log_level(environ: Mapping[str, str]) -> int:
    value = environ.get("WORKPOOL_LOG_LEVEL")
    if not value:
        return logging.WARNING
    level = _LEVELS.get(value.upper())
    if level is None:
        raise UsageError("WORKPOOL_LOG_LEVEL", value, f"one of {', '.join(_LEVELS)}")
    return level
