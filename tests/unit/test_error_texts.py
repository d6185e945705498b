"""Messages of errors are bounded, whatever they are given."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from workpool_aws import (
    NonRetryableError,
    NotKicked,
    PayloadTooLarge,
    RetryLater,
    Snooze,
    StoreUnavailable,
    UsageError,
)
from workpool_aws.errors import NON_RETRYABLE_MARKER, TimedOut

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


def test_store_unavailable_claims_nothing_that_it_was_not_told() -> None:
    plain = StoreUnavailable("no answer")
    told = StoreUnavailable("no answer", maybe_enqueued=("a",), maybe_applied=True, group_id="g")

    assert (plain.maybe_enqueued, plain.maybe_applied, plain.group_id) == ((), False, None)
    assert (told.maybe_enqueued, told.maybe_applied, told.group_id) == (("a",), True, "g")
    assert (plain.applied, told.applied, NotKicked("no answer").applied) == (False, False, True)


def test_error_of_a_wait_says_its_own_text_or_its_length() -> None:
    delay = timedelta(seconds=1.5)

    assert [str(RetryLater(delay)), str(RetryLater(delay, "busy"))] == ["retry after 1.5 s", "busy"]
    assert [str(Snooze(delay)), str(Snooze(delay, "early"))] == ["snoozed for 1.5 s", "early"]
    assert str(TimedOut(2_500)) == "it ran for longer than its timeout of 2.5 s"


def test_non_retryable_error_carries_its_marker() -> None:
    assert getattr(NonRetryableError("no"), NON_RETRYABLE_MARKER) is True


@pytest.mark.parametrize("delay", ["soon", object(), timedelta])
def test_retry_later_names_its_delay(delay: object) -> None:
    with pytest.raises(UsageError) as refused:
        RetryLater(cast("Any", delay), "later")

    assert refused.value.field == "delay"
