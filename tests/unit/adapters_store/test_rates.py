"""Stored rate limits and spent tokens: read back as they were written, and refused if they cannot be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from workpool_aws import RateLimit
from workpool_aws.adapters.items.rates import DEPLOYED_RATES, RATE_LIMIT, RATE_SPENT
from workpool_aws.core import limits
from workpool_aws.model.loop import DeployedRate
from workpool_aws.model.rate import RateSpent

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    "limit", [RateLimit(100, per=MINUTE), RateLimit(1_000_000, per=timedelta(days=1), burst=10_000)]
)
def test_rate_limit_is_read_back(limit: RateLimit) -> None:
    assert RATE_LIMIT.decode(RATE_LIMIT.encode(limit)) == limit


def test_spent_tokens_are_read_back() -> None:
    spent = RateSpent(1_700_000_000_123_456, 17, 606_061, 12)
    assert RATE_SPENT.decode(RATE_SPENT.encode(spent)) == spent


def test_deployed_rates_are_read_back() -> None:
    rates = (
        DeployedRate("a", RateLimit(5, per=MINUTE)),
        DeployedRate("b-c", RateLimit(1, per=MINUTE)),
    )
    assert DEPLOYED_RATES.decode(DEPLOYED_RATES.encode(rates)) == rates


@pytest.mark.parametrize("value", ["", "5", "0/1m", "5/1m/6", "5/9d", 5, None, "5/1m\n"])
def test_rate_limit_that_cannot_be_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        RATE_LIMIT.decode(value)


@pytest.mark.parametrize(
    "value", ["", "1:2:3", "1:2:3:4:5", "-1:0:1:1", f"{10**17}9:0:1:1", "1:2:3:4000000000000", 7]
)
def test_spent_tokens_that_cannot_be_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected|cannot be"):
        RATE_SPENT.decode(value)


def test_spent_tokens_are_bounded_as_times_and_generations_are() -> None:
    until, generation = 1_000 * limits.STORED_MS_BELOW, limits.STORED_GENERATION_BELOW

    last = RATE_SPENT.decode(f"{until - 1}:0:1:{generation - 1}")

    assert (last.until_us, last.generation) == (until - 1, generation - 1)
    for value in (f"{until}:0:1:1", f"1:0:1:{generation}"):
        with pytest.raises(ValueError, match=r"expected|cannot be"):
            RATE_SPENT.decode(value)


@pytest.mark.parametrize("value", [["a"], ["=5/1m"], ["a b=5/1m"], ["a=0/1m"], [7], "a=5/1m"])
def test_deployed_rate_that_cannot_be_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected|must be"):
        DEPLOYED_RATES.decode(value)


def test_other_value_is_not_written_as_rate_limit() -> None:
    with pytest.raises(ValueError, match="a RateLimit expected"):
        RATE_LIMIT.encode("5/1m")
