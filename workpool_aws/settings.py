"""Settings from the environment. No other module reads environment variables."""

from __future__ import annotations

import json
import logging
import os
import re
from typing import TYPE_CHECKING, Final, Literal

from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.model.names import (
    FUNCTION_ARN,
    FUNCTION_NAME,
    JOB,
    POOL,
    POOL_LENGTH_MAX,
    ROLE_ARN,
    SCHEDULE_GROUP,
    TABLE,
)
from workpool_aws.model.rate import RateLimit
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DECORATED", "SERVES", "Settings", "pools_served", "read_settings", "refuse_other_pools"]

DECORATED: Final = "WORKPOOL_DECORATED"
"""The variable that a deployment sets to "1" for a function with a decorated handler. Others read
it through Lambda."""

SERVES: Final = "WORKPOOL_SERVES"
"""The variable with the pools that may run a function, separated by commas. The function reads it,
and the loop through Lambda."""

_LEVELS: Final[Mapping[str, int]] = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}
_FLAGS: Final[Mapping[str, bool]] = {
    "": False,
    "0": False,
    "false": False,
    "no": False,
    "1": True,
    "true": True,
    "yes": True,
}
_JOBS_SHAPE: Final = (
    "jobs and the names or ARNs of their functions: send_email=mailer,crawl=crawler"
)
_POOLS_SHAPE: Final = 'a JSON object of pools: {"email": {"max_parallelism": 10}}'
_Terms = tuple[str, int | None, RateLimit | None]
"""A pool with the limits that its deployment gives it."""
_REGION: Final = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The environment at the moment of reading.

    `None` means that the variable is not set, or empty.

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
    """WORKPOOL_ACKNOWLEDGING, for the watchdog: functions, by name or ARN, whose handlers
    acknowledge callbacks."""
    jobs: tuple[tuple[str, str], ...] = ()
    """WORKPOOL_JOBS, for the watchdog: jobs, and the function of each, by name or ARN."""
    pools: tuple[tuple[str, int], ...] = ()
    """WORKPOOL_POOLS, for the watchdog: pools, and the `max_parallelism` that the deployment gives
    each."""
    rates: tuple[tuple[str, RateLimit], ...] = ()
    """WORKPOOL_POOLS, for the watchdog: pools, and the `rate_limit` that the deployment gives
    each."""
    serves: frozenset[str] | None = None
    """WORKPOOL_SERVES, for workers: the pools whose work items this function runs. `None` means any
    pool's."""
    metrics: Literal["table", "pools"] | None = None
    """WORKPOOL_METRICS: the subject of the metrics that loop and watchdog write (docs/events.md).
    `None` means no metrics."""
    lean_calls: bool = False
    """WORKPOOL_LEAN_CALLS: 1, true or yes. The library's frequent requests go past most of botocore's
    Python (`adapters/aws/lean.py`)."""
    tracing: bool = False
    """WORKPOOL_TRACING: 1, true or yes. Steps of work items are spans of OpenTelemetry."""
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
    """Return the settings of an environment. Defaults to that of this process, as it is now.

    Raises:
        UsageError: A variable has a value that is not allowed. Its name is the error's field.
    """
    env = _Variables(os.environ if environ is None else environ)
    function = "the ARN of a Lambda function, version or alias"
    group = "the name of a schedule group: 1 to 64 of A-Z a-z 0-9 _ . -"
    region = "the name of a region"
    pools = env.pools("WORKPOOL_POOLS")
    return Settings(
        loop_arn=env.matching("WORKPOOL_LOOP_ARN", FUNCTION_ARN, function),
        completion_arn=env.matching("WORKPOOL_COMPLETION_ARN", FUNCTION_ARN, function),
        schedule_group=env.matching("WORKPOOL_SCHEDULE_GROUP", SCHEDULE_GROUP, group),
        scheduler_role_arn=env.matching(
            "WORKPOOL_SCHEDULER_ROLE_ARN", ROLE_ARN, "the ARN of an IAM role"
        ),
        acknowledging=env.functions("WORKPOOL_ACKNOWLEDGING"),
        jobs=env.jobs("WORKPOOL_JOBS"),
        pools=tuple((pool, limit) for pool, limit, _ in pools if limit is not None),
        rates=tuple((pool, rate) for pool, _, rate in pools if rate is not None),
        serves=pools_served(env.text(SERVES)),
        metrics=env.metrics("WORKPOOL_METRICS"),
        lean_calls=env.flag("WORKPOOL_LEAN_CALLS"),
        tracing=env.flag("WORKPOOL_TRACING"),
        log_level=env.log_level("WORKPOOL_LOG_LEVEL"),
        region=env.matching("AWS_REGION", _REGION, region)
        or env.matching("AWS_DEFAULT_REGION", _REGION, region),
        function_name=env.text("AWS_LAMBDA_FUNCTION_NAME"),
        trace_id=env.text("_X_AMZN_TRACE_ID"),
        table=env.matching("WORKPOOL_TABLE", TABLE, "the name of a DynamoDB table"),
        pool=env.matching(
            "WORKPOOL_POOL", POOL, f"a pool's name: 1 to {POOL_LENGTH_MAX} of A-Z a-z 0-9 _ -"
        ),
        json=env.flag("WORKPOOL_JSON"),
    )


def pools_served(text: object) -> frozenset[str] | None:
    """Return the pools that a value of WORKPOOL_SERVES names.

    `None` means any pool, for a variable that is not set, or empty.

    Never raises: a misspelled name matches no pool, so the function serves fewer pools, not more.
    """
    if not isinstance(text, str) or not text.strip():
        return None
    return frozenset(name.strip() for name in text.split(","))


def takes_runs() -> bool:
    """True unless WORKPOOL_RUNS says that this function takes one work item an invocation.

    Never raises: any other value than 0, false or no means that it takes runs.
    """
    return os.environ.get("WORKPOOL_RUNS", "").strip().lower() not in {"0", "false", "no"}


def refuse_other_pools(field: str, pool: str) -> None:
    """Raise UsageError for a pool that this function's deployment does not name.

    The loop has checked this before it sent the event, but the event may come from elsewhere.
    """
    serves = read_settings().serves
    if serves is not None and pool not in serves:
        raise UsageError(
            field,
            pool,
            f"a pool in {SERVES}, which says whose work items and callbacks this function runs",
        )


class _Variables:
    """Reads environment variables by kind.

    An empty one counts as not set. Raises UsageError for a bad value.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str | None:
        return self._environ.get(name) or None

    def matching(self, name: str, pattern: re.Pattern[str], allowed: str) -> str | None:
        value = self.text(name)
        if value is not None and pattern.fullmatch(value) is None:
            raise UsageError(name, value, allowed)
        return value

    def functions(self, name: str) -> tuple[str, ...]:
        listed = {text.strip() for text in (self.text(name) or "").split(",")} - {""}
        for text in sorted(listed):
            if FUNCTION_ARN.fullmatch(text) is None and FUNCTION_NAME.fullmatch(text) is None:
                raise UsageError(
                    name, text, "names or ARNs of Lambda functions, separated by commas"
                )
        return tuple(sorted(listed))

    def jobs(self, name: str) -> tuple[tuple[str, str], ...]:
        named: dict[str, str] = {}
        for text in (self.text(name) or "").split(","):
            job, _, function = (part.strip() for part in text.partition("="))
            if not job and not function:
                continue
            known = FUNCTION_ARN.fullmatch(function) or FUNCTION_NAME.fullmatch(function)
            if JOB.fullmatch(job) is None or known is None:
                raise UsageError(name, text, _JOBS_SHAPE)
            if named.setdefault(job, function) != function:
                raise UsageError(name, text, f"one function for the job {job}")
        return tuple(sorted(named.items()))

    def pools(self, name: str) -> tuple[_Terms, ...]:
        value = self.text(name)
        if value is None:
            return ()
        try:
            pools: object = json.loads(value)
        except ValueError:
            pools = None
        if not isinstance(pools, dict):
            raise UsageError(name, value, _POOLS_SHAPE)
        return tuple(self.pool_terms(name, pool, pools[pool]) for pool in sorted(pools))

    @staticmethod
    def pool_terms(name: str, pool: str, options: object) -> _Terms:
        """Return the limits of one pool. Raises UsageError."""
        if (
            POOL.fullmatch(pool) is None
            or not isinstance(options, dict)
            or options.keys() - {"max_parallelism", "rate_limit"}
        ):
            raise UsageError(name, {pool: options}, _POOLS_SHAPE)
        limit, rate = options.get("max_parallelism"), options.get("rate_limit")
        if "max_parallelism" in options and (
            isinstance(limit, bool)
            or not isinstance(limit, int)
            or not 0 <= limit <= limits.PARALLELISM_MAX
        ):
            raise UsageError(
                name,
                {pool: options},
                "a JSON object of pools "
                f"with an int from 0 to {limits.PARALLELISM_MAX} as max_parallelism",
            )
        if "rate_limit" not in options:
            return pool, limit, None
        try:
            return pool, limit, RateLimit.parse(rate)
        except UsageError as error:
            allowed = "a JSON object of pools with a rate limit such as 100/1m as rate_limit"
            raise UsageError(name, {pool: options}, f"{allowed} ({error})") from None

    def flag(self, name: str) -> bool:
        value = (self.text(name) or "").lower()
        if value not in _FLAGS:
            raise UsageError(
                name, value, f"one of {', '.join(word for word in _FLAGS if word)}, or empty"
            )
        return _FLAGS[value]

    def metrics(self, name: str) -> Literal["table", "pools"] | None:
        value = self.text(name)
        match value:
            case None | "table" | "pools":
                return value
            case _:
                raise UsageError(name, value, "'table' or 'pools'")

    def log_level(self, name: str) -> int:
        value = self.text(name)
        if value is None:
            return logging.WARNING
        level = _LEVELS.get(value.upper())
        if level is None:
            raise UsageError(name, value, f"one of {', '.join(_LEVELS)}")
        return level
