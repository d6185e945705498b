"""What may be an argument or a result, and how a refusal names its place."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum

import pytest
from pydantic import BaseModel

from workpool_aws.core.payload import encode_object, encode_result
from workpool_aws.errors import PayloadTooLarge, UsageError

LIMIT = 1_000
PLAIN = "str, int, float, bool, None, and lists and dicts of them can be kept as JSON"


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Receipt(BaseModel):
    paid_at: datetime
    total: float


@dataclass
class Point:
    x: int
    y: object


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def test_arguments_are_compact_and_keep_their_order() -> None:
    assert encode_object({"b": [1, 2.5, True, None], "a": {"x": "é"}}, "args", LIMIT) == '{"b":[1,2.5,true,null],"a":{"x":"é"}}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}"),
        (OrderedDict(n=1), '{"n":1}'),
        ({"t": (1, 2)}, '{"t":[1,2]}'),
        ({"c": Colour.RED, "l": Level.HIGH}, '{"c":"red","l":3}'),
        ({"n": {"_workpool": 1}}, '{"n":{"_workpool":1}}'),
        ({"n": -0.0, "big": 10**40}, '{"n":-0.0,"big":10000000000000000000000000000000000000000}'),
        ({"nul": "\0"}, '{"nul":"\\u0000"}'),
    ],
)
def test_what_is_accepted(value: object, text: str) -> None:
    assert encode_object(value, "args", LIMIT) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "args: None is not allowed; a JSON object: a dict with str keys"),
        ([1], "args: [1] is not allowed; a JSON object: a dict with str keys"),
        ("{}", "args: '{}' is not allowed; a JSON object: a dict with str keys"),
        ({"_workpool": 1}, "args._workpool: 1 is not allowed; this key belongs to the pool; any other is free"),
        ({"items": [0, 1, {"price": float("nan")}]}, "args.items[2].price: nan is not allowed; JSON knows finite numbers only"),
        ({"x": float("-inf")}, "args.x: -inf is not allowed; JSON knows finite numbers only"),
        ({"x": {1}}, f"args.x: {{1}} is not allowed; {PLAIN}"),
        ({"x": b"ab"}, f"args.x: b'ab' is not allowed; {PLAIN}"),
        ({"x": Decimal(1)}, f"args.x: Decimal('1') is not allowed; {PLAIN}"),
        ({"x": 1j}, f"args.x: 1j is not allowed; {PLAIN}"),
        ({"my key": [object]}, f"args[\"my key\"][0]: <class 'object'> is not allowed; {PLAIN}"),
        ({"x": {1: 2}}, "args.x key: 1 is not allowed; the keys of a JSON object are str"),
        ({None: 2}, "args key: None is not allowed; the keys of a JSON object are str"),
        ({"x": "\ud800"}, "args.x: '\\ud800' is not allowed; text must be valid Unicode, without lone surrogates"),
        ({"\udfff": 1}, "args key: '\\udfff' is not allowed; text must be valid Unicode, without lone surrogates"),
        ({"x": Point(1, 2)}, f"args.x: Point(x=1, y=2) is not allowed; {PLAIN}"),
        (
            {"x": 1 << 20_000},
            "args.x: 'an int of 20001 bits' is not allowed; at most 14284 bits (4,300 digits) can be kept as JSON",
        ),
    ],
)
def test_what_is_refused_and_where(value: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        encode_object(value, "args", LIMIT)

    assert str(caught.value) == message


def test_nesting_ends_at_a_hundred_levels() -> None:
    assert json.loads(encode_object(nested(99), "args", LIMIT)) == nested(99)

    with pytest.raises(UsageError, match=r"nesting is allowed to 100 levels, and nothing may contain itself$"):
        encode_object(nested(100), "args", LIMIT)


def test_a_cycle_is_refused() -> None:
    ring: list[object] = []
    ring.append(ring)

    with pytest.raises(UsageError, match=r": 'list' is not allowed; nesting is allowed to 100 levels"):
        encode_object({"ring": ring}, "args", LIMIT)


def test_values_that_unfold_without_end_are_given_up() -> None:
    value: object = 0
    for _ in range(60):
        value = [value, value]

    with pytest.raises(PayloadTooLarge):
        encode_object({"x": value}, "args", LIMIT)


def test_the_size_is_bytes_and_the_limit_is_included() -> None:
    frame = len('{"t":""}')

    assert len(encode_object({"t": "é" * ((LIMIT - frame) // 2)}, "args", LIMIT).encode()) == LIMIT
    with pytest.raises(PayloadTooLarge) as caught:
        encode_object({"t": "é" * ((LIMIT - frame) // 2) + "x"}, "args", LIMIT)
    assert str(caught.value) == "args: 1001 bytes as JSON is too large; at most 1000 bytes are allowed"
    assert (caught.value.size_bytes, caught.value.limit_bytes) == (1001, 1000)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("done", '"done"'),
        ((1, Point(2, [Point(3, None)])), '[1,{"x":2,"y":[{"x":3,"y":null}]}]'),
        (
            {"receipt": Receipt(paid_at=datetime(2026, 1, 1, tzinfo=UTC), total=1.5)},
            '{"receipt":{"paid_at":"2026-01-01T00:00:00Z","total":1.5}}',
        ),
    ],
)
def test_what_a_function_may_return(value: object, text: str) -> None:
    assert encode_result(value, LIMIT) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([Point(1, {2})], f"result[0].y: {{2}} is not allowed; {PLAIN}"),
        (
            Receipt(paid_at=datetime(2026, 1, 1, tzinfo=UTC), total=float("nan")),
            "result.total: nan is not allowed; JSON knows finite numbers only",
        ),
        (Point, f"result: {Point!r} is not allowed; {PLAIN}"),
    ],
)
def test_what_a_function_may_not_return(value: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        encode_result(value, LIMIT)

    assert str(caught.value) == message
