"""Whatever a user's exception does when it is looked at, it arrives: with its class, its place, and what it says about retries."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from tests.kit.lambdas import LambdaContext, event_of
from tests.kit.records import NOW, a_policy, a_work
from tests.kit.world import World
from workpool_aws import NonRetryableError, RetryLater, TaskPool
from workpool_aws.adapters.wire.report import REPORTED
from workpool_aws.core import limits
from workpool_aws.errors import TasksFailed
from workpool_aws.model.events import AttemptRaised
from workpool_aws.model.work import State, WorkItem

MINUTE = timedelta(minutes=1)


def stored_after(world: World, body: Callable[[], object]) -> WorkItem:
    """The work item after an attempt with retries left, whose handler must answer as always."""
    assignment = world.start(a_work(claimed=False, retry=a_policy()))

    assert world.pool().action(lambda: body())(event_of(assignment), LambdaContext()) == REPORTED  # noqa: PLW0108 - a worker of its own

    return world.work(assignment.work_id)


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def body() -> NoReturn:
        raise error

    return body


class WithoutBase(RetryLater):
    def __init__(self) -> None:  # the base's is not called
        self.wait = 30


class Seconds(RetryLater):
    def __init__(self, delay: object) -> None:
        Exception.__init__(self, "later")
        self.delay: Any = delay


class DelayExits(RetryLater):
    @property
    def delay(self) -> timedelta:
        sys.exit(3)

    @delay.setter
    def delay(self, value: timedelta) -> None: ...


class Odd(timedelta):
    def __le__(self, other: object) -> bool:
        raise KeyError(other)

    __lt__ = __ge__ = __gt__ = __le__


class Endless(Exception):
    def __getattr__(self, name: str) -> object:
        return getattr(self, name + "x")

    def __str__(self) -> str:
        return str(self.message)


class AnswersAnything(Exception):
    def __getattr__(self, name: str) -> object:
        return f"yes, {name}"


class AnswersEverything(Exception):
    def __getattribute__(self, name: str) -> object:
        if name.startswith("__"):
            return super().__getattribute__(name)
        return True


class MarkerRaises(Exception):
    @property
    def workpool_non_retryable(self) -> bool:
        raise KeyboardInterrupt


class MarkerHasNoTruth(Exception):
    class Torn:
        def __bool__(self) -> bool:
            raise SystemExit

    workpool_non_retryable = Torn()


class Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


class NoText(Exception):
    def __str__(self) -> Any:
        return None  # noqa: PLE0307 - the mistake under test

    def __repr__(self) -> str:
        return self.__str__()


class Recurses(Exception):
    def __str__(self) -> str:
        return str(self)


class OddText(str):
    __slots__ = ()

    def encode(self, *_: object) -> NoReturn:
        raise KeyError

    __getitem__ = __len__ = __add__ = encode


class SaysOddly(Exception):
    def __str__(self) -> str:
        return OddText("odd")


class NamelessMeta(type):
    @property
    def __name__(cls) -> str:
        raise SystemExit


class Nameless(Exception, metaclass=NamelessMeta):
    """Its class has no name."""


class Traceless(Exception):
    @property
    def __traceback__(self) -> NoReturn:
        raise SystemExit

    @__traceback__.setter
    def __traceback__(self, value: object) -> None: ...


class Groupless(ExceptionGroup[Exception]):
    @property
    def exceptions(self) -> NoReturn:
        raise SystemExit


def unreadable(name: str, by: str) -> str:
    return f"{name} (its text could not be read: {by})"


HOSTILE: list[tuple[Exception, str]] = [
    (WithoutBase(), "WithoutBase()"),
    (Seconds(30), "later"),
    (Seconds("soon"), "later"),
    (Seconds(None), "later"),
    (Seconds(float("nan")), "later"),
    (Seconds(Odd(seconds=3)), "later"),
    (DelayExits(MINUTE), "retry after 60 s"),
    (Endless("x"), unreadable("Endless", "RecursionError")),
    (AnswersAnything("x"), "x"),
    (AnswersEverything("x"), "x"),
    (MarkerRaises("x"), "x"),
    (MarkerHasNoTruth("x"), "x"),
    (Exits("x"), unreadable("Exits", "SystemExit")),
    (NoText("x"), unreadable("NoText", "TypeError")),
    (Recurses("x"), unreadable("Recurses", "RecursionError")),
    (SaysOddly("x"), "odd"),
    (Nameless("x"), "x"),
    (Traceless("x"), "x"),
    (Groupless("three", [ValueError("x")]), "three (1 sub-exception): ValueError: x"),
]


def class_of(error: Exception) -> str:
    name: str = type.__dict__["__name__"].__get__(type(error))
    return name


@pytest.mark.parametrize("error", [error for error, _ in HOSTILE], ids=class_of)
def test_raised_error_is_retried_by_policy_with_its_place(world: World, error: Exception) -> None:
    stored = stored_after(world, raising(error))

    assert (stored.state, stored.attempts_made, stored.due_at) == (State.PENDING, 1, NOW + 250)
    (told,) = world.telemetry.of(AttemptRaised)
    assert told.error_type == class_of(error)
    assert "in body" in told.stack


@pytest.mark.parametrize(
    ("error", "text"), HOSTILE, ids=lambda value: "" if isinstance(value, str) else class_of(value)
)
def test_raised_error_ends_work_without_policy_with_class_and_text(
    world: World, error: Exception, text: str
) -> None:
    assignment = world.start(a_work())

    assert world.pool().action(raising(error))(event_of(assignment), LambdaContext()) == REPORTED

    stored = world.work(assignment.work_id)
    assert (stored.state, stored.error_type, stored.error) == (
        State.FINISHED,
        class_of(error),
        text,
    )


class MarkedByProperty(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    @property
    def workpool_non_retryable(self) -> bool:
        return self.code < 500


def marked(error: Exception) -> Exception:
    vars(error)["workpool_non_retryable"] = True
    return error


def group(*errors: Exception) -> ExceptionGroup[Exception]:
    return ExceptionGroup("several", list(errors))


@pytest.mark.parametrize(
    "error",
    [
        NonRetryableError("x"),
        MarkedByProperty(400),
        marked(ValueError("x")),
        group(ValueError("a"), NonRetryableError("b")),
        group(group(group(RetryLater(MINUTE), marked(KeyError("b"))))),
        marked(group(ValueError("a"))),
        TasksFailed("2 failures", [ValueError("a"), NonRetryableError("b")]),
        group(RetryLater(MINUTE), MarkedByProperty(404)),
    ],
    ids=repr,
)
def test_final_error_anywhere_ends_work(world: World, error: Exception) -> None:
    assert stored_after(world, raising(error)).state is State.FINISHED


@pytest.mark.parametrize(
    ("error", "delay_ms"),
    [
        (group(ValueError("a"), MarkedByProperty(500)), 250),
        (group(RetryLater(MINUTE), ValueError("a")), 60_000),
        (group(RetryLater(MINUTE), group(RetryLater(3 * MINUTE), RetryLater(2 * MINUTE))), 180_000),
        (group(RetryLater(-MINUTE), ValueError("a")), 0),
        (group(Seconds(30), RetryLater(MINUTE)), 60_000),
        (group(Seconds(30), WithoutBase()), 250),
    ],
    ids=repr,
)
def test_longest_delay_of_group_is_taken(world: World, error: Exception, delay_ms: int) -> None:
    stored = stored_after(world, raising(error))

    assert (stored.state, stored.due_at) == (State.PENDING, NOW + delay_ms)


def test_text_of_group_lists_its_first_causes(world: World) -> None:
    assignment = world.start(a_work())
    error = group(
        *[ValueError(f"number {n}") for n in range(3)],
        group(*[KeyError(n) for n in range(4)], Exits("x")),
    )

    world.pool().action(raising(error))(event_of(assignment), LambdaContext())

    assert world.work(assignment.work_id).error == (
        "several (4 sub-exceptions): ValueError: number 0; ValueError: number 1; ValueError: number 2; KeyError: 0; KeyError: 1; and 3 more"
    )


def test_text_of_large_group_is_bounded(world: World) -> None:
    assignment = world.start(a_work())
    error = group(*[ValueError("é" * 1_000_000) for _ in range(8)])

    world.pool().action(raising(error))(event_of(assignment), LambdaContext())

    assert len(world.work(assignment.work_id).error or "") == limits.ERROR_TEXT_MAX


def test_groups_that_share_groups_and_deep_ones_are_looked_through(world: World) -> None:
    shared: Exception = NonRetryableError("at the bottom")
    for _ in range(60):
        shared = group(shared, shared)
    for _ in range(2_000):
        shared = group(shared)

    assert stored_after(world, raising(shared)).state is State.FINISHED


def test_task_pool_in_worker_passes_on_what_its_tasks_say(world: World) -> None:
    def body() -> None:
        with TaskPool(max_workers=1) as tasks:
            tasks.add(raising(ValueError("busy")), raising(NonRetryableError("no such address")))

    stored = stored_after(world, body)

    assert (stored.state, stored.error_type) == (State.FINISHED, "TasksFailed")
    assert stored.error == (
        "2 failures of background tasks (2 sub-exceptions): ValueError: busy; NonRetryableError: no such address"
    )
