"""Values of arguments and results, and refusals that name the place."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from unittest.mock import MagicMock
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, Secret, SecretBytes, SecretStr, field_serializer
from pydantic.dataclasses import dataclass as pydantic_dataclass

from workpool_aws.core.payload import checked_json, encode_object, encode_result, encode_value
from workpool_aws.errors import PayloadTooLarge, UsageError

LIMIT = 1_000
SECRET = "left out, or given a serializer of its own: pydantic would write asterisks in place of a secret"
PLAIN = "a JSON value: str, int, float, bool, None, or a list or dict of them"


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


class Account(BaseModel):
    owner: str = Field(alias="ownerName")
    token: SecretStr | None = None
    keys: list[SecretBytes] = []
    opened: set[int] = {1}


class Shown(BaseModel):
    token: SecretStr

    @field_serializer("token", when_used="json")
    def _written(self, token: SecretStr) -> str:
        return token.get_secret_value()


class Torn(BaseModel):
    text: str = "a secret"

    @field_serializer("text")
    def _written(self, text: str) -> str:
        raise KeyError(text)


@pydantic_dataclass
class Parcel:
    weight: int = Field(alias="weightKg")


@dataclass
class Taller(Parcel):
    height: int = 2


class Day(Enum):
    FIRST = date(2026, 1, 1)


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def test_arguments_are_compact_and_keep_their_order() -> None:
    assert (
        encode_object({"b": [1, 2.5, True, None], "a": {"x": "é"}}, "args", LIMIT)
        == '{"b":[1,2.5,true,null],"a":{"x":"é"}}'
    )


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
def test_payload_that_is_accepted(value: object, text: str) -> None:
    assert encode_object(value, "args", LIMIT) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "args must be a JSON object: a dict with str keys; got None"),
        ([1], "args must be a JSON object: a dict with str keys; got a value of type list"),
        ("{}", "args must be a JSON object: a dict with str keys; got a value of type str"),
        (
            {"_workpool": 1},
            "args._workpool must be absent, since the pool keeps this key for itself; got a value of type int",
        ),
        (
            {"items": [0, 1, {"price": float("nan")}]},
            "args.items[2].price must be a finite number; got nan",
        ),
        ({"x": float("-inf")}, "args.x must be a finite number; got -inf"),
        ({"x": {1}}, f"args.x must be {PLAIN}; got a value of type set"),
        ({"x": b"ab"}, f"args.x must be {PLAIN}; got a value of type bytes"),
        ({"x": Decimal(1)}, f"args.x must be {PLAIN}; got a value of type Decimal"),
        ({"x": 1j}, f"args.x must be {PLAIN}; got a value of type complex"),
        ({"my key": [object]}, f'args["my key"][0] must be {PLAIN}; got a value of type type'),
        (
            {"x": {1: 2}},
            "args.x key must be a str, as every key of a JSON object; got a value of type int",
        ),
        ({None: 2}, "args key must be a str, as every key of a JSON object; got None"),
        (
            {"x": "\ud800"},
            "args.x must be valid Unicode, without lone surrogates; got a value of type str",
        ),
        (
            {"\udfff": 1},
            "args key must be valid Unicode, without lone surrogates; got a value of type str",
        ),
        (
            {"x": datetime(2026, 1, 1, tzinfo=UTC)},
            f"args.x must be {PLAIN}; got a value of type datetime",
        ),
        ({"x": Point(1, {2})}, f"args.x.y must be {PLAIN}; got a value of type set"),
        ({"x": Point}, f"args.x must be {PLAIN}; got a value of type type"),
        (
            {"x": 1 << 20_000},
            "args.x must be an int of at most 14284 bits (4,300 digits); got an int of 20001 bits",
        ),
    ],
)
def test_payload_is_refused_with_its_path(value: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        encode_object(value, "args", LIMIT)

    assert str(caught.value) == message


def test_nesting_ends_at_hundred_levels() -> None:
    assert json.loads(encode_object(nested(99), "args", LIMIT)) == nested(99)

    with pytest.raises(
        UsageError,
        match=r"nested at most 100 levels deep, and free of what contains itself; got dict$",
    ):
        encode_object(nested(100), "args", LIMIT)


def test_cycle_is_refused() -> None:
    ring: list[object] = []
    ring.append(ring)

    with pytest.raises(UsageError, match=r" must be nested at most 100 levels deep"):
        encode_object({"ring": ring}, "args", LIMIT)


def test_values_that_unfold_without_end_are_given_up() -> None:
    value: object = 0
    for _ in range(60):
        value = [value, value]

    with pytest.raises(PayloadTooLarge):
        encode_object({"x": value}, "args", LIMIT)


def test_size_is_bytes_and_limit_is_included() -> None:
    frame = len('{"t":""}')

    assert len(encode_object({"t": "é" * ((LIMIT - frame) // 2)}, "args", LIMIT).encode()) == LIMIT
    with pytest.raises(PayloadTooLarge) as caught:
        encode_object({"t": "é" * ((LIMIT - frame) // 2) + "x"}, "args", LIMIT)
    assert str(caught.value) == "args must be at most 1000 bytes as JSON; got 1001 bytes"
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
        (Account(ownerName="Ada"), '{"ownerName":"Ada","token":null,"keys":[],"opened":[1]}'),
        (Shown(token=SecretStr("told")), '{"token":"told"}'),
        ([Parcel(weightKg=3)], '[{"weightKg":3}]'),
        (Taller(3, 4), '{"weight":3,"height":4}'),
        (Point(1, date(2026, 1, 2)), '{"x":1,"y":"2026-01-02"}'),
        (Day.FIRST, '"2026-01-01"'),
        (
            [
                datetime.fromisoformat("2026-01-02T03:04:05.000006"),
                time(1, 2),
                timedelta(minutes=1),
            ],
            '["2026-01-02T03:04:05.000006","01:02:00","PT1M"]',
        ),
        (
            {"price": Decimal("1.10"), "id": UUID(int=1)},
            '{"price":"1.10","id":"00000000-0000-0000-0000-000000000001"}',
        ),
    ],
)
def test_return_value_that_is_accepted(value: object, text: str) -> None:
    assert encode_result(value, LIMIT) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([Point(1, {2})], f"result[0].y must be {PLAIN}; got a value of type set"),
        (
            Receipt(paid_at=datetime(2026, 1, 1, tzinfo=UTC), total=float("nan")),
            "result.total must be a finite number; got nan",
        ),
        (Point, f"result must be {PLAIN}; got a value of type type"),
        (Decimal("NaN"), "result must be a finite number; got Decimal('NaN')"),
        (
            {"a": [Account(ownerName="x", token=SecretStr("t"))]},
            f"result.a[0].token must be {SECRET}; got a value of type SecretStr",
        ),
        (
            Account(ownerName="x", keys=[SecretBytes(b"t")]),
            f"result.keys[0] must be {SECRET}; got a value of type SecretBytes",
        ),
        ([SecretStr("t")], f"result[0] must be {SECRET}; got a value of type SecretStr"),
        (Point(1, SecretStr("t")), f"result.y must be {SECRET}; got a value of type SecretStr"),
        (
            Torn(),
            "result must be something that pydantic can write as JSON (it raised PydanticSerializationError); got a value of type Torn",
        ),
        (MagicMock(), f"result must be {PLAIN}; got a value of type MagicMock"),
    ],
)
def test_return_value_that_is_refused(value: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        encode_result(value, LIMIT)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Account(ownerName="Ada"), '{"ownerName":"Ada","token":null,"keys":[],"opened":[1]}'),
        (
            {"at": Point(1, datetime(2026, 1, 1, tzinfo=UTC))},
            '{"at":{"x":1,"y":"2026-01-01T00:00:00Z"}}',
        ),
        (Point(1, [Parcel(weightKg=3)]), '{"x":1,"y":[{"weightKg":3}]}'),
    ],
)
def test_arguments_may_hold_models_and_dataclasses_as_results_do(value: object, text: str) -> None:
    assert encode_object(value, "args", LIMIT) == text


def test_dataclass_opens_words_for_what_stands_in_it_alone() -> None:
    with pytest.raises(UsageError, match=r"^args\.b must be .*; got a value of type datetime$"):
        encode_object({"a": Point(1, date.min), "b": datetime.min}, "args", LIMIT)  # noqa: DTZ901 - as it is


def lists(levels: int, inside: object) -> object:
    value = inside
    for _ in range(levels):
        value = [value]
    return value


class Link(BaseModel):
    next: object = None


def chain(kind: type[Point | Link], links: int) -> object:
    value: object = None
    for _ in range(links):
        value = Point(1, value) if kind is Point else Link(next=value)
    return value


@pytest.mark.parametrize(
    ("make", "levels"),
    [
        (lambda levels: lists(levels, 1), 100),
        (lambda levels: lists(levels, Day.FIRST), 98),
        (lambda levels: chain(Point, levels), 50),
        (lambda levels: chain(Link, levels), 99),
    ],
    ids=["lists", "an enumeration", "dataclasses", "models"],
)
def test_levels_are_counted_in_whatever_holds_them(
    make: Callable[[int], object], levels: int
) -> None:
    assert encode_result(make(levels), LIMIT)
    with pytest.raises(UsageError, match="nested at most 100 levels deep"):
        encode_result(make(levels + 1), LIMIT)


def test_value_is_measured_up_to_sixteen_times_its_limit() -> None:
    sizes = []
    for count in (159, 160, 10_000):
        with pytest.raises(PayloadTooLarge) as caught:
            encode_result([0] * count, 10)
        sizes.append(caught.value.size_bytes)

    assert sizes == [2 * 159 + 1, 161, 161]


def test_int_has_as_many_bits_as_python_itself_reads() -> None:
    assert encode_result(1 << 14_283, 5_000) == str(1 << 14_283)
    with pytest.raises(UsageError, match="got an int of 14285 bits"):
        encode_result(1 << 14_284, 5_000)


class UUIDLike:
    """Of the name or the module of a UUID, and no UUID."""


UUIDLike.__qualname__ = "UUID"
Elsewhere = type("Elsewhere", (), {"__module__": "uuid"})


@pytest.mark.parametrize("value", [UUIDLike(), Elsewhere()])
def test_uuid_is_one_of_standard_library(value: object) -> None:
    with pytest.raises(UsageError, match=r"^result must be a JSON value"):
        encode_result(value, LIMIT)


@pytest.mark.parametrize("value", [Day.FIRST, time(1), timedelta(1), Decimal(1), UUID(int=1)])
def test_arguments_are_no_words(value: object) -> None:
    with pytest.raises(UsageError) as caught:
        encode_object({"x": value}, "args", LIMIT)

    assert (
        str(caught.value) == f"args.x must be {PLAIN}; got a value of type {type(value).__name__}"
    )


class Nowhere(tzinfo):
    """A time zone that fails."""

    def utcoffset(self, _: datetime | None) -> timedelta:
        raise LookupError("no such place")


def test_time_that_cannot_be_written_is_refused_without_its_text() -> None:
    with pytest.raises(UsageError) as caught:
        encode_result({"at": datetime(2026, 1, 1, tzinfo=Nowhere())}, LIMIT)

    assert str(caught.value).startswith(
        "result.at must be something that pydantic can write as JSON (it raised "
    )
    assert "no such place" not in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("value", [Decimal("Infinity"), Decimal("-Infinity"), Decimal("sNaN")])
def test_decimal_is_finite(value: Decimal) -> None:
    with pytest.raises(UsageError, match=r"^result\.x must be a finite number"):
        encode_result({"x": value}, LIMIT)


class Coded(BaseModel):
    code: Secret[int]

    @field_serializer("code", when_used="json")
    def _written(self, code: Secret[int]) -> int:
        return code.get_secret_value()


class Shorter(BaseModel):
    """Writes less than it holds."""

    numbers: list[int]
    names: dict[str, int]

    @field_serializer("numbers", when_used="json")
    def _first(self, numbers: list[int]) -> list[int]:
        return numbers[:1]

    @field_serializer("names", when_used="json")
    def _nothing(self, names: dict[str, int]) -> dict[str, int]:
        return {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Coded(code=Secret(7)), '{"code":7}'),
        (
            Account(ownerName="x", token=SecretStr("")),
            '{"ownerName":"x","token":"","keys":[],"opened":[1]}',
        ),
        (Shorter(numbers=[1, 2], names={"a": 1}), '{"numbers":[1],"names":{}}'),
    ],
)
def test_models_own_text_is_no_secret(value: object, text: str) -> None:
    assert encode_result(value, LIMIT) == text


def test_model_that_holds_what_it_should_not_is_warned_of_once() -> None:
    broken = Receipt.model_construct(paid_at=datetime(2026, 1, 1, tzinfo=UTC), total="much")

    with pytest.warns(UserWarning, match="Pydantic serializer warnings") as warned:
        encode_result(broken, LIMIT)

    assert len(warned) == 1


def test_any_json_value_may_be_context_and_large_one_is_read_back() -> None:
    assert encode_value([1, None], "context", LIMIT) == "[1,null]"
    assert checked_json({"text": "x" * 10_000}, "event.context") == {"text": "x" * 10_000}
    with pytest.raises(UsageError, match=r"^event\.context\[0\] must be a finite number"):
        checked_json([float("inf")], "event.context")
    with pytest.raises(UsageError, match=r"^context\.x must be a JSON value"):
        encode_value({"x": Day.FIRST}, "context", LIMIT)
    with pytest.raises(UsageError, match=r"^event\.context\.x must be a JSON value"):
        checked_json({"x": Day.FIRST}, "event.context")
