"""The benchmark of pages: lists cost the same in small and large pools."""

from __future__ import annotations

import json

import pytest

from benchmarks import lists
from workpool_aws.insights import ReadCost

pytestmark = pytest.mark.form


def test_pages_are_flat_and_counted_ones_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert lists.main(["--sizes", "400", "1600", "--json"]) == 0

    costs = json.loads(capsys.readouterr().out)
    assert costs["pending"]["400"][1] > 40
    assert costs["dead letters"]["1600"][1] < 10
    assert costs["a pool"]["1600"][1] > 2 * costs["a pool"]["400"][1]


@pytest.mark.parametrize(
    ("few", "many", "flat"),
    [((3, 60), (5, 68), True), ((3, 60), (3, 69), False), ((3, 60), (6, 60), False)],
)
def test_page_is_flat_within_a_tenth(
    few: tuple[int, int], many: tuple[int, int], *, flat: bool
) -> None:
    costs = {10: ReadCost(few[1], few[0]), 100: ReadCost(many[1], many[0])}

    assert lists.is_flat(lists.Figures("a page", costs, flat=True)) == flat
