"""Writes rate limits, and the tokens that starts have spent, as text."""

from __future__ import annotations

import re
from typing import Final

from workpool_aws.adapters.items.forms import FieldCodec, list_of
from workpool_aws.core import limits
from workpool_aws.model.loop import DeployedRate
from workpool_aws.model.names import POOL
from workpool_aws.model.rate import RateLimit, RateSpent

__all__ = ["DEPLOYED_RATES", "RATE_LIMIT", "RATE_SPENT"]

_SPENT_US_BELOW: Final = 1_000 * limits.STORED_MS_BELOW


def _write_limit(limit: RateLimit) -> str:
    if not isinstance(limit, RateLimit):
        raise ValueError("a RateLimit expected")
    return str(limit)


class _Spent:
    """`until:count:step:generation`, times in microseconds."""

    # Twelve digits are below STORED_GENERATION_BELOW.
    _PATTERN: Final = re.compile(
        r"([0-9]{1,18}):([0-9]{1,6}):([0-9]{1,12}):([0-9]{1,12})", re.ASCII
    )

    @classmethod
    def encode(cls, spent: RateSpent) -> str:
        text = f"{spent.until_us}:{spent.count}:{spent.step_us}:{spent.generation}"
        cls.decode(text)
        return text

    @classmethod
    def decode(cls, value: object) -> RateSpent:
        found = cls._PATTERN.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError("not of the expected form")
        spent = RateSpent(*map(int, found.groups()))
        if spent.until_us >= _SPENT_US_BELOW:
            raise ValueError("a time that cannot be")
        return spent


class _Deployed:
    """`pool=limit`."""

    @classmethod
    def encode(cls, deployed: DeployedRate) -> str:
        text = f"{deployed.pool}={_write_limit(deployed.rate_limit)}"
        cls.decode(text)
        return text

    @staticmethod
    def decode(value: object) -> DeployedRate:
        pool, found, limit = value.partition("=") if isinstance(value, str) else ("", "", "")
        if not found or not POOL.fullmatch(pool):
            raise ValueError("a pool and its rate limit expected")
        return DeployedRate(pool, RateLimit.parse(limit))


RATE_LIMIT: Final = FieldCodec("a rate limit", _write_limit, RateLimit.parse)
RATE_SPENT: Final = FieldCodec("spent tokens", _Spent.encode, _Spent.decode)
DEPLOYED_RATES: Final = list_of(
    FieldCodec("a deployed rate limit", _Deployed.encode, _Deployed.decode),
    "a list of deployed rate limits",
)
