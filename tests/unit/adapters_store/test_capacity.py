"""Sizes and units, figure by figure as AWS documents them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from workpool_aws.adapters.items.capacity import (
    BATCH_GET_KEYS_MAX,
    ITEM_BYTES_MAX,
    PAGE_BYTES_MAX,
    TRANSACTION_BYTES_MAX,
    TRANSACTION_ITEMS_MAX,
    Capacity,
    Meter,
    Units,
    batch_get_units,
    check_transaction,
    failed_write_units,
    get_units,
    index_query_units,
    index_units,
    item_size,
    query_units,
    transaction_units,
    write_units,
)
from workpool_aws.adapters.items.keys import Key


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({}, 0),
        ({"pk": "abc"}, 2 + 3),
        ({"a": ""}, 1),
        ({"a": "é✓"}, 1 + 2 + 3),
        ({"ä": "x"}, 2 + 1),
        ({"a": b""}, 1),
        ({"a": b"\x00\xff\x80"}, 1 + 3),
        ({"a": True}, 1 + 1),
        ({"a": False}, 1 + 1),
        ({"a": 0}, 1 + 1),
        ({"a": 7}, 1 + 2),
        ({"a": 42}, 1 + 2),
        ({"a": 123}, 1 + 3),
        ({"a": -42}, 1 + 3),
        ({"a": 120}, 1 + 3),
        ({"a": 1_200}, 1 + 2),
        ({"a": 12_000}, 1 + 3),
        ({"a": 1_800_000_000_000}, 1 + 3),
        ({"a": 1_800_000_000_123}, 1 + 8),
        ({"a": []}, 1 + 3),
        ({"a": ["xy", "é"]}, 1 + 3 + (1 + 2) + (1 + 2)),
        ({"pk": "p", "sk": "s", "n": 12}, 3 + 3 + 3),
        ({"a": [True, 7, b"ab", ["x"]]}, 1 + 3 + (1 + 1) + (1 + 2) + (1 + 2) + (1 + 3 + 1 + 1)),
        ({"a": 1_000, "b": 10_000, "c": -1_010}, (1 + 2) + (1 + 2) + (1 + 4)),
        ({"a": 1.5}, 1 + len("1.5")),
    ],
)
def test_size_of_item_is_its_names_and_values(item, size):
    assert item_size(item) == size


@pytest.mark.parametrize(
    ("old", "new", "units"),
    [
        (0, 1, 1),
        (0, 1024, 1),
        (0, 1025, 2),
        (2560, 100, 3),
        (100, 2560, 3),
        (2560, 0, 3),
        (0, 0, 1),
        (0, 400 * 1024, 400),
    ],
)
def test_write_costs_by_larger_of_before_and_after(old, new, units):
    assert write_units(old, new) == units


@pytest.mark.parametrize(("old", "units"), [(0, 1), (1024, 1), (1025, 2), (5000, 5)])
def test_refused_write_costs_by_what_stands_there(old, units):
    assert failed_write_units(old) == units


@pytest.mark.parametrize(
    ("size", "units"), [(0, 1), (1, 1), (4096, 1), (4097, 2), (4608, 2), (400 * 1024, 100)]
)
def test_read_costs_by_four_kilobytes(size, units):
    assert get_units(size) == units


def test_page_is_added_up_before_it_is_rounded():
    assert query_units([1024] * 20) == 5
    assert query_units([100] * 40) == 1
    assert query_units([]) == 1
    assert query_units([4096, 1]) == 2


def test_batch_is_rounded_item_by_item():
    assert batch_get_units([100] * 10) == 10
    assert batch_get_units([0, 4097]) == 3


def test_transaction_costs_twice_item_by_item():
    assert transaction_units([(0, 100)]) == 2
    assert transaction_units([(0, 2560)]) == 6
    assert transaction_units([(0, 100), (1025, 1), (0, 0)]) == 2 + 4 + 2


DEAD = {"pk": "p", "sk": "s", "dead": "2"}


@pytest.mark.parametrize(
    ("old", "new", "units"),
    [
        (None, {"pk": "p"}, 0),
        ({"pk": "p"}, {"pk": "p", "x": 1}, 0),
        (None, DEAD, 1),
        ({"pk": "p"}, DEAD, 1),
        (DEAD, None, 1),
        (DEAD, {"pk": "p"}, 1),
        (DEAD, dict(DEAD), 0),
        (DEAD, {**DEAD, "x": 1}, 1),
        (DEAD, {**DEAD, "dead": "3"}, 2),
        (None, {**DEAD, "x": "y" * 2000}, 2),
        ({**DEAD, "x": "y" * 2000}, None, 2),
        (DEAD, {**DEAD, "x": "y" * 2000, "dead": "3"}, 1 + 2),
        ({**DEAD, "x": "y" * 2000}, {**DEAD, "dead": "3"}, 2 + 1),
    ],
)
def test_index_costs_only_what_is_or_was_in_it(old, new, units):
    assert index_units(old, new) == units


def test_page_of_index_costs_half():
    assert [
        index_query_units([]),
        index_query_units([4096] * 3),
        index_query_units([4096] * 4),
    ] == [1, 2, 2]


def test_bounds_are_those_of_dynamodb():
    assert (ITEM_BYTES_MAX, PAGE_BYTES_MAX, TRANSACTION_BYTES_MAX) == (
        409_600,
        1_048_576,
        4_194_304,
    )
    assert (TRANSACTION_ITEMS_MAX, BATCH_GET_KEYS_MAX) == (100, 100)


def test_transaction_has_bounds():
    check_transaction([Key("p", str(n)) for n in range(100)])
    with pytest.raises(ValueError, match="101"):
        check_transaction([Key("p", str(n)) for n in range(101)])
    with pytest.raises(ValueError, match="0 writes"):
        check_transaction([])
    with pytest.raises(ValueError, match="twice"):
        check_transaction([Key("p", "a"), Key("p", "b"), Key("p", "a")])


def test_meter_adds_up_by_label_and_in_all():
    meter = Meter()
    meter.count("work.put", write_units=2)
    meter.count("work.put", write_units=1)
    meter.count("status.get", read_units=1)
    meter.count("work.get_many", read_units=120, requests=2)

    assert meter.snapshot() == Capacity(
        write_units=3,
        read_units=121,
        requests=5,
        by_label={
            "work.put": Units(3, 0, 2),
            "status.get": Units(0, 1, 1),
            "work.get_many": Units(0, 120, 2),
        },
    )


def test_snapshot_stands_still_and_reset_begins_anew():
    meter = Meter()
    meter.count("tx", write_units=4)
    before = meter.snapshot()

    meter.count("tx", write_units=4)
    after = meter.snapshot()
    meter.reset()

    assert (before.by_label, after.by_label) == ({"tx": Units(4, 0, 1)}, {"tx": Units(8, 0, 2)})
    assert meter.snapshot() == Capacity(0, 0, 0, {})


def test_meter_loses_nothing_between_threads():
    meter = Meter()

    def count(_: int) -> None:
        for _ in range(500):
            meter.count("tx", write_units=2)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(8)))

    assert meter.snapshot() == Capacity(8000, 0, 4000, {"tx": Units(8000, 0, 4000)})
