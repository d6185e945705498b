"""The report of what user code raised."""

from __future__ import annotations

from datetime import timedelta

import pytest

from workpool_aws import RetryLater
from workpool_aws.core import limits
from workpool_aws.core.report.execute import report_raised


@pytest.mark.parametrize(
    ("delay", "delay_ms"),
    [
        (timedelta(seconds=-1), 0),
        (timedelta(microseconds=1), 1),
        (timedelta(milliseconds=limits.DELAY_MS_MAX), limits.DELAY_MS_MAX),
        (timedelta(days=9_999), limits.DELAY_MS_MAX),
    ],
)
def test_delay_that_error_names_lies_between_now_and_longest_there_is(
    delay: timedelta, delay_ms: int
) -> None:
    assert report_raised(RetryLater(delay), claim=None).delay_ms == delay_ms


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError(), "ValueError()"),
        (ValueError("x" * limits.ERROR_TEXT_MAX), "x" * limits.ERROR_TEXT_MAX),
        (ValueError("x" * (limits.ERROR_TEXT_MAX + 1)), "x" * (limits.ERROR_TEXT_MAX - 1) + "…"),
    ],
    ids=["no text", "as long as may be", "too long"],
)
def test_errors_text_is_whole_or_says_that_it_was_cut(error: Exception, text: str) -> None:
    """[WP-11]"""
    assert report_raised(error, claim=None).error == text
