"""Under faults the money of a bank stays, and what its callers learned is true [WP-9, WP-15]."""

from __future__ import annotations

import pytest

from tests.simulation.bank import failure_of


@pytest.mark.parametrize("seed", range(5))
def test_money_stays_and_what_callers_learned_is_true(seed: int) -> None:
    assert failure_of(seed) is None
