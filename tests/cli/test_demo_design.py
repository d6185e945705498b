"""The plan of the demo: its work items, their times, and the attempts that fail."""

from collections import Counter
from datetime import timedelta

import pytest

from workpool_aws.cli.demo.run import DELAYS, DemoOptions, items_of, plan_of
from workpool_aws.cli.demo.worker import (
    FOR_GOOD_ONE_IN,
    Fate,
    ServiceOutage,
    fate_of,
    fraction_of,
    service_names,
)

NOW = timedelta(0)
SERVICES = [f"service-{n:03}" for n in range(400)]


def fates(*, seed: int, fail_rate: float) -> list[Fate]:
    return [
        fate_of(service, lap=0, attempt=attempt, seed=seed, fail_rate=fail_rate)
        for service in SERVICES
        for attempt in range(1, 6)
    ]


def test_same_seed_fails_same_attempts() -> None:
    assert fates(seed=3, fail_rate=1 / 12) == fates(seed=3, fail_rate=1 / 12)


def test_seed_decides_which_attempts_fail() -> None:
    assert fates(seed=3, fail_rate=1 / 12) != fates(seed=4, fail_rate=1 / 12)


def test_fate_is_same_on_every_machine() -> None:
    assert fraction_of("fails", 0, "ec2", 0, 1) == pytest.approx(0.7769633764802939)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_about_every_twelfth_attempt_fails_and_one_in_eight_of_these_for_good(seed: int) -> None:
    counted = Counter(fates(seed=seed, fail_rate=1 / 12))

    failing = counted[Fate.FAILS] + counted[Fate.FAILS_FOR_GOOD]
    assert failing / counted.total() == pytest.approx(1 / 12, rel=0.25), f"seed {seed}"
    assert counted[Fate.FAILS_FOR_GOOD] / failing == pytest.approx(1 / FOR_GOOD_ONE_IN, rel=0.5), (
        f"seed {seed}"
    )


def test_rate_of_zero_fails_nothing() -> None:
    assert set(fates(seed=0, fail_rate=0)) == {Fate.WORKS}


def test_rate_of_one_fails_everything() -> None:
    assert Fate.WORKS not in fates(seed=0, fail_rate=1)


def test_higher_rate_fails_all_that_lower_one_fails() -> None:
    low, high = fates(seed=0, fail_rate=0.1), fates(seed=0, fail_rate=0.5)

    assert all(
        high[place] is not Fate.WORKS for place, fate in enumerate(low) if fate is not Fate.WORKS
    )


def test_designed_failure_is_ordinary_exception() -> None:
    assert issubclass(ServiceOutage, Exception)
    assert not getattr(ServiceOutage("x"), "workpool_non_retryable", False)


def test_every_service_comes_once() -> None:
    items = items_of(DemoOptions(), SERVICES)

    assert sorted(item.service for item in items) == SERVICES
    assert {item.lap for item in items} == {0}


def test_seed_shuffles() -> None:
    first, again, other = (items_of(DemoOptions(seed=seed), SERVICES) for seed in (1, 1, 2))

    assert first == again
    assert [item.service for item in first] != [item.service for item in other]


def test_works_beyond_services_go_round_again() -> None:
    items = items_of(DemoOptions(items=7), ["a", "b", "c"])

    assert sorted((item.lap, item.service) for item in items)[:6] == [
        (0, "a"),
        (0, "b"),
        (0, "c"),
        (1, "a"),
        (1, "b"),
        (1, "c"),
    ]
    assert len(items) == 7


@pytest.mark.parametrize(("count", "later"), [(1, 0), (3, 0), (4, 1), (50, 1), (200, 4), (400, 8)])
def test_few_are_due_later(count: int, later: int) -> None:
    options = DemoOptions(items=count)

    items = items_of(options, SERVICES)

    delays = [item.delay for item in items if item.delay > NOW]
    assert len(delays) == later == plan_of(options, items).later
    assert set(delays) <= set(DELAYS)
    assert all(timedelta(seconds=2) <= delay <= timedelta(seconds=5) for delay in delays)


def test_botocore_has_its_models() -> None:
    services = service_names()

    assert len(services) > 420
    assert {"dynamodb", "ec2", "lambda", "s3"} <= set(services)
