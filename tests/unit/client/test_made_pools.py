"""Pools are remembered while they live, and jobs are looked for where they are deployed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from workpool_aws.api.job_filter import read_filter
from workpool_aws.api.made_pools import MadePools
from workpool_aws.core.views.listing import JobFilter
from workpool_aws.errors import StoreUnavailable, UsageError

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"


class Pool:
    """Stands for one; it can be referred to weakly."""


def options(name: str) -> Any:
    """Stands for `PoolOptions`, of which only the table and the name are read."""
    return SimpleNamespace(table="jobs", name=name)


def test_options_are_those_of_newest_pool_that_lives_in_its_store() -> None:
    made = MadePools()
    store: Any = object()
    other: Any = object()
    first, second, third = Pool(), Pool(), Pool()
    old, new, elsewhere = options("email"), options("email"), options("email")
    for pool, given, own in ((first, old, None), (second, new, None), (third, elsewhere, other)):
        made.add(pool, given, own)

    assert made.options_of("jobs", "email", store) is new
    assert made.options_of("jobs", "email", other) is elsewhere
    assert made.options_of("jobs", "sms", store) is None
    del pool, second
    assert made.options_of("jobs", "email", store) is old
    made.drop(("jobs", "email"), first)
    assert made.options_of("jobs", "email", store) is None
    assert made.options_of("jobs", "email", other) is elsewhere


def jobs_of(known: dict[str, str]) -> Callable[[], Any]:
    return lambda: SimpleNamespace(jobs=lambda _name: known)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, JobFilter(job="send", function="send", whole=True)),
        ({"send": f"{ARN}f"}, JobFilter(job="send", function=f"{ARN}f")),
        (
            {"send": f"{ARN}f", "crawl": f"{ARN}g"},
            JobFilter(job="send", function=f"{ARN}f"),
        ),
        ({"send": f"{ARN}f", "crawl": f"{ARN}f"}, JobFilter(job="send", function=None)),
    ],
)
def test_job_is_looked_for_by_its_function_if_that_runs_no_other(
    known: dict[str, str], expected: JobFilter
) -> None:
    assert read_filter(jobs_of(known), "send") == expected
    assert read_filter(jobs_of(known), None) is None


def test_job_of_caller_that_may_not_read_jobs_is_function() -> None:
    def unknown(_name: str) -> Any:
        raise StoreUnavailable("denied")

    ports: Any = SimpleNamespace(jobs=unknown)

    assert read_filter(lambda: ports, "send") == JobFilter(job="send", function="send", whole=True)
    with pytest.raises(UsageError, match="fn must be"):
        read_filter(jobs_of({}), 7)
