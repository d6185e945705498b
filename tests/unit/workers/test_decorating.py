"""What `@pool.action` takes, and what it makes of it."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from pool_world import World
from workpool_aws import UsageError, Workpool

pool = Workpool("jobs")


@pool.action
def send_email(to: str, template: str = "welcome") -> dict[str, str]:
    """Sends one."""
    return {"to": to, "template": template}


async def is_async(to: str) -> str:
    return to


async def streams(to: str) -> AsyncIterator[str]:
    yield to


def generates(to: str) -> Iterator[str]:
    yield to


def positional(to: str, /) -> str:
    return to


def starred(*to: str) -> str:
    return to[0]


ONE_DECORATOR = "a plain function; decorate it once, and with this decorator outermost"
BY_NAME = "parameters are given by name: neither positional-only ones nor *args"


def test_the_handler_is_known_by_the_function_it_was_made_of() -> None:
    assert (send_email.__name__, send_email.__qualname__, send_email.__doc__) == ("send_email", "send_email", "Sends one.")
    assert send_email.__module__ == __name__
    assert send_email.__workpool__ is True


def test_the_plain_function_is_at_hand() -> None:
    assert send_email.function("a@example.com") == {"to": "a@example.com", "template": "welcome"}


def test_a_query_is_decorated_the_same() -> None:
    count = pool.query(lambda: 3)

    assert count({}, None) == 3
    assert count.__workpool__ is True


@pytest.mark.parametrize(
    ("function", "shown", "allowed"),
    [
        (is_async, repr(is_async), "a plain function: Lambda calls handlers synchronously, so nobody would await this one"),
        (streams, repr(streams), "a plain function: Lambda calls handlers synchronously, so nobody would await this one"),
        (generates, repr(generates), "a plain function: calling a generator function would run none of it"),
        (positional, repr("to: 'str'"), BY_NAME),
        (starred, repr("*to: 'str'"), BY_NAME),
        (send_email, repr(send_email), ONE_DECORATOR),
        (World, repr(World), ONE_DECORATOR),
        (functools.partial(generates, "x"), repr(functools.partial(generates, "x")), ONE_DECORATOR),
        (None, "None", ONE_DECORATOR),
    ],
)
def test_what_cannot_be_a_worker(function: Any, shown: str, allowed: str) -> None:
    with pytest.raises(UsageError) as caught:
        pool.action(function)

    assert str(caught.value) == f"function: {shown} is not allowed; {allowed}"


def test_names_that_are_defined_later_may_be_used_in_annotations() -> None:
    @pool.action
    def later(point: Later) -> NeverDefined:  # noqa: F821 - the point of the test
        return point

    assert later({"point": [1, 2]}, None) == (1, 2)


Later = tuple[int, int]


def test_an_annotation_that_means_nothing_is_told_on_the_call() -> None:
    @pool.action
    def lost(point: NeverDefined) -> None:  # noqa: F821 - the point of the test
        assert point

    with pytest.raises(NameError, match="NeverDefined"):
        lost({"point": 1}, None)


def test_a_decorator_below_keeps_the_signature() -> None:
    def traced(function: Callable[..., str]) -> Callable[..., str]:
        @functools.wraps(function)
        def wrapper(*args: object, **kwargs: object) -> str:
            return f"traced {function(*args, **kwargs)}"

        return wrapper

    @pool.action
    @traced
    def greet(name: str) -> str:
        return name

    assert greet({"name": "Ada"}, None) == "traced Ada"
    with pytest.raises(UsageError, match="name: Field required"):
        greet({}, None)
