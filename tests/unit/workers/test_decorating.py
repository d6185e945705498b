"""The functions that `@pool.action` takes, and the workers that it makes."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.middleware_factory import lambda_handler_decorator

from tests.kit.lambdas import LambdaContext as PlainContext
from tests.kit.world import World
from workpool_aws import OnCompleteEvent, UsageError, Workpool, with_task_pool
from workpool_aws.core.callback.targets import JOBS_MARK, is_decorated

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


ONE_DECORATOR = "a plain function, decorated once and with this decorator outermost"
BY_NAME = "one whose parameters are all given by name (no positional-only ones, no *args)"


def test_handler_is_known_by_function_it_was_made_of() -> None:
    assert (send_email.__name__, send_email.__qualname__, send_email.__doc__) == (
        "send_email",
        "send_email",
        "Sends one.",
    )
    assert send_email.__module__ == __name__
    assert send_email.__workpool__ is True


def test_plain_function_is_at_hand() -> None:
    assert send_email.function("a@example.com") == {"to": "a@example.com", "template": "welcome"}


@pytest.mark.parametrize(
    "option", [{"run_at": datetime(1970, 1, 2, tzinfo=UTC)}, {"request_id": "r"}], ids=str
)
def test_option_of_one_enqueue_is_refused_for_all(option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must be given with each enqueue") as caught:
        pool.action(**option)(lambda: None)

    assert [caught.value.field] == [*option]


def test_query_is_decorated_same() -> None:
    count = pool.query(lambda: 3)

    assert count({}, None) == 3
    assert count.__workpool__ is True


@pytest.mark.parametrize(
    ("function", "shown", "allowed"),
    [
        (
            is_async,
            repr(is_async),
            "a plain function (Lambda calls handlers synchronously, and nothing would await this one)",
        ),
        (
            streams,
            repr(streams),
            "a plain function (Lambda calls handlers synchronously, and nothing would await this one)",
        ),
        (
            generates,
            repr(generates),
            "a plain function (calling a generator function runs none of it)",
        ),
        (positional, "the parameter to: 'str'", BY_NAME),
        (starred, "the parameter *to: 'str'", BY_NAME),
        (send_email, repr(send_email), ONE_DECORATOR),
        (World, repr(World), ONE_DECORATOR),
        (functools.partial(generates, "x"), repr(functools.partial(generates, "x")), ONE_DECORATOR),
        (None, "None", ONE_DECORATOR),
    ],
    ids=[
        "async",
        "async generator",
        "generator",
        "positional",
        "starred",
        "decorated",
        "class",
        "partial",
        "nothing",
    ],
)
def test_decorator_refuses_what_cannot_be_worker(function: Any, shown: str, allowed: str) -> None:
    with pytest.raises(UsageError) as caught:
        pool.action(function)

    assert str(caught.value) == f"function must be {allowed}; got {shown}"


def test_names_that_are_defined_later_may_be_used_in_annotations() -> None:
    @pool.action
    def later(point: Later) -> NeverDefined:  # noqa: F821 - the point of the test
        return point

    assert later({"point": [1, 2]}, None) == (1, 2)


Later = tuple[int, int]


def test_meaningless_annotation_is_reported_on_call() -> None:
    @pool.action
    def lost(point: NeverDefined) -> None:  # noqa: F821 - the point of the test
        assert point

    with pytest.raises(
        UsageError,
        match="point: its annotation cannot be used: NameError: name 'NeverDefined' is not defined",
    ):
        lost({"point": 1}, None)


def test_decorator_below_keeps_signature() -> None:
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


def for_lambda(handler: Callable[..., object]) -> Callable[..., object]:
    """A decorator of Lambda handlers, as Powertools' are made."""

    @functools.wraps(handler)
    def wrapper(event: object, context: object, *args: object, **kwargs: object) -> object:
        return handler(event, context, *args, **kwargs)

    return wrapper


def by_other_names(handler: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(handler)
    def wrapper(aws_event: object, aws_context: object, **kwargs: object) -> object:
        return handler(aws_event, aws_context, **kwargs)

    return wrapper


def of_lambda(event: object, context: object) -> object:
    return event, context


def two(to: str, template: str) -> object:
    return to, template


def none() -> None: ...


@pytest.mark.parametrize(
    "decorator",
    [for_lambda, by_other_names, Logger(service="t").inject_lambda_context, with_task_pool],
)
@pytest.mark.parametrize("function", [of_lambda, two, none, send_email.function])
def test_decorator_of_handlers_below_is_refused_with_advice(decorator: Any, function: Any) -> None:
    with pytest.raises(UsageError, match=r"Put that decorator above this one") as caught:
        pool.action(decorator(function))

    assert caught.value.field == "function"


def told(event: OnCompleteEvent) -> None:
    assert event


def test_so_it_is_below_handler_of_callbacks() -> None:
    with pytest.raises(UsageError, match=r"Put that decorator above this one"):
        pool.on_complete(Logger(service="t").inject_lambda_context(told))


@lambda_handler_decorator
def noting(handler: Callable[[object, object], object], event: object, context: object) -> object:
    return ["noted", handler(event, context)]


@pytest.mark.parametrize("decorator", [for_lambda, by_other_names, with_task_pool])
def test_decorator_of_handlers_above_wraps_worker(decorator: Any) -> None:
    handler = decorator(send_email)

    assert handler({"to": "a"}, PlainContext()) == {"to": "a", "template": "welcome"}
    assert handler.__workpool__ is True
    assert handler.__name__ == "send_email"


def test_wrapper_of_handler_of_many_is_known_as_one() -> None:
    """`functools.wraps` copies what stands on the instance alone."""
    many = pool.handler(send_email, pool.query(name="count")(lambda: 3))

    @functools.wraps(many)
    def wrapper(event: object, context: object) -> object:
        return many(event, context)

    assert is_decorated(wrapper)
    assert vars(wrapper)[JOBS_MARK] == ("send_email", "count")


def test_powertools_middleware_wraps_plain_handler() -> None:
    handler = noting(send_email.handler)

    assert handler({"to": "a"}, None) == ["noted", {"to": "a", "template": "welcome"}]
    assert handler.__workpool__ is True
    assert (send_email.handler.__name__, send_email.handler.__module__) == ("send_email", __name__)


def test_powertools_refusal_of_worker_names_way_out() -> None:
    with pytest.raises(
        Exception, match=r"<worker send_email; as a plain function: send_email\.handler>"
    ):
        noting(send_email)


class Mailer:
    def send(self, to: str) -> list[object]:
        return [type(self).__name__, to]


def test_bound_method_is_worker_too() -> None:
    assert pool.action(Mailer().send)({"to": "a"}, None) == ["Mailer", "a"]


def test_bound_coroutine_method_is_none() -> None:
    class Slow:
        async def send(self) -> None: ...

    with pytest.raises(UsageError, match="nothing would await"):
        pool.action(Slow().send)


def test_wrapper_may_add_parameters_that_have_defaults_or_take_whatever_comes() -> None:
    def send(to: str) -> str:
        return to

    @functools.wraps(send)
    def optional(*args: Any, tries: int = 3, **options: Any) -> str:
        return send(*args, **options)

    @functools.wraps(send)
    def required(to: str, tries: int) -> str:
        return send(to)

    assert Workpool("jobs").action(optional).function is optional
    with pytest.raises(UsageError, match=r"^function must be "):
        Workpool("jobs").action(required)


def test_decorator_below_may_name_parameters_itself() -> None:
    def shouted(function: Callable[[str], str]) -> Callable[[str], str]:
        @functools.wraps(function)
        def wrapper(name: str) -> str:
            return function(name).upper()

        return wrapper

    @pool.action
    @shouted
    def greet(name: str) -> str:
        return name

    assert greet({"name": "Ada"}, None) == "ADA"


def test_result_that_is_no_json_comes_back_from_direct_call_as_it_is() -> None:
    thing = object()

    assert pool.action(lambda: thing)({}, None) is thing
