"""Reads and checks the options of pools, before any resource is made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aws_cdk import Token

from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.model.names import JOB
from workpool_aws.model.rate import RateLimit
from workpool_cdk.checks import whole_within
from workpool_cdk.errors import ConfigurationError, must_be

__all__ = ["Named", "PoolLimits", "pools_to_json", "read_job", "read_jobs", "read_pools"]

PoolTerms = Mapping[str, int | str]
"""The limits that a deployment gives a pool: its `max_parallelism`, and its `rate_limit` as text.
One that is left out is the programs' to set."""
PoolLimits = Mapping[str, PoolTerms]

_NAME: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{limits.POOL_NAME_LENGTH_MAX}}}")
_EXAMPLE: Final = '{"email": {"max_parallelism": 10}}'
_KNOWN: Final = frozenset({"max_parallelism", "rate_limit", "schedules"})
_ENVIRONMENT_BYTES_MAX: Final = 3_400
"""Room of pools and acknowledging functions together. Lambda allows 4 KB of variables in all, and
the rest is for names and ARNs."""
_FUNCTION_NAME_BYTES_MAX: Final = 64
"""For a name that CloudFormation makes up when it deploys."""


def read_pools(pools: object) -> PoolLimits:
    """Returns the limits of each pool.

    Raises:
        ConfigurationError: There is no pool, a name that pools cannot have, an unknown option, or
            a limit out of bounds.
    """
    if not isinstance(pools, Mapping) or not pools:
        raise must_be(
            "pools",
            f"a mapping of at least one pool's name to its options, as in {_EXAMPLE}",
            pools,
        )
    read = {_read_name(name): _read_limit(name, options) for name, options in pools.items()}
    if len(pools_to_json(read)) > _ENVIRONMENT_BYTES_MAX:
        raise ConfigurationError(
            f"pools: their limits take more than {_ENVIRONMENT_BYTES_MAX} bytes of a function's "
            "environment"
        )
    return read


def _read_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise must_be(
            "pools: a name", f"1 to {limits.POOL_NAME_LENGTH_MAX} of A-Z a-z 0-9 _ -", name
        )
    return name


def _read_limit(name: str, options: object) -> PoolTerms:
    field = f"pools[{name!r}]"
    if not isinstance(options, Mapping):
        raise must_be(field, 'a mapping of options, as {} or {"max_parallelism": 10}', options)
    unknown = [key for key in options if key not in _KNOWN]
    if unknown:
        raise must_be(f"{field}: an option", f"one of {', '.join(sorted(_KNOWN))}", unknown[0])
    read: dict[str, int | str] = {}
    slots, rate = options.get("max_parallelism"), options.get("rate_limit")
    if slots is not None:
        read["max_parallelism"] = whole_within(
            f"{field}.max_parallelism", slots, 0, limits.PARALLELISM_MAX
        )
    if rate is not None:
        read["rate_limit"] = _read_rate(f"{field}.rate_limit", rate)
    return read


def _read_rate(field: str, rate: object) -> str:
    if isinstance(rate, RateLimit):
        return str(rate)
    try:
        return str(RateLimit.parse(rate))
    except UsageError as error:
        allowed = 'None, a RateLimit, or a text as "100/1m": starts and the window'
        raise must_be(field, f"{allowed} ({error})", rate) from None


def pools_to_json(pools: PoolLimits) -> str:
    """Returns the value of WORKPOOL_POOLS: pools that have a limit, in order of name."""
    said = {name: dict(pools[name]) for name in sorted(pools) if pools[name]}
    return json.dumps(said, separators=(",", ":"))


def read_jobs(field_name: str, names: object) -> tuple[str, ...]:
    """Returns the names of jobs. Raises ConfigurationError for one that jobs cannot have."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise must_be(field_name, "a list of names", names)
    return tuple(read_job(name, f"{field_name}[{index}]") for index, name in enumerate(names))


def read_job(name: object, field_name: str = "name") -> str:
    """Returns the name of a job. Raises ConfigurationError for one that jobs cannot have."""
    if not isinstance(name, str) or not JOB.fullmatch(name):
        raise must_be(
            field_name,
            f"None, or a job's name: 1 to {limits.JOB_NAME_LENGTH_MAX} of A-Z a-z 0-9 _ - . "
            "that begin with a letter or digit",
            name,
        )
    return name


@dataclass(frozen=True, slots=True)
class Named:
    """The functions whose names the watchdog's environment lists.

    Some names are known only when they are deployed. They share its room with the limits of the
    pools.
    """

    pools: PoolLimits
    acknowledging: tuple[str, ...] = ()
    jobs: Mapping[str, str] = field(default_factory=dict)
    """Each job's function."""

    def checked(self, method: str) -> Named:
        """Returns itself.

        Raises:
            ConfigurationError: There is no room for so many.
        """
        taken = sum(1 + _bytes_of(name) for name in self.acknowledging)
        taken += sum(2 + len(job) + _bytes_of(name) for job, name in self.jobs.items())
        if len(pools_to_json(self.pools)) + taken > _ENVIRONMENT_BYTES_MAX:
            raise ConfigurationError(
                f"{method}: the names of {len(self.acknowledging)} handlers and "
                f"{len(self.jobs)} jobs, beside the limits of the pools, take more than "
                f"{_ENVIRONMENT_BYTES_MAX} bytes of a function's environment"
            )
        return self

    def acknowledging_text(self) -> str:
        """Returns the value of WORKPOOL_ACKNOWLEDGING."""
        return ",".join(self.acknowledging)

    def jobs_text(self) -> str:
        """Returns the value of WORKPOOL_JOBS."""
        return ",".join(f"{job}={name}" for job, name in self.jobs.items())


def _bytes_of(name: str) -> int:
    return _FUNCTION_NAME_BYTES_MAX if Token.is_unresolved(name) else len(name)
