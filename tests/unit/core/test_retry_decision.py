"""When another attempt follows, and after how long: the numbers of the documentation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.kit.records import a_policy
from workpool_aws.core import limits
from workpool_aws.core.report.retry import backoff_ms, requeue_delay_ms, retry_delay_ms
from workpool_aws.errors import UsageError
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.retry import DELAY_MAX, RetryPolicy

YEAR_MS = 366 * 24 * 3600 * 1000
FAILED = Report(kind=ReportKind.FAILED)


def test_default_policy_tries_after_250_500_1000_2000_ms() -> None:
    delays = [
        retry_delay_ms(a_policy(), FAILED, attempts_made=made, jitter=0.5) for made in range(1, 6)
    ]

    assert delays == [250, 500, 1000, 2000, None]


@pytest.mark.parametrize(("jitter", "expected"), [(0.0, 125), (0.5, 250), (0.999_999, 375)])
def test_jitter_is_factor_from_half_to_one_and_half(jitter: float, expected: int) -> None:
    assert backoff_ms(RetryPolicy(), retries=0, jitter=jitter) == expected


def test_cap_holds_before_jitter() -> None:
    policy = RetryPolicy(max_backoff=timedelta(seconds=1))

    assert backoff_ms(policy, retries=20, jitter=0.0) == 500
    assert backoff_ms(policy, retries=20, jitter=0.999_999) == 1500


def test_policy_of_many_attempts_never_overflows() -> None:
    policy = RetryPolicy(max_attempts=1000, base=100, jitter=False)

    assert backoff_ms(policy, retries=999, jitter=0.5) == YEAR_MS


@pytest.mark.parametrize("retries", [0, 1, 308, 310, 998])
@pytest.mark.parametrize("base", [1, 1.000_001, 2, 10, 100])
@pytest.mark.parametrize("jitter", [True, False])
def test_backoff_of_none_stays_none_for_any_power(
    base: float, retries: int, *, jitter: bool
) -> None:
    policy = RetryPolicy(max_attempts=1000, initial_backoff=timedelta(0), base=base, jitter=jitter)

    assert backoff_ms(policy, retries=retries, jitter=0.9) == 0


@pytest.mark.parametrize("max_backoff", [None, timedelta(days=366), timedelta(days=300)])
@pytest.mark.parametrize(
    "initial_backoff", [timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=366)]
)
@pytest.mark.parametrize("retries", [40, 400, 998])
def test_jitter_does_not_lead_beyond_year(
    initial_backoff: timedelta, retries: int, max_backoff: timedelta | None
) -> None:
    policy = RetryPolicy(
        max_attempts=1000, initial_backoff=initial_backoff, base=100, max_backoff=max_backoff
    )

    assert backoff_ms(policy, retries=retries, jitter=0.999_999) == YEAR_MS


def test_year_is_same_for_backoff_and_due_times() -> None:
    assert timedelta(milliseconds=limits.DELAY_MS_MAX) == DELAY_MAX == timedelta(days=366)


@pytest.mark.parametrize(
    ("report", "made", "delay"),
    [
        (Report(kind=ReportKind.FAILED, retryable=False), 1, None),
        (Report(kind=ReportKind.FAILED, delay_ms=30_000), 1, 30_000),
        (Report(kind=ReportKind.FAILED, delay_ms=-5), 1, 0),
        (Report(kind=ReportKind.FAILED, delay_ms=10**18), 1, YEAR_MS),
        (Report(kind=ReportKind.FAILED, delay_ms=30_000), 2, None),
    ],
)
def test_workers_delay_beats_policy_but_not_its_attempts(
    report: Report, made: int, delay: int | None
) -> None:
    """[WP-5]"""
    assert retry_delay_ms(a_policy(max_attempts=2), report, attempts_made=made, jitter=0.5) == delay


def test_failure_without_policy_is_followed_by_nothing() -> None:
    assert (
        retry_delay_ms(
            None, Report(kind=ReportKind.FAILED, delay_ms=10), attempts_made=1, jitter=0.5
        )
        is None
    )


def test_undelivered_start_waits_longer_and_longer_to_half_hour() -> None:
    assert [requeue_delay_ms(n) for n in (0, 1, 2, 10, 11, 48)] == [
        1_000,
        2_000,
        4_000,
        1_024_000,
        1_800_000,
        1_800_000,
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_attempts": 0}, "max_attempts must be an int from 1 to 1000; got 0"),
        ({"max_attempts": True}, "max_attempts must be an int from 1 to 1000; got True"),
        ({"max_attempts": 2.0}, "max_attempts must be an int from 1 to 1000; got 2.0"),
        ({"base": 0.5}, "base must be a number from 1 to 100; got 0.5"),
        ({"base": float("nan")}, "base must be a number from 1 to 100; got nan"),
        ({"initial_backoff": 5}, "initial_backoff must be a timedelta from 0 to 366 days; got 5"),
        (
            {"max_backoff": timedelta(seconds=-1)},
            "max_backoff must be a timedelta from 0 to 366 days; got datetime.timedelta(days=-1, seconds=86399)",
        ),
        ({"jitter": 1}, "jitter must be True or False; got 1"),
    ],
)
def test_bad_policy_is_refused_with_field_value_and_what_is_allowed(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        RetryPolicy(**options)  # type: ignore[arg-type]

    assert str(refused.value) == message
