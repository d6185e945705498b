"""Owns what the environment says: the only reader of environment variables."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from workpool_aws.core import limits
from workpool_aws.errors import UsageError

__all__ = ["Settings", "read_settings"]

_LEVELS: Final[Mapping[str, int]] = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}
_FLAGS: Final[Mapping[str, bool]] = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
_FUNCTION_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,140}(:(\$LATEST|[A-Za-z0-9_-]{1,128}))?"
)
_ROLE_ARN: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
_GROUP: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}")
_TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}|arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table/[A-Za-z0-9_.-]{3,255}")
_POOL: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{limits.POOL_NAME_LENGTH_MAX}}}")
_REGION: Final = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The environment at the moment of reading. None: the variable is not set, or empty.

    `trace_id` changes with every invocation of a Lambda: read the settings anew for it.
    """

    loop_arn: str | None = None
    """WORKPOOL_LOOP_ARN"""
    completion_arn: str | None = None
    """WORKPOOL_COMPLETION_ARN"""
    schedule_group: str | None = None
    """WORKPOOL_SCHEDULE_GROUP"""
    scheduler_role_arn: str | None = None
    """WORKPOOL_SCHEDULER_ROLE_ARN: what EventBridge Scheduler acts as when it invokes the loop."""
    limits: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """WORKPOOL_LIMITS: what the deployment says of pools' `max_parallelism`, as a JSON object; of other pools it says nothing."""
    metrics: Literal["table", "pools"] | None = None
    """WORKPOOL_METRICS: what loop and watchdog write metrics about, docs/events.md; None: nothing."""
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
    """The settings of an environment; None: of this process, as it is now.

    Raises:
        UsageError: a variable has a value that cannot be meant. Its name is the error's field.
    """
    env = os.environ if environ is None else environ
    return Settings(
        loop_arn=_matching(env, "WORKPOOL_LOOP_ARN", _FUNCTION_ARN, "the ARN of a Lambda function, version or alias"),
        completion_arn=_matching(env, "WORKPOOL_COMPLETION_ARN", _FUNCTION_ARN, "the ARN of a Lambda function, version or alias"),
        schedule_group=_matching(env, "WORKPOOL_SCHEDULE_GROUP", _GROUP, "the name of a schedule group: 1 to 64 of A-Z a-z 0-9 _ . -"),
        scheduler_role_arn=_matching(env, "WORKPOOL_SCHEDULER_ROLE_ARN", _ROLE_ARN, "the ARN of an IAM role"),
        limits=_limits(env),
        metrics=_metrics(env),
        log_level=_log_level(env),
        region=_matching(env, "AWS_REGION", _REGION, "the name of a region")
        or _matching(env, "AWS_DEFAULT_REGION", _REGION, "the name of a region"),
        function_name=env.get("AWS_LAMBDA_FUNCTION_NAME") or None,
        trace_id=env.get("_X_AMZN_TRACE_ID") or None,
        table=_matching(env, "WORKPOOL_TABLE", _TABLE, "the name or ARN of a DynamoDB table"),
        pool=_matching(env, "WORKPOOL_POOL", _POOL, f"a pool's name: 1 to {limits.POOL_NAME_LENGTH_MAX} of A-Z a-z 0-9 _ -"),
        json=_flag(env, "WORKPOOL_JSON"),
    )


def _matching(environ: Mapping[str, str], name: str, pattern: re.Pattern[str], allowed: str) -> str | None:
    value = environ.get(name)
    if not value:
        return None
    if pattern.fullmatch(value) is None:
        raise UsageError(name, value, f"it must be {allowed}")
    return value


def _flag(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").lower()
    if value not in _FLAGS:
        raise UsageError(name, value, f"it must be one of {', '.join(word for word in _FLAGS if word)}, or empty")
    return _FLAGS[value]


def _metrics(environ: Mapping[str, str]) -> Literal["table", "pools"] | None:
    value = environ.get("WORKPOOL_METRICS")
    match value:
        case None | "":
            return None
        case "table" | "pools":
            return value
        case _:
            raise UsageError("WORKPOOL_METRICS", value, "it must be 'table' or 'pools'")


def _limits(environ: Mapping[str, str]) -> Mapping[str, int]:
    value = environ.get("WORKPOOL_LIMITS")
    if not value:
        return MappingProxyType({})
    try:
        said = json.loads(value)
    except ValueError:
        said = None
    if not isinstance(said, dict) or not all(_POOL.fullmatch(pool) and _is_limit(limit) for pool, limit in said.items()):
        allowed = f"it must be a JSON object with an int from 0 to {limits.PARALLELISM_MAX} for each pool"
        raise UsageError("WORKPOOL_LIMITS", value, allowed)
    return MappingProxyType({str(pool): int(limit) for pool, limit in said.items()})


def _is_limit(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limits.PARALLELISM_MAX


def _log_level(environ: Mapping[str, str]) -> int:
    value = environ.get("WORKPOOL_LOG_LEVEL")
    if not value:
        return logging.WARNING
    level = _LEVELS.get(value.upper())
    if level is None:
        raise UsageError("WORKPOOL_LOG_LEVEL", value, f"it must be one of {', '.join(_LEVELS)}")
    return level
