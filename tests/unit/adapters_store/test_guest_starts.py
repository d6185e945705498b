"""The stored form of starts that a caller has sent."""

from __future__ import annotations

import pytest

from tests.kit.records import NOW
from workpool_aws.adapters.items.ledger_forms import GUEST_STARTS
from workpool_aws.model.loop import GuestStarts


def test_starts_of_guest_are_read_back() -> None:
    starts = GuestStarts(7, NOW)
    assert GUEST_STARTS.decode(GUEST_STARTS.encode(starts)) == starts


@pytest.mark.parametrize(
    "value", ["", "7", "7:", ":7", "7:a:b", "-1:a", "7:A", "7:zzzzzzzzzzzz", 7]
)
def test_starts_of_guest_that_cannot_be_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        GUEST_STARTS.decode(value)
