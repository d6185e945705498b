"""Which parameters receive the `Work` handle, which annotations can never be filled, and what becomes of those that mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Optional, Union

import pytest
from pydantic import Field

from tests.kit.lambdas import LambdaContext, event_of
from tests.kit.records import a_policy, a_work
from tests.kit.world import World
from workpool_aws import UsageError, Work, Workpool
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForCheckers

pool = Workpool("jobs")


def bare(work: Work) -> object:
    return work


def annotated(work: Annotated[Work, "the handle"]) -> object:
    return work


def annotated_choice(work: Annotated[Work | None, "the handle"] = None) -> object:
    return work


def choice_of_annotated(work: Optional[Annotated[Work, "the handle"]] = None) -> object:  # noqa: UP045 - the old form
    return work


def old_choice(work: Union[None, Work] = None) -> object:  # noqa: UP007, RUF036 - the old form
    return work


def nested_choice(work: Annotated[Annotated[Work, 1] | None, 2] = None) -> object:
    return work


def in_quotes(work: "Annotated[Work | None, 'the handle']" = None) -> object:  # noqa: UP037 - quoted twice, under the future import
    return work


def with_field(work: Work | None = Field(default=None)) -> object:  # noqa: B008 - pydantic's own form of a default
    return work


def under_another_name(n: int = 1, *, me: Work) -> object:
    return me


def beside_more(work: Work, **more: int) -> object:
    assert not more
    return work


RECEIVES = [
    bare,
    annotated,
    annotated_choice,
    choice_of_annotated,
    old_choice,
    nested_choice,
    in_quotes,
    with_field,
    under_another_name,
    beside_more,
]


@pytest.mark.parametrize("function", RECEIVES, ids=lambda function: function.__name__)
def test_handle_is_received(world: World, function: Callable[..., object]) -> None:
    kept: list[object] = []
    assignment = world.start(a_work())

    def keeping(*args: object, **kwargs: object) -> None:
        kept.append(function(*args, **kwargs))

    keeping.__wrapped__ = function
    world.pool().action(keeping)(event_of(assignment), LambdaContext())

    assert world.work(assignment.work_id).outcome is Outcome.SUCCESS
    assert [type(one) for one in kept] == [Work]


@pytest.mark.parametrize(
    "function",
    [annotated_choice, choice_of_annotated, old_choice, nested_choice, in_quotes, with_field],
)
def test_handle_without_pool_has_its_default(function: Callable[..., object]) -> None:
    assert pool.action(function)({}, None) is None


def eager(annotation: object, *, many: bool = False) -> Callable[..., object]:
    """A function with this annotation, evaluated as without the future import."""

    def one(work: object = None) -> object:
        return work

    def more(**work: object) -> object:
        return work

    made: Callable[..., object] = more if many else one
    made.__annotations__ = {"work": annotation}
    return made


class Special(Work):
    """A class of which there are no objects."""


NEVER_FILLED = [
    list[Work],
    dict[str, Work],
    list[Work] | None,
    type[Work],
    Callable[[Work], None],
    Annotated[tuple[Work, ...], 1],
    Special,
]


@pytest.mark.parametrize("annotation", NEVER_FILLED, ids=str)
def test_shape_that_cannot_be_filled_is_refused_when_decorating(annotation: object) -> None:
    with pytest.raises(
        UsageError, match=r"^work\b.*annotated Work, or with None as the other choice"
    ):
        pool.action(eager(annotation))


def test_keywords_of_handles_are_refused_when_decorating() -> None:
    with pytest.raises(UsageError, match=r"^work\b.*annotated Work"):
        pool.action(eager(Work, many=True))


def many(work: list[Work]) -> None:
    assert not work


def test_shape_in_quotes_is_refused_at_first_call_and_never_retried(world: World) -> None:
    assignment = world.start(a_work(claimed=False, retry=a_policy()))

    world.pool().action(many)(event_of(assignment, work=[]), LambdaContext())

    stored = world.work(assignment.work_id)
    assert (stored.state, stored.error_type) == (State.FINISHED, "invalid_arguments")
    assert "work" in str(stored.error)
    assert "annotated Work" in str(stored.error)


def for_checkers(n: int, other: OnlyForCheckers) -> None:
    assert n, other


def nested_name(other: dict[str, OnlyForCheckers]) -> None:
    assert other


def unbuildable(n: int, other: World) -> None:
    assert n, other


def not_a_type(other: "1 + ") -> None:  # noqa: F722 - the mistake under test
    assert other


def wrong_default(other: Annotated[int, Field(discriminator="kind")]) -> None:
    assert other


def local_type() -> Callable[..., object]:
    class Here:
        pass

    def function(other: Here) -> None:
        assert other

    return function


UNUSABLE = [for_checkers, nested_name, unbuildable, not_a_type, wrong_default, local_type()]


@pytest.mark.parametrize("function", UNUSABLE, ids=lambda function: function.__name__)
def test_annotation_that_means_nothing_ends_work_and_is_named(
    world: World, function: Callable[..., object]
) -> None:
    assignment = world.start(a_work(claimed=False, retry=a_policy()))

    world.pool().action(function)(event_of(assignment, n=1, other={}), LambdaContext())

    stored = world.work(assignment.work_id)
    assert (stored.state, stored.outcome, stored.error_type) == (
        State.FINISHED,
        Outcome.FAILED,
        "invalid_arguments",
    )
    assert str(stored.error).startswith("other: its annotation cannot be used: ")
    assert "https://" not in str(stored.error)


def test_name_that_is_defined_after_first_call_is_found_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = pool.action(for_checkers)
    with pytest.raises(UsageError, match="OnlyForCheckers"):
        worker({"n": 1, "other": 2}, None)

    monkeypatch.setitem(globals(), "OnlyForCheckers", int)

    worker({"n": 1, "other": 2}, None)
