"""Calls that make something happen once cost what docs/unique-work.md says, and others nothing for them."""

import pytest

from benchmarks.cost import Load, measure
from benchmarks.once import MUTATION_MAX, ROWS, Row, cost_of, cost_of_mutation
from workpool_aws import RetryPolicy


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_call_costs_what_its_row_says(row: Row) -> None:
    cost = cost_of(row, seed=0)
    assert (cost.write_units, cost.read_units) == (row.write_units_max, row.read_units_max)


def test_busy_mutation_costs_no_more_than_an_action_and_its_commit() -> None:
    cost = cost_of_mutation(seed=0, mutations=50)
    assert (cost.write_units, cost.read_units) <= MUTATION_MAX
    assert cost.read_units <= MUTATION_MAX[1]


def test_unique_and_transactional_options_cost_nothing_where_they_are_not_used() -> None:
    cost = measure(Load(300, 50, RetryPolicy()), seed=0)
    assert cost.write_units <= 4.2
    assert cost.read_units <= 2.0
