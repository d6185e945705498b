"""Messages of errors are bounded, whatever they are given."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from workpool_aws import (
    NonRetryableError,
    PayloadTooLarge,
    RetryLater,
    StoreUnavailable,
    UsageError,
)
from workpool_aws.errors import NON_RETRYABLE_MARKER

LONG = "x" * 10_000


def test_usage_error_bounds_field_and_allowed_values() -> None:
    message = str(UsageError(LONG, 1, LONG))

    field, _, rest = message.partition(" must be ")
    assert len(field) == 300
    assert len(rest.removesuffix("; got 1")) == 4_000


def test_payload_too_large_bounds_its_field() -> None:
    field, _, _ = str(PayloadTooLarge(LONG, 2, 1)).partition(" must be ")

    assert len(field) == 300


def test_store_unavailable_bounds_its_message() -> None:
    assert len(str(StoreUnavailable(LONG))) == 4_000


def test_non_retryable_error_carries_its_marker() -> None:
    assert getattr(NonRetryableError("no"), NON_RETRYABLE_MARKER) is True


@pytest.mark.parametrize("delay", ["soon", object(), timedelta])
def test_retry_later_names_its_delay(delay: object) -> None:
    with pytest.raises(UsageError) as refused:
        RetryLater(cast("Any", delay), "later")

    assert refused.value.field == "delay"
