"""Arguments of an event as those of the function, and refusals where they do not fit."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict, Unpack
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from workpool_aws import UsageError, Work, Workpool

pool = Workpool("jobs")
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Size(Enum):
    SMALL = "s"


class Order(BaseModel):
    id: int
    lines: list[str] = []


@dataclass
class Point:
    x: int
    y: int


def tell(  # one parameter a kind of type
    *,
    n: int = 0,
    flag: bool = False,
    price: Decimal = Decimal(0),
    day: date = date.min,
    at: datetime = LONG_AGO,
    wait: timedelta = timedelta(0),
    raw: bytes = b"",
    tags: set[str] = frozenset(),
    pair: tuple[int, str] = (0, ""),
    size: Size = Size.SMALL,
    order: Order | None = None,
    point: Point | None = None,
    key: UUID | None = None,
    mode: Literal["fast", "slow"] = "fast",
    count: Annotated[int, Field(gt=0)] = 1,
    anything=None,
    schema: str = "",
    _hidden: int = 0,
) -> list[object]:
    given = [
        n,
        flag,
        price,
        day,
        at,
        wait,
        raw,
        tags,
        pair,
        size,
        order,
        point,
        key,
        mode,
        count,
        anything,
        schema,
        _hidden,
    ]
    return [value for value in given if value is not None]


@pytest.mark.parametrize(
    ("name", "given", "received"),
    [
        ("n", "7", 7),
        ("n", 7.0, 7),
        ("flag", "yes", True),
        ("price", "1.10", Decimal("1.10")),
        ("day", "2026-01-02", date(2026, 1, 2)),
        ("at", "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("wait", "PT5S", timedelta(seconds=5)),
        ("raw", "ab", b"ab"),
        ("tags", ["a", "b", "a"], {"a", "b"}),
        ("pair", [1, "b"], (1, "b")),
        ("size", "s", Size.SMALL),
        ("order", {"id": "5", "lines": ["x"]}, Order(id=5, lines=["x"])),
        ("point", {"x": 1, "y": 2}, Point(1, 2)),
        ("key", "00000000-0000-0000-0000-000000000001", UUID(int=1)),
        ("mode", "slow", "slow"),
        ("count", 2, 2),
        ("anything", {"a": [None]}, {"a": [None]}),
        ("schema", "s", "s"),
        ("_hidden", 4, 4),
    ],
)
def test_json_becomes_what_annotation_says(name: str, given: object, received: object) -> None:
    told: list[object] = []

    @functools.wraps(tell)
    def noting(**arguments: object) -> None:
        told.extend(tell(**arguments))

    pool.action(noting)({name: given}, None)

    assert any(value == received and type(value) is type(received) for value in told)


def greet(name: str, times: int = 1) -> str:
    return " ".join([name] * times)


def more(name: str, **rest: int) -> list[object]:
    return [name, rest]


def has_work(work: Work, url: str) -> str:
    return f"{work} {url}"


def has_work_and_more(work: Work, **rest: object) -> str:
    return f"{work} {rest}"


def may_have_work(url: str, work: Work | None = None) -> str:
    return f"{work} {url}"


@pytest.mark.parametrize(
    ("function", "event", "returned"),
    [
        (greet, {"name": "Ada"}, "Ada"),
        (greet, {"name": "Ada", "times": "2"}, "Ada Ada"),
        (more, {"name": "Ada", "x": 1, "y": "2"}, ["Ada", {"x": 1, "y": 2}]),
        (may_have_work, {"url": "u"}, "None u"),
    ],
)
def test_event_without_assignment_is_answered_directly(
    function: Any, event: dict[str, object], returned: object
) -> None:
    assert pool.action(function)(event, None) == returned


@pytest.mark.parametrize(
    ("function", "event", "problems"),
    [
        (greet, {}, "name: Field required"),
        (greet, {"name": 5}, "name: Input should be a valid string"),
        (
            more,
            {"name": "Ada", "x": "many"},
            "x: Input should be a valid integer, unable to parse string as an integer",
        ),
        (
            greet,
            {"times": "x"},
            "name: Field required; times: Input should be a valid integer, unable to parse string as an integer",
        ),
        (greet, {"name": "a", "tmies": 2}, "tmies: Unexpected keyword argument"),
        (greet, {"Records": []}, "name: Field required; Records: Unexpected keyword argument"),
        (
            tell,
            {"order": {"lines": ["a", 5]}, "count": 0},
            "order.id: Field required; order.lines.1: Input should be a valid string; count: Input should be greater than 0",
        ),
        (
            has_work_and_more,
            {"work": {}},
            "work: Unexpected keyword argument; work: only a pool can give it",
        ),
        (has_work, {"url": "u"}, "work: only a pool can give it"),
        (
            has_work,
            {"url": "u", "work": {}},
            "work: Unexpected keyword argument; work: only a pool can give it",
        ),
    ],
)
def test_argument_that_does_not_fit_is_named(
    function: Any, event: dict[str, object], problems: str
) -> None:
    with pytest.raises(UsageError) as caught:
        pool.action(function)(event, None)

    assert caught.value.field == "event"
    assert caught.value.allowed == f"arguments that fit the function ({problems})"


@pytest.mark.parametrize("event", [None, [], "text", 5])
def test_event_that_is_no_object_is_refused(event: object) -> None:
    with pytest.raises(
        UsageError, match=r"^event must be a JSON object with the function's arguments; got .*$"
    ):
        pool.action(greet)(event, None)


@pytest.mark.parametrize("assignment", [None, {}, {"version": 1}, "x"])
def test_damaged_assignment_is_refused_and_nothing_runs(assignment: object) -> None:
    ran: list[str] = []
    worker = pool.action(lambda: ran.append("ran"))

    with pytest.raises(
        UsageError, match=r"^event\._workpool must be the assignment that a pool sends; got .*$"
    ):
        worker({"_workpool": assignment}, None)

    assert ran == []


def test_error_of_function_is_raised_to_other_callers() -> None:
    def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        pool.action(fails)({}, None)


class Options(TypedDict, total=False):
    """Of the standard library's, which pydantic takes from Python 3.12 on."""

    size: Required[int]
    tags: Annotated[list[str], Field(max_length=1)]


class More(Options):
    name: str
    note: NotRequired[str]


def with_options(**options: Unpack[More]) -> object:
    return options


def test_standard_librarys_typed_dicts_are_validated_on_any_python() -> None:
    worker = pool.action(with_options)

    assert worker({"size": "3", "name": "a"}, None) == {"size": 3, "name": "a"}
    assert worker({"size": 3, "name": "a", "note": "b"}, None) == {
        "size": 3,
        "name": "a",
        "note": "b",
    }
    with pytest.raises(UsageError) as caught:
        worker({"tags": ["a", "b"], "size": "x"}, None)
    for problem in (
        "size: Input should be a valid integer",
        "tags: List should have at most 1 item",
        "name: Field required",
    ):
        assert problem in caught.value.allowed
    with pytest.raises(UsageError, match="size: Field required"):
        worker({"name": "a"}, None)
