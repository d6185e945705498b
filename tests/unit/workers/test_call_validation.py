"""Arguments are validated as pydantic validates a call of the same function: compared over many signatures and inputs."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypeVar, Union
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    TypeAdapter,
    ValidationError,
    validate_call,
)
from typing_extensions import TypedDict, Unpack

from workpool_aws import UsageError, Workpool

pool = Workpool("jobs")
T = TypeVar("T")
Number = TypeVar("Number", int, float)
UserId = NewType("UserId", int)


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str = Field(alias="dogName")


class Box(BaseModel, Generic[T]):
    held: T


class Node(BaseModel):
    model_config = ConfigDict(extra="forbid")
    value: int
    next: Node | None = None


@dataclass
class Point:
    x: int
    y: float = 0.5


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Options(TypedDict, total=False):
    a: int
    b: Annotated[str, Field(min_length=2)]


class Needed(TypedDict):
    a: int
    b: list[int]


def plain(a: int, b: str = "x") -> object:
    return a, b


def unannotated(a, b=3):
    return a, b


def field_default(
    a: int = Field(default=3, gt=0),
    b: list[int] = Field(default_factory=list),  # noqa: B008 - pydantic's own form of a default
) -> object:
    return a, b


def field_required(a: int = Field(gt=0), b: Annotated[int, Field(default=4)] = 5) -> object:
    return a, b


def checked_default(
    a: int = Field(default="7", validate_default=True), b: int = "unchecked"
) -> object:
    return a, b


def aliased(
    a: Annotated[int, Field(alias="b")], b: int = Field(default=1, validation_alias="c")
) -> object:
    return a, b


def chosen(
    a: Annotated[int, Field(validation_alias=AliasChoices("b", "c"))] = 0, *, b: int = 1
) -> object:
    return a, b


def keyword_only(a: int, *, b: bool, c: date | None = None) -> object:
    return a, b, c


def any_more(a: int, **b: int) -> object:
    return a, b


def untyped_more(a: int, **more: Any) -> object:
    return a, more


def optional_more(c: int = 0, **more: Unpack[Options]) -> object:
    return c, more


def needed_more(c: int = 0, **more: Unpack[Needed]) -> object:
    return c, more


def literals(a: Literal["x", 1, None], b: Size = Size.SMALL) -> object:  # noqa: PYI061 - one more form to read
    return a, b


def discriminated(
    a: Annotated[Cat | Dog, Field(discriminator="kind")], b: Cat | Dog | None = None
) -> object:
    return a, b


def generic(a: Box[int], b: Box[Box[str]] | None = None) -> object:
    return a, b


def constrained_variable(a: Number, b: T | None = None) -> object:
    return a, b


def recursive(a: Node, b: list[Node] = []) -> object:  # noqa: B006 - as pydantic: a default is copied
    return a, b


def strict(a: StrictInt, b: Annotated[float, Field(strict=True)] = 1.0) -> object:
    return a, b


def containers(a: set[int], b: tuple[int, ...] = (), c: dict[str, Decimal] | None = None) -> object:
    return a, b, c


def records(a: Point, b: Pair | None = None) -> object:
    return a, b


def words(a: datetime | timedelta, b: UUID | bytes | None = None) -> object:
    return a, b


def transformed(
    a: Annotated[int, AfterValidator(lambda n: n * 2)], b: Annotated[int, BeforeValidator(str)] = 0
) -> object:
    return a, b


def old_style(a: Optional[int], b: Union[int, str] = 0, c: "UserId" = UserId(1)) -> object:  # noqa: UP045, UP007, UP037 - old forms are the point
    return a, b, c


def bounded(
    a: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=3)],
    b: Annotated[str, Field(pattern="^x")] = "x",
) -> object:
    return a, b


class Service:
    def method(self, a: int, b: str = "x") -> object:
        return a, b

    @classmethod
    def of_class(cls, a: int, b: str = "x") -> object:
        return a, b

    @staticmethod
    def static(a: int, b: str = "x") -> object:
        return a, b


def traced(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return wrapper


FUNCTIONS: list[Callable[..., object]] = [
    plain,
    unannotated,
    field_default,
    field_required,
    checked_default,
    aliased,
    chosen,
    keyword_only,
    any_more,
    untyped_more,
    optional_more,
    needed_more,
    literals,
    discriminated,
    generic,
    constrained_variable,
    recursive,
    strict,
    containers,
    records,
    words,
    transformed,
    old_style,
    bounded,
    Service().method,
    Service.of_class,
    Service.static,
    traced(plain),
    traced(traced(any_more)),
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            "",
            "x",
            "xx",
            "s",
            "5",
            "1.5",
            "true",
            "2026-01-02",
            "2026-01-02T03:04:05Z",
            "PT5S",
            "00000000-0000-0000-0000-000000000001",
        ]
    ),
)
RECORDS = st.sampled_from(
    [
        {"kind": "cat"},
        {"kind": "dog", "dogName": "Rex"},
        {"kind": "dog", "name": "Rex"},
        {"kind": "cow"},
        {"x": 1},
        {"x": "1", "y": "2"},
        {"held": 1},
        {"held": {"held": "deep"}},
        {"value": 1, "next": {"value": 2}},
        {"value": 1, "next": {"value": "no", "more": 3}},
        {"left": 1},
        [1],
        [1, "b"],
        [1, 1, "2"],
        [],
    ]
)
VALUES = (
    SCALARS
    | RECORDS
    | st.lists(SCALARS, max_size=3)
    | st.dictionaries(st.sampled_from(["a", "b", "x"]), SCALARS, max_size=2)
)
EVENTS = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "more", "self"]), VALUES, max_size=4)


def ours(function: Callable[..., object], event: dict[str, object]) -> object:
    """Return the arguments that a worker passed on, or the refusal's problems."""
    received: list[object] = []

    @functools.wraps(function)
    def noting(*args: object, **kwargs: object) -> None:
        received.append(function(*args, **kwargs))

    try:
        pool.action(noting)(event, None)
    except UsageError as refused:
        return refused.allowed.removeprefix("arguments that fit the function (").removesuffix(")")
    return received[0]


def theirs(function: Callable[..., object], event: dict[str, object]) -> object:
    """Return the arguments by pydantic's own validation of the same JSON, or its error messages."""
    adapter: TypeAdapter[object] = TypeAdapter[object](function)
    try:
        return adapter.validate_json(json.dumps(event))
    except ValidationError as error:
        return error


def problems_of(error: ValidationError) -> list[str]:
    details = error.errors(include_url=False, include_input=False)
    return [".".join(map(str, one["loc"])) for one in details]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__qualname__)
@settings(max_examples=6, print_blob=True, deadline=None)
@given(event=EVENTS)
def test_worker_validates_as_pydantic_validates_call(
    function: Callable[..., object], event: dict[str, object]
) -> None:
    expected = theirs(function, event)
    received = ours(function, event)

    if isinstance(expected, ValidationError):
        assert isinstance(received, str), f"accepted: {received!r}"
        assert all(place in received for place in problems_of(expected)), received
    else:
        assert received == expected
        assert repr(received) == repr(expected), "another type"


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__qualname__)
@settings(
    max_examples=4, derandomize=True, deadline=None
)  # the same each time: of Python values pydantic takes a few more than of JSON
@given(event=EVENTS)
def test_json_is_accepted_as_validate_call_accepts_python(
    function: Callable[..., object], event: dict[str, object]
) -> None:
    try:
        expected = validate_call(function)(**event)
    except ValidationError:
        return
    assert repr(ours(function, event)) == repr(expected)


def test_comparison_sees_both_ends() -> None:
    assert ours(field_default, {}) == (3, [])
    assert ours(field_default, {"a": -1}) == "a: Input should be greater than 0"
    assert ours(aliased, {"b": 1}) == (1, 1)
    assert ours(any_more, {"a": 1, "b": {"x": 1}}) == "b: Input should be a valid integer"
    assert (
        ours(needed_more, {"a": "x"})
        == "a: Input should be a valid integer, unable to parse string as an integer; b: Field required"
    )
    assert ours(discriminated, {"a": {"kind": "a secret"}}) == (
        "a: Input tag found using 'kind' does not match any of the expected tags: 'cat', 'dog'"
    )


def test_text_that_is_none_is_named_as_unreadable() -> None:
    @pool.action
    def greet(name: str) -> str:
        return name

    with pytest.raises(UsageError, match="name: it cannot be read as JSON"):
        greet({"name": "\ud800"}, None)


def test_event_that_is_no_json_is_refused_and_says_why() -> None:
    circle: list[object] = []
    circle.append(circle)
    deep: object = []
    for _ in range(100_000):
        deep = [deep]

    def run(a: object) -> None:
        raise AssertionError(a)

    found = [ours(run, {"a": value}) for value in ({1}, circle, deep)]

    assert found == [
        f"event: it is no JSON: {kind}" for kind in ("TypeError", "ValueError", "RecursionError")
    ]
